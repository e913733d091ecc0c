"""Sweeps under Ray Tune: the table, failures, resources, and resume."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from fedrl_ray.common.errors import UserError
from fedrl_ray.config import loading
from fedrl_ray.runs.run_directory import EVALUATIONS, read_rows
from fedrl_ray.sweeps import points
from fedrl_ray.sweeps.directory import TRIALS, read_trials, require_no_links
from fedrl_ray.sweeps.settings import TrialSettings, resources
from fedrl_ray.sweeps.sweep import SweepOptions, run_sweep
from fedrl_ray.sweeps.trial import agents_can_stay
from tests.support.runs import digests, train
from tests.support.small import SMALL, merged
from tests.support.waiting import eventually

COMMAND = [sys.executable, "-c", "from fedrl_ray.cli.main import main; main()", "sweep"]
TINY = {
    "federation": {"num_agents": 2, "steps": 160, "backend": "ray"},
    "learner": {"hidden_sizes": [8]},
    "evaluation": {"every": 40, "grid": 3, "episodes": 2},
    "checkpoint": {"every": 40},
}


def options(output: Path, **keys: Any) -> SweepOptions:
    command = ["fedrl-ray", "sweep"]
    return SweepOptions(source="file", output=output, command=command, as_json=True, **keys)


def tiny(small_yaml, search, **section):
    return loading.load(small_yaml(**TINY, sweep={"search": search, **section}))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, local_ray):
    """A finished sweep over E and two learning rates, the larger of which diverges."""
    path = tmp_path_factory.mktemp("sweep") / "small.yaml"
    search = {
        "learner.learning_rate": [1e-3, 1e30],
        "federation.sync_interval": [10, 40],
    }
    section = {"search": search, "max_concurrent": 1}
    path.write_text(yaml.safe_dump(merged(SMALL, {**TINY, "sweep": section}), sort_keys=False))
    experiment = loading.load(path)
    folder, trials = run_sweep(experiment, options(path.parent / "out"))
    return experiment, folder, trials


@pytest.mark.ray
def test_a_trial_in_a_reused_process_has_the_digest_of_a_fresh_run(finished, tmp_path):
    experiment, folder, trials = finished
    done = [t for t in trials if t.status == "completed"]
    assert len(done) == 2
    processes = {json.loads(row)["pid"] for t in done for row in _tunes_rows(folder, t.name)}
    assert len(processes) == 1
    for trial in done:
        alone = points.at_point(experiment.to_dict(), trial.point, trial.seed)
        data = alone.to_dict()
        data["federation"]["backend"] = "in_process"
        expected = train(loading.from_dict(data), tmp_path / trial.name)
        summary = json.loads((folder / "trials" / trial.name / "summary.json").read_text())
        assert digests(summary) == digests(expected)
        assert summary["evaluation"]["returns"] == expected["evaluation"]["returns"]


def _tunes_rows(folder, name):
    return (folder / "tune" / name / "result.json").read_text().splitlines()


@pytest.mark.ray
def test_a_trial_that_fails_is_named_with_its_key_and_reason_and_the_rest_finish(finished):
    _, folder, trials = finished
    failed = [t for t in trials if t.status == "failed"]
    assert [t.point["learner.learning_rate"] for t in failed] == [1e30] * 2
    assert all("no longer finite" in t.reason and "\n" not in t.reason for t in failed)
    assert {t.status for t in trials if t not in failed} == {"completed"}
    assert read_trials(folder) == trials


@pytest.mark.ray
def test_every_point_has_the_same_budget_and_evaluations_whatever_e(finished):
    _, folder, trials = finished
    for trial in trials:
        if trial.status == "completed":
            rows = read_rows(folder / "trials" / trial.name / EVALUATIONS)
            assert [row["steps"] for row in rows] == [40, 80, 120, 160]


@pytest.mark.ray
def test_our_files_hold_no_pickle(finished):
    _, folder, _ = finished
    names = {p.suffix for p in folder.rglob("*") if p.is_file() and "tune" not in p.parts}
    assert not names & {".pkl", ".pickle", ".pt", ".npy"}


@pytest.mark.ray
def test_a_finished_sweep_resumed_trains_nothing_though_tunes_state_is_torn(finished, tmp_path):
    experiment, finished_folder, trials = finished
    folder = tmp_path / "sweep"
    shutil.copytree(finished_folder, folder)
    states = list(folder.glob("tune/experiment_state-*.json"))
    for state in states:
        state.write_text('{"trial_data": [')
    before = {p: p.stat().st_mtime_ns for p in folder.glob("trials/*/metrics.jsonl")}
    _, again = run_sweep(experiment, options(folder, resume=True))
    assert states and before and again == trials
    assert before == {p: p.stat().st_mtime_ns for p in folder.glob("trials/*/metrics.jsonl")}


def test_a_directory_of_another_sweep_is_refused(finished, small_yaml):
    _, folder, _ = finished
    other = tiny(small_yaml, {"learner.omega": [0.5]})
    with pytest.raises(UserError, match="already holds a sweep"):
        run_sweep(other, options(folder))
    with pytest.raises(UserError, match=r"keys that differ: .*sweep\.search\.learner\.omega"):
        run_sweep(other, options(folder, resume=True))


def test_tunes_pickles_are_closed_to_other_users(finished):
    _, folder, _ = finished
    assert (folder / "tune").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("part", ["trials", "trials/00000", "tune", "tune/00000", "report.html"])
def test_a_sweep_with_a_link_is_not_resumed(tmp_path, part):
    sweep, elsewhere = tmp_path / "sweep", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (sweep / part).parent.mkdir(parents=True, exist_ok=True)
    require_no_links(sweep)
    (sweep / part).symlink_to(elsewhere)
    with pytest.raises(UserError, match=f"--resume: {sweep / part} is a link"):
        require_no_links(sweep)


def test_resources_are_one_cpu_or_a_bundle_per_actor(small_yaml):
    experiment = tiny(small_yaml, {"learner.omega": [0.0]})
    config = {"trial": {"point": {"learner.omega": 0.0}, "seed": 0}}

    def bundles(backend, cpus):
        settings = TrialSettings(
            directory=Path(), base=experiment.to_dict(), sweep=experiment.sweep, backend=backend,
            nodes=[{"CPU": cpus}],
        )  # fmt: skip
        return resources(settings, config).bundles

    assert bundles("in_process", 16.0) == [{"CPU": 1.0}]
    assert bundles("ray", 16.0) == [{"CPU": 1.0}, {"CPU": 1.0}]  # the driver asks for none
    assert bundles("ray", 1.0) == [{"CPU": 1.0}]


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        ({"learner": {"omega": 0.9}}, True),
        ({"seed": 9}, True),
        ({"federation": {"sync_interval": 10}}, True),
        ({"federation": {"num_agents": 4}}, False),
        ({"federation": {"agents_per_actor": 2}}, False),
        ({"environment": {"perturb": {"pole_length": 0.2}}}, False),
        ({"learner": {"hidden_sizes": [8]}}, True),
    ],
)
def test_a_process_is_reused_only_where_the_agents_can_stay(small, change, stays):
    assert agents_can_stay(small(), small(**change)) is stays


@pytest.mark.slow
@pytest.mark.ray
def test_agents_as_actors_in_the_trials_bundles_have_the_same_digest(
    small_yaml, tmp_path, local_ray
):
    experiment = tiny(small_yaml, {"learner.omega": [0.0, 0.3]}, backend="ray", max_concurrent=1)
    folder, trials = run_sweep(experiment, options(tmp_path / "out"))
    for trial in trials:
        assert trial.status == "completed"
        summary = json.loads((folder / "trials" / trial.name / "summary.json").read_text())
        assert summary["packing"] == [1, 1]
        data = points.at_point(experiment.to_dict(), trial.point, trial.seed).to_dict()
        data["federation"]["backend"] = "in_process"
        expected = train(loading.from_dict(data), tmp_path / trial.name)
        assert digests(summary) == digests(expected)


@pytest.fixture
def killed(tmp_path):
    """A sweep that was killed, with its whole Ray, when the first of its four trials was done.

    Two trials run at once, so that two or more are left however late the kill comes.
    """
    section = {"search": {"learner.omega": [0.0, 0.3]}, "seeds": 2, "max_concurrent": 2}
    longer = {**TINY, "federation": {**TINY["federation"], "steps": 400}}
    path, output = tmp_path / "small.yaml", tmp_path / "out"
    path.write_text(yaml.safe_dump(merged(SMALL, {**longer, "sweep": section})))
    process = subprocess.Popen(
        [*COMMAND, str(path), "--output", str(output), "--quiet"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def one_is_done() -> None:
        statuses = [t.status for t in read_trials(output)]
        assert "completed" in statuses or process.poll() is not None, statuses

    try:
        eventually(one_is_done, within=120.0, every=0.02)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    statuses = [t.status for t in read_trials(output)]
    assert "completed" in statuses and set(statuses) - {"completed"}
    return path, output


@pytest.mark.slow
def test_killed_in_the_middle_and_resumed_gives_the_same_table(killed, tmp_path):
    path, output = killed
    command = [*COMMAND, str(path), "--output", str(output), "--resume", "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert (output / TRIALS).exists()
    experiment = loading.load(path)
    for trial in json.loads(result.stdout)["trials"]:
        assert trial["status"] == "completed"
        data = points.at_point(experiment.to_dict(), trial["point"], trial["seed"]).to_dict()
        data["federation"]["backend"] = "in_process"
        expected = train(loading.from_dict(data), tmp_path / trial["name"])
        there = output / "trials" / trial["name"]
        assert digests(json.loads((there / "summary.json").read_text())) == digests(expected)
        assert read_rows(there / EVALUATIONS) == read_rows(tmp_path / trial["name"] / EVALUATIONS)


SEARCHED = {
    "learner.omega": {"uniform": [0.0, 1.0]},
    "learner.learning_rate": {"loguniform": [1e-4, 1e-2]},
}


PENDULUM = {
    "environment": {"name": "pendulum"},
    "learner": {"name": "fedrddpg", "hidden_sizes": [8], "learning_starts": 10, "batch_size": 8},
}
"""An environment with real returns: trials do not tie, so ASHA finds trials to stop."""


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.parametrize(
    "section",
    [
        {"scheduler": "asha", "samples": 6},
        {"scheduler": {"name": "pbt", "interval": 40}, "samples": 4},
        {"searcher": "optuna", "samples": 2, "seeds": 2},
    ],
    ids=["asha", "pbt", "optuna"],
)
def test_schedulers_and_searchers_run_to_the_end(tmp_path, local_ray, section):
    path = tmp_path / "pendulum.yaml"
    data = merged(SMALL, TINY) | PENDULUM | {"sweep": {"search": SEARCHED, **section}}
    path.write_text(yaml.safe_dump(data))
    experiment = loading.load(path)
    folder, trials = run_sweep(experiment, options(tmp_path / "out"))
    assert len(trials) == experiment.sweep.samples * experiment.sweep.seeds
    assert {t.status for t in trials} <= {"completed", "stopped"}
    ended = [read_rows(folder / "trials" / t.name / EVALUATIONS)[-1]["steps"] for t in trials]
    for trial, steps in zip(trials, ended, strict=True):
        assert (steps == 160) == (trial.status == "completed")
    if section.get("scheduler") == "asha":
        assert min(ended) < 160
    if section.get("searcher") == "optuna":
        by_point = {}
        for t in trials:
            by_point.setdefault(tuple(t.point.values()), []).append(t.seed)
        assert sorted(map(sorted, by_point.values())) == [[3, 4], [3, 4]]
