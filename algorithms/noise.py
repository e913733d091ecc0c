"""Exploration noise for continuous actions."""

from __future__ import annotations

import numpy as np

from .types import Array


class ActionNoise:
    """Ornstein-Uhlenbeck noise of N agents, with one step per local step.

        x <- x - theta x + sigma g,   g standard normal, x = 0 at the start of an episode.

    theta = 1 forgets x at once, which gives independent Gaussian noise.
    """

    def __init__(self, num_agents: int, size: int, *, theta: float, sigma: float) -> None:
        self._theta, self._sigma = theta, sigma
        self.x_NA = np.zeros((num_agents, size))

    def step(self, gaussian_NA: Array) -> Array:
        """Advance x and return it: [N, A] float64."""
        self.x_NA = self.x_NA - self._theta * self.x_NA + self._sigma * gaussian_NA
        return self.x_NA

    def restart(self, rows_N: Array) -> None:
        """Set x to 0 where the mask [N] is true."""
        self.x_NA[rows_N] = 0.0
