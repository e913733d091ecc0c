"""Trackers: what they get, in which order, and that none of them can stop a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from fedrl_ray.common.errors import UserError
from fedrl_ray.config.loading import load
from fedrl_ray.runs import tracker
from fedrl_ray.runs.run_directory import EVALUATIONS, METRICS, read_rows
from fedrl_ray.runs.tracker import (
    Outcome,
    TrackedRound,
    Tracker,
    final_values,
    require_packages,
    tracked,
)
from fedrl_ray.runs.tracking import STATE, Sender, Tracking
from tests.support.malformed_place import fedrl
from tests.support.runs import train
from tests.support.small import SMALL, merged
from tests.support.wandb_files import row_of, wandb_records


class Shelf(Tracker):
    """A tracker that keeps everything in memory, and may fail in one of its calls."""

    def __init__(self, fault: str = "") -> None:
        self.id, self.fault = None, fault
        self.rounds: list[int] = []
        self.outcome: Outcome | None = None

    def open(self) -> None:
        self._may_fail("open")
        self.id = "shelf"

    def log(self, rounds: Sequence[TrackedRound]) -> None:
        self._may_fail("log")
        self.rounds += [one.round for one in rounds]

    def finish(self, outcome: Outcome) -> None:
        self._may_fail("finish")
        self.outcome = outcome

    def _may_fail(self, call: str) -> None:
        if call == self.fault:
            raise ConnectionError("no route to host\nand much more")


def send(tracker: Shelf, rounds: Sequence[int], sent: int = 0) -> Sender:
    sender = Sender("shelf", tracker, sent, lambda: None)
    sender.start()
    for number in rounds:
        sender.put(TrackedRound(number, 10 * number, {}))
    sender.put(Outcome("completed", {"final/worst": 1.0}, None))
    sender.join()
    return sender


def test_every_round_is_sent_once_and_in_order_whatever_is_repeated() -> None:
    shelf = Shelf()
    sender = send(shelf, [1, 2, 3, 4, 3, 4, 5], sent=2)  # round 3 again: a rewind
    assert shelf.rounds == [3, 4, 5] and sender.sent == 5
    assert shelf.outcome == Outcome("completed", {"final/worst": 1.0}, None)


@pytest.mark.parametrize("fault", ["open", "log", "finish"])
def test_a_tracker_that_fails_is_given_up_in_one_line(fault: str, capfd: Any) -> None:
    shelf = Shelf(fault)
    send(shelf, [1, 2])
    err = capfd.readouterr().err
    assert err.startswith("trackers: shelf is given up, and the run goes on without it: no route")
    assert len(err.splitlines()) == 1 and shelf.outcome is None


def test_numbers_are_means_over_agents_without_those_that_are_not_finite() -> None:
    agents = {"td_loss": [1.0, 3.0, None], "episode_return": [None, None, None]}
    row = {"round": 3, "steps": 60, "drift": 0.5, "agents": agents}
    evaluation = {"nominal": None, "average": 2.0, "worst": -1.0}
    values = {"training/td_loss": 2.0, "training/drift": 0.5}
    assert tracked(row, None) == TrackedRound(3, 60, values)
    scores = {"evaluation/average": 2.0, "evaluation/worst": -1.0}
    assert tracked(row, evaluation) == TrackedRound(3, 60, values | scores)
    assert final_values({"evaluation": evaluation}) == {"final/average": 2.0, "final/worst": -1.0}
    assert final_values({"evaluation": None}) == {}


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_package_is_one_line_that_names_the_extra(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracker, "is_installed", lambda name: False)
    with pytest.raises(UserError, match=rf"trackers: {name} is not installed; run `pip install 'f"):
        require_packages([name])


def test_a_folder_called_like_a_tracker_is_no_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "no_tracker").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="no_tracker is not installed"):
        require_packages(["no_tracker"])


def test_the_old_key_of_sweeps_still_works(small_yaml: Any, caplog: Any) -> None:
    sweep = {"search": {"learner.omega": [0.1]}, "trackers": ["mlflow"]}
    assert load(small_yaml(sweep=sweep)).trackers == ("mlflow",)
    assert "sweep.trackers is now trackers" in caplog.text
    assert load(small_yaml(), ["sweep.trackers=[wandb]"]).trackers == ("wandb",)
    with pytest.raises(UserError, match=r"sweep\.trackers is the old name of trackers"):
        load(small_yaml(sweep=sweep, trackers=["wandb"]))


def test_trackers_change_no_result(small: Any) -> None:
    assert small(trackers=["wandb"]).fingerprint() == small().fingerprint()


def test_a_link_of_wandb_does_not_spoil_the_run(small: Any, tmp_path: Path) -> None:
    train(small(federation={"steps": 40}), tmp_path / "run")
    (tmp_path / "run" / "wandb").mkdir()
    (tmp_path / "run" / "wandb" / "debug-core.log").symlink_to("/var/log/core.log")
    assert fedrl("report", tmp_path / "run", "--output", tmp_path / "report.html").status == 0
    (tmp_path / "run" / "other.log").symlink_to("/var/log/core.log")
    assert fedrl("evaluate", tmp_path / "run").status == 2


def train_tracked(path: Path, *names: str, steps: int = 80, resume: bool = False) -> Any:
    changes = {"federation": {"num_agents": 2, "steps": steps}, "trackers": list(names)}
    file = path / "file.yaml"
    file.write_text(yaml.safe_dump(merged(SMALL, changes)))
    options = ["--resume"] if resume else []
    return fedrl("train", file, "--output", path / "run", "--json", *options)


@pytest.fixture
def quiet_mlflow(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return monkeypatch


@pytest.mark.slow
@pytest.mark.parametrize("store", ["database", "files"])
def test_mlflow_gets_the_run_and_a_resumed_run_goes_on(
    store: str, quiet_mlflow: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    run, uri = tmp_path / "run", (tmp_path / "store").as_uri()
    if store == "files":
        quiet_mlflow.setenv("MLFLOW_TRACKING_URI", uri)
    assert train_tracked(tmp_path, "mlflow").status == 0
    before = json.loads((run / STATE).read_text())["mlflow"]
    assert before["round"] == 4
    assert train_tracked(tmp_path, "mlflow", steps=160, resume=True).status == 0
    after = json.loads((run / STATE).read_text())["mlflow"]
    assert after == {"id": before["id"], "round": 8}
    client = MlflowClient(uri if store == "files" else f"sqlite:///{run / 'mlflow.db'}")
    found = client.get_run(after["id"])
    assert (found.info.status, found.info.run_name) == ("FINISHED", "run")
    assert found.data.params["learner.omega"] == "0.3"
    history = client.get_metric_history(after["id"], "training/drift")
    rows = read_rows(run / METRICS)
    assert [(m.step, m.value) for m in history] == [(r["steps"], r["drift"]) for r in rows]
    scores = client.get_metric_history(after["id"], "evaluation/worst")
    logged = read_rows(run / EVALUATIONS)
    assert [(m.step, m.value) for m in scores] == [(r["steps"], r["worst"]) for r in logged]
    assert found.data.metrics["final/average"] == logged[-1]["average"]
    assert [a.path for a in client.list_artifacts(after["id"])] == ["report.html"]


@pytest.mark.slow
def test_wandb_gets_the_run_offline_and_a_resumed_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert train_tracked(tmp_path, "wandb").status == 0
    assert train_tracked(tmp_path, "wandb", steps=160, resume=True).status == 0
    run = tmp_path / "run"
    state = json.loads((run / STATE).read_text())["wandb"]
    folders = sorted((run / "wandb").glob("offline-run-*"))
    assert len(folders) == 2 and all(f.name.endswith(state["id"]) for f in folders)
    found = list(wandb_records(folders[-1]))
    history = [row_of(r.history.item) for r in found if r.WhichOneof("record_type") == "history"]
    rows, logged = read_rows(run / METRICS), read_rows(run / EVALUATIONS)
    expected = [(r["round"], r["steps"], r["drift"]) for r in rows]
    assert [(h["_step"], h["steps"], h["training/drift"]) for h in history] == expected
    worst = [(h["steps"], h["evaluation/worst"]) for h in history if "evaluation/worst" in h]
    assert worst == [(r["steps"], r["worst"]) for r in logged]
    summaries = [row_of(r.summary.update) for r in found if r.HasField("summary")]
    assert {"final/worst": logged[-1]["worst"]}.items() <= merged_all(summaries).items()
    assert any(r.HasField("artifact") and r.artifact.type == "report" for r in found)
    assert not (run / "wandb" / "latest-run").exists() and (run / "report.html").is_file()


def merged_all(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {key: value for one in found for key, value in one.items()}


@pytest.mark.slow
def test_a_server_out_of_reach_does_not_lose_the_run(
    quiet_mlflow: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    quiet_mlflow.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    quiet_mlflow.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    ended = train_tracked(tmp_path, "mlflow")
    assert ended.status == 0 and json.loads(ended.out)["status"] == "completed"
    assert len(read_rows(tmp_path / "run" / METRICS)) == 4


@pytest.mark.slow
def test_wandb_without_an_account_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    wandb.teardown()  # another test of this process was offline
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path))
    ended = train_tracked(tmp_path, "wandb")
    assert ended.status == 2 and not (tmp_path / "run").exists()
    assert ended.err.startswith("error: trackers: wandb has no account here; set WANDB_API_KEY")
    assert len(ended.err.splitlines()) == 1


def test_without_trackers_nothing_is_written(small: Any, tmp_path: Path) -> None:
    train(small(federation={"steps": 40}), tmp_path / "run")
    tracking = Tracking(small(), tmp_path / "run")
    tracking.start()
    tracking.finish({"status": "completed"}, None)
    assert not (tmp_path / "run" / STATE).exists()
