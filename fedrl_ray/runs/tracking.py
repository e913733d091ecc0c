"""Trackers beside a run: each has a thread, so that training waits for none of them.

A tracker that fails is given up with one line; the run goes on. trackers.json keeps each store's
id of the run and the last round sent, so that a resumed run goes on there without a gap and without
a round twice.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..agents.messages import RoundReport
from ..common.console import notes
from ..common.errors import one_line
from ..common.text_files import write_text
from ..config.schema import Experiment
from ..storage.local_mirror import LocalMirror
from ..storage.locations import Location
from .run_directory import EVALUATIONS, METRICS, read_rows
from .tracker import Outcome, TrackedRound, Tracker, final_values, require_packages, tracked

STATE = "trackers.json"
FINISH_SECONDS = 60.0
"""Seconds that all trackers together may take after the end of a run."""
UPLOAD_SECONDS = 30.0
"""Seconds between two uploads of trackers.json, if the run is at a URI."""


def require_trackers(experiment: Experiment) -> None:
    """Raise UserError if a tracker's package or account is missing."""
    require_packages(experiment.trackers)
    if "wandb" in experiment.trackers:
        from .trackers.wandb import require_account

        require_account()


def _build(name: str, experiment: Experiment, folder: Path, id: str | None) -> Tracker:
    if name == "mlflow":
        from .trackers.mlflow import MlflowTracker

        return MlflowTracker(experiment, folder, id)
    from .trackers.wandb import WandbTracker

    return WandbTracker(experiment, folder, id)


class Tracking:
    """The trackers of one run; without trackers it does nothing."""

    def __init__(self, experiment: Experiment, location: Location) -> None:
        self._experiment, self._location = experiment, location
        self._senders: list[Sender] = []
        self._lock, self._published = threading.Lock(), 0.0

    def start(self) -> None:
        """Open the trackers of a run that has been opened, and send what it did before."""
        experiment = self._experiment
        if not experiment.trackers:
            return
        self._mirror = LocalMirror(self._location)
        folder = self._mirror.directory
        state = _read_state(folder / STATE)
        logged = list(_logged_rounds(folder))
        for name in experiment.trackers:
            known = state.get(name, {})
            tracker = _build(name, experiment, folder, known.get("id"))
            sent = 0 if tracker.idempotent else int(known.get("round", 0))
            sender = Sender(name, tracker, sent, self._write_state)
            self._senders.append(sender)
        for sender in self._senders:
            for one in logged:
                sender.put(one)
            sender.start()

    def round(self, report: RoundReport) -> None:
        """Pass a round on."""
        if self._senders:
            found = None if report.evaluation is None else report.evaluation.figures()
            one = tracked(report.to_dict(), found)
            for sender in self._senders:
                sender.put(one)

    def finish(self, summary: dict[str, Any], report: Path | None) -> None:
        """Pass on the end of a run, and wait for the trackers for a minute at most."""
        self._end(Outcome(summary["status"], final_values(summary), report))

    def fail(self) -> None:
        """Pass on that the run failed."""
        self._end(Outcome("failed", {}, None))

    def _end(self, outcome: Outcome) -> None:
        deadline = time.monotonic() + FINISH_SECONDS
        for sender in self._senders:
            sender.put(outcome)
        for sender in self._senders:
            sender.join(max(0.0, deadline - time.monotonic()))
            if sender.is_alive():
                _say(sender.name, f"has not taken everything within {FINISH_SECONDS:.0f} s")
        if self._senders:
            self._write_state(at_once=True)
            self._mirror.close()
            self._senders = []

    def _write_state(self, *, at_once: bool = False) -> None:
        with self._lock:
            state = {s.name: {"id": s.tracker.id, "round": s.sent} for s in self._senders}
            write_text(self._mirror.directory / STATE, json.dumps(state, indent=1) + "\n")
            now = time.monotonic()
            if at_once or now > self._published + UPLOAD_SECONDS:
                self._published = now
                self._mirror.publish()


class Sender(threading.Thread):
    """Sends rounds to one tracker, in order and each once.

    sent: the last round that the tracker has. on_sent: called whenever that, or the tracker's id,
    has changed.
    """

    def __init__(self, name: str, tracker: Tracker, sent: int, on_sent: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)  # the program may end before the tracker does
        self.tracker, self.sent, self._on_sent = tracker, sent, on_sent
        self._queue: queue.SimpleQueue[TrackedRound | Outcome] = queue.SimpleQueue()

    def put(self, item: TrackedRound | Outcome) -> None:
        """Add a round, or the outcome as the last item."""
        self._queue.put(item)

    def run(self) -> None:
        """Send everything until the outcome is sent or the tracker fails."""
        try:
            self.tracker.open()
            self._on_sent()
            outcome = None
            while outcome is None:
                rounds, outcome = self._waiting()
                self._send(rounds)
            self.tracker.finish(outcome)
        except Exception as error:
            _say(self.name, f"is given up, and the run goes on without it: {one_line(error)}")

    def _send(self, rounds: list[TrackedRound]) -> None:
        """Send the rounds that are new; a round comes again, with the same bits, after a rewind."""
        new: list[TrackedRound] = []
        for one in rounds:
            if one.round > (new[-1].round if new else self.sent):
                new.append(one)
        if new:
            self.tracker.log(new)
            self.sent = new[-1].round
            self._on_sent()

    def _waiting(self) -> tuple[list[TrackedRound], Outcome | None]:
        """Return all rounds that wait, at least one item, and the outcome if it is there."""
        rounds: list[TrackedRound] = []
        while True:
            item = self._queue.get()
            if isinstance(item, Outcome):
                return rounds, item
            rounds.append(item)
            if self._queue.empty():
                return rounds, None


def _logged_rounds(folder: Path) -> Iterator[TrackedRound]:
    """Yield the rounds in the logs: all that a resumed run has done before."""
    evaluations = {row["round"]: row for row in read_rows(folder / EVALUATIONS)}
    for row in read_rows(folder / METRICS):
        yield tracked(row, evaluations.get(row["round"]))


def _read_state(path: Path) -> dict[str, Any]:
    """Return the content of trackers.json; empty if there is none that can be read."""
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return {n: known for n, known in state.items() if {"id", "round"} <= known.keys()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        _say(path.name, f"cannot be read, so trackers begin new runs: {one_line(error)}")
        return {}


def _say(name: str, text: str) -> None:
    notes.print(f"trackers: {name} {text}", style="yellow", soft_wrap=True)
