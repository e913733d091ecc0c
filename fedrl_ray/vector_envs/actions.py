"""The choice of an action encoding for a space."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from algorithms.types import Array, Spec

from .action_encoding import ActionEncoding
from .box_actions import RealActions, WholeActions
from .discrete_actions import DiscreteActions, ProductActions

__all__ = [
    "ActionEncoding",
    "RealActions",
    "WholeActions",
    "encoding_of",
    "encoding_of_spec",
    "short",
]

MOST_COMBINATIONS = 1024
"""Most actions that a product of discrete spaces may have."""
WIDEST_RANGE = 2**22
"""Widest range of whole numbers whose halves float32 can hold."""
_LARGEST_BOUND = 1e18


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
