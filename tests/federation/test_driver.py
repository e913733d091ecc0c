"""Laws of the driver, in one process: packing, resume, faults, logs, privacy."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedrl_ray.agents.execution_profile import execution_profile
from fedrl_ray.agents.messages import RoundReply
from fedrl_ray.common.errors import RunError, UserError
from fedrl_ray.federation.driver import Driver
from fedrl_ray.runs.run import Run
from fedrl_ray.runs.run_directory import METRICS, read_rows
from fedrl_ray.storage import checkpoints
from fedrl_ray.storage.manifests import read_manifest
from tests.support.faulty_backend import FaultyBackend
from tests.support.runs import digests, train


@pytest.mark.parametrize("agents_per_actor", [1, 2, 3])
def test_packing_changes_no_bit(small, tmp_path, agents_per_actor):
    together = train(small(federation={"agents_per_actor": 5}), tmp_path / "together")
    packed = small(federation={"agents_per_actor": agents_per_actor})
    assert digests(train(packed, tmp_path / "packed")) == digests(together)


def test_resumed_equals_never_stopped(small, tmp_path):
    experiment = small()
    whole = train(experiment, tmp_path / "whole")
    stopped = Run(experiment, tmp_path / "stopped")
    for _ in range(7):  # after the checkpoint of round 4, before that of round 8
        stopped.advance()
    stopped.close()
    resumed = Run(experiment, tmp_path / "stopped", resume=True)
    assert resumed.driver.server.round == 4
    list(resumed)
    assert digests(resumed.finish()) == digests(whole)
    rows = [row["round"] for row in read_rows(tmp_path / "stopped" / METRICS)]
    assert rows == list(range(1, 13))


def test_resume_with_another_packing_changes_no_bit(small, tmp_path):
    whole = train(small(), tmp_path / "whole")
    stopped = Run(small(federation={"agents_per_actor": 2}), tmp_path / "stopped")
    for _ in range(5):
        stopped.advance()
    stopped.close()
    other = small(federation={"agents_per_actor": 3})
    resumed = Run(other, tmp_path / "stopped", resume=True)
    list(resumed)
    assert digests(resumed.finish()) == digests(whole)


def test_rewind_after_a_lost_host_changes_no_bit(small, tmp_path):
    experiment = small(federation={"agents_per_actor": 2})
    whole = train(experiment, tmp_path / "whole")
    directory = tmp_path / "faulty"
    backend = FaultyBackend(experiment, lose={0: [0], 6: [1, 2], 7: [2]})
    driver = Driver(experiment, directory=directory, backend=backend)
    assert digests(train(experiment, directory, driver)) == digests(whole)
    rows = list(read_rows(directory / METRICS))
    assert [row["round"] for row in rows] == list(range(1, 13))
    assert any("agents 2-3 died" in text for row in rows for text in row["failures"])
    assert rows[-1]["agent_steps"] == 1200


def test_rewinds_without_progress_end_the_run(small, tmp_path):
    experiment = small(federation={"agents_per_actor": 5, "max_rewinds": 2})
    backend = FaultyBackend(experiment, lose={call: [0] for call in range(4, 20)})
    driver = Driver(experiment, directory=tmp_path / "run", backend=backend)
    with pytest.raises(RunError, match=r"federation\.max_rewinds is 2"):
        train(experiment, tmp_path / "run", driver)


def test_continue_goes_on_with_the_survivors(small, tmp_path):
    experiment = small(federation={"agents_per_actor": 2, "on_failure": "continue"})
    backend = FaultyBackend(experiment, lose={5: [1]})
    driver = Driver(experiment, directory=tmp_path / "run", backend=backend)
    run = Run(experiment, tmp_path / "run", driver=driver)
    reports = list(run)
    assert [r.round for r in reports] == list(range(1, 13))
    assert [r.participants for r in reports] == [5] * 5 + [3] + [5] * 6
    assert np.isnan(reports[5].metrics["td_loss"][2:4]).all()
    assert np.isfinite(reports[6].metrics["td_loss"]).all()
    assert run.finish()["agent_steps"] == 1200 - 2 * 20


def test_continue_below_the_quorum_repeats_the_round(small, tmp_path):
    changes = {"agents_per_actor": 1, "on_failure": "continue", "min_agents": 4}
    experiment = small(federation=changes)
    backend = FaultyBackend(experiment, lose={5: [0, 1]})
    driver = Driver(experiment, directory=tmp_path / "run", backend=backend)
    reports = list(Run(experiment, tmp_path / "run", driver=driver))
    assert [r.participants for r in reports] == [5] * 12


def test_an_exception_in_user_code_is_not_retried(small, tmp_path):
    experiment = small()
    backend = FaultyBackend(experiment, lose={2: [0]}, kind="exception")
    driver = Driver(experiment, directory=tmp_path / "run", backend=backend)
    with pytest.raises(RunError, match="agents 0-4 raised: for the test"):
        train(experiment, tmp_path / "run", driver)


def test_parameters_that_diverge_end_the_run_with_the_agent(small, tmp_path):
    experiment = small(learner={"learning_rate": 1e30})
    with warnings.catch_warnings(), pytest.raises(RunError, match="agent 0 are no longer finite"):
        warnings.simplefilter("error")  # that one line says it all
        train(experiment, tmp_path / "run")


def test_a_reply_to_an_old_order_is_discarded(small, tmp_path):
    experiment = small(federation={"on_failure": "continue", "agents_per_actor": 2})

    class Echo(FaultyBackend):
        """Worker 0 answers call 3 with its reply to call 2."""

        def run_round(self, order, workers):
            results = list(super().run_round(order, workers))
            self.kept, previous = results[0], getattr(self, "kept", None)
            return [previous, *results[1:]] if self._calls == 3 else results

    driver = Driver(experiment, directory=tmp_path / "run", backend=Echo(experiment, lose={}))
    driver.save()
    assert [driver.step().participants for _ in range(4)] == [5, 5, 5, 3]


def test_nothing_but_parameters_and_metrics_leaves_an_actor(small):
    experiment = small()
    driver = Driver(experiment)
    captured: list[RoundReply] = []
    run_round = driver.backend.run_round
    driver.backend.run_round = lambda *a: captured.extend(run_round(*a)) or captured  # type: ignore[method-assign]
    driver.step()
    shapes = {x.shape for x in driver.server.shared.values()} | {(5,)}
    for field in fields(captured[0]):
        for array in _arrays(getattr(captured[0], field.name)):
            assert array.shape in shapes, field.name


def _arrays(value: Any) -> list[np.ndarray]:
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, dict):
        return [a for v in value.values() for a in _arrays(v)]
    if isinstance(value, tuple):
        return [a for v in value for a in _arrays(v)]
    return []


def test_evaluation_at_the_agents_scores_their_own_environments(small, tmp_path):
    experiment = small(evaluation={"where": "agents", "every": 80, "episodes": 2})
    run = Run(experiment, tmp_path / "run")
    evaluation = [r.evaluation for r in run if r.evaluation][-1]
    assert evaluation.episode_returns.shape == (5, 2)
    assert evaluation.worst == evaluation.returns.min()
    lengths = evaluation.dynamics["pole_length"]
    assert len(set(lengths)) == 5 and (np.abs(lengths - 1.0) <= 0.5).all()


def test_evaluation_on_the_grid_defines_nominal_average_worst(small, tmp_path):
    summary = train(small(evaluation={"grid": 4}), tmp_path / "run")["evaluation"]
    assert summary["dynamics"]["pole_length"] == pytest.approx([0.5, 5 / 6, 7 / 6, 1.5])
    assert summary["average"] == pytest.approx(np.mean(summary["returns"]))
    assert summary["worst"] == min(summary["returns"])
    assert summary["nominal"] > 0  # not part of an even grid, so evaluated separately


def test_a_longer_budget_extends_a_finished_run(small, tmp_path):
    whole = train(small(federation={"steps": 320}), tmp_path / "whole")
    train(small(), tmp_path / "run")
    extended = Run(small(federation={"steps": 320}), tmp_path / "run", resume=True)
    list(extended)
    assert digests(extended.finish()) == digests(whole)


# -- checkpoints that must be refused ----------------------------------------------------------


@pytest.fixture
def finished(small, tmp_path):
    train(small(), tmp_path / "run")
    return tmp_path / "run"


def resume(small, directory, **changes):
    return Run(small(**changes), directory, resume=True)


def newest(directory: Path) -> Path:
    return checkpoints.existing(directory / "checkpoints")[-1]


def test_a_torn_checkpoint_is_refused(small, finished):
    next(newest(finished).glob("agents_*")).unlink()
    with pytest.raises(UserError, match=r"torn checkpoint, agents_.* is missing"):
        resume(small, finished)


def test_an_edited_shard_is_refused(small, finished):
    shard = next(newest(finished).glob("agents_*"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match="sha256 differs"):
        resume(small, finished)


def test_an_edited_manifest_is_refused(small, finished):
    path = newest(finished) / "manifest.json"
    document = json.loads(path.read_text())
    document["manifest"]["round"] += 1
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match=r"manifest\.json was edited"):
        resume(small, finished)


def test_a_manifest_that_does_not_parse_is_refused(small, finished):
    (newest(finished) / "manifest.json").write_text("{")
    with pytest.raises(UserError, match="cannot be read"):
        resume(small, finished)


def test_a_checkpoint_of_another_experiment_is_refused(small, finished, tmp_path):
    other = tmp_path / "other"
    train(small(learner={"omega": 0.1}), other)
    shutil.rmtree(newest(finished))
    shutil.copytree(newest(other), newest(finished).parent / newest(other).name)
    with pytest.raises(UserError, match=r"another experiment; these keys differ: learner\.omega"):
        resume(small, finished)


def test_resume_under_other_keys_is_refused(small, finished):
    with pytest.raises(UserError, match=r"keys that differ: learner\.omega"):
        resume(small, finished, learner={"omega": 0.2})


def test_the_profile_tells_what_changes_compiled_kernels(small, monkeypatch):
    compiled, eager = (small(learner={"compiled": c}).to_dict() for c in (True, False))
    before = execution_profile(compiled)
    monkeypatch.setenv("NUMBA_OPT", "2")
    assert execution_profile(compiled) == before | {"NUMBA_OPT": "2"}
    assert execution_profile(eager)["compiled"] is False
    assert "NUMBA_OPT" not in execution_profile(eager)


def test_resume_under_another_profile_is_refused_unless_forced(small, finished, monkeypatch):
    profile = read_manifest(newest(finished)).profile | {"torch": "1.0"}
    monkeypatch.setattr("fedrl_ray.federation.driver.execution_profile", lambda experiment: profile)
    with pytest.raises(UserError, match=r"torch 1\.0 here"):
        resume(small, finished)
    assert Run(small(), finished, resume=True, any_profile=True).done


def test_an_interrupted_write_leaves_the_checkpoint_before(small, tmp_path):
    run = Run(small(), tmp_path / "run")
    for _ in range(5):
        run.advance()
    aside = checkpoints.staging(tmp_path / "run" / "checkpoints", 5)
    (aside / "server.safetensors").write_bytes(b"half")  # killed before the rename
    run.close()
    resumed = resume(small, tmp_path / "run")
    assert resumed.driver.server.round == 4
