"""Walker2d of Gymnasium, with perturbed physics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algorithms.types import Spec

from ..vector_envs.mujoco import MujocoFamily
from ..vector_envs.mujoco_model import Robot

if TYPE_CHECKING:
    from gymnasium.envs.mujoco.mujoco_env import MujocoEnv


def _load() -> type[MujocoEnv]:
    from gymnasium.envs.mujoco.walker2d_v5 import Walker2dEnv

    return Walker2dEnv


class Walker2d(MujocoFamily):
    """Walk forward on two legs (Walker2d-v5): 1000 steps at most, fewer after a fall.

    `limb_length` scales both lower legs, from knee to ankle (0.5 m), and so moves the feet. Radius
    and density of their capsules stay, so their mass scales too. The torso starts higher by the
    length that the legs gain. Gymnasium's limits for a fall stay.
    """

    robot = Robot(
        load=_load,
        limbs=("leg_geom", "leg_left_geom"),
        reach=0.5,
    )
    spec = Spec(
        obs_size=17,
        action_low=(-1.0,) * 6,
        action_high=(1.0,) * 6,
        max_episode_steps=1000,
    )
