"""A run: a driver, its directory, and the schedule of evaluations and checkpoints."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any

from ..agents.messages import Evaluation, RoundReport
from ..backends.backend import Backend
from ..backends.memory_estimate import MemoryEstimate
from ..backends.plan import Plan, build_backend
from ..common.errors import RunError, one_line
from ..common.exits import exits_as_errors
from ..common.json_values import nan_as_null
from ..common.text_files import write_text
from ..config.schema import Experiment
from ..federation.driver import Driver
from ..federation.resume_rules import require_same_run
from ..storage import checkpoints, locations
from ..storage.local_mirror import CHECKPOINTS, LocalMirror
from ..storage.locations import Location
from ..storage.manifests import read_manifest
from . import run_directory
from .run_directory import SUMMARY
from .run_facts import memory_of, packing_of, start_fields, summary_of
from .run_records import RunRecords
from .training_run import TrainingRun


class Run(TrainingRun):
    """Trains an experiment into a folder or a URI, new or resumed.

    `directory` is the folder of its logs on this machine. plan: the layout computed beforehand;
    None computes it. fall_back: resume from an older checkpoint if the newest cannot be read, and
    wait longer for a program that wrote there and is ending. driver_died: reason of the death of
    the earlier driver's process.
    """

    def __init__(
        self,
        experiment: Experiment,
        location: Location,
        *,
        plan: Plan | None = None,
        resume: bool = False,
        any_profile: bool = False,
        fall_back: bool = False,
        driver: Driver | None = None,
        driver_died: str | None = None,
    ) -> None:
        self.experiment, self.location, self._plan = experiment, location, plan
        self._mirror = LocalMirror(location)
        self._held = ExitStack()
        self._held.callback(self._mirror.close)
        self.directory = self._mirror.directory
        try:
            with self._mirror.in_its_name():
                self._open(resume, driver, patient=fall_back)
                self._begin(resume, any_profile, fall_back, driver_died)
        except BaseException:
            self._held.close()
            raise

    def _open(self, resume: bool, driver: Driver | None, *, patient: bool) -> None:
        """Build the driver, and claim the run's directory or a free one for this program alone."""
        self._require_mine(resume)
        if resume:
            self._held.enter_context(run_directory.claim(self.location, patient=patient))
        self.driver = driver or self._new_driver()
        if not resume:  # after everything that may fail: a failure must leave no folder
            self._held.enter_context(run_directory.claim(self.location, patient=patient))
            self._require_mine(resume)  # another program may have begun and ended meanwhile

    def _new_driver(self) -> Driver:
        backend = build_backend(self.experiment, self._plan) if self._plan else None
        return Driver(self.experiment, directory=self.location, backend=backend)

    def _require_mine(self, resume: bool) -> None:
        if resume:
            stored = run_directory.read_experiment(self.directory)
            require_same_run(self.location, self.experiment, stored)
        else:
            run_directory.require_free(self.directory, shown=self.location)

    def _begin(self, resume: bool, any_profile: bool, fall_back: bool, died: str | None) -> None:
        """Open the records, and load the checkpoint to resume from or write a first one."""
        if not resume:  # before any checkpoint, which would otherwise belong to no experiment
            run_directory.write_config(self.directory, self.experiment)
        self._records = RunRecords(self.directory)
        self.driver.tell = self._tell
        found = checkpoints.existing(locations.child(self.location, CHECKPOINTS))
        with self._telling_failures():
            if resume and found and fall_back:
                self.driver.restore_newest(any_profile=any_profile)
            elif resume and found:
                self.driver.restore(found[-1], any_profile=any_profile)
            self._tell_start(resume, died)
            if not (resume and found):  # new, or ended before its first checkpoint was written
                self._save()
        self._records.cut(self.driver.server.round, self.steps)
        (self.directory / SUMMARY).unlink(missing_ok=True)
        run_directory.write_config(self.directory, self.experiment)
        self._records.start_tensorboard(after=self.steps)
        self._mirror.publish()

    @property
    def done(self) -> bool:  # type: ignore[override]
        """True once the budget of steps is spent."""
        return self.driver.server.round >= self.experiment.rounds

    @property
    def packing(self) -> list[int]:
        """Number of agents of each worker."""
        return packing_of(self.driver)

    @property
    def memory(self) -> MemoryEstimate:
        """The memory that the run needs, as estimated beforehand."""
        return memory_of(self.driver) if self._plan is None else self._plan.memory

    @property
    def exemptions(self) -> dict[str, str]:  # type: ignore[override]
        """Laws that do not hold in this run, each with its reason."""
        return self.driver.exemptions

    def advance(self) -> RoundReport:
        """Complete one round, then do whatever is due after it."""
        if self.done:
            raise ValueError("the budget of steps is spent: there is no round left to run")
        with self._telling_failures():
            report = self._advance()
        self._records.publish(report)
        return report

    def _advance(self) -> RoundReport:
        report = self.driver.step()
        if self._due(self.experiment.evaluation.every) or self.done:
            evaluation = self._evaluate()
            spent = {k: v + report.phases[k] for k, v in self.driver.clock.take().items()}
            report = replace(report, evaluation=evaluation, phases=spent)
        report = self._records.round(report)
        went_back = self.driver.server.round < report.round
        if (self._due(self.experiment.checkpoint.every) or self.done) and not went_back:
            self._save()  # a worker lost here sends the driver back: `done` is false again
        return report

    def __iter__(self) -> Iterator[RoundReport]:
        """Yield rounds until the budget is spent and the last checkpoint is written."""
        while not self.done:
            yield self.advance()

    def finish(self) -> dict[str, Any]:
        """Write a checkpoint of this round, if there is none, and summary.json; return it."""
        with self._telling_failures():
            self.checkpoint()
            self._records.phases(self.driver.clock.take())
            return self._summarise("completed" if self.done else "interrupted")

    def close(self, *, at_once: bool = False) -> None:
        """Let go of the directory and of the local agents; in this process nothing waits."""
        self._records.close()
        self.driver.close()
        self._held.close()

    def detach(self) -> Backend:
        """Let go of the directory; return the living local agents for another run to reset."""
        self._records.close()
        self._held.close()
        return self.driver.backend

    def checkpoint(self) -> None:
        """Write a checkpoint of this round unless there is one.

        Under `rewind`, a worker lost while saving sends the run back; an earlier checkpoint is
        then the newest.
        """
        while self.driver.newest_checkpoint != self._checkpoint_path():
            self._save()
        self._records.cut(self.driver.server.round, self.steps)

    def _save(self) -> None:
        """Upload the logs, then save: a resumed run must find every row up to its checkpoint."""
        self._records.flush()
        self._mirror.publish()
        self.driver.save()

    def _checkpoint_path(self) -> Location:
        folder = locations.child(self.location, CHECKPOINTS)
        return checkpoints.path_of(folder, self.driver.server.round)

    def _summarise(self, status: str) -> dict[str, Any]:
        summary = summary_of(
            self.experiment,
            self.driver,
            status=status,
            state_digest=read_manifest(self._checkpoint_path()).state_digest,
            evaluation=self._records.last_evaluation(),
        )
        write_text(self.directory / SUMMARY, json.dumps(nan_as_null(summary), indent=1))
        self._tell(status, seconds=summary["seconds"], digest=summary["digest"])
        self._mirror.publish()
        return summary

    def _due(self, every: int | None) -> bool:
        """Return True if a multiple of `every` steps was passed in the round just completed."""
        if every is None:
            return False
        before = self.steps - self.experiment.round_steps
        return self.steps // every > before // every

    def _evaluate(self) -> Evaluation | None:
        started = time.perf_counter()
        evaluation = self.driver.evaluate()
        if evaluation is None:
            return None
        seconds = round(time.perf_counter() - started, 6)
        self._tell("evaluation", **evaluation.figures(), seconds=seconds)
        row = {"round": self.driver.server.round, "steps": self.steps}
        self._records.evaluation(row | evaluation.to_dict())
        self._mirror.publish()
        return evaluation

    @property
    def steps(self) -> int:
        """Rounds so far times local steps per round."""
        return self.driver.server.round * self.experiment.round_steps

    def _tell(self, event: str, **fields: Any) -> None:
        self._records.event(event, round_number=self.driver.server.round, fields=fields)

    def _tell_start(self, resume: bool, driver_died: str | None) -> None:
        if driver_died is not None:
            self._tell("driver_died", reason=driver_died)
        fields = start_fields(self.driver, self.memory)
        self._tell("resumed" if resume else "started", **fields)

    @contextmanager
    def _telling_failures(self) -> Iterator[None]:
        try:
            with exits_as_errors():
                yield
        except Exception as error:
            self._tell("failed", reason=one_line(error))
            with suppress(RunError, OSError):
                self._mirror.publish()
            raise
