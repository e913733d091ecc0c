"""FrozenLake of Gymnasium, built from its transition tables, with a slipperiness per row."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import gymnasium
import numpy as np

from algorithms.types import Array, Dynamics, Spec

from ..vector_envs.parameters import EnvironmentConfig, Parameter
from ..vector_envs.rendering import RGB, DrawnEnv, RowEnv
from ..vector_envs.tabular import Tables, TabularFamily

_REGISTERED = {"4x4": "FrozenLake-v1", "8x8": "FrozenLake8x8-v1"}


class FrozenLake(TabularFamily):
    """Cross a frozen lake: the reward is 1 at the goal; holes and the goal are terminal."""

    class Config(EnvironmentConfig):
        """Keys of `environment: {name: frozen_lake}`."""

        map_name: Literal["4x4", "8x8"] = "4x4"
        """Gymnasium's map. An episode has at most 100 steps on 4x4, 200 steps on 8x8."""

    config: Config
    parameters: Mapping[str, Parameter] = {
        "success_rate": Parameter(1 / 3, "", 0.0, 1.0, "probability of moving as intended"),
    }

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        env = self._gymnasium(self.parameters["success_rate"].nominal)
        self.spec = Spec(
            obs_size=1,
            num_states=int(env.observation_space.n),
            num_actions=int(env.action_space.n),
            max_episode_steps=gymnasium.spec(_REGISTERED[config.map_name]).max_episode_steps or 0,
        )

    @cached_property
    def tables(self) -> Tables:
        """Rewards, terminal states and start, which do not depend on the success rate."""
        env = self._gymnasium(self.parameters["success_rate"].nominal)
        states, actions = self.spec.num_states, self.spec.num_actions
        reward_SAX, terminal_S = np.zeros((states, actions, states)), np.zeros(states, dtype=bool)
        for s, a, _, x, reward, terminated in _outcomes(env):
            reward_SAX[s, a, x], terminal_S[x] = reward, terminal_S[x] or terminated
        return Tables(
            reward_SAX=reward_SAX, terminal_S=terminal_S, start_S=env.initial_state_distrib
        )

    def kernel(self, values: Mapping[str, float]) -> Array:
        """Return Gymnasium's table for a success rate: [S, A, X].

        A move that does not succeed slips to either side with equal probability.
        """
        states, actions = self.spec.num_states, self.spec.num_actions
        kernel_SAX = np.zeros((states, actions, states))
        for s, a, probability, x, _, _ in _outcomes(self._gymnasium(values["success_rate"])):
            kernel_SAX[s, a, x] += probability
        return kernel_SAX

    def render_env(self, dynamics: Dynamics) -> DrawnEnv:
        """Return one row, drawn by Gymnasium's lake."""
        picture = self._gymnasium(float(dynamics["success_rate"][0]), render_mode=RGB)

        def show(row: Mapping[str, Array], action: Any) -> None:
            picture.s, picture.lastaction = int(row["obs"]), None if action is None else int(action)

        row = RowEnv(lambda seeds: self.make(dynamics, seeds, retire=True), show)
        return DrawnEnv(row, picture.render, picture.metadata)

    def _gymnasium(self, success_rate: float, render_mode: str | None = None) -> Any:
        name = _REGISTERED[self.config.map_name]
        return gymnasium.make(name, success_rate=success_rate, render_mode=render_mode).unwrapped


def _outcomes(env: Any) -> list[tuple[int, int, float, int, float, bool]]:
    """Return Gymnasium's table as (state, action, probability, successor, reward, terminated)."""
    return [
        (state, action, *outcome)
        for state, actions in env.P.items()
        for action, outcomes in actions.items()
        for outcome in outcomes
    ]
