"""Walker2d of Gymnasium."""

from __future__ import annotations

from algorithms.types import Spec

from ..vector_envs.mujoco import MujocoFamily
from ..vector_envs.mujoco_model import Robot


class Walker2d(MujocoFamily):
    """Walk forward on two legs (Walker2d-v5): 1000 steps at most, fewer after a fall.

    `limb_length` scales both lower legs, from knee to ankle (0.5 m): the length of their capsules
    at equal radius and density, so their mass too, and the places of the feet. The torso starts
    as much higher; what counts as a fall stays Gymnasium's.
    """

    robot = Robot(
        env="gymnasium.envs.mujoco.walker2d_v5:Walker2dEnv",
        limbs=("leg_geom", "leg_left_geom"),
        reach=0.5,
    )
    spec = Spec(
        obs_size=17,
        action_low=(-1.0,) * 6,
        action_high=(1.0,) * 6,
        max_episode_steps=1000,
    )
