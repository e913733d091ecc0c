"""HalfCheetah of Gymnasium, with perturbed physics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algorithms.types import Spec

from ..vector_envs.mujoco import MujocoFamily
from ..vector_envs.mujoco_model import Robot

if TYPE_CHECKING:
    from gymnasium.envs.mujoco.mujoco_env import MujocoEnv


def _load() -> type[MujocoEnv]:
    from gymnasium.envs.mujoco.half_cheetah_v5 import HalfCheetahEnv

    return HalfCheetahEnv


class HalfCheetah(MujocoFamily):
    """Run forward (HalfCheetah-v5): 1000 steps.

    `limb_length` scales both shins, from knee to ankle (0.31 m behind, 0.22 m in front), and so
    moves the feet. Radius and density of their capsules stay, so their mass scales too. The torso
    starts higher by the height that the front shin gains (0.18 m if its length doubles).
    """

    robot = Robot(
        load=_load,
        limbs=("bshin", "fshin"),
        reach=0.18,
    )
    spec = Spec(
        obs_size=17,
        action_low=(-1.0,) * 6,
        action_high=(1.0,) * 6,
        max_episode_steps=1000,
    )
