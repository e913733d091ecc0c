"""A short trial of a user's environment, before anything starts.

The trial refuses an environment that no run could use, and finds a way to resume it. An exception
that the environment raises keeps its traceback.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
from gymnasium.wrappers import TimeLimit

from algorithms.types import Array, Spec

from ...common.errors import UserError
from .adapter import UserEnv
from .vector_env import Resume, SavesState, UserVectorEnv, own_state

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
    """Raise UserError if a reset does not return (observation, info), or breaks its space."""
    result: object = env.reset(seed=0)
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict)):
        raise UserError(f"{key}: reset must return (observation, info); got {_kind(result)}")
    _check_observation(result[0], env.observation_space, f"{key}: at reset")


def check_steps(env: UserEnv, spec: Spec, key: str) -> int:
    """Step through the trial and return the number of steps that time allowed.

    Raises UserError: a step returns something else than Gymnasium's five values.
    """
    deadline = time.monotonic() + _SECONDS
    env.reset(seed=0)
    for step, action in enumerate(trial_actions(spec, _STEPS), start=1):
        result = env.env.step(env.decode(action))
        _check_step(result, env.env.observation_space, f"{key}: at step {step}")
        if result[2] or result[3]:
            env.reset(seed=step)
        if time.monotonic() > deadline:
            return step
    return _STEPS


def check_effect(
    name: str, values: Mapping[float, Callable[[], UserEnv]], spec: Spec, steps: int
) -> None:
    """Raise UserError if a perturbed parameter changes nothing.

    values: a constructor for each value, of which the first is nominal.
    """
    nominal, *others = (_trajectory(build, spec, steps) for build in values.values())
    if all(np.array_equal(nominal, other, equal_nan=True) for other in others):
        raise UserError(
            f"environment.parameters.{name}: changes nothing, {steps} steps are the same at "
            f"{', '.join(f'{value:g}' for value in values)}; verify: false skips this check"
        )


def find_resume(
    make: Callable[[Spec, Resume], UserVectorEnv], env: UserEnv, spec: Spec, steps: int
) -> Resume | None:
    """Return the first way to resume that leads to the same observations; None if there is none.

    Episodes are cut short, so that state which survives a reset shows too: the resumed row is reset
    twice in the trial, the saved row at least three times.
    """
    short = replace(spec, max_episode_steps=min(spec.max_episode_steps, steps // 8 + 1))
    ways: tuple[Resume, ...] = ("state", "replay") if _saves_itself(env) else ("replay",)
    for way in ways:
        with closing(make(short, way)) as first, closing(make(short, way)) as second:
            if _resumes(first, second, short, steps):
                return way
    return None


def _resumes(first: UserVectorEnv, second: UserVectorEnv, spec: Spec, steps: int) -> bool:
    actions = [action[None] for action in trial_actions(spec, steps)]
    for action in actions[: steps // 2]:
        first.step(action)
    second.load_agent_state(0, first.agent_state(0))
    return all(
        np.array_equal(a, b, equal_nan=True)
        for action in actions[steps // 2 :]
        for a, b in zip(first.step(action), second.step(action), strict=True)
    )


def _saves_itself(env: UserEnv) -> bool:
    """Return true if `get_state` and `set_state` may serve.

    They do not reach a step counter in a TimeLimit wrapper.
    """
    wrapper = env.env
    while isinstance(wrapper, gymnasium.Wrapper):
        if isinstance(wrapper, TimeLimit):
            return False
        wrapper = wrapper.env
    if not isinstance(wrapper, SavesState):
        return False
    if own_state(env) is None:
        _LOG.warning(
            "environment: get_state is not used, because it returns no dict of arrays or numbers"
        )
        return False
    return True


def _trajectory(build: Callable[[], UserEnv], spec: Spec, steps: int) -> Array:
    """Return observations, rewards and terminations of the trial: [steps + 1, S + 2]."""
    with closing(build()) as env:
        rows = [np.append(env.reset(seed=0)[0], (0.0, 0.0))]
        for step, action in enumerate(trial_actions(spec, steps), start=1):
            obs, reward, terminated, truncated, _ = env.step(action)
            rows.append(np.append(obs.astype(np.float64), (reward, terminated)))
            if terminated or truncated:
                env.reset(seed=step)
        return np.array(rows)


def _check_step(result: Any, space: gymnasium.Space[Any], where: str) -> None:
    if not (isinstance(result, tuple) and len(result) == 5):
        raise UserError(
            f"{where}: step must return (observation, reward, terminated, truncated, info); "
            f"got {_kind(result)}"
        )
    _check_observation(result[0], space, where)
    if not np.isfinite(float(result[1])):
        raise UserError(f"{where}: the reward must be finite; got {float(result[1])}")


def _check_observation(obs: Any, space: gymnasium.Space[Any], where: str) -> None:
    """Raise UserError if an observation is not in its Box; `spec_of` refuses other spaces."""
    if not isinstance(space, gymnasium.spaces.Box):
        return
    array = np.asarray(obs)
    if array.shape != space.shape or array.dtype.kind not in "biuf":
        raise UserError(
            f"{where}: the observation must be numbers of shape {space.shape}, as in its space; "
            f"got {array.dtype} of shape {array.shape}"
        )
    if not np.isfinite(array).all():
        raise UserError(f"{where}: the observation must be finite; got {array.ravel()[:8]}")


def _kind(result: object) -> str:
    name = type(result).__name__
    return f"{name} of {len(result)}" if isinstance(result, tuple) else name
