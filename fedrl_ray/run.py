"""A run: a driver, its directory, and the schedule of evaluations and checkpoints."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from . import checkpoints, run_directory
from .config import Experiment
from .driver import Driver
from .messages import Evaluation, RoundReport
from .pool import Pool
from .resume_rules import require_same_run
from .run_directory import EVALUATIONS, METRICS, SUMMARY, RoundLog


class Run:
    """Trains an experiment into a directory, new or resumed."""

    def __init__(
        self,
        experiment: Experiment,
        directory: Path,
        *,
        resume: bool = False,
        any_profile: bool = False,
        driver: Driver | None = None,
    ) -> None:
        self.experiment, self.directory = experiment, directory
        if resume:
            require_same_run(directory, experiment, run_directory.read_experiment(directory))
        else:
            run_directory.require_free(directory)
        self.driver = Driver(experiment, directory=directory) if driver is None else driver
        directory.mkdir(parents=True, exist_ok=True)
        self._metrics = RoundLog(directory / METRICS)
        self._evaluations = RoundLog(directory / EVALUATIONS)
        found = checkpoints.existing(directory / "checkpoints")
        if resume and found:
            self.driver.restore(found[-1], any_profile=any_profile)
        else:  # new, or ended before its first checkpoint was written
            self.driver.save()
        self._cut_logs()
        (directory / SUMMARY).unlink(missing_ok=True)
        run_directory.write_config(directory, experiment)
        self._writer = _event_writer(directory, after=self.steps)

    @property
    def done(self) -> bool:
        """Whether the budget of steps is spent."""
        return self.driver.server.round >= self.experiment.rounds

    @property
    def packing(self) -> list[int]:
        """Number of agents of each host."""
        return [len(group) for group in self.driver.groups]

    @property
    def exemptions(self) -> dict[str, str]:
        """Laws that do not hold in this run, each with its reason."""
        return self.driver.exemptions

    def advance(self) -> RoundReport:
        """One round, then whatever is due after it."""
        if self.done:
            raise ValueError("the budget of steps is spent: there is no round left to run")
        report = self.driver.step()
        self._metrics.append(report.to_dict())
        if self._due(self.experiment.evaluation.every) or self.done:
            report = replace(report, evaluation=self._evaluate())
        went_back = self.driver.server.round < report.round
        if (self._due(self.experiment.checkpoint.every) or self.done) and not went_back:
            self.driver.save()  # a host lost here sends the driver back: `done` is false again
        self._write_events(report)
        return report

    def __iter__(self) -> Iterator[RoundReport]:
        """Rounds until the budget is spent and the last checkpoint is written."""
        while not self.done:
            yield self.advance()

    def finish(self) -> dict[str, Any]:
        """Write a checkpoint if there is none of this round, and summary.json; its content."""
        self.checkpoint()
        return self._summarise("completed" if self.done else "interrupted")

    def close(self, *, at_once: bool = False) -> None:
        """Let go of the event file and of the local agents. `at_once` is for a run in an actor:
        here there is nothing to wait for."""
        self._writer.close()
        self.driver.close()

    def detach(self) -> Pool:
        """Let go of the event file; the local agents, still alive, for another run to reset."""
        self._writer.close()
        return self.driver.pool

    def checkpoint(self) -> None:
        """Write a checkpoint of this round unless there is one. Under `rewind` a host lost while
        saving sends the run back, and an earlier one is then the newest."""
        while not self._checkpoint_path().exists():
            self.driver.save()
        self._cut_logs()

    def _checkpoint_path(self) -> Path:
        return checkpoints.path_of(self.directory / "checkpoints", self.driver.server.round)

    def _summarise(self, status: str) -> dict[str, Any]:
        progress, rounds = self.driver.progress, self.driver.server.round
        summary = {
            "status": status,
            "name": self.experiment.name,
            "rounds": rounds,
            "steps": self.steps,
            "agent_steps": int(progress["agent_steps"]),
            "seconds": round(progress["seconds"], 3),
            "digest": self.driver.digest(),
            "state_digest": checkpoints.read_manifest(self._checkpoint_path()).state_digest,
            "packing": self.packing,
            "exemptions": self.driver.exemptions,
            "evaluation": self._last_evaluation(),
        }
        text = json.dumps(run_directory.plain(summary), indent=1)
        run_directory.write_text(self.directory / SUMMARY, text)
        return summary

    def _due(self, every: int | None) -> bool:
        """Whether a multiple of `every` steps was passed in the round just completed."""
        if every is None:
            return False
        before = self.steps - self.experiment.federation.sync_interval
        return self.steps // every > before // every

    def _evaluate(self) -> Evaluation | None:
        evaluation = self.driver.evaluate()
        if evaluation is None:
            return None
        row = {"round": self.driver.server.round, "steps": self.steps}
        self._evaluations.append(row | evaluation.to_dict())
        return evaluation

    @property
    def steps(self) -> int:
        """Local steps per agent so far."""
        return self.driver.server.round * self.experiment.federation.sync_interval

    def _cut_logs(self) -> None:
        """Drop what is logged of rounds that a rewind or a resume has undone."""
        self._metrics.cut(self.driver.server.round)
        self._evaluations.cut(self.driver.server.round)

    def _last_evaluation(self) -> dict[str, Any] | None:
        rows = run_directory.read_rows(self.directory / EVALUATIONS)
        return rows[-1] if rows else None

    def _write_events(self, report: RoundReport) -> None:
        for name, values in report.metrics.items():
            if not np.isnan(values).all():
                self._writer.add_scalar(f"training/{name}", np.nanmean(values), report.steps)
        self._writer.add_scalar("training/drift", report.drift, report.steps)
        if report.evaluation is not None:
            for name in ("nominal", "average", "worst"):
                value = getattr(report.evaluation, name)
                if math.isfinite(value):
                    self._writer.add_scalar(f"evaluation/{name}", value, report.steps)


def _event_writer(directory: Path, *, after: int) -> Any:
    """TensorBoard events; those of steps after the checkpoint resumed from are hidden."""
    from tensorboardX import SummaryWriter

    return SummaryWriter(str(directory / "events"), purge_step=after + 1 if after else None)
