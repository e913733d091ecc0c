"""The contract of an experiment tracker: the record of a run in another program's store."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..common.errors import UserError
from ..common.modules import is_installed


class TrackedRound(NamedTuple):
    """The numbers of a round by name, and its position: rounds and local steps so far."""

    round: int
    steps: int
    values: dict[str, float]


class Outcome(NamedTuple):
    """The end of a run. status: as in summary.json, or `failed`. report: the HTML page."""

    status: str
    values: dict[str, float]
    report: Path | None


class Tracker(ABC):
    """A run in a tracker's store. Any call may take long and may raise."""

    idempotent = False
    """True if a round may be sent again: the store keeps it once. A resumed run then sends all."""
    id: str | None
    """The store's name for the run, by which it goes on; None before `open`."""

    @abstractmethod
    def open(self) -> None:
        """Begin a run in the store, or go on with the run `id`."""

    @abstractmethod
    def log(self, rounds: Sequence[TrackedRound]) -> None:
        """Send rounds in order."""

    @abstractmethod
    def finish(self, outcome: Outcome) -> None:
        """Send the final returns and the report, and end the run in the store."""


def require_packages(names: Sequence[str]) -> None:
    """Raise UserError if the package of a tracker is missing."""
    for name in names:
        if not is_installed(name):
            raise UserError(
                f"trackers: {name} is not installed; run `pip install 'fedrl-ray[{name}]'`"
            )


def tracked(row: Mapping[str, Any], evaluation: Mapping[str, Any] | None) -> TrackedRound:
    """Return the numbers of a row of metrics.jsonl, as `RoundReport.to_dict` makes it.

    Metrics are means over agents. evaluation: nominal, average and worst, if there was one. Numbers
    that are not finite are left out.
    """
    values = {f"training/{name}": _mean(agents) for name, agents in row["agents"].items()}
    values["training/drift"] = _mean([row["drift"]])
    for name in ("nominal", "average", "worst"):
        if evaluation is not None:
            values[f"evaluation/{name}"] = _mean([evaluation.get(name)])
    finite = {name: value for name, value in values.items() if np.isfinite(value)}
    return TrackedRound(row["round"], row["steps"], finite)


def final_values(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the returns of the last evaluation in a summary, as `final/worst` and so on."""
    last = summary.get("evaluation") or {}
    values = {f"final/{name}": _mean([last.get(name)]) for name in ("nominal", "average", "worst")}
    return {name: value for name, value in values.items() if np.isfinite(value)}


def flat(keys: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Return nested keys as dotted keys."""
    found: dict[str, Any] = {}
    for key, value in keys.items():
        nested = isinstance(value, Mapping) and value
        found |= flat(value, f"{before}{key}.") if nested else {f"{before}{key}": value}
    return found


def _mean(values: Sequence[float | None]) -> float:
    known = np.array(values, dtype=np.float64)
    return float(np.nanmean(known)) if not np.isnan(known).all() else float("nan")
