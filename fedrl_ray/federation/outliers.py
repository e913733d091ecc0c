"""Outliers: participants whose update or loss is far above that of the others, round by round.

A mean has no defence against an agent that sends garbage, so the run at least names it. The update
norm alone does not show poisoned rewards: Adam divides by the size of the gradient. The losses do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from algorithms.types import Array

from ..agents.messages import Outlier

MEASURES = {
    "update_norm": 10.0,
    "td_loss": 100.0,
    "value_loss": 100.0,
    "value_loss_unclipped": 100.0,
}
"""Metrics that are compared -> the multiple of the others' median above which an agent is far off.

A loss is the square of an error, and so is its multiple. PPO clips its value loss (at 10 by
default), which hides large errors.
"""

ROUNDS = 3
"""Rounds in a row after which an agent that is far off is an outlier; single ones are chance."""

DECAY = 0.9
"""Share of an agent's largest value that is left after each round that it takes part in.

Agents are compared with the recent largest values of the others. Where rewards are sparse, most
agents learn nothing in most rounds, and the one that does would be far above their median.
"""


class OutlierWatch:
    """Finds the outliers of each round from its metrics, [K] each."""

    def __init__(self) -> None:
        self._last = 0
        self._reset()

    def look(self, round_number: int, metrics: Mapping[str, Array]) -> tuple[Outlier, ...]:
        """Return the outliers of a round. After a rewind it begins anew."""
        if round_number <= self._last:
            self._reset()
        self._last = round_number
        return tuple(
            one
            for name, multiple in MEASURES.items()
            if name in metrics
            for one in self._outliers(name, metrics[name], multiple)
        )

    def _reset(self) -> None:
        self._peaks: dict[str, Array] = {}
        self._in_a_row: dict[str, Array] = {}
        self._count: dict[tuple[str, int], int] = {}

    def _outliers(self, name: str, values_K: Array, multiple: float) -> Iterator[Outlier]:
        """Yield the agents that are far off now; infinity is far off without any comparison."""
        endless_K, times_K = np.isposinf(values_K), self._times_median(name, values_K)
        in_a_row_K = self._in_a_row.setdefault(name, np.zeros(len(values_K), dtype=np.int64))
        seen_K = ~np.isnan(values_K)
        in_a_row_K[seen_K] = np.where(times_K[seen_K] > multiple, in_a_row_K[seen_K] + 1, 0)
        for agent in np.flatnonzero(seen_K & (endless_K | (in_a_row_K >= ROUNDS))).tolist():
            count = self._count[name, agent] = self._count.get((name, agent), 0) + 1
            yield Outlier(agent, name, float(values_K[agent]), float(times_K[agent]), count)

    def _times_median(self, name: str, values_K: Array) -> Array:
        """Return each value as a multiple of the others' median peak, [K].

        It is NaN for agents that took no part, and for all of them if there is no other agent or
        the median is 0, as before learning starts.
        """
        finite_K = np.isfinite(values_K)
        peaks_K = self._peaks.setdefault(name, np.full(len(values_K), np.nan))
        peaks_K[finite_K] = np.fmax(values_K[finite_K], DECAY * peaks_K[finite_K])
        others = np.sort(peaks_K[finite_K])[:-1]  # an outlier has the largest
        median = float(np.median(others)) if len(others) else 0.0
        return values_K / median if median > 0 else np.full(len(values_K), np.nan)
