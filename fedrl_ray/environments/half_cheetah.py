"""HalfCheetah of Gymnasium, with perturbed physics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from algorithms.types import Spec

from ..vector_envs.mujoco import MujocoFamily
from ..vector_envs.mujoco_model import PARAMETERS, Robot
from ..vector_envs.parameters import Parameter

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

    # The model takes Euler steps of 10 ms, so that strong or undamped joints diverge. Measured over
    # whole episodes and several seeds, as tests/environments/test_stability.py does:
    # - motors that always push the way their joint moves diverge at 2.5 x nominal strength, with a
    #   light torso or little gravity at 2, and without damping at 1;
    # - random full pushes diverge at strength 4, and uniform ones at 8.
    # Within these ranges each parameter by itself is stable under all of them. Strength 1.5 with
    # damping 0.5 withstands random full pushes, but not always those along the joint's movement.
    parameters: Mapping[str, Parameter] = {
        **PARAMETERS,
        "actuator_strength": PARAMETERS["actuator_strength"]._replace(high=1.5),
        "joint_damping": PARAMETERS["joint_damping"]._replace(low=0.5),
    }
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
