"""One run with one fault in its middle, and the promises that it broke."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..common.errors import RunError, UserError
from ..config.schema import Experiment
from ..runs.run_directory import SUMMARY
from . import leftovers
from .fault import Fault, Scene

STALL_SECONDS = 180.0
"""Seconds without a new round after which a run counts as stalled; a start takes many seconds."""
LOOK_SECONDS = 0.03
"""Seconds between two looks at the run."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """Effects of a fault on a run under one policy."""

    fault: str
    policy: str
    status: str
    recovered: float | None
    """Seconds from the fault to the first round beyond those completed before it."""
    redone: int
    """Rounds that were done twice."""
    missing: int
    """Agent steps that are missing from the averages."""
    equal: bool
    """True if the parameters and all agents' states have the bits of the undisturbed run."""
    left: int
    """Actors, placement groups, objects and processes that remain after the run."""
    broken: tuple[str, ...]
    """Promises that the run broke, as sentences."""

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain data."""
        return asdict(self)


class Case:
    """One fault under one policy."""

    def __init__(self, name: str, fault: Fault, scene: Scene, undisturbed: dict[str, Any]) -> None:
        self.name, self.fault, self.scene = name, fault, scene
        self._undisturbed = undisturbed
        self._broken: list[str] = []

    def run(self) -> Result:
        """Train, inject the fault, wait for the end, and judge the result."""
        self.fault.prepare(self.scene)
        try:
            self._disturbed_run()
            return self._result()
        finally:
            self.scene.program.kill()
            self.fault.clean(self.scene)

    def _disturbed_run(self) -> None:
        try:
            self.scene.program.start()
            self._await_round(round_to_disturb(self.scene.experiment))
            self.fault.inject(self.scene)
            since = time.monotonic()
            self._broken += self.fault.repair(self.scene)
            self.scene.observer.mark(since)
            self._await_end()
        except RunError as error:  # the other cases can still be tried
            self._broken.append(str(error))
            self.scene.program.kill()

    def _await_round(self, wanted: int) -> None:
        observer = self.scene.observer
        while observer.highest < wanted and self._goes_on():
            pass
        if observer.highest < wanted:
            raise RunError(f"the run ended before the fault: {self._last_words()}")

    def _await_end(self) -> None:
        while self._goes_on():
            pass
        if self.scene.program.status is None:
            self._broken.append(f"no new round within {STALL_SECONDS:g} s")
            self.scene.program.kill()
        elif self.scene.program.status:
            self._broken.append(f"ended with {self.scene.program.status}: {self._last_words()}")

    def _goes_on(self) -> bool:
        """Wait for a new round. Return False if the run ends or stalls instead."""
        observer, highest = self.scene.observer, self.scene.observer.highest
        since = time.monotonic()
        while time.monotonic() < since + STALL_SECONDS:
            ended = self.scene.program.status is not None
            observer.look()
            if ended or observer.highest > highest:
                return not ended
            time.sleep(LOOK_SECONDS)
        return False

    def _last_words(self) -> str:
        return self.scene.program.output()[-500:] or "no output"

    def _result(self) -> Result:
        experiment, observer = self.scene.experiment, self.scene.observer
        summary = _summary(self.scene.output)
        equal = _digests(summary) == _digests(self._undisturbed)
        missing = observer.missing(experiment.federation.num_agents)
        continues = experiment.federation.on_failure == "continue" and self.fault.loses_agents
        self._broken += self.fault.conclude(self.scene)
        self._judge(summary, equal=equal, missing=missing, continues=continues)
        return Result(
            fault=self.name,
            policy=experiment.federation.on_failure,
            status=summary.get("status", "failed"),
            recovered=None if observer.recovered is None else round(observer.recovered, 2),
            redone=observer.redone,
            missing=missing * experiment.round_steps,
            equal=equal,
            left=self._left(),
            broken=tuple(self._broken),
        )

    def _judge(self, summary: Any, *, equal: bool, missing: int, continues: bool) -> None:
        trace = self.fault.trace
        if summary.get("status") != "completed":
            self._broken.append("the run did not complete")
        if trace is not None and not self.scene.observer.events[trace]:
            self._broken.append(f"the fault had no effect: no {trace!r} in log.jsonl")
        if not continues and not equal:
            self._broken.append("its bits differ from those of the undisturbed run")
        if not continues and missing:
            self._broken.append(f"{missing} rounds of agents are missing")

    def _left(self) -> int:
        try:
            found = leftovers.take(self.scene.program.environment)
        except RunError as error:
            self._broken.append(str(error))
            found = {}
        found["processes"] = self._processes_left()
        left = {what: count for what, count in found.items() if count}
        if left:
            self._broken.append(f"left behind: {left}")
        return sum(left.values())

    def _processes_left(self) -> int:
        """Count the processes of our actors. Ray ends a hanging one seconds after its death."""
        deadline = time.monotonic() + leftovers.PATIENCE_SECONDS
        while left := sum(
            len(self.scene.cluster.processes(title))
            for title in (leftovers.AGENTS, leftovers.DRIVER)
        ):
            if time.monotonic() > deadline:
                break
            time.sleep(LOOK_SECONDS)
        return left


def round_to_disturb(experiment: Experiment) -> int:
    """Return a round near the middle of the run, half-way between two checkpoints.

    Raise UserError if the run is too short for one.
    """
    e, rounds = experiment.round_steps, experiment.rounds
    every = experiment.checkpoint.every or experiment.federation.steps
    written = [r for r in range(rounds + 1) if r * e // every > (r - 1) * e // every]
    before = max(r for r in written if r <= rounds // 2)
    after = min(r for r in [*written, rounds] if r > before)
    if before == 0 or after - before < 2:
        raise UserError(
            "checkpoint.every: must leave a checkpoint in the first half of the run and two rounds "
            f"between checkpoints; got {experiment.checkpoint.every} with federation.steps "
            f"{experiment.federation.steps} and federation.sync_interval {e}"
        )
    return before + (after - before) // 2


def _summary(output: Path) -> dict[str, Any]:
    try:
        summary: dict[str, Any] = json.loads((output / SUMMARY).read_text())
    except FileNotFoundError:
        return {}
    return summary


def _digests(summary: dict[str, Any]) -> tuple[str | None, str | None]:
    return summary.get("digest"), summary.get("state_digest")
