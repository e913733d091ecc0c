"""Methods: all runs of one experiment, whatever their seeds; their final figures."""

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
    """Runs that differ in their seeds only.

    label: what sets it apart on the page. runs: those its figures and curves are made of, one per
    seed: the completed ones, or all while none is completed. left_out: the others.
    """

    label: str
    flat: Flat
    runs: tuple[RunData, ...]
    left_out: tuple[RunData, ...]

    @property
    def complete(self) -> bool:
        """Whether its figures are those of the whole budget; only then is it compared.

        A scheduler stops the poor seeds of a method, and poor seeds diverge: the others would
        flatter it.
        """
        spared = any(run.status == "stopped" for run in self.left_out)
        return all(run.complete for run in self.runs) and not spared and not self.failed

    @cached_property
    def seeds(self) -> frozenset[int]:
        """All seeds it was run with, whatever became of them."""
        return frozenset(run.seed for run in (*self.runs, *self.left_out))

    @cached_property
    def scored(self) -> frozenset[int]:
        """Seeds that spent the whole budget and have final returns."""
        return frozenset(run.seed for run in self.runs if run.complete and not run.failed)

    @cached_property
    def failed(self) -> frozenset[int]:
        """Seeds that failed, but for those that another run completed."""
        every = (*self.runs, *self.left_out)
        return frozenset(run.seed for run in every if run.failed) - self.scored

    @property
    def alone(self) -> bool:
        """Whether it is one trial of a population, whose keys changed while it ran."""
        return any(run.alone for run in (*self.runs, *self.left_out))

    @property
    def omega(self) -> float:
        """Robustness level; mean over agents; 0 for a learner that has none."""
        return level(self.flat.get(OMEGA)) or 0.0

    @property
    def sync_interval(self) -> int:
        """Local steps E between two averagings."""
        return round_steps(self.flat)

    @cached_property
    def setting(self) -> str:
        """Equal for methods that may be compared."""
        return canonical(setting(self.flat))

    @cached_property
    def without_omega(self) -> str:
        """Equal for methods that differ in omega only."""
        return canonical({key: value for key, value in self.flat.items() if key != OMEGA})

    @cached_property
    def returns(self) -> Array | None:
        """Final returns of every seed, test environment and episode, [S, M, R]; or None."""
        known = [x for run in self.runs if (x := run.evaluations.final_returns) is not None]
        return np.stack(known) if known and len({x.shape for x in known}) == 1 else None

    @cached_property
    def figures(self) -> dict[str, Interval]:
        """Every figure of `statistics`, and the nominal one; empty without returns."""
        if self.returns is None:
            return {}
        found = {name: statistics.interval(self.returns, name) for name in RETURN_STATISTICS}
        return found | {"nominal": self._nominal()}

    @property
    def scope(self) -> str:
        """What its intervals speak of."""
        return "" if self.returns is None else statistics.scope(self.returns)

    def _nominal(self) -> Interval:
        """Its episodes are not logged one by one: over seeds only."""
        values_S = np.array([run.evaluations.final("nominal") for run in self.runs])
        if not np.isfinite(values_S).all():
            return Interval(float("nan"), float("nan"), float("nan"))
        low, high = statistics.mean_interval(values_S[:, None])
        return Interval(float(values_S.mean()), float(low[0]), float(high[0]))


def grouped(runs: Iterable[RunData]) -> list[list[RunData]]:
    """Runs of one experiment together; a trial of a population stands alone."""
    groups: dict[str, list[RunData]] = {}
    for run in runs:
        alone = str(run.path) if run.alone else ""
        groups.setdefault(canonical(identity(run.flat)) + alone, []).append(run)
    return list(groups.values())


def chosen(runs: Sequence[RunData]) -> list[RunData]:
    """One run per seed, by seed: the same seed trained twice is one observation, not two."""
    scored = [run for run in runs if run.evaluations.final_returns is not None] or list(runs)
    complete = [run for run in scored if run.complete]
    by_seed: dict[int, RunData] = {}
    for run in complete or scored:
        by_seed.setdefault(run.seed, run)
    return [by_seed[seed] for seed in sorted(by_seed)]


def canonical(flat: Flat) -> str:
    """Equal text for equal values; 0 and 0.0 are equal."""
    return json.dumps({key: _number(flat[key]) for key in sorted(flat)}, default=str)


def _number(value: Any) -> Any:
    if isinstance(value, list):
        return [_number(v) for v in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value
