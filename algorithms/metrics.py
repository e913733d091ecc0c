"""Means per agent over a round, kept as sums until they are read."""

from __future__ import annotations

import numpy as np

from .arrays import Home, Numbers, to_numpy
from .types import Array


class MeanPerAgent:
    """Sums of [N] values by name, kept on the learner's device until `drain` reads the means."""

    def __init__(self, num_agents: int, home: Home) -> None:
        self._num_agents, self._home = num_agents, home
        self._sums: dict[str, Numbers] = {}
        self._counts: dict[str, int] = {}

    def expect(self, *names: str) -> None:
        """Name metrics before their first value; they are NaN until then."""
        for name in names:
            self._sums[name], self._counts[name] = self._home.sums(self._num_agents), 0

    def add(self, **values_N: Numbers) -> None:
        """Add one value per agent, [N], to each named metric."""
        for name, value in values_N.items():
            if name not in self._sums:
                self.expect(name)
            self._sums[name] += value
            self._counts[name] += 1

    def drain(self) -> dict[str, Array]:
        """Return means by name, each [N] float64; NaN if nothing was added since the last call."""
        means: dict[str, Array] = {}
        for name, total in self._sums.items():
            count = self._counts[name]
            means[name] = to_numpy(total) / count if count else np.full(self._num_agents, np.nan)
        self.expect(*means)
        return means
