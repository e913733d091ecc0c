"""Discrete action spaces, and products of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from algorithms.types import Array

from .action_encoding import ActionEncoding, tensor, torch_type

if TYPE_CHECKING:  # importing torch takes a second
    from torch import Tensor


class DiscreteActions(ActionEncoding):
    """A Discrete space: the learner's 0 is the environment's `start`."""

    def __init__(self, space: spaces.Discrete[Any]) -> None:
        super().__init__(space)
        self.num_actions, self.start = int(space.n), int(space.start)

    @property
    def is_plain(self) -> bool:
        """True if the space counts from 0."""
        return self.start == 0

    def decode(self, action: Array) -> Array:
        """Add `start`."""
        return np.asarray(action + self.start).astype(self.dtype)

    def encode(self, action: Array) -> Array:
        """Subtract `start`."""
        return action.astype(np.int64) - self.start

    def decode_tensor(self, action: Tensor) -> Tensor:
        """Add `start`."""
        return (action + self.start).to(torch_type(self.dtype))

    def describe(self) -> dict[str, Any]:
        """Return the first and the last action."""
        return {"count": self.num_actions, "low": self.start,
                "high": self.start + self.num_actions - 1}  # fmt: skip


class ProductActions(ActionEncoding):
    """A MultiDiscrete or MultiBinary space, whose combinations are numbered in C order."""

    def __init__(self, space: spaces.Space[Any], nvec: Array, start: Array) -> None:
        super().__init__(space)
        self._nvec, self._start = nvec.astype(np.int64), start.astype(np.int64)
        sizes = self._nvec.ravel()
        self.num_actions = int(np.prod(sizes))
        self._strides = np.append(np.cumprod(sizes[:0:-1])[::-1], 1).astype(np.int64)

    def decode(self, action: Array) -> Array:
        """Take the number of a combination apart."""
        parts = np.asarray(action)[..., None] // self._strides % self._nvec.ravel()
        return (parts.reshape(*np.shape(action), *self.shape) + self._start).astype(self.dtype)

    def encode(self, action: Array) -> Array:
        """Return the number of each combination."""
        parts = (action.astype(np.int64) - self._start).reshape(len(action), -1)
        return np.asarray((parts * self._strides).sum(-1))

    def decode_tensor(self, action: Tensor) -> Tensor:
        """Take the number of a combination apart."""
        strides, nvec, start = map(tensor, (self._strides, self._nvec, self._start.ravel()))
        nvec = nvec.ravel()
        parts = action[..., None] // strides % nvec + start
        return parts.reshape(-1, *self.shape).to(torch_type(self.dtype))

    def describe(self) -> dict[str, Any]:
        """Return the first and the last action of each dimension."""
        last = self._start + self._nvec - 1
        return {"combinations": self.num_actions, "low": self._start.tolist(),
                "high": last.tolist()}  # fmt: skip
