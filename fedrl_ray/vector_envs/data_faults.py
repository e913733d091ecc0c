"""Checks of what an environment returns; numbers are checked after the cast to float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from algorithms.types import Array

from ..common.errors import one_line

DIVERGED = (
    "the action is not finite, because the policy's parameters diverged; "
    "a smaller learner.learning_rate or a learner.max_grad_norm may help"
)
"""Fault of a policy, not of the environment."""


class DataError(ValueError):
    """A result of `reset` or `step` that nobody can learn from; the message says which and why."""


def reset_of(result: Any, shape: tuple[int, ...]) -> tuple[Array, dict[str, Any]]:
    """Return the two values of a reset, with the observation as a flat float32 vector.

    shape: that of the observation space. Raises DataError: they are not as Gymnasium defines them.
    """
    if not (isinstance(result, tuple) and len(result) == 2):
        raise DataError(f"reset must return (observation, info); got {_kind(result)}")
    return observation_of(result[0], shape), _info_of(result[1])


def step_of(result: Any, shape: tuple[int, ...]) -> tuple[Array, float, bool, bool, dict[str, Any]]:
    """Return the five values of a step, with the observation as a flat float32 vector.

    shape: that of the observation space. Raises DataError: they are not as Gymnasium defines them.
    """
    if not (isinstance(result, tuple) and len(result) == 5):
        raise DataError(
            "step must return (observation, reward, terminated, truncated, info); got "
            f"{_kind(result)}"
        )
    obs, reward, terminated, truncated, info = result
    return (
        observation_of(obs, shape),
        reward_of(reward),
        _end_of(terminated, "terminated"),
        _end_of(truncated, "truncated"),
        _info_of(info),
    )


def observation_of(raw: Any, shape: tuple[int, ...]) -> Array:
    """Return an observation as a flat float32 vector.

    shape: that of the observation space. Raises DataError: the observation has another shape, is
    no array of numbers, is not finite, or does not fit float32.
    """
    if isinstance(raw, np.ma.MaskedArray) and np.ma.is_masked(raw):
        raise DataError("the observation must have no masked numbers; got a masked array")
    array = _array_of(raw, "the observation")
    if array.shape != shape:
        got = array.shape if isinstance(raw, (np.ndarray, list, tuple)) else _kind(raw)
        raise DataError(f"the observation must have the shape {shape}; got {got}")
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
    if not isinstance(raw, (int, float)):
        array = _array_of(raw, "the reward")
        if array.shape or array.dtype.kind not in "biuf":
            kind = f"an array of shape {array.shape}" if array.shape else type(raw).__name__
            raise DataError(f"the reward must be one number, like float(reward); got {kind}")
    try:
        reward = float(raw)
    except OverflowError:  # a whole number of hundreds of digits
        raise DataError(f"the reward does not fit float32, at most {_LARGEST:.2g}") from None
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


def _array_of(raw: Any, what: str) -> Array:
    try:
        return np.asarray(raw)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; tensors with gradients
        raise DataError(f"{what} must be an array of numbers; {one_line(error)}") from None


def _end_of(value: Any, what: str) -> bool:
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return bool(value)
    if isinstance(value, np.ndarray) and value.shape == () and value.dtype.kind in "biu":
        return bool(value)
    raise DataError(f"{what} must be true or false, like bool({what}); got {_kind(value)}")


def _info_of(info: Any) -> dict[str, Any]:
    if not isinstance(info, dict):
        raise DataError(f"the info must be a dict, {{}} if empty; got {_kind(info)}")
    return info


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    name = type(value).__name__
    return f"{name} of {len(value)}" if isinstance(value, tuple) else name


def _fault(name: str, value: float) -> str:
    if np.isfinite(value):
        return f"{name} does not fit float32, at most {_LARGEST:.2g} ({value:g})"
    return f"{name} is not finite ({value:g})"
