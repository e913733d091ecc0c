"""Methods: all runs of one experiment, whatever their seeds, with their final statistics."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from algorithms.types import Array

from ..analysis import statistics
from ..analysis.statistics import RETURN_STATISTICS, Interval
from .keys import OMEGA, Flat, identity, level, round_steps, setting
from .runs import RunData


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """Runs that differ in their seeds only."""

    label: str
    """Name on the page."""
    flat: Flat
    """Keys that decide its results."""
    runs: tuple[RunData, ...]
    """Runs in its statistics and curves, one per seed; only completed ones if there are any."""
    left_out: tuple[RunData, ...]
    """Its other runs."""

    @property
    def complete(self) -> bool:
        """True if its statistics cover the whole budget of every seed; only then is it compared.

        A scheduler stops poor seeds, and poor seeds diverge, so the other seeds alone would flatter
        the method.
        """
        spared = any(run.status == "stopped" for run in self.left_out)
        return all(run.complete for run in self.runs) and not spared and not self.failed

    @cached_property
    def seeds(self) -> frozenset[int]:
        """Seeds of all its runs, whatever their status."""
        return frozenset(run.seed for run in (*self.runs, *self.left_out))

    @cached_property
    def scored(self) -> frozenset[int]:
        """Seeds that spent the whole budget and have final returns."""
        return frozenset(run.seed for run in self.runs if run.complete and not run.failed)

    @cached_property
    def failed(self) -> frozenset[int]:
        """Seeds that failed, except those that another run completed."""
        every = (*self.runs, *self.left_out)
        return frozenset(run.seed for run in every if run.failed) - self.scored

    @property
    def alone(self) -> bool:
        """True for a trial of a population, whose keys change while it runs."""
        return any(run.alone for run in (*self.runs, *self.left_out))

    @property
    def omega(self) -> float:
        """Robustness level, mean over agents; 0 for a learner without one."""
        return level(self.flat.get(OMEGA)) or 0.0

    @property
    def sync_interval(self) -> int:
        """Local steps E between two averagings."""
        return round_steps(self.flat)

    @cached_property
    def setting(self) -> str:
        """Text that is equal for methods that may be compared."""
        return canonical(setting(self.flat))

    @cached_property
    def without_omega(self) -> str:
        """Text that is equal for methods that differ in omega only."""
        return canonical({key: value for key, value in self.flat.items() if key != OMEGA})

    @cached_property
    def returns(self) -> Array | None:
        """Final returns of every seed, test environment and episode, [S, M, R]; None if unknown."""
        known = [x for run in self.runs if (x := run.evaluations.final_returns) is not None]
        return np.stack(known) if known and len({x.shape for x in known}) == 1 else None

    @cached_property
    def statistics(self) -> dict[str, Interval]:
        """Every return statistic and the nominal return, with intervals; empty without returns."""
        if self.returns is None:
            return {}
        found = {name: statistics.interval(self.returns, name) for name in RETURN_STATISTICS}
        return found | {"nominal": self._nominal()}

    @property
    def scope(self) -> str:
        """Phrase that says what its intervals cover."""
        return "" if self.returns is None else statistics.scope(self.returns)

    def _nominal(self) -> Interval:
        """Return the nominal return; its interval covers seeds only, as episodes are not logged."""
        values_S = np.array([run.evaluations.final("nominal") for run in self.runs])
        if not np.isfinite(values_S).all():
            return Interval(float("nan"), float("nan"), float("nan"))
        low, high = statistics.mean_interval(values_S[:, None])
        return Interval(float(values_S.mean()), float(low[0]), float(high[0]))


def grouped(runs: Iterable[RunData]) -> list[list[RunData]]:
    """Group runs by experiment; each trial of a population is a group of its own."""
    groups: dict[str, list[RunData]] = {}
    for run in runs:
        alone = str(run.path) if run.alone else ""
        groups.setdefault(canonical(identity(run.flat)) + alone, []).append(run)
    return list(groups.values())


def chosen(runs: Sequence[RunData]) -> list[RunData]:
    """Return one run per seed, sorted: a seed that was trained twice is one observation."""
    scored = [run for run in runs if run.evaluations.final_returns is not None] or list(runs)
    complete = [run for run in scored if run.complete]
    by_seed: dict[int, RunData] = {}
    for run in complete or scored:
        by_seed.setdefault(run.seed, run)
    return [by_seed[seed] for seed in sorted(by_seed)]


def canonical(flat: Flat) -> str:
    """Return a text that is equal for equal values; 0 and 0.0 are equal."""
    return json.dumps({key: _number(flat[key]) for key in sorted(flat)}, default=str)


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [_number(v) for v in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
