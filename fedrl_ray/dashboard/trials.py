"""How far every trial is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..reports.data import ReportData
from ..reports.runs import RunData
from ..reports.sources import PASSED_OVER, Problem
from ..run_directory import METRICS
from .stamps import Stamp

_FIRST = ("running", "not ended", "failed", "does not read", "interrupted", "pending", "stopped")
"""What a reader looks for comes first; all else, completed trials above all, comes last."""


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
    """Why it failed, or does not read."""


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
    stamp = stamps.get(run.path / METRICS)
    bad = problem is not None and problem.status in ("failed", "does not read")
    return TrialRow(
        name=run.label,
        status=run.status,
        steps=run.training.rounds * int(run.flat["federation.sync_interval"]),
        budget=int(run.flat["federation.steps"]),
        average=_last(run, "average"),
        worst=_last(run, "worst"),
        last_row=stamp[0] / 1e9 if stamp and stamp[1] else None,
        reason=problem.reason if problem and bad else "",
    )


def _last(run: RunData, name: str) -> float | None:
    values = run.evaluations.figures[name]
    return float(values[-1]) if len(values) else None


def _of_problem(problem: Problem) -> TrialRow:
    reason = "" if problem.status == "pending" else problem.reason
    return TrialRow(name=problem.run, status=problem.status, reason=reason)
