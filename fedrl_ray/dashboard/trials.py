"""The table of trials: status, progress and last returns of each."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..reports.data import ReportData
from ..reports.keys import round_steps
from ..reports.runs import RunData
from ..reports.sources import SKIPPED, Problem
from ..reports.studies import title_of
from ..runs.run_directory import EVALUATIONS, METRICS
from .stamps import Stamp

MOST = 40
"""Most points of a trial's curve."""

_FIRST = ("running", "unfinished", "failed", "unreadable", "interrupted", "pending", "stopped")
"""Statuses in the order of the table; others, such as `completed`, come last."""

_UNDER_WAY = ("running", "unfinished", "pending")
"""Statuses of trials with nothing wrong, so that the table gives no reason."""


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """A trial of a sweep, or a run outside a sweep."""

    name: str
    status: str
    steps: int | None = None
    """Local steps per agent so far; None before the trial has begun."""
    budget: int | None = None
    """Local steps per agent of the whole trial."""
    average: float | None = None
    """Average return of the last evaluation; None before the first."""
    worst: float | None = None
    """Worst return of the last evaluation; None before the first."""
    last_row: float | None = None
    """Time at which its log last grew, in seconds since 1970."""
    reason: str = ""
    """Error in one line; empty if nothing is wrong."""
    environment: str = ""
    """Name of its environment: returns of others are not comparable."""
    curve: tuple[tuple[float, float], ...] = ()
    """Worst return over the share of the budget, at most `MOST` points."""
    outliers: tuple[int, ...] = ()
    """Ids of its outlying agents."""


def trial_rows(data: ReportData, stamps: Mapping[Path, Stamp]) -> list[TrialRow]:
    """Return a row per trial and run, running ones first."""
    problems = {problem.run: problem for problem in data.problems}
    rows = [_of_run(run, problems.get(run.label), stamps) for run in data.runs]
    read = {run.label for run in data.runs}
    rows += [_of_problem(p) for p in data.problems if p.run not in read and p.status != SKIPPED]
    return sorted(rows, key=lambda row: (_rank(row.status), row.name))


def counts(rows: Sequence[TrialRow]) -> str:
    """Return a text such as `8 trials: 3 completed, 2 running, 3 pending`."""
    found = Counter(row.status for row in rows)
    parts = ", ".join(f"{n} {status}" for status, n in sorted(found.items()))
    return f"{len(rows)} trial{'' if len(rows) == 1 else 's'}: {parts}" if rows else "No trial yet"


def _rank(status: str) -> int:
    return _FIRST.index(status) if status in _FIRST else len(_FIRST)


def _of_run(run: RunData, problem: Problem | None, stamps: Mapping[Path, Stamp]) -> TrialRow:
    return TrialRow(
        name=run.label,
        status=run.status,
        steps=run.training.rounds * round_steps(run.flat),
        budget=int(run.flat["federation.steps"]),
        average=_last(run, "average"),
        worst=_last(run, "worst"),
        last_row=_last_row(run.path, stamps),
        reason=_reason(problem),
        environment=title_of(run.flat),
        curve=_curve(run),
        outliers=tuple(sorted({one.agent for one in run.training.outliers})),
    )


def _curve(run: RunData) -> tuple[tuple[float, float], ...]:
    """Return the points of the worst return, thinned evenly; the first and the last are kept."""
    shares = run.evaluations.steps / int(run.flat["federation.steps"])
    points = [
        (float(x), float(y))
        for x, y in zip(shares, run.evaluations.statistics["worst"], strict=True)
        if math.isfinite(y)
    ]
    last, count = len(points) - 1, min(MOST, len(points))
    return tuple(points[round(i * last / max(1, count - 1))] for i in range(count))


def _last(run: RunData, name: str) -> float | None:
    values = run.evaluations.statistics[name]
    return float(values[-1]) if len(values) else None


def _last_row(path: Path, stamps: Mapping[Path, Stamp]) -> float | None:
    found = [stamps.get(path / name, (0, 0)) for name in (METRICS, EVALUATIONS)]
    return max((time_ns / 1e9 for time_ns, size in found if size), default=None)


def _of_problem(problem: Problem) -> TrialRow:
    return TrialRow(name=problem.run, status=problem.status, reason=_reason(problem))


def _reason(problem: Problem | None) -> str:
    """Return the error; empty for a trial that is under way."""
    return "" if problem is None or problem.status in _UNDER_WAY else problem.reason
