"""The logs of a run in brief: evaluations, final returns, and training in bins of rounds."""

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
from ..common.validation import first_violation
from ..runs.run_directory import CONFIG, read_rows
from .keys import round_steps
from .run_events import OutlierRecord, outliers_of
from .series import averaged, bins_of, last_tenth

Row = dict[str, Any]
Number = float | None

LOGGED = ("average", "worst", "nominal")
"""Statistics that each evaluation logs as one number."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationLog:
    """All evaluations of a run."""

    steps: Array
    """Local steps per agent at each evaluation, [T]."""
    statistics: dict[str, Array]
    """Each statistic of `LOGGED`, [T]; NaN where it is missing."""
    final_returns: Array | None
    """Returns [M, R], means over the last tenth of the evaluations; None if not all are finite."""
    dynamics: dict[str, list[float] | list[str]]
    """Physical parameters of the M test environments."""
    where: str
    """Process that evaluated: `driver`, `agents` or `none`."""

    @property
    def final_count(self) -> int:
        """Number of evaluations in the last tenth."""
        return max(1, len(self.steps) // 10) if len(self.steps) else 0

    def final(self, name: str) -> float:
        """Return a statistic's mean over the last tenth of the evaluations; NaN without any."""
        values = self.statistics[name]
        return float(values[last_tenth(len(values))].mean()) if len(values) else float("nan")


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingLog:
    """All rounds of a run, averaged in T bins."""

    steps: Array
    """Local steps per agent, [T]."""
    drift: Array
    """Distance of the agents to their mean, [T]."""
    agents: dict[str, Array]
    """Metrics per agent, [T, K] each."""
    rounds: int
    seconds: float
    """Wall time of all rounds."""
    learning: float
    """Seconds of all rounds that the slowest worker spent learning."""
    bytes: int
    """Bytes sent in all rounds."""
    failures: tuple[str, ...]
    """Failures in words, such as lost workers."""
    absent: tuple[tuple[int, tuple[int, ...]], ...] = ()
    """Rounds that were averaged without some agents, each with these agents."""
    rounds_of: tuple[int, ...] = ()
    """Rounds that each agent took part in, [K]."""
    phases: Mapping[str, float] = field(default_factory=dict)
    """Seconds of all rounds per phase; empty for runs that did not log them."""
    outliers: tuple[OutlierRecord, ...] = ()
    """Agents that were far from the others."""


class _Evaluation(TypedDict):
    where: str
    average: Number
    worst: Number
    nominal: NotRequired[Number]
    returns: list[Number]
    episode_returns: list[list[Number]]
    dynamics: dict[str, list[float] | list[str]]


class _Round(TypedDict):
    agents: dict[str, list[Number]]
    drift: Number
    seconds: float
    learning: float
    bytes: float
    failures: list[str]
    sampled: NotRequired[list[int] | None]
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
        statistics={name: _column(path, rows, name) for name in LOGGED},
        final_returns=_final(path, rows),
        dynamics=rows[-1]["dynamics"] if rows else {},
        where=str(rows[-1]["where"]) if rows else "none",
    )


def evaluation_rows(path: Path) -> list[Row]:
    """Return the rows of evaluations.jsonl. Raises UserError."""
    return _rows(path, _EVALUATION)


def training_log(path: Path, flat: Mapping[str, Any]) -> TrainingLog:
    """Read metrics.jsonl; `flat` is the experiment by dotted keys. Raises UserError."""
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
        rounds_of=_rounds_of(path, rows, flat["federation.num_agents"]),
        phases=_phases(path, rows),
        outliers=outliers_of(path, rows),
    )


def _absent(path: Path, rows: Sequence[Row]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Return the rounds without some agents, each with these agents. Raises UserError."""
    try:
        found = ((int(row["round"]), row.get("absent") or ()) for row in rows)
        return tuple((number, tuple(int(a) for a in agents)) for number, agents in found if agents)
    except (ValueError, TypeError):
        raise UserError(f"{path}: absent: must be a list of agents in every row") from None


def _rounds_of(path: Path, rows: Sequence[Row], num_agents: int) -> tuple[int, ...]:
    """Return the number of rounds that each agent took part in. Raises UserError."""
    everybody = range(num_agents)
    counts = np.zeros(num_agents, dtype=np.int64)
    for row in rows:
        sampled = everybody if row.get("sampled") is None else row["sampled"]
        took_part = sorted(set(sampled) - set(row.get("absent") or ()))
        if not set(took_part) <= set(everybody):
            raise UserError(f"{path}: sampled: must be ids of the {num_agents} agents")
        counts[took_part] += 1
    return tuple(int(count) for count in counts)


def _phases(path: Path, rows: Sequence[Row]) -> dict[str, float]:
    """Return the seconds of all rounds per phase. Raises UserError."""
    total: dict[str, float] = {}
    try:
        for row in rows:
            for name, seconds in (row.get("phases") or {}).items():
                total[name] = total.get(name, 0.0) + float(seconds)
    except (ValueError, TypeError, AttributeError):
        raise UserError(f"{path}: phases: must map names to numbers in every row") from None
    return total


def lineage_log(path: Path) -> list[Row]:
    """Read lineage.jsonl. Raises UserError."""
    return _rows(path, _LINEAGE)


def _rows(path: Path, schema: TypeAdapter[Any]) -> list[Row]:
    """Return the rows of a log, checked against a schema. Raises UserError."""
    rows = read_rows(path)
    for number, row in enumerate(rows, start=1):
        try:
            schema.validate_python(row, strict=True)
        except ValidationError as error:
            raise UserError(f"{path}: line {number}: {first_violation(error)}") from None
    return rows


def _require_agents(path: Path, rows: Sequence[Row], num_agents: int) -> None:
    """Raise UserError if a metric has another number of agents."""
    if any(len(values) != num_agents for row in rows for values in row["agents"].values()):
        raise _wrong_number(path, num_agents)


def _wrong_number(path: Path, num_agents: int) -> UserError:
    return UserError(f"{path}: agents: must list {num_agents} values per metric, as {CONFIG} says")


def _column(path: Path, rows: Sequence[Row], name: str) -> Array:
    """Return one number per row, [T]; NaN if it is null or missing. Raises UserError."""
    try:
        return np.array([row.get(name) for row in rows], dtype=np.float64)
    except (ValueError, TypeError):
        raise UserError(f"{path}: {name}: must be a number in every row") from None


def _per_agent(path: Path, rows: Sequence[Row], name: str, num_agents: int) -> Array:
    """Return a metric per agent, [T, K]; NaN if an agent has no value. Raises UserError."""
    empty = [None] * num_agents
    try:
        values = np.array([row["agents"].get(name, empty) for row in rows], dtype=np.float64)
        return values.reshape(len(rows), num_agents)
    except (ValueError, TypeError, AttributeError):
        raise _wrong_number(path, num_agents) from None


def _final(path: Path, rows: Sequence[Row]) -> Array | None:
    """Return mean returns [M, R] over the last tenth of the evaluations. Raises UserError."""
    if not rows:
        return None
    chosen = [row["episode_returns"] for row in rows[last_tenth(len(rows))]]
    try:
        returns = np.array(chosen, dtype=np.float64)
        if returns.ndim != 3 or not returns.size:
            raise ValueError
    except (ValueError, TypeError):
        raise UserError(f"{path}: episode_returns: must be numbers of shape [M, R]") from None
    return np.asarray(returns.mean(0)) if np.isfinite(returns).all() else None
