"""MountainCarContinuous of Gymnasium, with perturbed physics."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from gymnasium.envs.classic_control.continuous_mountain_car import Continuous_MountainCarEnv

from algorithms.types import Dynamics, Spec

from ..vector_envs.episode_seeds import EpisodeSeeds
from ..vector_envs.family import EnvFamily
from ..vector_envs.parameters import EnvironmentConfig, Parameter
from ..vector_envs.rendering import RGB
from ..vector_envs.sync import SyncVectorEnv, with_attributes

_ATTRIBUTES = {"power": "power", "max_speed": "max_speed"}


class MountainCarContinuous(EnvFamily):
    """Drive an underpowered car out of a valley with a graded push: 999 steps at most.

    The reward is 100 at the goal, minus a tenth of the squared push in every step. Gravity is a
    constant in Gymnasium's step function, so it is not a parameter.
    """

    Config = EnvironmentConfig
    parameters: Mapping[str, Parameter] = {
        "power": Parameter(0.0015, "1/step^2", 1e-5, 0.05, "acceleration at full push"),
        "max_speed": Parameter(0.07, "1/step", 0.005, 1.0, "limit of the speed"),
    }
    spec = Spec(obs_size=2, action_low=(-1.0,), action_high=(1.0,), max_episode_steps=999)

    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> SyncVectorEnv:
        """Return Gymnasium's environments with their parameters set."""
        envs = with_attributes(Continuous_MountainCarEnv, _ATTRIBUTES, dynamics)
        return SyncVectorEnv(self.spec, envs, seeds, retire=retire)

    def render_env(self, dynamics: Dynamics) -> Continuous_MountainCarEnv:
        """Return Gymnasium's environment, which draws itself."""
        return with_attributes(
            partial(Continuous_MountainCarEnv, render_mode=RGB), _ATTRIBUTES, dynamics
        )[0]
