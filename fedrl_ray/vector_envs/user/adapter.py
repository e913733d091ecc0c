"""An adapter from a user's environment to the shapes of a vector environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from algorithms.types import Array, Spec

from ...common.errors import UserError
from ..actions import ActionEncoding, encoding_of, short
from ..data_faults import reset_of, step_of
from . import paths


class UserEnv:
    """A user's environment with flat float32 observations and fixed attributes.

    actions: the encoding of its action space. attributes: values by path; they are set again after
    every reset, in case the reset changes them, and a path that is a method is called again.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        actions: ActionEncoding,
        attributes: Mapping[paths.Path, float],
    ) -> None:
        self.env = env
        self.taken: list[Array] = []
        """Actions since the last reset."""
        self._actions, self._attributes = actions, dict(attributes)
        self._shape = env.observation_space.shape or ()
        self._apply()

    def reset(self, *, seed: int) -> tuple[Array, Any]:
        """Start an episode from a seed and return the flat observation and the info.

        Raises DataError: the result is not as Gymnasium defines it, or the observation is not
        finite.
        """
        obs, info = reset_of(self.env.reset(seed=seed), self._shape)
        self._apply()
        self.taken = []
        return obs, info

    def step(self, action: Array) -> tuple[Array, float, bool, bool, Any]:
        """Take one step and return Gymnasium's five values, with a flat observation.

        Raises DataError: the result is not as Gymnasium defines it, or a number is not finite.
        """
        self.taken.append(np.array(action))
        return step_of(self.env.step(self.decode(action)), self._shape)

    def decode(self, action: Array) -> Any:
        """Return a learner's action as an action of the environment's own space."""
        actions = self._actions
        own = actions.decode(np.asarray(action)[None]).reshape(actions.shape)
        # Gymnasium's Discrete has numbers; a Box without dimensions has arrays
        return own[()] if actions.num_actions and not actions.shape else own

    def close(self) -> None:
        """Close the user's environment."""
        self.env.close()  # type: ignore[no-untyped-call]

    def _apply(self) -> None:
        for path, value in self._attributes.items():
            try:
                current = paths.read(self.env, path.parts)
            except paths.MissingPartError:  # a simulator may not exist before the first reset
                continue
            if callable(current) or current != value:
                paths.write(self.env, path, value)


def spec_of(env: gymnasium.Env[Any, Any], max_episode_steps: int | None, key: str) -> Spec:
    """Return the spec of a user's environment.

    Raises UserError: no learner supports its spaces, or it has no time limit.
    """
    if max_episode_steps is None:
        raise UserError(f"environment.max_episode_steps: required, because {key} has no time limit")
    try:
        actions = encoding_of(env.action_space)
    except ValueError as error:
        raise UserError(f"{key}: {error}") from None
    return Spec(
        obs_size=_observation_size(env.observation_space, key),
        num_actions=actions.num_actions,
        action_low=actions.low,
        action_high=actions.high,
        max_episode_steps=max_episode_steps,
    )


def _observation_size(space: spaces.Space[Any], key: str) -> int:
    if not isinstance(space, spaces.Box):
        raise UserError(
            f"{key}: observation space must be a Box; got {short(space)}; "
            "environment.flatten: true makes one of Dict, Tuple, Discrete and the like"
        )
    if not space.low.size:
        raise UserError(
            f"{key}: observation space must hold at least one number; got {short(space)}"
        )
    if space.dtype == np.uint8 and len(space.shape) == 3:
        raise UserError(
            f"{key}: observation space is an image, {short(space)}, and the networks are "
            "perceptrons; environment.flatten: true trains on its raw numbers, and a wrapper in "
            "environment.wrappers can extract features"
        )
    return int(np.prod(space.shape))
