"""An adapter from a user's environment to the shapes of a vector environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from algorithms.types import Array, Spec

from ...common.errors import UserError
from .targets import missing_part, read, write


class UserEnv:
    """A user's environment with flat float32 observations and fixed attributes.

    Discrete actions count from 0; continuous actions are flat vectors. The attributes are set again
    after every reset, in case the reset changes them.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], attributes: Mapping[str, float]) -> None:
        self.env = env
        self.actions: list[Array] = []
        """Actions since the last reset."""
        self._attributes = dict(attributes)
        self._apply()

    def reset(self, *, seed: int) -> tuple[Array, Any]:
        """Start an episode from a seed and return the flat observation and the info."""
        obs, info = self.env.reset(seed=seed)
        self._apply()
        self.actions = []
        return _flat(obs), info

    def step(self, action: Array) -> tuple[Array, Any, bool, bool, Any]:
        """Take one step and return Gymnasium's five values, with a flat observation."""
        self.actions.append(np.array(action))
        obs, reward, terminated, truncated, info = self.env.step(self.decode(action))
        return _flat(obs), reward, terminated, truncated, info

    def decode(self, action: Array) -> Any:
        """Return a learner's action as an action of the environment's own space."""
        space = self.env.action_space
        if isinstance(space, spaces.Discrete):
            return space.start + action
        return action.reshape(space.shape).astype(space.dtype)

    def close(self) -> None:
        """Close the user's environment."""
        self.env.close()  # type: ignore[no-untyped-call]

    def _apply(self) -> None:
        for path, value in self._attributes.items():
            # a simulator may not exist before the first reset
            if missing_part(self.env, path) is None and read(self.env, path) != value:
                write(self.env, path, value)


def spec_of(env: gymnasium.Env[Any, Any], max_episode_steps: int | None, key: str) -> Spec:
    """Return the spec of a user's environment.

    Raises UserError: no learner supports its spaces, or it has no time limit.
    """
    if max_episode_steps is None:
        raise UserError(f"environment.max_episode_steps: required, because {key} has no time limit")
    obs, action = env.observation_space, env.action_space
    if not isinstance(obs, spaces.Box):
        raise UserError(f"{key}: observation space must be a Box; got {_short(obs)}")
    size = int(np.prod(obs.shape))
    if isinstance(action, spaces.Discrete):
        return Spec(obs_size=size, num_actions=int(action.n), max_episode_steps=max_episode_steps)
    if not isinstance(action, spaces.Box) or not action.is_bounded():
        raise UserError(
            f"{key}: action space must be Discrete or a bounded Box; got {_short(action)}"
        )
    return Spec(
        obs_size=size,
        action_low=tuple(action.low.ravel().tolist()),
        action_high=tuple(action.high.ravel().tolist()),
        max_episode_steps=max_episode_steps,
    )


def _flat(obs: Any) -> Array:
    return np.asarray(obs, dtype=np.float32).ravel()


def _short(space: gymnasium.Space[Any]) -> str:
    text = " ".join(str(space).split())
    return text if len(text) <= 80 else text[:77] + "..."
