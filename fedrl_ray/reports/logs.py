"""The logs of a run in brief: every evaluation, its final returns, training in bins of rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from algorithms.types import Array

from ..errors import UserError
from ..run_directory import CONFIG, read_rows
from .series import averaged, bins_of, last_tenth

Row = dict[str, Any]

FIGURES = ("average", "worst", "nominal")
"""What an evaluation gives as a number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationLog:
    """All evaluations of a run.

    steps: [T]. figures: average, worst and nominal, [T] each, NaN where missing. final_returns:
    [M, R] per test environment and episode, means over the last tenth of the evaluations; None
    where there is none or where they are not finite. dynamics: of the M environments.
    """

    steps: Array
    figures: dict[str, Array]
    final_returns: Array | None
    dynamics: dict[str, list[float]]
    where: str

    @property
    def final_count(self) -> int:
        """How many evaluations the last tenth is."""
        return max(1, len(self.steps) // 10) if len(self.steps) else 0

    def final(self, name: str) -> float:
        """A figure's mean over the last tenth of the evaluations; NaN where there is none."""
        values = self.figures[name]
        return float(values[last_tenth(len(values))].mean()) if len(values) else float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingLog:
    """All rounds of a run, averaged in bins.

    steps, drift: [T]. agents: metrics per agent, [T, K] each. rounds, seconds, learning, bytes:
    sums over all rounds. failures: hosts lost, in words. absent: rounds that went on without some
    agents, and these. phases: seconds by name, sums; empty for runs that did not log them.
    """

    steps: Array
    drift: Array
    agents: dict[str, Array]
    rounds: int
    seconds: float
    learning: float
    bytes: int
    failures: tuple[str, ...]
    absent: tuple[tuple[int, tuple[int, ...]], ...] = ()
    phases: Mapping[str, float] = field(default_factory=dict)


def evaluation_log(path: Path) -> EvaluationLog:
    """Read evaluations.jsonl. Raises UserError."""
    keys = ("where", "average", "worst", "returns", "episode_returns", "dynamics")
    rows = _rows(path, keys)
    return EvaluationLog(
        steps=np.array([row["steps"] for row in rows]),
        figures={name: _column(path, rows, name) for name in FIGURES},
        final_returns=_final(path, rows),
        dynamics=rows[-1]["dynamics"] if rows else {},
        where=str(rows[-1]["where"]) if rows else "none",
    )


def training_log(path: Path, federation: Mapping[str, Any]) -> TrainingLog:
    """Read metrics.jsonl. Raises UserError."""
    rows = _rows(path, ("agents", "drift", "seconds", "learning", "bytes", "failures"))
    total = federation["steps"] // federation["sync_interval"]
    bins = bins_of(np.array([row["round"] for row in rows], dtype=np.int64), total)
    names = dict.fromkeys(name for row in rows for name in row["agents"])
    return TrainingLog(
        steps=averaged(_column(path, rows, "steps"), bins),
        drift=averaged(_column(path, rows, "drift"), bins),
        agents={
            name: averaged(_per_agent(path, rows, name, federation["num_agents"]), bins)
            for name in names
        },
        rounds=len(rows),
        seconds=float(_column(path, rows, "seconds").sum()),
        learning=float(_column(path, rows, "learning").sum()),
        bytes=int(_column(path, rows, "bytes").sum()),
        failures=tuple(str(text) for row in rows for text in row["failures"]),
        absent=_absent(path, rows),
        phases=_phases(path, rows),
    )


def _absent(path: Path, rows: Sequence[Row]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Rounds without some agents, and these. Raises UserError."""
    try:
        found = ((int(row["round"]), row.get("absent") or ()) for row in rows)
        return tuple((number, tuple(int(a) for a in agents)) for number, agents in found if agents)
    except (ValueError, TypeError):
        raise UserError(f"{path}: 'absent' is not a list of agents in every row") from None


def _phases(path: Path, rows: Sequence[Row]) -> dict[str, float]:
    """Seconds by phase over all rounds. Raises UserError."""
    total: dict[str, float] = {}
    try:
        for row in rows:
            for name, seconds in (row.get("phases") or {}).items():
                total[name] = total.get(name, 0.0) + float(seconds)
    except (ValueError, TypeError, AttributeError):
        raise UserError(f"{path}: 'phases' are not numbers by name in every row") from None
    return total


def _rows(path: Path, keys: Sequence[str]) -> list[Row]:
    """The rows of a log that must have these keys. Raises UserError."""
    rows = read_rows(path)
    for number, row in enumerate(rows, start=1):
        for key in keys:
            if key not in row:
                raise UserError(f"{path}: line {number} has no {key!r}")
    return rows


def _column(path: Path, rows: Sequence[Row], name: str) -> Array:
    """A number of every row, [T]; NaN where it is null or missing. Raises UserError."""
    try:
        return np.array([row.get(name) for row in rows], dtype=np.float64)
    except (ValueError, TypeError):
        raise UserError(f"{path}: {name!r} is not a number in every row") from None


def _per_agent(path: Path, rows: Sequence[Row], name: str, num_agents: int) -> Array:
    """A metric, [T, K]; NaN where an agent saw nothing. Raises UserError."""
    empty = [None] * num_agents
    try:
        values = np.array([row["agents"].get(name, empty) for row in rows], dtype=np.float64)
        return values.reshape(len(rows), num_agents)
    except (ValueError, TypeError, AttributeError):
        raise UserError(f"{path} is not of {num_agents} agents, as {CONFIG} says") from None


def _final(path: Path, rows: Sequence[Row]) -> Array | None:
    """Returns [M, R], means over the last tenth of the evaluations. Raises UserError."""
    if not rows:
        return None
    chosen = [row["episode_returns"] for row in rows[last_tenth(len(rows))]]
    try:
        returns = np.array(chosen, dtype=np.float64)
        if returns.ndim != 3 or not returns.size:
            raise ValueError
    except (ValueError, TypeError):
        raise UserError(f"{path}: episode_returns are not [M, R] numbers") from None
    return np.asarray(returns.mean(0)) if np.isfinite(returns).all() else None
