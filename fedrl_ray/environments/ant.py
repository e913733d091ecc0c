"""Ant of Gymnasium, with perturbed physics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algorithms.types import Spec

from ..vector_envs.mujoco import MujocoFamily
from ..vector_envs.mujoco_model import Robot

if TYPE_CHECKING:
    from gymnasium.envs.mujoco.mujoco_env import MujocoEnv


def _load() -> type[MujocoEnv]:
    from gymnasium.envs.mujoco.ant_v5 import AntEnv

    return AntEnv


class Ant(MujocoFamily):
    """Walk forward on four legs (Ant-v5): 1000 steps at most, fewer after a fall or a leap.

    `limb_length` scales the four lower legs, from the ankle joint to the tip (0.57 m). Radius and
    density of their capsules stay, so their mass scales too. The lower legs are level in the start
    pose, so the torso's height stays. Gymnasium's limits for a fall and a leap stay too.
    """

    robot = Robot(
        load=_load,
        limbs=("left_ankle_geom", "right_ankle_geom", "third_ankle_geom", "fourth_ankle_geom"),
        reach=0.0,
    )
    spec = Spec(
        obs_size=105,
        action_low=(-1.0,) * 8,
        action_high=(1.0,) * 8,
        max_episode_steps=1000,
    )
