"""An observer of a run that goes on: it reads rounds, starts and losses from the run directory."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ..runs.events import LOG
from ..runs.run_directory import METRICS


class Observer:
    """Observer of one run directory. Its owner calls `look` often, so that no rewind is missed.

    highest: the last round completed so far. redone: rounds completed before a rewind or a resume
    and done again after it. events: number of events of each name in log.jsonl. workers: the
    newest list of workers. recovered: see `mark`.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._read = 0
        self._mark: tuple[float, int] | None = None
        self.highest = self.redone = 0
        self.events: Counter[str] = Counter()
        self.workers: list[dict[str, Any]] = []
        self.recovered: float | None = None

    def look(self) -> None:
        """Read the new rounds and events."""
        lines = _lines(self._directory / METRICS)  # before the events: a resume cuts them back
        if lines:
            self.highest = max(self.highest, json.loads(lines[-1])["round"])
        for event in self._new_events():
            self._note(event)
        if self._mark and self.recovered is None and self.highest > self._mark[1]:
            self.recovered = time.monotonic() - self._mark[0]

    def mark(self, since: float) -> None:
        """Record that the run was disturbed at this time of `time.monotonic`.

        `recovered` becomes the seconds from then to the first round beyond those completed by now.
        """
        self.look()
        self._mark, self.recovered = (since, self.highest), None

    def missing(self, num_agents: int) -> int:
        """Return the number of agents that are missing from the rounds, summed over all rounds."""
        rows = [json.loads(line) for line in _lines(self._directory / METRICS)]
        return sum(num_agents - row["participants"] for row in rows)

    def _went_back(self, reached: int, to: int) -> None:
        """Count the rounds to do again.

        Rounds completed between the fault and its effect move the mark of `recovered`.
        """
        self.redone += max(0, reached - to)
        if self._mark is not None:
            since, before = self._mark
            self._mark, self.recovered = (since, max(before, reached)), None

    def _new_events(self) -> list[dict[str, Any]]:
        lines = _lines(self._directory / LOG)
        found = [json.loads(line) for line in lines[self._read :] if line.strip()]
        self._read = len(lines)
        return found

    def _note(self, event: dict[str, Any]) -> None:
        self.events[event["event"]] += 1
        if event["event"] == "rewind":
            self._went_back(event["from_round"], event["to_round"])
        if event["event"] == "resumed":
            self._went_back(self.highest, event["round"])
        if event["event"] in ("started", "resumed"):
            self.workers = event["workers"]


def _lines(path: Path) -> list[bytes]:
    """Return the complete lines of a file; none if it cannot be read."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except OSError:
        return []
