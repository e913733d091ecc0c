"""Every parameter gives the physics of Gymnasium's own scalar environments."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from algorithms.types import Transition
from fedrl_ray.vector_envs.episodes import EpisodicVectorEnv
from tests.support.vector_envs import actions_for, family_of, vector_env_of

ATTRIBUTES: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "cartpole": (
        "CartPole-v1",
        {
            "pole_length": ("length",),
            "pole_mass": ("masspole",),
            "cart_mass": ("masscart",),
            "gravity": ("gravity",),
            "force": ("force_mag",),
        },
    ),
    "acrobot": (
        "Acrobot-v1",
        {
            "link_length_1": ("LINK_LENGTH_1", "LINK_COM_POS_1"),
            "link_length_2": ("LINK_LENGTH_2", "LINK_COM_POS_2"),
            "link_mass_1": ("LINK_MASS_1",),
            "link_mass_2": ("LINK_MASS_2",),
        },
    ),
    "mountain_car": (
        "MountainCar-v0",
        {"gravity": ("gravity",), "force": ("force",), "max_speed": ("max_speed",)},
    ),
    "mountain_car_continuous": (
        "MountainCarContinuous-v0",
        {"power": ("power",), "max_speed": ("max_speed",)},
    ),
    "pendulum": (
        "Pendulum-v1",
        {
            "gravity": ("g",),
            "mass": ("m",),
            "length": ("l",),
            "max_torque": ("max_torque",),
            "max_speed": ("max_speed",),
        },
    ),
}
"""Family -> Gymnasium's id, and the attributes that each parameter sets."""

PARAMETERS = [(name, parameter) for name, (_, all_) in ATTRIBUTES.items() for parameter in all_]
HALVED = {"length", "LINK_COM_POS_1", "LINK_COM_POS_2"}


def gymnasium_env(name: str, parameter: str, value: float) -> Any:
    """Return Gymnasium's own environment with one parameter set."""
    env_id, attributes = ATTRIBUTES[name]
    env = gymnasium.make(env_id)
    for attribute in attributes[parameter]:
        assert hasattr(env.unwrapped, attribute)
        setattr(env.unwrapped, attribute, value / 2 if attribute in HALVED else value)
    if name == "cartpole":
        base: Any = env.unwrapped
        base.total_mass = base.masspole + base.masscart
        base.polemass_length = base.masspole * base.length
    return env


def test_every_parameter_of_classic_control_is_compared() -> None:
    assert {n: set(a) for n, (_, a) in ATTRIBUTES.items()} == {
        name: set(family_of(name).parameters) for name in ATTRIBUTES
    }


@pytest.mark.parametrize("factor", [0.6, 0.9])
@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_physics_are_gymnasiums_own(name: str, parameter: str, factor: float) -> None:
    """Two complete episodes agree, including their ends."""
    family = family_of(name)
    value = family.nominal()[parameter] * factor
    vector_env = vector_env_of(family, family.nominal() | {parameter: value}, [0])
    env = gymnasium_env(name, parameter, float(value[0]))
    assert env.spec is not None and env.spec.max_episode_steps == family.spec.max_episode_steps
    for episode in (0, 1):
        obs, _ = env.reset(seed=vector_env.seeds.seed(0, episode))
        assert np.array_equal(vector_env.obs[0], obs)
        for action in actions_for(family.spec, family.spec.max_episode_steps, 1):
            expected = env.step(action[0])
            agrees(name, vector_env, vector_env.step(action), expected, env.unwrapped)
            if expected[2] or expected[3]:
                break


def agrees(
    name: str, vector_env: EpisodicVectorEnv, found: Transition, expected: Any, env: Any
) -> None:
    """Assert that a step agrees: exactly, or to 1e-9 for CartPole, which computes in vectors."""
    obs, reward, terminated, truncated, _ = expected
    if name != "cartpole":
        assert np.array_equal(found.next_obs[0], obs)
    elif not vector_env.finished[0]:
        state = vector_env.physics_state(0)["state"]
        np.testing.assert_allclose(state, env.state, rtol=1e-9, atol=1e-9)
    assert found.reward[0] == np.float32(reward)
    assert bool(found.terminated[0]) == terminated
    assert vector_env.finished[0] == (terminated or truncated)
