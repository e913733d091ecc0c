"""Pendulum of Gymnasium, with perturbed physics."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from gymnasium.envs.classic_control.pendulum import PendulumEnv

from algorithms.types import Dynamics, Spec

from ..vector_envs.episode_seeds import EpisodeSeeds
from ..vector_envs.family import EnvFamily
from ..vector_envs.parameters import EnvironmentConfig, Parameter
from ..vector_envs.rendering import RGB
from ..vector_envs.sync import SyncVectorEnv, with_attributes

_ATTRIBUTES = {
    "gravity": "g",
    "mass": "m",
    "length": "l",
    "max_torque": "max_torque",
    "max_speed": "max_speed",
}


class Pendulum(EnvFamily):
    """Swing a rod upright and hold it: 200 steps at most.

    The reward is minus a weighted sum of the squared angle, speed and torque. Actions keep
    Gymnasium's bounds of 2 N m, so `max_torque`, at which the motor saturates, cannot exceed them.
    """

    Config = EnvironmentConfig
    parameters: Mapping[str, Parameter] = {
        "gravity": Parameter(10.0, "m/s^2", 0.1, 100.0, "gravitational acceleration"),
        "mass": Parameter(1.0, "kg", 0.05, 20.0, "mass of the rod"),
        "length": Parameter(1.0, "m", 0.1, 10.0, "length of the rod"),
        "max_torque": Parameter(2.0, "N m", 0.01, 2.0, "torque at which the motor saturates"),
        "max_speed": Parameter(8.0, "rad/s", 0.5, 100.0, "limit of the angular speed"),
    }
    spec = Spec(obs_size=3, action_low=(-2.0,), action_high=(2.0,), max_episode_steps=200)

    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> SyncVectorEnv:
        """Return Gymnasium's environments with their parameters set."""
        envs = with_attributes(PendulumEnv, _ATTRIBUTES, dynamics)
        return SyncVectorEnv(self.spec, envs, seeds, retire=retire)

    def render_env(self, dynamics: Dynamics) -> PendulumEnv:
        """Return Gymnasium's environment, which draws itself."""
        return with_attributes(partial(PendulumEnv, render_mode=RGB), _ATTRIBUTES, dynamics)[0]
