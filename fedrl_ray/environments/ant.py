"""Ant of Gymnasium."""

from __future__ import annotations

from algorithms.types import Spec

from ..vector_envs.mujoco import MujocoFamily
from ..vector_envs.mujoco_model import Robot


class Ant(MujocoFamily):
    """Walk forward on four legs (Ant-v5): 1000 steps at most, fewer after a fall or a leap.

    `limb_length` scales the four lower legs, from ankle joint to tip (0.57 m): the length of their
    capsules at equal radius and density, so their mass too. They are level in the start pose, so
    the torso's height stays; what counts as a fall or a leap stays Gymnasium's.
    """

    robot = Robot(
        env="gymnasium.envs.mujoco.ant_v5:AntEnv",
        limbs=("left_ankle_geom", "right_ankle_geom", "third_ankle_geom", "fourth_ankle_geom"),
        reach=0.0,
    )
    spec = Spec(
        obs_size=105,
        action_low=(-1.0,) * 8,
        action_high=(1.0,) * 8,
        max_episode_steps=1000,
    )
