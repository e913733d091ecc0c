"""MountainCar of Gymnasium, with perturbed physics."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from gymnasium.envs.classic_control.mountain_car import MountainCarEnv

from algorithms.types import Dynamics, Spec

from ..vector_envs.episode_seeds import EpisodeSeeds
from ..vector_envs.family import EnvFamily
from ..vector_envs.parameters import EnvironmentConfig, Parameter
from ..vector_envs.rendering import RGB
from ..vector_envs.sync import SyncVectorEnv, with_attributes

_ATTRIBUTES = {"gravity": "gravity", "force": "force", "max_speed": "max_speed"}


class MountainCar(EnvFamily):
    """Drive an underpowered car out of a valley: reward -1 per step, 200 steps at most.

    The unit of time is a step; the unit of length is Gymnasium's own.
    """

    Config = EnvironmentConfig
    parameters: Mapping[str, Parameter] = {
        "gravity": Parameter(0.0025, "1/step^2", 1e-4, 0.05, "pull of gravity along the slope"),
        "force": Parameter(0.001, "1/step^2", 1e-5, 0.05, "acceleration by the engine"),
        "max_speed": Parameter(0.07, "1/step", 0.005, 1.0, "limit of the speed"),
    }
    spec = Spec(obs_size=2, num_actions=3, max_episode_steps=200)

    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> SyncVectorEnv:
        """Return Gymnasium's environments with their parameters set."""
        envs = with_attributes(MountainCarEnv, _ATTRIBUTES, dynamics)
        return SyncVectorEnv(self.spec, envs, seeds, retire=retire)

    def render_env(self, dynamics: Dynamics) -> MountainCarEnv:
        """Return Gymnasium's environment, which draws itself."""
        return with_attributes(partial(MountainCarEnv, render_mode=RGB), _ATTRIBUTES, dynamics)[0]
