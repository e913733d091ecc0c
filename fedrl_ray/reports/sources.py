"""From paths to runs: run directories, sweeps and folders of them, with named problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..common.errors import UserError
from ..config.renamed_keys import under_new_names
from ..config.yaml_files import read_yaml
from ..runs.run_directory import CONFIG, EVALUATIONS, METRICS
from ..sweeps.directory import SWEEP, Trial, is_sweep, read_trials
from .numbers import value_text
from .runs import RunData, read_run

SKIPPED = "skipped"
"""Status of a folder that has logs but no experiment."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A run that is missing or excluded, with the reason."""

    run: str
    status: str
    point: dict[str, Any]
    """Searched keys and seed of a trial; empty for a run outside a sweep."""
    reason: str

    def __str__(self) -> str:
        where = ", ".join(f"{key} {value_text(value)}" for key, value in self.point.items())
        return f"{self.run}: {self.status}{f' at {where}' if where else ''}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class SweepInfo:
    """A sweep: its configuration and its trials."""

    path: Path
    config: dict[str, Any]
    """Section `sweep` of sweep.yaml."""
    trials: tuple[Trial, ...]

    @property
    def is_population(self) -> bool:
        """True if trials take over states from each other while they run."""
        scheduler = self.config.get("scheduler")
        return (scheduler.get("name") if isinstance(scheduler, dict) else scheduler) == "pbt"


@dataclass
class Found:
    """Runs, sweeps and problems that were found at some paths."""

    runs: list[RunData] = field(default_factory=list)
    sweeps: list[SweepInfo] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seen: set[Path] = field(default_factory=set)

    def is_new(self, path: Path) -> bool:
        """Record a directory; return True unless it was read before, under any name."""
        before = len(self.seen)
        self.seen.add(path.resolve())
        return len(self.seen) > before


def find(paths: Sequence[Path]) -> Found:
    """Return everything at the paths.

    Raises UserError if a path holds no run, or if it is itself an unreadable run or sweep. An
    unreadable run in a folder becomes a problem.
    """
    found = Found()
    for path in paths:
        if is_sweep(path):
            _add_sweep(found, path)
        elif (path / CONFIG).is_file():
            _add_run(found, path)
        else:
            _add_folder(found, path)
    return found


def _add_run(found: Found, path: Path) -> None:
    if found.is_new(path):
        found.runs.append(read_run(path, path.resolve().name))


def _add_folder(found: Found, path: Path) -> None:
    below = sorted(p for p in path.iterdir() if p.is_dir()) if path.is_dir() else []
    inside = [p for p in below if is_sweep(p) or (p / CONFIG).is_file()]
    if not inside:
        raise UserError(
            f"{path}: must be a run directory, a sweep or a folder of them; "
            f"got neither {CONFIG} nor {SWEEP} in it"
        )
    for folder in inside:
        _add_if_it_reads(found, folder)
    for folder in _without_config(below, inside):
        found.problems.append(
            Problem(run=folder.name, status=SKIPPED, point={}, reason=f"it has no {CONFIG}")
        )


def _add_if_it_reads(found: Found, path: Path) -> None:
    """Add a run or a sweep, or a problem if it is unreadable."""
    try:
        (_add_sweep if is_sweep(path) else _add_run)(found, path)
    except UserError as error:
        problem = Problem(run=path.name, status="unreadable", point={}, reason=str(error))
        found.problems.append(problem)


def _without_config(below: Sequence[Path], inside: Sequence[Path]) -> Iterator[Path]:
    """Yield folders with the logs of a run, but without its experiment."""
    for path in below:
        if path not in inside and any((path / log).is_file() for log in (METRICS, EVALUATIONS)):
            yield path


def _add_sweep(found: Found, path: Path) -> None:
    if not found.is_new(path):
        return
    config = under_new_names(read_yaml(path / SWEEP), source=str(path), hint=False).get("sweep")
    trials = tuple(read_trials(path))
    info = SweepInfo(path=path, config=config if isinstance(config, dict) else {}, trials=trials)
    before = f"{path}/" if found.sweeps else ""  # trials of two sweeps may have equal names
    found.sweeps.append(info)
    for trial in trials:
        own = path / "trials" / trial.name
        if not own.resolve().is_relative_to(path.resolve()):
            raise UserError(f"{own}: must lie inside the sweep; got a link that leaves it")
        _add_trial(found, own, trial._replace(name=before + trial.name), alone=info.is_population)


def _add_trial(found: Found, path: Path, trial: Trial, *, alone: bool) -> None:
    if (path / CONFIG).is_file() and found.is_new(path):
        try:
            found.runs.append(
                read_run(
                    path, trial.name, status=str(trial.status), reason=trial.reason, alone=alone
                )
            )
        except UserError as error:
            found.problems.append(_problem(trial, "unreadable", str(error)))
            return
    reason = None if trial.status == "completed" else _reason(trial)
    if not (path / CONFIG).is_file():
        lost = trial.status in ("completed", "stopped")
        reason = "its run directory is missing" if lost else reason
    if reason:
        found.problems.append(_problem(trial, str(trial.status), reason))


_UNKNOWN = "it gave no reason"
_WORDS = {
    "pending": "it has not begun",
    "running": "it has not ended",
    "stopped": "the scheduler stopped it before its budget was spent",
    "failed": _UNKNOWN,
}


def _reason(trial: Trial) -> str:
    return _last_line(trial.reason) or _WORDS.get(trial.status, _UNKNOWN)


def _last_line(text: str | None) -> str:
    """Return the last line of a traceback, which holds the error."""
    lines = [line.strip() for line in str(text or "").splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""


def _problem(trial: Trial, status: str, reason: str) -> Problem:
    point = trial.point | {"seed": trial.seed}
    return Problem(run=trial.name, status=status, point=point, reason=reason)
