"""The border between a learner's actions and the actions of an environment's own space.

A learner counts discrete actions from 0, and its continuous actions are flat float32 vectors.
Training, trial, evaluation and exported policies all cross the border here, so an action never
leaves its space.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from algorithms.types import Array

if TYPE_CHECKING:  # importing torch takes a second
    import torch
    from torch import Tensor


class ActionEncoding(ABC):
    """Actions of one environment: learner's action <-> action of the environment's space.

    space, dtype, shape: those of the environment. Leading axes are kept, so M rows at once give
    [M, *shape].
    """

    resolution: float = 0.0
    """Distance within which two of the learner's actions may decode to the same setting."""
    num_actions: int = 0
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    """Spec of the learner's actions: a number of actions, or one bound per dimension."""

    def __init__(self, space: spaces.Space[Any]) -> None:
        assert space.dtype is not None and space.shape is not None
        self.space, self.dtype, self.shape = space, np.dtype(space.dtype), space.shape

    @property
    def is_plain(self) -> bool:
        """True if the learner's actions are those of the space, but for clipping."""
        return False

    @abstractmethod
    def decode(self, action: Array) -> Array:
        """Return actions of the space: [M] int64 or [M, A] float32 -> [M, *shape] of `dtype`."""

    @abstractmethod
    def encode(self, action: Array) -> Array:
        """Return the learner's actions, of which `decode` makes these: the inverse of `decode`."""

    @abstractmethod
    def decode_tensor(self, action: Tensor) -> Tensor:
        """Return what `decode` returns, by torch's functions, so that it can be exported."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Return the facts of the space that a program must know, for the model card."""


def tensor(array: Array) -> Tensor:
    """Return a copy of an array as a tensor."""
    import torch

    return torch.from_numpy(np.array(array))


def torch_type(dtype: np.dtype[Any]) -> torch.dtype:
    """Return torch's name for a type."""
    return tensor(np.zeros(0, dtype)).dtype
