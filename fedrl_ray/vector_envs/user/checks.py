"""Rules that a user's environment must keep; each refuses with one line that says what to change.

An exception that the environment raises keeps its traceback.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gymnasium
import numpy as np

from algorithms.types import Array, Spec

from ...common.errors import UserError
from ..data_faults import DataError, observation_of, reward_of
from .adapter import UserEnv
from .closing import trying

_LOG = logging.getLogger(__name__)
_STEPS = 100
"""Steps of the trial, fewer if they take longer than _SECONDS."""
_SECONDS = 0.25
_HOLD = 4
"""Steps for which a random action is repeated, so that it has an effect."""


def trial_actions(spec: Spec, steps: int) -> Iterator[Array]:
    """Yield the same random actions each time: scalars int64 or [A] float32."""
    rng = np.random.default_rng(0)
    low, high = np.array(spec.action_low), np.array(spec.action_high)
    action = np.zeros(0)
    for step in range(steps):
        if step % _HOLD == 0 and spec.kind == "continuous":
            action = rng.uniform(low, high).astype(np.float32)
        elif step % _HOLD == 0:
            action = np.asarray(rng.integers(spec.num_actions))
        yield action


def check_reset(env: gymnasium.Env[Any, Any], key: str) -> None:
    """Raise UserError if a reset takes no seed, returns no pair, or breaks its space."""
    taken = inspect.signature(env.unwrapped.reset).parameters
    if "seed" not in taken and not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        raise UserError(
            f"{key}: reset must take a seed, reset(self, *, seed=None, options=None); got "
            f"reset({', '.join(('self', *taken))})"
        )
    result: object = env.reset(seed=0)
    if not (isinstance(result, tuple) and len(result) == 2):
        raise UserError(f"{key}: reset must return (observation, info); got {_kind(result)}")
    _check_info(result[1], f"{key}: at reset")
    _check_observation(result[0], env, f"{key}: at reset")


def check_steps(env: UserEnv, spec: Spec, key: str) -> int:
    """Step through the trial and return the number of steps that time allowed.

    Raises UserError: a step returns something else than Gymnasium's five values.
    """
    deadline = time.monotonic() + _SECONDS
    _reset(env, 0, key)
    for step, action in enumerate(trial_actions(spec, _STEPS), start=1):
        result = env.env.step(env.decode(action))
        _check_step(result, env.env, f"{key}: at step {step}")
        if result[2] or result[3]:
            _reset(env, step, key)
        if time.monotonic() > deadline:
            return step
    return _STEPS


def check_effect(
    name: str, values: Mapping[float, Callable[[], UserEnv]], spec: Spec, steps: int
) -> None:
    """Raise UserError if a perturbed parameter changes nothing.

    values: a constructor for each value, of which the first is nominal. Data that nobody can learn
    from are logged here and not refused, because no agent may draw the end of a range.
    """
    key = f"environment.parameters.{name}"
    nominal, *others = (
        _trajectory(build, spec, steps, f"{key}: at {value:g}") for value, build in values.items()
    )
    if all(np.array_equal(nominal, other, equal_nan=True) for other in others):
        raise UserError(
            f"{key}: changes nothing, {steps} steps are the same at "
            f"{', '.join(f'{value:g}' for value in values)}; verify: false skips this check"
        )


def _trajectory(build: Callable[[], UserEnv], spec: Spec, steps: int, where: str) -> Array:
    """Return observations, rewards and terminations of the trial: [steps + 1, S + 2].

    It ends, with a warning, before the first step whose data are faulty.
    """
    env = build()
    with trying(env, where):
        rows = [np.append(_reset(env, 0, where), (0.0, 0.0))]
        for step, action in enumerate(trial_actions(spec, steps), start=1):
            try:
                obs, reward, terminated, truncated, _ = env.step(action)
            except DataError as fault:
                _LOG.warning("%s, step %s: %s", where, step, fault)
                break
            rows.append(np.append(obs.astype(np.float64), (reward, terminated)))
            if terminated or truncated:
                _reset(env, step, where)
        return np.array(rows)


def _reset(env: UserEnv, seed: int, where: str) -> Array:
    try:
        return env.reset(seed=seed)[0]
    except DataError as fault:
        raise UserError(f"{where}: at reset: {fault}") from None


def _check_step(result: Any, env: gymnasium.Env[Any, Any], where: str) -> None:
    if not (isinstance(result, tuple) and len(result) == 5):
        raise UserError(
            f"{where}: step must return (observation, reward, terminated, truncated, info); "
            f"got {_kind(result)}"
        )
    _check_observation(result[0], env, where)
    try:
        reward_of(result[1])
    except DataError as fault:
        raise UserError(f"{where}: {fault}") from None
    for name, value in (("terminated", result[2]), ("truncated", result[3])):
        if not isinstance(value, (bool, np.bool_, int, np.integer)):
            raise UserError(f"{where}: {name} must be true or false; got {_kind(value)}")
    _check_info(result[4], where)


def _check_info(info: object, where: str) -> None:
    if not isinstance(info, dict):
        raise UserError(f"{where}: the info must be a dict, {{}} if empty; got {_kind(info)}")


def _check_observation(obs: Any, env: gymnasium.Env[Any, Any], where: str) -> None:
    try:
        observation_of(obs, env.observation_space.shape or ())
    except DataError as fault:
        raise UserError(f"{where}: {fault}") from None


def _kind(result: object) -> str:
    if isinstance(result, np.ndarray):
        return f"an array of shape {result.shape}"
    name = type(result).__name__
    return f"{name} of {len(result)}" if isinstance(result, tuple) else name
