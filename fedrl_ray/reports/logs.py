"""The logs of a run in brief: every evaluation, its final returns, training in bins of rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired

import numpy as np
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from algorithms.types import Array

from ..common.errors import UserError
from ..common.validation import first_line
from ..runs.run_directory import CONFIG, read_rows
from .keys import round_steps
from .series import averaged, bins_of, last_tenth

Row = dict[str, Any]
Number = float | None

RETURN_STATISTICS = ("average", "worst", "nominal")
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


class _Evaluation(TypedDict):
    where: str
    average: Number
    worst: Number
    nominal: NotRequired[Number]
    returns: list[Number]
    episode_returns: list[list[Number]]
    dynamics: dict[str, list[float]]


class _Round(TypedDict):
    agents: dict[str, list[Number]]
    drift: Number
    seconds: float
    learning: float
    bytes: float
    failures: list[str]
    absent: NotRequired[list[int] | None]
    phases: NotRequired[dict[str, float] | None]


_Lineage = TypedDict("_Lineage", {"from": str, "before": dict[str, Any], "point": dict[str, Any]})
_EVALUATION, _ROUND = TypeAdapter(_Evaluation), TypeAdapter(_Round)
_LINEAGE = TypeAdapter(_Lineage)


def evaluation_log(path: Path) -> EvaluationLog:
    """Read evaluations.jsonl. Raises UserError."""
    rows = evaluation_rows(path)
    return EvaluationLog(
        steps=np.array([row["steps"] for row in rows]),
        figures={name: _column(path, rows, name) for name in RETURN_STATISTICS},
        final_returns=_final(path, rows),
        dynamics=rows[-1]["dynamics"] if rows else {},
        where=str(rows[-1]["where"]) if rows else "none",
    )


def evaluation_rows(path: Path) -> list[Row]:
    """The rows of evaluations.jsonl. Raises UserError."""
    return _rows(path, _EVALUATION)


def training_log(path: Path, flat: Mapping[str, Any]) -> TrainingLog:
    """Read metrics.jsonl; flat: the experiment by dotted keys. Raises UserError."""
    rows = _rows(path, _ROUND)
    _require_agents(path, rows, flat["federation.num_agents"])
    total = flat["federation.steps"] // round_steps(flat)
    bins = bins_of(np.array([row["round"] for row in rows], dtype=np.int64), total)
    names = dict.fromkeys(name for row in rows for name in row["agents"])
    return TrainingLog(
        steps=averaged(_column(path, rows, "steps"), bins),
        drift=averaged(_column(path, rows, "drift"), bins),
        agents={
            name: averaged(_per_agent(path, rows, name, flat["federation.num_agents"]), bins)
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


def lineage_log(path: Path) -> list[Row]:
    """Read lineage.jsonl. Raises UserError."""
    return _rows(path, _LINEAGE)


def _rows(path: Path, schema: TypeAdapter[Any]) -> list[Row]:
    """The rows of a log, each of these keys and types. Raises UserError."""
    rows = read_rows(path)
    for number, row in enumerate(rows, start=1):
        try:
            schema.validate_python(row, strict=True)
        except ValidationError as error:
            raise UserError(f"{path}: line {number}: {first_line(error)}") from None
    return rows


def _require_agents(path: Path, rows: Sequence[Row], num_agents: int) -> None:
    if any(len(values) != num_agents for row in rows for values in row["agents"].values()):
        raise UserError(f"{path} is not of {num_agents} agents, as {CONFIG} says")


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
