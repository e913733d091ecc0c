"""Nominal MuJoCo robots are Gymnasium's own, and perturbed robots change as documented."""

from __future__ import annotations

import importlib
import sys
from copy import copy
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from algorithms.types import Array
from fedrl_ray.agents.execution_profile import threads_of
from fedrl_ray.common.errors import UserError
from fedrl_ray.config import plugins
from fedrl_ray.config.loading import from_dict
from fedrl_ray.environments.hopper import Hopper
from fedrl_ray.vector_envs.mujoco import MujocoConfig, MujocoVectorEnv
from fedrl_ray.vector_envs.parameters import EnvironmentConfig
from fedrl_ray.vector_envs.threads import StepThreads
from tests.support.federations import same_bits
from tests.support.vector_envs import actions_for, bits, family_of, run, vector_env_of

mujoco: Any = pytest.importorskip("mujoco")

ROBOTS = {
    "hopper": "Hopper-v5",
    "half_cheetah": "HalfCheetah-v5",
    "walker2d": "Walker2d-v5",
    "ant": "Ant-v5",
}
SHINS = {"hopper": "leg", "half_cheetah": "bshin", "walker2d": "leg_left", "ant": None}
robots = pytest.mark.parametrize("name", ROBOTS)


def model_of(name: str, **perturb: float) -> Any:
    """Return the compiled model of a robot that is nominal except for some parameters."""
    family = family_of(name)
    dynamics = family.nominal() | {p: np.array([value]) for p, value in perturb.items()}
    vector_env = vector_env_of(family, dynamics, [0])
    assert isinstance(vector_env, MujocoVectorEnv)
    return vector_env.envs[0].model


def saved(model: Any) -> bytes:
    buffer = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return buffer.tobytes()


@robots
def test_a_nominal_robot_is_gymnasiums_bit_for_bit(name: str) -> None:
    family = family_of(name)
    env: Any = gymnasium.make(ROBOTS[name])
    vector_env = vector_env_of(family, family.nominal(), [0])
    assert saved(model_of(name)) == saved(env.unwrapped.model)
    assert env.observation_space.shape == (family.spec.obs_size,)
    assert env.action_space.low.tolist() == list(family.spec.action_low)
    assert env.spec.max_episode_steps == family.spec.max_episode_steps
    obs, _ = env.reset(seed=vector_env.seeds.seed(0, 0))
    for action in actions_for(family.spec, 200, 1):
        assert np.array_equal(vector_env.obs[0], obs.astype(np.float32))
        obs, reward, terminated, _, _ = env.step(action[0])
        t = vector_env.step(action)
        assert t.reward[0] == np.float32(reward) and bool(t.terminated[0]) == terminated
        assert np.array_equal(t.next_obs[0], obs.astype(np.float32))
        if terminated:
            break


@robots
def test_a_heavier_torso_has_more_inertia_and_changes_no_other_body(name: str) -> None:
    nominal, heavy = model_of(name), model_of(name, torso_mass=1.5)
    torso = nominal.body("torso").id
    expected = np.where(np.arange(nominal.nbody) == torso, 1.5, 1.0)
    np.testing.assert_allclose(heavy.body_mass, nominal.body_mass * expected, rtol=1e-12)
    inertia = nominal.body_inertia * expected[:, None]
    np.testing.assert_allclose(heavy.body_inertia, inertia, rtol=1e-12)
    assert not np.array_equal(heavy.dof_invweight0, nominal.dof_invweight0)


@robots
@pytest.mark.parametrize(
    ("parameter", "array"),
    [
        ("friction", "geom_friction"),
        ("joint_damping", "dof_damping"),
        ("actuator_strength", "actuator_gear"),
    ],
)
def test_a_factor_scales_what_it_names(name: str, parameter: str, array: str) -> None:
    nominal, changed = model_of(name), model_of(name, **{parameter: 0.5})
    assert np.array_equal(getattr(changed, array), 0.5 * getattr(nominal, array))
    assert np.array_equal(changed.body_mass, nominal.body_mass)


@robots
def test_gravity_is_in_metres_per_second_squared(name: str) -> None:
    assert model_of(name, gravity=3.7).opt.gravity.tolist() == [0.0, 0.0, -3.7]


@robots
@pytest.mark.parametrize("factor", [0.5, 1.5])
def test_a_longer_limb_is_longer_between_its_joints_and_starts_above_the_floor(
    name: str, factor: float
) -> None:
    nominal, changed = model_of(name), model_of(name, limb_length=factor)
    np.testing.assert_allclose(_shin(name, changed), factor * _shin(name, nominal), rtol=1e-12)
    assert nominal.ngeom == changed.ngeom and np.array_equal(
        nominal.geom_size[:, 0], changed.geom_size[:, 0]
    )
    gap, gap_nominal = _lowest(changed), _lowest(nominal)
    if name in ("hopper", "walker2d", "ant"):
        assert gap == pytest.approx(gap_nominal, abs=1e-9)
    assert gap > 0.03


def _shin(name: str, model: Any) -> float:
    """Return the distance from the limb's joint to the next, or the length of Ant's last limb."""
    data = _start_pose(model)
    if SHINS[name] is None:
        return float(2 * model.geom("left_ankle_geom").size[1])
    shin = model.body(SHINS[name]).id
    foot = int(np.flatnonzero(model.body_parentid == shin)[0])
    anchors = [data.xanchor[model.body_jntadr[body]] for body in (shin, foot)]
    return float(np.linalg.norm(anchors[0] - anchors[1]))


def _lowest(model: Any) -> float:
    """Return the height of the lowest capsule in the start pose, in m."""
    data = _start_pose(model)
    capsules = model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE
    along = np.abs(data.geom_xmat[:, 8]) * model.geom_size[:, 1]
    return float((data.geom_xpos[:, 2] - along - model.geom_size[:, 0])[capsules].min())


def _start_pose(model: Any) -> Any:
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return data


def test_a_longer_limb_leaves_the_mass_of_other_bodies() -> None:
    nominal, changed = model_of("half_cheetah"), model_of("half_cheetah", limb_length=1.5)
    shins = [nominal.body(name).id for name in ("bshin", "fshin")]
    others = np.setdiff1d(np.arange(nominal.nbody), shins)
    np.testing.assert_allclose(changed.body_mass[others], nominal.body_mass[others], rtol=1e-12)
    assert (changed.body_mass[shins] > 1.3 * nominal.body_mass[shins]).all()


def test_rows_of_equal_dynamics_share_a_model_and_stay_apart() -> None:
    family = family_of("hopper")
    dynamics = {p: np.repeat(v, 3) for p, v in family.nominal().items()}
    dynamics["gravity"][2] = 5.0
    vector_env: Any = vector_env_of(family, dynamics, range(3))
    one, two, three = (env.model for env in vector_env.envs)
    assert one is two and one is not three
    actions = actions_for(family.spec, 60, 3)
    together: list[Any] = run(vector_env, actions)
    alone = run(vector_env_of(family, dynamics, [1]), actions[:, 1:2])
    assert same_bits(bits(together, 1), bits(alone, 0))


def test_ant_reads_body_positions_that_its_integration_state_does_not_hold() -> None:
    """The first reward after loading would differ if `physics_state` did not keep them."""
    family, rewards = family_of("ant"), []
    actions = actions_for(family.spec, 31, 1)
    first = vector_env_of(family, family.nominal(), [0])
    run(first, actions[:30])
    state: dict[str, Array] = first.agent_state(0)
    for positions in (state["physics/body_positions"], state["physics/body_positions"] + 0.01):
        second = vector_env_of(family, family.nominal(), [0])
        second.load_agent_state(0, state | {"physics/body_positions": positions})
        rewards.append(second.step(actions[30]).reward[0])
    assert first.step(actions[30]).reward[0] == rewards[0] != rewards[1]


def test_a_missing_mujoco_is_one_line_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in [m for m in sys.modules if m.startswith("gymnasium.envs.mujoco")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(UserError, match=r"hopper needs MuJoCo.*pip install fedrl-ray\[mujoco\]"):
        Hopper(EnvironmentConfig())


@pytest.mark.parametrize("gl", ["osmesa", "egl", "nonsense"])
def test_a_missing_graphics_library_is_one_line(gl: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_library(name: str) -> None:  # as `import mujoco` fails without the library
        raise AttributeError("'NoneType' object has no attribute 'glGetError'")

    monkeypatch.setenv("MUJOCO_GL", gl)
    monkeypatch.setattr(importlib, "import_module", without_library)
    with pytest.raises(UserError, match=rf"MUJOCO_GL is '{gl}': unset it") as caught:
        Hopper(EnvironmentConfig())
    assert "\n" not in str(caught.value)


@robots
def test_threads_change_no_bit(name: str) -> None:
    """The bits are equal over several episodes."""
    family = copy(family_of(name, 15))
    dynamics, results = family.draw({"gravity": 0.3}, seed=1, agent_ids=range(5)), []
    for threads in (1, 2, 3):
        family.config = MujocoConfig(threads=threads)
        vector_env = vector_env_of(family, dynamics, range(5))
        steps: list[Any] = run(vector_env, actions_for(family.spec, 40, 5))
        results.append([(bits(steps, row), vector_env.agent_state(row)) for row in range(5)])
        vector_env.close()
    for other in results[1:]:
        for (steps_a, state_a), (steps_b, state_b) in zip(results[0], other, strict=True):
            assert same_bits(steps_a, steps_b) and same_bits(state_a, state_b)


@pytest.mark.parametrize("flush", [True, False])
def test_threads_take_denormal_numbers_as_the_caller_does(flush: bool) -> None:
    tiny, products = np.float32(1e-40), [np.float32(1)] * 2
    threads = StepThreads(2)
    torch.set_flush_denormal(flush)
    try:
        threads.each(lambda row: products.__setitem__(row, tiny * np.float32(0.5)), [0, 1])
    finally:
        torch.set_flush_denormal(False)
        threads.close()
    assert [product == 0 for product in products] == [flush, flush]


def test_what_a_row_raises_is_raised_when_all_threads_are_done() -> None:
    done = []

    def step(row: int) -> None:
        if row in (1, 3):
            raise ValueError(f"row {row}")
        done.append(row)

    threads = StepThreads(2)
    with pytest.raises(ValueError, match="row 1"):
        threads.each(step, [0, 1, 2, 3])
    threads.each(step, [4])
    threads.each(step, [])
    threads.close()
    assert sorted(done) == [0, 2, 4]


def test_threads_are_an_execution_profile_and_no_other_experiment() -> None:
    def experiment(threads: int) -> Any:
        environment = {"name": "hopper", "threads": threads}
        return from_dict({"learner": {"name": "fedrddpg"}, "environment": environment})

    one, two = experiment(1), experiment(2)
    assert one.identity() == two.identity()
    assert threads_of(one.to_dict()) == {}
    assert threads_of(two.to_dict()) == {"environment_threads": 2}
    with pytest.raises(UserError, match="threads: must be greater than or equal to 1; got 0"):
        experiment(0)


def test_a_user_environment_of_mujoco_writes_no_log_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MuJoCo warns about an attribute that Gymnasium's HalfCheetah uses."""
    monkeypatch.chdir(tmp_path)
    mujoco.set_mju_user_warning(None)
    cls = plugins.load("environments", "gymnasium")
    cls(cls.Config(id="HalfCheetah-v5"))
    assert not list(tmp_path.iterdir())
