"""Ant of Gymnasium."""

from __future__ import annotations

from typing import Any

from algorithms.types import Dynamics, Spec

from .base import EnvFamily, EnvironmentConfig, EpisodeSeeds
from .mujoco import PARAMETERS, MujocoStack, Robot, require_mujoco

_ROBOT = Robot(
    env="gymnasium.envs.mujoco.ant_v5:AntEnv",
    limbs=("left_ankle_geom", "right_ankle_geom", "third_ankle_geom", "fourth_ankle_geom"),
    reach=0.0,
)


class Ant(EnvFamily):
    """Walk forward on four legs (Ant-v5): 1000 steps at most, fewer after a fall or a leap.

    `limb_length` scales the four lower legs, from ankle joint to tip (0.57 m): the length of their
    capsules at equal radius and density, so their mass too. They are level in the start pose, so
    the torso's height stays; what counts as a fall or a leap stays Gymnasium's.
    """

    Config = EnvironmentConfig
    parameters = PARAMETERS
    spec = Spec(
        obs_size=105,
        action_low=(-1.0,) * 8,
        action_high=(1.0,) * 8,
        max_episode_steps=1000,
    )

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        require_mujoco("ant")

    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> MujocoStack:
        return MujocoStack(self.spec, _ROBOT, dynamics, seeds, retire=retire)
