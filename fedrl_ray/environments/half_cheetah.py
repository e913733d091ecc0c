"""HalfCheetah of Gymnasium."""

from __future__ import annotations

from algorithms.types import Spec

from ..vector_envs.mujoco import MujocoFamily
from ..vector_envs.mujoco_model import Robot


class HalfCheetah(MujocoFamily):
    """Run forward (HalfCheetah-v5): 1000 steps.

    `limb_length` scales both shins, from knee to ankle (0.31 m behind, 0.22 m in front): the
    length of their capsules at equal radius and density, so their mass too, and the places of the
    feet. The torso starts higher by what the front shin gains in reach (0.18 m of its length).
    """

    robot = Robot(
        env="gymnasium.envs.mujoco.half_cheetah_v5:HalfCheetahEnv",
        limbs=("bshin", "fshin"),
        reach=0.18,
    )
    spec = Spec(
        obs_size=17,
        action_low=(-1.0,) * 6,
        action_high=(1.0,) * 6,
        max_episode_steps=1000,
    )
