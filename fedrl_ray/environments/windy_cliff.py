"""WindyCliff of Jin et al. 2022 (public code): a 4x4 grid with wind towards a cliff."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from algorithms.types import Array, Spec

from ..vector_envs.parameters import EnvironmentConfig, EpisodeSteps, Parameter
from ..vector_envs.tabular import Tables, TabularFamily

_SIZE = 4
_MOVES = ((0, 1), (0, -1), (-1, 0), (1, 0))  # up, down, left, right as (x, y)
_DOWN = 1
_CLIFF, _GOAL = (1, 2), 3


class WindyCliff(TabularFamily):
    """Walk along a cliff from the bottom left to the bottom right corner, again and again.

    The state is 4 y + x, with y upwards; the actions are up, down, left and right. The current
    state gives the reward: -100 on the cliff, 100 at the goal, -1 elsewhere. From the cliff and
    the goal every action leads to the start. Elsewhere a gust replaces the move by a move down
    with probability wind / 3.
    """

    class Config(EnvironmentConfig):
        """Keys of `environment: {name: windy_cliff}`."""

        max_episode_steps: EpisodeSteps = 100
        """Time limit in steps. No state is terminal, so every episode is truncated there."""

    parameters: Mapping[str, Parameter] = {
        "wind": Parameter(0.5, "", 0.0, 1.0, "three times the probability of a gust"),
    }

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.spec = Spec(
            obs_size=1,
            num_states=_SIZE * _SIZE,
            num_actions=len(_MOVES),
            max_episode_steps=config.max_episode_steps,
        )

    @cached_property
    def tables(self) -> Tables:
        """Rewards of the current state, no terminal state, and a fixed start."""
        states, actions = self.spec.num_states, self.spec.num_actions
        reward_S = np.full(states, -1.0)
        reward_S[list(_CLIFF)], reward_S[_GOAL] = -100.0, 100.0
        return Tables(
            reward_SAX=np.broadcast_to(reward_S[:, None, None], (states, actions, states)),
            terminal_S=np.zeros(states, dtype=bool),
            start_S=np.eye(states)[0],
        )

    def kernel(self, values: Mapping[str, float]) -> Array:
        """Return the intended move with probability 1 - wind/3, else a move down: [16, 4, 16]."""
        moves_SAX = np.eye(_SIZE * _SIZE)[_destinations()]
        gust = values["wind"] / 3
        return (1.0 - gust) * moves_SAX + gust * moves_SAX[:, [_DOWN]]


def _destinations() -> Array:
    """Return the successor of each move without wind: [16, 4] int64.

    A move into a wall stays in place. Every move from the cliff and the goal leads to state 0.
    """
    y, x = np.divmod(np.arange(_SIZE * _SIZE), _SIZE)
    dx, dy = np.array(_MOVES).T
    to_x = (x[:, None] + dx).clip(0, _SIZE - 1)
    to_y = (y[:, None] + dy).clip(0, _SIZE - 1)
    destination = to_y * _SIZE + to_x
    destination[[*_CLIFF, _GOAL]] = 0
    return np.asarray(destination)
