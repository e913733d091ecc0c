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

from algorithms.types import Array, Spec

if TYPE_CHECKING:  # importing torch takes a second
    import torch
    from torch import Tensor

MOST_COMBINATIONS = 1024
"""Most actions that a product of discrete spaces may have."""
WIDEST_RANGE = 2**22
"""Widest range of whole numbers whose halves float32 can hold."""
_LARGEST_BOUND = 1e18


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
        return (action + self.start).to(_torch_type(self.dtype))

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
        strides, nvec, start = map(_tensor, (self._strides, self._nvec, self._start.ravel()))
        nvec = nvec.ravel()
        parts = action[..., None] // strides % nvec + start
        return parts.reshape(-1, *self.shape).to(_torch_type(self.dtype))

    def describe(self) -> dict[str, Any]:
        """Return the first and the last action of each dimension."""
        last = self._start + self._nvec - 1
        return {"combinations": self.num_actions, "low": self._start.tolist(),
                "high": last.tolist()}  # fmt: skip


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
        cast = action.reshape(-1, *self.shape).to(_torch_type(self.dtype))
        return cast.maximum(_tensor(self._low)).minimum(_tensor(self._high))

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
        low, span = _tensor(self._low), _tensor(self._high - self._low)
        nearest = (action.reshape(-1, *self.shape) + 0.5).floor().to(low.dtype)
        return (low + nearest.clamp(min=0).minimum(span)).to(_torch_type(self.dtype))

    def describe(self) -> dict[str, Any]:
        """Return the bounds of each dimension."""
        return {"low": self._low.tolist(), "high": self._high.tolist()}


def encoding_of(space: spaces.Space[Any]) -> ActionEncoding:
    """Return the encoding of a space. Raises ValueError: no learner can act in the space."""
    if isinstance(space, spaces.Discrete):
        return DiscreteActions(space)
    if isinstance(space, spaces.MultiDiscrete):
        return _product(np.asarray(space.nvec), np.asarray(space.start), space)
    if isinstance(space, spaces.MultiBinary):
        shape = space.shape
        return _product(np.full(shape, 2), np.zeros(shape, dtype=np.int64), space)
    if isinstance(space, spaces.Box):
        return _box(space)
    raise ValueError(
        "action space must be Discrete, MultiDiscrete, MultiBinary or a bounded Box; "
        f"got {short(space)} (environment.wrappers can change it)"
    )


def encoding_of_spec(spec: Spec) -> ActionEncoding:
    """Return the encoding of a family of ours, whose space is the learner's own."""
    if spec.kind != "continuous":
        return DiscreteActions(spaces.Discrete(spec.num_actions))
    low, high = (np.array(x, dtype=np.float32) for x in (spec.action_low, spec.action_high))
    return RealActions(spaces.Box(low, high, dtype=np.float32))


def short(space: spaces.Space[Any]) -> str:
    """Return the text of a space in at most 80 characters."""
    text = " ".join(str(space).split())
    return text if len(text) <= 80 else text[:77] + "..."


def _product(nvec: Array, start: Array, space: spaces.Space[Any]) -> ProductActions:
    combinations = int(np.prod(nvec.astype(object)))
    if combinations > MOST_COMBINATIONS:
        raise ValueError(
            f"action space must have at most {MOST_COMBINATIONS:,} combinations; got "
            f"{combinations:,} of {short(space)} (a wrapper in environment.wrappers can offer "
            "fewer)"
        )
    return ProductActions(space, nvec, start)


def _box(space: spaces.Box) -> ActionEncoding:
    if not space.low.size:
        raise ValueError(f"action space must have at least one dimension; got {short(space)}")
    if np.issubdtype(space.low.dtype, np.floating):
        if not _is_bounded(space):
            raise ValueError(
                f"action space must have bounds in every dimension; got {short(space)} "
                "(gymnasium.wrappers:RescaleAction in environment.wrappers sets them)"
            )
        return RealActions(space)
    span = int(np.max(space.high.astype(object) - space.low.astype(object)))
    if span > WIDEST_RANGE:
        raise ValueError(
            f"action space must span at most {WIDEST_RANGE:,} whole numbers; got {short(space)}"
        )
    return WholeActions(space)


def _is_bounded(space: spaces.Box) -> bool:
    """Return False for infinite bounds, and for the largest numbers, which stand for them.

    The limit is a number whose square a float32 network can hold.
    """
    largest = min(float(np.finfo(space.low.dtype).max), _LARGEST_BOUND)
    bounds = np.concatenate([space.low.ravel(), space.high.ravel()]).astype(np.float64)
    return bool((np.abs(bounds) < largest).all())


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


def _tensor(array: Array) -> Tensor:
    import torch

    return torch.from_numpy(np.array(array))


def _torch_type(dtype: np.dtype[Any]) -> torch.dtype:
    return _tensor(np.zeros(0, dtype)).dtype
