"""Hopper of Gymnasium, with perturbed physics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algorithms.types import Spec

from ..vector_envs.mujoco import MujocoFamily
from ..vector_envs.mujoco_model import Robot

if TYPE_CHECKING:
    from gymnasium.envs.mujoco.mujoco_env import MujocoEnv


def _load() -> type[MujocoEnv]:
    from gymnasium.envs.mujoco.hopper_v5 import HopperEnv

    return HopperEnv


class Hopper(MujocoFamily):
    """Hop forward on one leg (Hopper-v5): 1000 steps at most, fewer after a fall.

    `limb_length` scales the lower leg, from knee to ankle (0.5 m), and so moves the foot. Radius
    and density of its capsule stay, so its mass scales too. The torso starts higher by the length
    that the leg gains. Gymnasium's limits for a fall stay.
    """

    robot = Robot(
        load=_load,
        limbs=("leg_geom",),
        reach=0.5,
    )
    spec = Spec(
        obs_size=11,
        action_low=(-1.0,) * 3,
        action_high=(1.0,) * 3,
        max_episode_steps=1000,
    )
