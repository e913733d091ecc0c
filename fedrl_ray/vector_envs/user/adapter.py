"""A user's environment in the shapes that a stack wants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium import spaces

from algorithms.types import Array, Spec

from ...common.errors import UserError
from .targets import missing_part, read, write


class UserEnv:
    """Flat float32 observations, actions counted from 0 or in a flat vector, and attributes that
    stay as they were set, whatever a reset does to them."""

    def __init__(self, env: Any, attributes: Mapping[str, float]) -> None:
        self.env = env
        self.actions: list[Array] = []
        """Since the last reset."""
        self._attributes = dict(attributes)
        self._apply()

    def reset(self, *, seed: int) -> tuple[Array, Any]:
        """Start an episode from a seed: flat observation and info."""
        obs, info = self.env.reset(seed=seed)
        self._apply()
        self.actions = []
        return _flat(obs), info

    def step(self, action: Array) -> tuple[Any, ...]:
        """One step with an action of ours: Gymnasium's five values, the observation flat."""
        self.actions.append(np.array(action))
        obs, reward, terminated, truncated, info = self.env.step(self.decode(action))
        return _flat(obs), reward, terminated, truncated, info

    def decode(self, action: Array) -> Any:
        """An action of ours as one of the environment's own action space."""
        space = self.env.action_space
        if isinstance(space, spaces.Discrete):
            return space.start + action
        return action.reshape(space.shape).astype(space.dtype)

    def close(self) -> None:
        """Close the user's environment."""
        self.env.close()

    def _apply(self) -> None:
        for path, value in self._attributes.items():
            # before the first reset a simulator may not exist yet
            if missing_part(self.env, path) is None and read(self.env, path) != value:
                write(self.env, path, value)


def spec_of(env: Any, max_episode_steps: int | None, key: str) -> Spec:
    """What a learner must know of it. Raises UserError for spaces that no learner here takes."""
    if max_episode_steps is None:
        raise UserError(f"environment.max_episode_steps: required, {key} brings no time limit")
    obs, action = env.observation_space, env.action_space
    if not isinstance(obs, spaces.Box):
        raise UserError(f"{key}: observations must be a Box, got {_short(obs)}")
    size = int(np.prod(obs.shape))
    if isinstance(action, spaces.Discrete):
        return Spec(obs_size=size, num_actions=int(action.n), max_episode_steps=max_episode_steps)
    if not isinstance(action, spaces.Box) or not action.is_bounded():
        raise UserError(f"{key}: actions must be Discrete or a bounded Box, got {_short(action)}")
    return Spec(
        obs_size=size,
        action_low=tuple(action.low.ravel().tolist()),
        action_high=tuple(action.high.ravel().tolist()),
        max_episode_steps=max_episode_steps,
    )


def _flat(obs: Any) -> Array:
    return np.asarray(obs, dtype=np.float32).ravel()


def _short(space: Any) -> str:
    text = " ".join(str(space).split())
    return text if len(text) <= 80 else text[:77] + "..."
