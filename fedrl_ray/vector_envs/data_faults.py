"""Checks of the numbers that an environment returns, after the cast to float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from algorithms.types import Array

DIVERGED = (
    "the action is not finite, because the policy's parameters diverged; "
    "a smaller learner.learning_rate or a learner.max_grad_norm may help"
)
"""Fault of a policy, not of the environment."""


class DataError(ValueError):
    """An observation or a reward that nobody can learn from; the message says which and why."""


def observation_of(raw: Any, shape: tuple[int, ...]) -> Array:
    """Return an observation as a flat float32 vector.

    shape: that of the observation space. Raises DataError: the observation has another shape, is
    no array of numbers, is not finite, or does not fit float32.
    """
    array = np.asarray(raw)
    if array.shape != shape:
        raise DataError(f"the observation must have the shape {shape}; got {array.shape}")
    if array.dtype.kind not in "biuf":
        raise DataError(f"the observation must be numbers; got {array.dtype}")
    with np.errstate(over="ignore"):
        flat = array.astype(np.float32).ravel()
    if not np.isfinite(flat).all():
        where = int(np.flatnonzero(~np.isfinite(flat))[0])
        raise DataError(_fault(f"observation[{where}]", float(array.ravel()[where])))
    return flat


def reward_of(raw: Any) -> float:
    """Return a reward as a number.

    Raises DataError: it is no single number, is not finite, or does not fit float32.
    """
    if not isinstance(raw, (int, float, np.number, np.bool_)):
        array = np.asarray(raw)
        if array.shape or array.dtype.kind not in "biuf":
            kind = f"an array of shape {array.shape}" if array.shape else type(raw).__name__
            raise DataError(f"the reward must be one number, like float(reward); got {kind}")
    reward = float(raw)
    if not abs(reward) <= _LARGEST:
        raise DataError(_fault("the reward", reward))
    return reward


def fault_in(obs: Array, reward: float) -> str | None:
    """Return the fault in one row of a step, or None."""
    if obs.dtype.kind == "f" and not np.isfinite(obs).all():
        where = int(np.flatnonzero(~np.isfinite(obs))[0])
        return _fault(f"observation[{where}]", float(obs[where]))
    return None if abs(reward) <= _LARGEST else _fault("the reward", reward)


_LARGEST = float(np.finfo(np.float32).max)


def _fault(name: str, value: float) -> str:
    if np.isfinite(value):
        return f"{name} does not fit float32, at most {_LARGEST:.2g} ({value:g})"
    return f"{name} is not finite ({value:g})"
