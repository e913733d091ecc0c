"""The content of a report, read from run and sweep directories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .keys import round_steps
from .numbers import plural
from .runs import RunData
from .sources import Problem, SweepInfo, find
from .studies import Study, studies_of


@dataclass(frozen=True, kw_only=True, eq=False)
class ReportData:
    """Runs, the studies that they form, and the runs that are missing."""

    runs: tuple[RunData, ...]
    studies: tuple[Study, ...]
    sweeps: tuple[SweepInfo, ...]
    problems: tuple[Problem, ...]

    @property
    def title(self) -> str:
        """The names of the experiments; of the environments if there are more than four."""
        names = sorted({run.name for run in self.runs})
        few = names if len(names) <= 4 else sorted(study.title for study in self.studies)
        return ", ".join(few) or ", ".join(sweep.path.resolve().name for sweep in self.sweeps)


def read(paths: Sequence[Path]) -> ReportData:
    """Read runs, sweeps and folders of them. Raises UserError."""
    found = find(list(paths))
    runs = _labelled(found.runs)
    studies = studies_of(runs)
    problems = [*found.problems, *_of_runs(runs, {p.run for p in found.problems})]
    problems += [p for study in studies for p in _twice(study)]
    return ReportData(
        runs=tuple(runs),
        studies=tuple(studies),
        sweeps=tuple(found.sweeps),
        problems=tuple(problems),
    )


def _labelled(runs: Sequence[RunData]) -> list[RunData]:
    """Return the runs with folder names as labels, or whole paths if two names are equal."""
    counts = Counter(run.label for run in runs)
    return [run if counts[run.label] == 1 else replace(run, label=str(run.path)) for run in runs]


def _of_runs(runs: Sequence[RunData], named: set[str]) -> list[Problem]:
    """Return a problem for each run with an unspent budget or with returns that are not finite."""
    problems = []
    for run in runs:
        if not run.complete and run.label not in named:
            budget = run.flat["federation.steps"]
            done = run.training.rounds * round_steps(run.flat)
            reason = f"{done:,} of {plural(budget, 'local step')} done"
            reason += f"; {run.reason}" if run.reason else ""
            problems.append(Problem(run=run.label, status=run.status, point={}, reason=reason))
        if len(run.evaluations.steps) and run.evaluations.final_returns is None:
            reason = "its final returns are not all finite numbers"
            problems.append(Problem(run=run.label, status="excluded", point={}, reason=reason))
    return problems


def _twice(study: Study) -> list[Problem]:
    """Return a problem for each complete run whose seed another run of its method has."""
    return [
        Problem(
            run=run.label,
            status="excluded",
            point={},
            reason=f"another run of {method.label} has seed {run.seed} too; only one counts",
        )
        for method in study.methods
        for run in method.left_out
        if run.seed in {other.seed for other in method.runs}
        and run.complete
        and run.evaluations.final_returns is not None
    ]
