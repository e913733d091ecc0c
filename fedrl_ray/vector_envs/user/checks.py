"""Rules that a user's environment must keep; each refuses with one line that says what to change.

An exception that the environment raises keeps its traceback.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium
import numpy as np

from algorithms.types import Array, Spec

from ...common.errors import UserError
from ..data_faults import DataError, reset_of
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
    layer: Any = env
    while layer is not None:
        _require_seed(layer, key)
        layer = layer.env if isinstance(layer, gymnasium.Wrapper) else None
    with _faults_named(f"{key}: at reset"):
        reset_of(env.reset(seed=0), env.observation_space.shape or ())


def _require_seed(env: gymnasium.Env[Any, Any], key: str) -> None:
    signature = inspect.signature(env.reset)
    try:
        signature.bind(seed=0)
    except TypeError:
        known = ", ".join(("self", *map(str, signature.parameters.values())))
        raise UserError(
            f"{key}: reset must take a seed, reset(self, *, seed=None, options=None); got "
            f"reset({known}) of {type(env).__name__}"
        ) from None


def check_steps(env: UserEnv, spec: Spec, key: str) -> int:
    """Step through the trial and return the number of steps that time allowed.

    Raises UserError: a step returns something else than Gymnasium's five values.
    """
    deadline = time.monotonic() + _SECONDS
    _reset(env, 0, key)
    for step, action in enumerate(trial_actions(spec, _STEPS), start=1):
        with _faults_named(f"{key}: at step {step}"):
            _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
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
    with _faults_named(f"{where}: at reset"):
        return env.reset(seed=seed)[0]


@contextmanager
def _faults_named(where: str) -> Iterator[None]:
    """Turn a DataError of the block into a UserError that says where."""
    try:
        yield
    except DataError as fault:
        raise UserError(f"{where}: {fault}") from None
