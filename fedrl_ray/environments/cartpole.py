"""CartPole of Gymnasium as a vector environment, with separate physics in each row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from gymnasium.envs.classic_control.cartpole import CartPoleEnv, CartPoleVectorEnv
from gymnasium.utils.seeding import np_random

from algorithms.types import AgentState, Array, Dynamics, Spec

from ..vector_envs.episode_seeds import EpisodeSeeds
from ..vector_envs.episodes import EpisodicVectorEnv
from ..vector_envs.family import EnvFamily
from ..vector_envs.parameters import EnvironmentConfig, Parameter
from ..vector_envs.rendering import RGB, DrawnEnv, RowEnv


class PerturbedCartPoleVectorEnv(EpisodicVectorEnv):
    """N rows of Gymnasium's CartPoleVectorEnv, with resets of our own.

    Gymnasium's resets draw from one generator for all rows, and come a step late.
    """

    def __init__(
        self, spec: Spec, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool
    ) -> None:
        super().__init__(spec, seeds, retire=retire)
        self._env = _vector_env(len(seeds), dynamics)
        self.start()

    def advance(self, action: Array) -> tuple[Array, Array, Array, Array]:
        """Step all rows at once."""
        obs, reward, terminated, truncated, _ = self._env.step(action)
        self._env.prev_done[:] = False
        return obs, reward, terminated, truncated

    def reset_row(self, row: int, seed: int) -> Array:
        """Draw the first state as Gymnasium's single CartPole does."""
        state = np_random(seed)[0].uniform(-0.05, 0.05, size=4)
        self._env.state[:, row] = state
        return state.astype(np.float32)

    def physics_state(self, row: int) -> AgentState:
        """Return position, speed, angle and angular speed of one row."""
        return {"state": self._env.state[:, row].copy()}

    def load_physics_state(self, row: int, state: AgentState) -> None:
        """Set position, speed, angle and angular speed of one row."""
        self._env.state[:, row] = state["state"]


def _vector_env(size: int, dynamics: Dynamics) -> Any:
    """Return Gymnasium's environment with one value per row, and derived attributes recomputed."""
    env: Any
    env = CartPoleVectorEnv(size, max_episode_steps=np.iinfo(np.int32).max)
    env.length = dynamics["pole_length"] / 2
    env.masspole, env.masscart = dynamics["pole_mass"], dynamics["cart_mass"]
    env.gravity, env.force_mag = dynamics["gravity"], dynamics["force"]
    env.total_mass = env.masspole + env.masscart
    env.polemass_length = env.masspole * env.length
    env.state = np.zeros((4, size))
    return env


class CartPole(EnvFamily):
    """Balance a pole on a cart: reward 1 per step, 500 steps at most."""

    Config = EnvironmentConfig
    parameters: Mapping[str, Parameter] = {
        "pole_length": Parameter(1.0, "m", 0.05, 10.0, "full length of the pole"),
        "pole_mass": Parameter(0.1, "kg", 0.001, 10.0, "mass of the pole"),
        "cart_mass": Parameter(1.0, "kg", 0.01, 100.0, "mass of the cart"),
        "gravity": Parameter(9.8, "m/s^2", 0.1, 100.0, "gravitational acceleration"),
        "force": Parameter(10.0, "N", 0.1, 100.0, "size of the push"),
    }
    spec = Spec(obs_size=4, num_actions=2, max_episode_steps=500)

    def make(
        self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool
    ) -> PerturbedCartPoleVectorEnv:
        """Return a vector environment with one set of parameters per row."""
        return PerturbedCartPoleVectorEnv(self.spec, dynamics, seeds, retire=retire)

    def render_env(self, dynamics: Dynamics) -> DrawnEnv:
        """Return one row, drawn by Gymnasium's single CartPole."""
        picture = CartPoleEnv(render_mode=RGB)
        picture.length = float(dynamics["pole_length"][0]) / 2

        def show(row: Mapping[str, Array], action: Any) -> None:
            picture.state = row["state"]

        row = RowEnv(lambda seeds: self.make(dynamics, seeds, retire=True), show)
        return DrawnEnv(row, picture.render, picture.metadata)
