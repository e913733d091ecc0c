"""Means per agent over a round, kept as sums until they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .on_use import torch
from .types import Array

if TYPE_CHECKING:
    from torch import Tensor


class MeanPerAgent:
    """Accumulates [N] tensors by name, on their device. Reading gives the means and starts
    again."""

    def __init__(self, num_agents: int, device: str = "cpu") -> None:
        self._num_agents, self._device = num_agents, device
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def expect(self, *names: str) -> None:
        """Name metrics before their first value: they read NaN until then."""
        for name in names:
            self._sums[name] = torch.zeros(
                self._num_agents, dtype=torch.float64, device=self._device
            )
            self._counts[name] = 0

    def add(self, **values_N: Tensor) -> None:
        """One value per agent of each metric, [N]."""
        for name, value in values_N.items():
            if name not in self._sums:
                self.expect(name)
            self._sums[name] += value
            self._counts[name] += 1

    def drain(self) -> dict[str, Array]:
        """Means by name, each [N] float64; NaN where nothing was added since the last call."""
        means: dict[str, Array] = {}
        for name, total in self._sums.items():
            count = self._counts[name]
            means[name] = (
                total.cpu().numpy() / count if count else np.full(self._num_agents, np.nan)
            )
            self._sums[name], self._counts[name] = torch.zeros_like(total), 0
        return means
