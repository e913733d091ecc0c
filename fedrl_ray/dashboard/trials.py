"""How far every trial is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..reports.data import ReportData
from ..reports.keys import round_steps
from ..reports.runs import RunData
from ..reports.sources import PASSED_OVER, Problem
from ..runs.run_directory import EVALUATIONS, METRICS
from .stamps import Stamp

_FIRST = ("running", "not ended", "failed", "does not read", "interrupted", "pending", "stopped")
"""What a reader looks for comes first; all else, completed trials above all, comes last."""

_ON_ITS_WAY = ("running", "not ended", "pending")


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """A trial of a sweep, or a run of its own."""

    name: str
    status: str
    steps: int | None = None
    """Local steps per agent so far; None before it has begun."""
    budget: int | None = None
    average: float | None = None
    """Of the last evaluation; None before the first."""
    worst: float | None = None
    last_row: float | None = None
    """When its log last grew, in seconds since 1970."""
    reason: str = ""
    """Where something is wrong."""


def trial_rows(data: ReportData, stamps: Mapping[Path, Stamp]) -> list[TrialRow]:
    """Everything that runs, has run or is to run; what runs comes first."""
    problems = {problem.run: problem for problem in data.problems}
    rows = [_of_run(run, problems.get(run.label), stamps) for run in data.runs]
    read = {run.label for run in data.runs}
    rows += [_of_problem(p) for p in data.problems if p.run not in read and p.status != PASSED_OVER]
    return sorted(rows, key=lambda row: (_rank(row.status), row.name))


def counts(rows: Sequence[TrialRow]) -> str:
    """`8 trials: 3 completed, 2 running, 3 pending`."""
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
    )


def _last(run: RunData, name: str) -> float | None:
    values = run.evaluations.figures[name]
    return float(values[-1]) if len(values) else None


def _last_row(path: Path, stamps: Mapping[Path, Stamp]) -> float | None:
    found = [stamps.get(path / name, (0, 0)) for name in (METRICS, EVALUATIONS)]
    return max((time_ns / 1e9 for time_ns, size in found if size), default=None)


def _of_problem(problem: Problem) -> TrialRow:
    return TrialRow(name=problem.run, status=problem.status, reason=_reason(problem))


def _reason(problem: Problem | None) -> str:
    """Not for a trial that is only on its way."""
    return "" if problem is None or problem.status in _ON_ITS_WAY else problem.reason
