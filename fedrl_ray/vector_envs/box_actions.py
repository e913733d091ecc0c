"""Bounded boxes of actions: real numbers and whole numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from gymnasium import spaces

from algorithms.types import Array

from .action_encoding import ActionEncoding, tensor, torch_type

if TYPE_CHECKING:  # importing torch takes a second
    from torch import Tensor


class RealActions(ActionEncoding):
    """A bounded Box of real numbers.

    The learner's bounds are float32 numbers inside the Box. `decode` casts to the type of the space
    and then clips, because rounding can leave the Box again.
    """

    def __init__(self, space: spaces.Box) -> None:
        super().__init__(space)
        self._low, self._high = space.low, space.high
        self.low, self.high = _float32_inside(space.low.ravel(), space.high.ravel())
        if self.dtype.itemsize < 4:
            largest = float(np.max(np.abs([space.low, space.high])))
            self.resolution = largest * float(np.finfo(self.dtype).eps)

    @property
    def is_plain(self) -> bool:
        """True for float32 vectors."""
        return self.dtype == np.float32 and len(self.shape) == 1

    def decode(self, action: Array) -> Array:
        """Cast and clip."""
        cast = action.reshape(*action.shape[:-1], *self.shape).astype(self.dtype)
        return np.asarray(np.minimum(np.maximum(cast, self._low), self._high))

    def encode(self, action: Array) -> Array:
        """Return flat vectors within the learner's bounds."""
        flat = action.reshape(len(action), -1).astype(np.float64)
        return np.asarray(flat.clip(self.low, self.high).astype(np.float32))

    def decode_tensor(self, action: Tensor) -> Tensor:
        """Cast and clip."""
        cast = action.reshape(-1, *self.shape).to(torch_type(self.dtype))
        return cast.maximum(tensor(self._low)).minimum(tensor(self._high))

    def describe(self) -> dict[str, Any]:
        """Return the bounds of each dimension."""
        return {"low": self._low.tolist(), "high": self._high.tolist()}


class WholeActions(ActionEncoding):
    """A Box of whole numbers: each setting is an interval of length 1 of the learner's range."""

    resolution = 0.5

    def __init__(self, space: spaces.Box) -> None:
        super().__init__(space)
        self._low, self._high = space.low.astype(np.int64), space.high.astype(np.int64)
        spans = (self._high - self._low).ravel()
        self.low, self.high = (-0.5,) * spans.size, tuple((spans + 0.5).tolist())

    def decode(self, action: Array) -> Array:
        """Round to the nearest setting."""
        nearest = np.floor(action.reshape(*action.shape[:-1], *self.shape) + 0.5).astype(np.int64)
        setting = self._low + nearest.clip(0, self._high - self._low)
        return np.asarray(setting.astype(self.dtype))

    def encode(self, action: Array) -> Array:
        """Return the middle of each setting's interval."""
        flat = (action - self._low).reshape(len(action), -1)
        return np.asarray(flat.clip(self.low, self.high).astype(np.float32))

    def decode_tensor(self, action: Tensor) -> Tensor:
        """Round to the nearest setting."""
        low, span = tensor(self._low), tensor(self._high - self._low)
        nearest = (action.reshape(-1, *self.shape) + 0.5).floor().to(low.dtype)
        return (low + nearest.clamp(min=0).minimum(span)).to(torch_type(self.dtype))

    def describe(self) -> dict[str, Any]:
        """Return the bounds of each dimension."""
        return {"low": self._low.tolist(), "high": self._high.tolist()}


def _float32_inside(low: Array, high: Array) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return float32 bounds, rounded inwards.

    Where no float32 number lies between the bounds, both are the nearest one; `decode` clips.
    """
    up, down = low.astype(np.float32), high.astype(np.float32)
    up = np.where(up < low, np.nextafter(up, np.float32(np.inf)), up)
    down = np.where(down > high, np.nextafter(down, np.float32(-np.inf)), down)
    empty = up > down
    nearest = low.astype(np.float32)
    up, down = np.where(empty, nearest, up), np.where(empty, nearest, down)
    return tuple(up.tolist()), tuple(down.tolist())
