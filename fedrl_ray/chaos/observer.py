"""What a run's directory tells of it while it goes on: rounds, starts, losses."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from ..runs.events import LOG
from ..runs.run_directory import METRICS


class Observer:
    """Follows one run directory by `look`, often enough to see every round that counts.

    highest: the last round completed so far. redone: rounds that had been completed before a
    rewind or a resume and had to be done again. events: how many of each name in log.jsonl.
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
        """Take notice of what is new."""
        lines = _lines(self._directory / METRICS)  # before the events: a resume cuts them back
        if lines:
            self.highest = max(self.highest, json.loads(lines[-1])["round"])
        for event in self._new_events():
            self._note(event)
        if self._mark and self.recovered is None and self.highest > self._mark[1]:
            self.recovered = time.monotonic() - self._mark[0]

    def mark(self, since: float) -> None:
        """The run was disturbed at this time, as `time.monotonic` has it: `recovered` will be the
        seconds to the first round beyond the last one completed by now."""
        self.look()
        self._mark, self.recovered = (since, self.highest), None

    def missing(self, num_agents: int) -> int:
        """Rounds of single agents that the rounds of the log went on without."""
        rows = [json.loads(line) for line in _lines(self._directory / METRICS)]
        return sum(num_agents - row["participants"] for row in rows)

    def _went_back(self, reached: int, to: int) -> None:
        """A round may have been completed between the fault and its effect."""
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
    """Lines that are complete."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except OSError:
        return []
