"""A legal value of a physical parameter leaves the simulation stable, however the motors push."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from algorithms.types import Array, Spec
from fedrl_ray.common.errors import UserError
from fedrl_ray.config import plugins
from fedrl_ray.vector_envs.mujoco import MujocoVectorEnv
from fedrl_ray.vector_envs.mujoco_model import PARAMETERS
from fedrl_ray.vector_envs.parameters import UniformRange
from tests.support.vector_envs import family_of, vector_env_of

CLASSIC = ("acrobot", "cartpole", "mountain_car", "mountain_car_continuous", "pendulum")
mujoco: Any = pytest.importorskip("mujoco")
ROBOTS = ("ant", "half_cheetah", "hopper", "walker2d")
ENDS = [(parameter, end) for parameter in PARAMETERS for end in ("low", "high")]
DIVERGED = [
    mujoco.mjtWarning.mjWARN_BADQPOS,
    mujoco.mjtWarning.mjWARN_BADQVEL,
    mujoco.mjtWarning.mjWARN_BADQACC,
]
Motors = Callable[[Any, np.random.Generator, int], Array]


def along_the_movement(env: Any, rng: np.random.Generator, step: int) -> Array:
    """Push every joint the way it moves: no other motors put in as much energy."""
    joints = env.model.actuator_trnid[:, 0]
    return np.where(env.data.qvel[env.model.jnt_dofadr[joints]] >= 0, 1.0, -1.0)


def at_random(env: Any, rng: np.random.Generator, step: int) -> Array:
    """Push fully to either side, anew in each step."""
    return rng.choice([-1.0, 1.0], env.model.nu)


def diverges(
    name: str, motors: Motors, *, seed: int = 0, steps: int = 1000, **values: float
) -> bool:
    """Return True if MuJoCo warns of diverging numbers within some steps of whole episodes."""
    family = family_of(name)
    rows = family.nominal() | {p: np.array([value]) for p, value in values.items()}
    dynamics = {p: np.repeat(value, seed + 1) for p, value in rows.items()}
    vector_env = vector_env_of(family, dynamics, [seed])
    assert isinstance(vector_env, MujocoVectorEnv)
    env, rng = vector_env.envs[0], np.random.default_rng(seed)
    for step in range(steps):
        transition = vector_env.step(motors(env, rng, step)[None].astype(np.float32))
        finite = np.isfinite(transition.next_obs).all() and np.isfinite(transition.reward).all()
        if not finite or any(env.data.warning[kind].number for kind in DIVERGED):
            return True
    return False


@pytest.mark.parametrize("motors", [along_the_movement, at_random])
@pytest.mark.parametrize(
    ("parameter", "end"), [("actuator_strength", "high"), ("joint_damping", "low")]
)
def test_half_cheetah_is_stable_where_it_used_to_diverge(
    parameter: str, end: str, motors: Motors
) -> None:
    value = getattr(family_of("half_cheetah").parameters[parameter], end)
    assert not any(
        diverges("half_cheetah", motors, seed=seed, **{parameter: value}) for seed in (0, 1)
    )


@pytest.mark.parametrize(
    ("motors", "values"),
    [
        (along_the_movement, {"actuator_strength": 3.0}),
        (along_the_movement, {"joint_damping": 0.0, "actuator_strength": 1.5}),
        (at_random, {"actuator_strength": 6.0}),
    ],
)
def test_half_cheetah_diverges_beyond_its_ranges(motors: Motors, values: dict[str, float]) -> None:
    assert any(diverges("half_cheetah", motors, seed=seed, **values) for seed in (0, 1, 2))
    parameter, value = next(iter(values.items()))
    with pytest.raises(UserError, match=f"environment.perturb.{parameter}: must stay within"):
        family_of("half_cheetah").ranges({parameter: UniformRange(low=value, high=value)})


@pytest.mark.parametrize("parameter", ["actuator_strength", "joint_damping"])
def test_half_cheetah_still_takes_half_of_nominal_either_way(parameter: str) -> None:
    assert family_of("half_cheetah").ranges({parameter: 0.5}) == {parameter: (0.5, 1.5)}


@pytest.mark.slow
@pytest.mark.parametrize("name", ROBOTS)
@pytest.mark.parametrize(("parameter", "end"), ENDS)
def test_every_legal_end_of_a_robot_is_stable(name: str, parameter: str, end: str) -> None:
    value = getattr(plugins.load("environments", name).parameters[parameter], end)
    for motors in (along_the_movement, at_random):
        assert not diverges(name, motors, **{parameter: value})


@pytest.mark.parametrize("push", ["along the movement", "at random"])
@pytest.mark.parametrize("name", CLASSIC)
def test_classic_control_is_stable_at_all_corners_of_its_ranges(name: str, push: str) -> None:
    family, rng = family_of(name), np.random.default_rng(0)
    corners = list(itertools.product(*((p.low, p.high) for p in family.parameters.values())))
    dynamics = dict(zip(family.parameters, np.array(corners).T, strict=True))
    vector_env = vector_env_of(family, dynamics, range(len(corners)))
    for _ in range(family.spec.max_episode_steps):
        ahead = (
            vector_env.obs[:, -1] >= 0 if push != "at random" else rng.random(len(corners)) < 0.5
        )
        transition = vector_env.step(full_pushes(family.spec, ahead))
        assert np.isfinite(transition.next_obs).all() and np.isfinite(transition.reward).all()


def full_pushes(spec: Spec, ahead: Array) -> Array:
    """Return the last or the first action for each row: [N] or [N, A]."""
    if spec.kind == "discrete":
        return np.where(ahead, spec.num_actions - 1, 0)
    return np.where(ahead[:, None], spec.action_high, spec.action_low).astype(np.float32)
