"""Laws that every environment family in the folder keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from algorithms.types import Dynamics
from fedrl_ray.config import plugins
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds
from tests.support.federations import same_bits
from tests.support.vector_envs import (
    actions_for,
    bits,
    family_of,
    perturbed_value,
    run,
    varied,
    vector_env_of,
)

NAMES = plugins.names("environments")
PARAMETERS = [(name, parameter) for name in NAMES for parameter in family_of(name).parameters]


@pytest.mark.parametrize("name", NAMES)
def test_packing_changes_no_bit(name: str) -> None:
    family, dynamics = family_of(name, 50), varied(name, 5)
    actions = actions_for(family.spec, 120, 5)
    together = vector_env_of(family, dynamics, range(5))
    expected = run(together, actions)
    for group in ([0], [1], [2, 3, 4]):
        alone = vector_env_of(family, dynamics, group)
        found = run(alone, actions[:, group])
        for row, agent in enumerate(group):
            assert same_bits(bits(found, row), bits(expected, agent))
            assert same_bits(alone.agent_state(row), together.agent_state(agent))


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_agent_goes_on_exactly(name: str) -> None:
    family, dynamics = family_of(name, 50), varied(name, 2)
    actions = actions_for(family.spec, 150, 2)
    save_at = int(np.random.default_rng(list(name.encode())).integers(51, 99))
    for at in (0, save_at):
        first, second = (vector_env_of(family, dynamics, agents) for agents in ([0, 1], [1, 0]))
        run(first, actions[:at])
        for row in (0, 1):
            second.load_agent_state(1 - row, first.agent_state(row))
            assert same_bits(second.agent_state(1 - row), first.agent_state(row))
        assert np.array_equal(first.obs, second.obs[::-1])
        for rest in actions[at:]:
            mine, other = first.step(rest), second.step(rest[::-1])
            for row in (0, 1):
                assert same_bits(bits([mine], row), bits([other], 1 - row))


@pytest.mark.parametrize("name", NAMES)
def test_agents_do_not_touch_each_other(name: str) -> None:
    family = family_of(name, 50)
    dynamics, nominal = varied(name, 3), family_of(name).nominal()
    others = {p: np.append(values[:2], nominal[p]) for p, values in dynamics.items()}
    actions = actions_for(family.spec, 80, 3)
    one, two = (run(vector_env_of(family, d, range(3)), actions) for d in (dynamics, others))
    assert all(same_bits(bits(one, row), bits(two, row)) for row in (0, 1))
    assert not same_bits(bits(one, 2), bits(two, 2))


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
def test_each_parameter_changes_the_trajectory(name: str, parameter: str) -> None:
    family = family_of(name, 100)
    nominal = {p: np.repeat(v, 2) for p, v in family.nominal().items()}
    if name == "random_mdp" and parameter != "kernel":
        nominal["kernel"][:] = 0.0  # heterogeneity changes every kernel except the centre
    changed = {p: v.copy() for p, v in nominal.items()}
    changed[parameter][1] = perturbed_value(family, name, parameter)
    actions = actions_for(family.spec, 200, 2)
    one, two = (run(vector_env_of(family, d, [0, 1]), actions) for d in (nominal, changed))
    assert not same_bits(bits(one, 1), bits(two, 1))


@pytest.mark.parametrize("name", NAMES)
def test_truncation_is_not_termination(name: str) -> None:
    cut, whole = family_of(name, 4), family_of(name)
    dynamics, actions = varied(name, 2), actions_for(cut.spec, 4, 2)
    vector_env, twin = vector_env_of(cut, dynamics, [0, 1]), vector_env_of(whole, dynamics, [0, 1])
    transitions, expected = run(vector_env, actions), run(twin, actions)
    for row in (0, 1):
        assert same_bits(bits(transitions, row), bits(expected, row))
    assert vector_env.finished.all() and not transitions[-1].terminated.any()
    fresh = [cut.make(_row(dynamics, r), _second_episode(r), retire=False) for r in (0, 1)]
    assert np.array_equal(vector_env.obs, np.concatenate([one.obs for one in fresh]))


def _row(dynamics: Dynamics, row: int) -> Dynamics:
    return {name: values[row : row + 1] for name, values in dynamics.items()}


def _second_episode(agent: int) -> EpisodeSeeds:
    seeds = EpisodeSeeds.of_agents(5, [agent])
    seeds.first[:] = 1
    return seeds


@pytest.mark.parametrize("name", NAMES)
def test_a_retired_row_keeps_its_first_return(name: str) -> None:
    family = family_of(name, 30)
    vector_env = vector_env_of(family, varied(name, 3), range(3), retire=True)
    returns = np.zeros(3)
    for action in actions_for(family.spec, 30, 3):
        alive = vector_env.alive.copy()
        returns += np.where(alive, vector_env.step(action).reward.astype(float), 0.0)
    assert not vector_env.alive.any()
    np.testing.assert_allclose(vector_env.returns[:, 0], returns, rtol=1e-6)
    total, count = vector_env.drain_episodes()
    assert np.array_equal(count, np.ones(3)) and np.array_equal(total, vector_env.returns[:, 0])


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_environment_may_be_closed_twice(name: str) -> None:
    vector_env = vector_env_of(family_of(name, 30), varied(name, 2), range(2))
    run(vector_env, actions_for(vector_env.spec, 3, 2))
    vector_env.close()
    vector_env.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_family_knows_the_memory_of_its_environments(name: str) -> None:
    family = family_of(name)
    known = family.bytes_per_environment()
    assert 2**12 <= known < 2**22
    if family.spec.kind == "tabular":
        vector_env: Any = vector_env_of(family, varied(name, 2), range(2))
        assert known >= 2 * vector_env.kernel_NSAX[0].nbytes + vector_env.reward_SAX.nbytes
