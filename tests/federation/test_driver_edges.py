"""Faults and endings at awkward moments: first save, evaluation, last save, resuming."""

from __future__ import annotations

from typing import Any

import pytest

from fedrl_ray.agents.messages import WorkerFailure
from fedrl_ray.backends.in_process import InProcessBackend
from fedrl_ray.backends.placement import groups
from fedrl_ray.config.loading import from_dict
from fedrl_ray.federation.driver import Driver
from fedrl_ray.runs.run import Run
from fedrl_ray.runs.run_directory import EVALUATIONS, METRICS, read_rows
from fedrl_ray.storage import checkpoints
from tests.support.runs import digests, train
from tests.support.small import SMALL

UNPERTURBED = {"name": "gymnasium", "id": "CartPole-v1"}


class LosesWorkersIn(InProcessBackend):
    """A backend that loses worker 0 at given calls of one method, counted from 0."""

    def __init__(self, experiment: Any, method: str, calls: set[int]) -> None:
        f = experiment.federation
        super().__init__(experiment.to_dict(), groups(f.num_agents, f.agents_per_actor, cpus=1))
        self._method, self._calls, self._count = method, calls, -1

    def _lose(self, method: str, results: list[Any]) -> list[Any]:
        if method == self._method:
            self._count += 1
            if self._count in self._calls:
                ids = self.groups[0]
                return [
                    WorkerFailure(worker=0, agent_ids=ids, kind="died", reason="x"),
                    *results[1:],
                ]
        return results

    def save(self, directory: str, workers: Any) -> Any:
        return self._lose("save", super().save(directory, workers))

    def evaluate(self, shared: Any, workers: Any) -> Any:
        return self._lose("evaluate", super().evaluate(shared, workers))


def run_with(backend: InProcessBackend, experiment: Any, directory: Any) -> Run:
    return Run(
        experiment, directory, driver=Driver(experiment, directory=directory, backend=backend)
    )


@pytest.mark.parametrize("lost_at", [{0}, {1}, {3}, {0, 1}])
def test_a_host_lost_while_saving_changes_no_bit_and_is_told(small, tmp_path, lost_at):
    """Save 0 writes the first checkpoint, save 3 the last."""
    experiment = small(federation={"agents_per_actor": 3})
    whole = train(experiment, tmp_path / "whole")
    run = run_with(LosesWorkersIn(experiment, "save", lost_at), experiment, tmp_path / "run")
    reports = list(run)
    assert digests(run.finish()) == digests(whole)
    told = [text for report in reports for text in report.failures]
    assert told.count("agents 0-2 died: x") == len(lost_at)


def test_a_host_lost_while_evaluating_changes_no_bit_and_cuts_the_logs(small, tmp_path):
    changes = {"evaluation": {"where": "agents"}, "federation": {"agents_per_actor": 3}}
    experiment = small(**changes)
    whole = train(experiment, tmp_path / "whole")
    run = run_with(LosesWorkersIn(experiment, "evaluate", {1}), experiment, tmp_path / "run")
    list(run)
    assert digests(run.finish()) == digests(whole)
    assert [r["round"] for r in read_rows(tmp_path / "run" / EVALUATIONS)] == [4, 8, 12]


def test_a_run_stopped_after_a_rewind_reports_only_what_stands(small, tmp_path):
    experiment = small(checkpoint={"every": None}, evaluation={"where": "agents", "every": 20})
    backend = LosesWorkersIn(experiment, "evaluate", {3})
    run = run_with(backend, experiment, tmp_path / "run")
    for _ in range(5):  # rounds 1 to 4, back to 0 in the evaluation of round 4, round 1
        run.advance()
    summary = run.finish()
    assert summary["rounds"] == 1 and summary["evaluation"]["round"] == 1
    assert [r["round"] for r in read_rows(tmp_path / "run" / METRICS)] == [1]


def test_a_run_that_ended_before_its_first_checkpoint_resumes_from_the_start(small, tmp_path):
    whole = train(small(), tmp_path / "whole")
    run = Run(small(), tmp_path / "run")
    for path in checkpoints.existing(tmp_path / "run" / "checkpoints"):
        path.rename(path.with_name("." + path.name))
    run.close()
    resumed = Run(small(), tmp_path / "run", resume=True)
    list(resumed)
    assert digests(resumed.finish()) == digests(whole)


def test_no_round_runs_beyond_the_budget(small, tmp_path):
    run = Run(small(), tmp_path / "run")
    list(run)
    with pytest.raises(ValueError, match="no round left"):
        run.advance()


def test_a_refused_resume_leaves_the_configuration_as_it_was(small, tmp_path):
    train(small(), tmp_path / "run")
    before = (tmp_path / "run" / "config.yaml").read_text()
    newest = checkpoints.existing(tmp_path / "run" / "checkpoints")[-1]
    (newest / "manifest.json").write_text("{}")
    with pytest.raises(Exception, match=r"manifest\.json cannot be read"):
        Run(small(federation={"steps": 320}), tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "config.yaml").read_text() == before


def test_a_folder_that_is_no_checkpoint_is_neither_taken_nor_removed(small, tmp_path):
    backup = tmp_path / "run" / "checkpoints" / "round_backup"
    run = Run(small(), tmp_path / "run")
    backup.mkdir()
    list(run)
    run.close()
    assert backup.exists()
    assert Run(small(), tmp_path / "run", resume=True).done


def test_metrics_and_drift_do_not_depend_on_packing_or_resuming(small, tmp_path):
    def rows(name: str) -> list[Any]:
        kept = ("round", "steps", "agent_steps", "drift", "agents")
        return [{k: r[k] for k in kept} for r in read_rows(tmp_path / name / METRICS)]

    train(small(), tmp_path / "together")
    train(small(federation={"agents_per_actor": 1}), tmp_path / "apart")
    stopped = Run(small(), tmp_path / "stopped")
    for _ in range(6):
        stopped.advance()
    stopped.close()
    resumed = Run(small(), tmp_path / "stopped", resume=True)
    list(resumed)
    assert rows("together") == rows("apart") == rows("stopped")


def test_an_environment_without_parameters_is_scored_in_its_nominal_form(tmp_path):
    summary = train(from_dict(SMALL | {"environment": UNPERTURBED}), tmp_path / "run")
    evaluation = summary["evaluation"]
    assert len(evaluation["returns"]) == 1
    assert evaluation["nominal"] == evaluation["average"] == evaluation["worst"] > 0


def test_environments_are_closed(tmp_path, monkeypatch):
    import gymnasium

    made, closed = [], []
    make = gymnasium.make

    def counted(*args: Any, **kwargs: Any) -> Any:
        env = make(*args, **kwargs)
        made.append(env)
        close = env.close
        env.close = lambda: (closed.append(env), close())
        return env

    monkeypatch.setattr(gymnasium, "make", counted)
    run = Run(from_dict(SMALL | {"environment": UNPERTURBED}), tmp_path / "run")
    list(run)
    run.close()
    assert made and {id(env) for env in made} == {id(env) for env in closed}
