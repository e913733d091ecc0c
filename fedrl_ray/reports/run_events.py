"""Outliers of a run, and the error that ended it, read from its events for a report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..common.errors import UserError

TAIL = 1 << 16
"""Bytes at the end of log.jsonl that hold its last line."""


class OutlierRecord(NamedTuple):
    """All rounds of a run in which one metric of one agent was far above that of the others."""

    agent: int
    measure: str
    first: int
    """First of these rounds."""
    last: int
    """Last of these rounds."""
    rounds: int
    """Number of these rounds."""
    times: float
    """Largest multiple of the others' median; infinity if a value was not finite."""

    def joined(self, round_number: int, times: float) -> OutlierRecord:
        """Return the record with one more round."""
        return self._replace(
            last=round_number, rounds=self.rounds + 1, times=max(self.times, times)
        )


def outliers_of(path: Path, rows: Iterable[Mapping[str, Any]]) -> tuple[OutlierRecord, ...]:
    """Return the outliers of a run from the rows of metrics.jsonl, by agent. Raises UserError."""
    found: dict[tuple[int, str], OutlierRecord] = {}
    try:
        for row in rows:
            for entry in row.get("outliers") or ():
                key, at = (int(entry["agent"]), str(entry["measure"])), int(row["round"])
                times = float("inf") if entry["times"] is None else float(entry["times"])
                before = found.get(key, OutlierRecord(*key, first=at, last=at, rounds=0, times=0.0))
                found[key] = before.joined(at, times)
    except (KeyError, ValueError, TypeError, AttributeError):
        raise UserError(
            f"{path}: outliers: must list agent, measure and times in every row"
        ) from None
    return tuple(found[key] for key in sorted(found))


def error_of(log: Path) -> str | None:
    """Return the error that ended a run: its last event is then `failed`. None if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            lines = file.read().splitlines()
        event = json.loads(lines[-1])
    except (OSError, ValueError, IndexError, RecursionError):
        return None
    if not isinstance(event, dict) or event.get("event") != "failed":
        return None
    return " ".join(str(event.get("reason")).split())[:500]
