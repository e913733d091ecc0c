"""Hopper of Gymnasium."""

from __future__ import annotations

from algorithms.types import Spec

from ..vector_envs.mujoco import MujocoFamily
from ..vector_envs.mujoco_model import Robot


class Hopper(MujocoFamily):
    """Hop forward on one leg (Hopper-v5): 1000 steps at most, fewer after a fall.

    `limb_length` scales the lower leg, from knee to ankle (0.5 m): its capsule's length at equal
    radius and density, so its mass too, and the place of the foot. The torso starts as much
    higher; what counts as a fall stays Gymnasium's.
    """

    robot = Robot(
        env="gymnasium.envs.mujoco.hopper_v5:HopperEnv",
        limbs=("leg_geom",),
        reach=0.5,
    )
    spec = Spec(
        obs_size=11,
        action_low=(-1.0,) * 3,
        action_high=(1.0,) * 3,
        max_episode_steps=1000,
    )
