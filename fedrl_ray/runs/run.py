"""A run: a driver, its directory, and the schedule of evaluations and checkpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..storage import checkpoints, locations
from . import run_directory
from ..config.schema import Experiment
from .tensorboard import TensorBoardWriter
from ..federation.driver import Driver
from ..common.json_values import nan_as_null
from ..common.text_files import write_text
from ..common.errors import RunError, one_line
from ..storage.locks import MORE_PATIENCE, PATIENCE, DirectoryLock
from ..backends.memory_estimate import MemoryEstimate, estimate
from ..agents.messages import Evaluation, RoundReport
from ..backends.backend import Backend
from ..federation.resume_rules import require_same_run
from .run_directory import EVALUATIONS, METRICS, SUMMARY, RoundLog
from .events import RunLog
from ..storage.locations import Location
from .prometheus import PrometheusMetrics
from ..storage.local_mirror import CHECKPOINTS, LocalMirror


class Run:
    """Trains an experiment into a folder or a URI, new or resumed. `directory` is where its logs
    are on this machine. `fall_back`: where the newest checkpoint does not read, resume from one
    before it, and be patient with a program that wrote there and is ending."""

    def __init__(
        self,
        experiment: Experiment,
        location: Location,
        *,
        resume: bool = False,
        any_profile: bool = False,
        fall_back: bool = False,
        driver: Driver | None = None,
        driver_died: str | None = None,
    ) -> None:
        self.experiment, self.location = experiment, location
        self._copy = LocalMirror(location)
        self._held = ExitStack()
        self._held.callback(self._copy.close)
        self.directory = self._copy.directory
        try:
            with self._copy.in_its_name():
                self._open(resume, driver, patient=fall_back)
                self._begin(resume, any_profile, fall_back, driver_died)
        except BaseException:
            self._held.close()
            raise

    def _open(self, resume: bool, driver: Driver | None, *, patient: bool) -> None:
        """The driver, and the run's directory or a free one, written by this program alone."""
        self._require_mine(resume)
        if resume:
            self._lock(patient)
        self.driver = Driver(self.experiment, directory=self.location) if driver is None else driver
        if not resume:  # after what may fail, which must leave no folder
            self._lock(patient)
            self._require_mine(resume)  # another may have begun and ended meanwhile

    def _require_mine(self, resume: bool) -> None:
        if resume:
            stored = run_directory.read_experiment(self.directory)
            require_same_run(self.location, self.experiment, stored)
        else:
            run_directory.require_free(self.directory, shown=self.location)

    def _lock(self, patient: bool) -> None:
        """Behind a URI there are no locks."""
        if isinstance(self.location, Path):
            where, patience = str(self.location), MORE_PATIENCE if patient else PATIENCE
            lock = DirectoryLock(
                self.location, shown=where, doing="writing there", patience=patience
            )
            self._held.enter_context(lock)

    def _begin(
        self, resume: bool, any_profile: bool, fall_back: bool, driver_died: str | None
    ) -> None:
        """Logs, and the checkpoint to go on from or a first one."""
        experiment, location, directory = self.experiment, self.location, self.directory
        if not resume:  # before any checkpoint: one without it would be of nobody
            run_directory.write_config(directory, experiment)
        self._metrics = RoundLog(directory / METRICS)
        self._evaluations = RoundLog(directory / EVALUATIONS)
        self._log, self._prometheus = RunLog(directory), PrometheusMetrics(directory.name)
        self.driver.tell = self._tell
        found = checkpoints.existing(locations.child(location, CHECKPOINTS))
        with self._telling_failures():
            if resume and found and fall_back:
                self.driver.restore_newest(any_profile=any_profile)
            elif resume and found:
                self.driver.restore(found[-1], any_profile=any_profile)
            self._tell_start(resume, driver_died)
            if not (resume and found):  # new, or ended before its first checkpoint was written
                self._save()
        self._cut_logs()
        (directory / SUMMARY).unlink(missing_ok=True)
        run_directory.write_config(directory, experiment)
        self._tensorboard = TensorBoardWriter(directory, after=self.steps)
        self._copy.publish()

    @property
    def done(self) -> bool:
        """Whether the budget of steps is spent."""
        return self.driver.server.round >= self.experiment.rounds

    @property
    def packing(self) -> list[int]:
        """Number of agents of each host."""
        return [len(group) for group in self.driver.groups]

    @property
    def memory(self) -> MemoryEstimate:
        """What it needs, as estimated beforehand."""
        actors = len(self.driver.groups) if self.driver.backend.kind == "ray" else 0
        return estimate(self.experiment, actors)

    @property
    def exemptions(self) -> dict[str, str]:
        """Laws that do not hold in this run, each with its reason."""
        return self.driver.exemptions

    def advance(self) -> RoundReport:
        """One round, then whatever is due after it."""
        if self.done:
            raise ValueError("the budget of steps is spent: there is no round left to run")
        with self._telling_failures():
            report = self._advance()
        self._tensorboard.write(report)
        self._prometheus.round(report)
        return report

    def _advance(self) -> RoundReport:
        report = self.driver.step()
        if self._due(self.experiment.evaluation.every) or self.done:
            evaluation = self._evaluate()
            spent = {k: v + report.phases[k] for k, v in self.driver.clock.take().items()}
            report = replace(report, evaluation=evaluation, phases=spent)
        self._metrics.append(report.to_dict())
        went_back = self.driver.server.round < report.round
        if (self._due(self.experiment.checkpoint.every) or self.done) and not went_back:
            self._save()  # a host lost here sends the driver back: `done` is false again
        return report

    def __iter__(self) -> Iterator[RoundReport]:
        """Rounds until the budget is spent and the last checkpoint is written."""
        while not self.done:
            yield self.advance()

    def finish(self) -> dict[str, Any]:
        """Write a checkpoint if there is none of this round, and summary.json; its content."""
        with self._telling_failures():
            self.checkpoint()
            self._prometheus.phases(self.driver.clock.take())
            return self._summarise("completed" if self.done else "interrupted")

    def close(self, *, at_once: bool = False) -> None:
        """Let go of the directory and of the local agents. `at_once` is for a run in an actor:
        here there is nothing to wait for."""
        self._tensorboard.close()
        self._prometheus.close()
        self.driver.close()
        self._held.close()

    def detach(self) -> Backend:
        """Let go of the directory; the local agents, still alive, for another run to reset."""
        self._tensorboard.close()
        self._prometheus.close()
        self._held.close()
        return self.driver.backend

    def checkpoint(self) -> None:
        """Write a checkpoint of this round unless there is one. Under `rewind` a host lost while
        saving sends the run back, and an earlier one is then the newest."""
        while self.driver.newest_checkpoint != self._checkpoint_path():
            self._save()
        self._cut_logs()

    def _save(self) -> None:
        """Logs first: a resumed run must find every row up to its checkpoint."""
        self._copy.publish()
        self.driver.save()

    def _checkpoint_path(self) -> Location:
        folder = locations.child(self.location, CHECKPOINTS)
        return checkpoints.path_of(folder, self.driver.server.round)

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
            "backend": self.driver.backend.kind,
            "packing": self.packing,
            "exemptions": self.driver.exemptions,
            "evaluation": self._last_evaluation(),
        }
        text = json.dumps(nan_as_null(summary), indent=1)
        write_text(self.directory / SUMMARY, text)
        self._tell(status, seconds=summary["seconds"], digest=summary["digest"])
        self._copy.publish()
        return summary

    def _due(self, every: int | None) -> bool:
        """Whether a multiple of `every` steps was passed in the round just completed."""
        if every is None:
            return False
        before = self.steps - self.experiment.round_steps
        return self.steps // every > before // every

    def _evaluate(self) -> Evaluation | None:
        started = time.perf_counter()
        evaluation = self.driver.evaluate()
        if evaluation is None:
            return None
        figures = {name: getattr(evaluation, name) for name in ("nominal", "average", "worst")}
        self._tell("evaluation", **figures, seconds=round(time.perf_counter() - started, 6))
        row = {"round": self.driver.server.round, "steps": self.steps}
        self._evaluations.append(row | evaluation.to_dict())
        self._copy.publish()
        return evaluation

    @property
    def steps(self) -> int:
        """Local steps per agent so far."""
        return self.driver.server.round * self.experiment.round_steps

    def _cut_logs(self) -> None:
        """Drop what is logged of rounds that a rewind or a resume has undone."""
        self._metrics.cut(self.driver.server.round)
        self._evaluations.cut(self.driver.server.round)

    def _last_evaluation(self) -> dict[str, Any] | None:
        rows = run_directory.read_rows(self.directory / EVALUATIONS)
        return rows[-1] if rows else None

    def _tell(self, event: str, **fields: Any) -> None:
        self._log.note(event, round=self.driver.server.round, **fields)
        self._prometheus.event(event, fields)

    def _tell_start(self, resume: bool, driver_died: str | None) -> None:
        if driver_died is not None:
            self._tell("driver_died", reason=driver_died)
        groups = zip(self.driver.groups, self.driver.backend.places(wait=True), strict=True)
        workers = [{"agents": g} | ({} if place is None else place.to_dict()) for g, place in groups]
        self._tell(
            "resumed" if resume else "started",
            rounds=self.experiment.rounds,
            backend=self.driver.backend.kind,
            packing=self.packing,
            memory=self.memory._asdict(),
            workers=workers,
        )

    @contextmanager
    def _telling_failures(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._tell("failed", reason=one_line(error))
            with suppress(RunError, OSError):
                self._copy.publish()
            raise
