"""Tabular environments step by their kernels, and families have the kernels they promise."""

from __future__ import annotations

import inspect
from typing import Any

import gymnasium
import numpy as np
import pytest

from algorithms.draws import Role, philox
from algorithms.tabular.federated_mdp import FederatedMDP, assumption1_violations, heterogeneity
from algorithms.types import Array, Spec
from fedrl_ray.common.errors import UserError
from fedrl_ray.environments.frozen_lake import FrozenLake
from fedrl_ray.environments.random_mdp import RandomMDP
from fedrl_ray.environments.windy_cliff import WindyCliff
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds
from fedrl_ray.vector_envs.parameters import UniformRange
from fedrl_ray.vector_envs.tabular import Tables, TabularFamily, TabularVectorEnv
from tests.support.federations import same_bits
from tests.support.memory import peak_memory

FAMILIES = [RandomMDP, WindyCliff, FrozenLake]


def family_of(cls: Any, **keys: Any) -> Any:
    return cls(cls.Config(**keys))


def mdp_of(family: Any, kernels: Array) -> FederatedMDP:
    tables = family.tables
    return FederatedMDP(
        kernel_KSAX=kernels, reward=tables.reward_SAX, terminal_S=tables.terminal_S, discount=0.9
    )


def random_actions(env: TabularVectorEnv, steps: int) -> list[Array]:
    generator, n = np.random.default_rng(0), len(env.obs)
    return [generator.integers(env.spec.num_actions, size=n) for _ in range(steps)]


@pytest.mark.parametrize("cls", FAMILIES)
def test_every_family_makes_distributions_over_its_states(cls: Any) -> None:
    family = family_of(cls)
    points = family.grid({}, size=3, seed=0)
    mdp = mdp_of(family, family.kernels(points))
    assert mdp.kernel_KSAX.shape[1:] == family.tables.reward_SAX.shape
    assert family.tables.start_S.sum() == pytest.approx(1)
    assert family.spec.kind == "tabular"
    assert inspect.isabstract(TabularFamily) and not inspect.isabstract(cls)


@pytest.mark.parametrize("cls", FAMILIES)
def test_successors_come_as_often_as_the_kernel_says(cls: Any) -> None:
    family = family_of(cls)
    dynamics = {name: np.repeat(v, 20) for name, v in family.nominal().items()}
    env = family.make(dynamics, EpisodeSeeds.of_agents(3, range(20)), retire=False)
    counts = np.zeros(env.reward_SAX.shape)
    for action in random_actions(env, 2000):
        t = env.step(action)
        np.add.at(counts, (t.obs, t.action, t.next_obs), 1)
        np.testing.assert_array_equal(t.reward, env.reward_SAX[t.obs, t.action, t.next_obs])
        np.testing.assert_array_equal(t.terminated, env.terminal_S[t.next_obs])
    visits = counts.sum(-1, keepdims=True)
    kernel = env.kernel_NSAX[0]
    deviation = np.sqrt(kernel * (1 - kernel) / np.maximum(visits, 1))
    often = (visits > 50)[..., 0]
    assert often.sum() >= 12
    error = np.abs(counts / np.maximum(visits, 1) - kernel)
    assert (error <= 5 * deviation)[often].all()
    assert not counts[~(kernel > 0)].any()


def test_first_states_follow_the_start_distribution() -> None:
    tables = Tables(
        reward_SAX=np.zeros((3, 1, 3)),
        terminal_S=np.zeros(3, dtype=bool),
        start_S=np.array([0.25, 0.75, 0.0]),
    )
    spec = Spec(obs_size=1, num_states=3, num_actions=1, max_episode_steps=1)
    kernel = np.broadcast_to(np.eye(3)[:, None], (2000, 3, 1, 3))
    env = TabularVectorEnv(spec, tables, kernel, EpisodeSeeds.of_agents(0, range(2000)))
    assert np.bincount(env.obs, minlength=3) == pytest.approx([500, 1500, 0], abs=90)


@pytest.mark.parametrize("cls", FAMILIES)
def test_packing_changes_no_step(cls: Any) -> None:
    family = family_of(cls)
    dynamics = family.draw({}, seed=0, agent_ids=range(3))
    together = family.make(dynamics, EpisodeSeeds.of_agents(0, range(3)), retire=False)
    actions = random_actions(together, 250)
    steps = [together.step(action) for action in actions]
    for agent in range(3):
        own = family.draw({}, seed=0, agent_ids=[agent])
        alone = family.make(own, EpisodeSeeds.of_agents(0, [agent]), retire=False)
        for action, step in zip(actions, steps, strict=True):
            mine = alone.step(action[[agent]])
            assert all(x[0] == y[agent] for x, y in zip(mine, step, strict=True))


@pytest.mark.parametrize("cls", FAMILIES)
def test_a_saved_row_goes_on_exactly(cls: Any) -> None:
    family = family_of(cls)

    def vector_env() -> Any:
        dynamics = family.draw({}, seed=0, agent_ids=range(2))
        return family.make(dynamics, EpisodeSeeds.of_agents(0, range(2)), retire=False)

    env, other = vector_env(), vector_env()
    actions = random_actions(env, 300)
    for action in actions[:130]:
        env.step(action)
    for row in range(2):
        other.load_agent_state(row, env.agent_state(row))
    for action in actions[130:]:
        one, two = env.step(action), other.step(action)
        assert all(np.array_equal(x, y) for x, y in zip(one, two, strict=True))
    assert all(same_bits(env.agent_state(row), other.agent_state(row)) for row in range(2))


def test_long_episodes_draw_the_same_numbers_a_block_at_a_time() -> None:
    """2500 steps are three blocks, saved and loaded on both sides of a block's end."""
    family = family_of(RandomMDP, max_episode_steps=2500)
    dynamics = family.draw({}, seed=0, agent_ids=range(2))
    seeds = EpisodeSeeds.of_agents(0, range(2))
    env, other = (family.make(dynamics, seeds, retire=False) for _ in range(2))
    uniform_NT = [philox(seeds.seed(row, 0), Role.TRANSITION, 0).random(2501) for row in range(2)]
    for step, action in enumerate(random_actions(env, 2500), start=1):
        cumulative_NX = env.kernel_NSAX[[0, 1], env.obs, action].cumsum(-1)
        below_NX = cumulative_NX / cumulative_NX[:, -1:] <= np.array(uniform_NT)[:, [step]]
        found = env.step(action).next_obs
        assert found.tolist() == below_NX.sum(-1).tolist()
        assert step < 1020 or np.array_equal(found, other.step(action).next_obs)
        if step in (1019, 1022, 1023, 1024, 2047):
            for row in range(2):
                other.load_agent_state(row, env.agent_state(row))


def test_the_longest_episodes_take_no_memory() -> None:
    """The uniforms of whole episodes would take 16 GB."""
    family = family_of(WindyCliff, max_episode_steps=10**7)
    dynamics, seeds = {"wind": np.full(200, 0.5)}, EpisodeSeeds.of_agents(0, range(200))
    assert peak_memory(lambda: family.make(dynamics, seeds, retire=False)) < 2**23


def test_a_continuing_task_is_truncated_and_not_terminated() -> None:
    family = family_of(RandomMDP, max_episode_steps=5)
    dynamics = family.draw({}, seed=0, agent_ids=range(3))
    env = family.make(dynamics, EpisodeSeeds.of_agents(0, range(3)), retire=False)
    steps = [env.step(action) for action in random_actions(env, 10)]
    assert not any(step.terminated.any() for step in steps)
    assert env.drain_episodes()[1].tolist() == [2, 2, 2]


def test_retired_rows_may_be_stepped_on() -> None:
    family = family_of(FrozenLake)
    seeds = EpisodeSeeds.of_grid(0, range(2), 3)
    dynamics = {"success_rate": np.repeat([0.2, 0.5], 3)}
    env = family.make(dynamics, seeds, retire=True)
    for action in random_actions(env, 130):
        env.step(action)
    assert not env.alive.any()
    assert env.drain_episodes()[1].tolist() == [1] * 6


def test_random_mdps_of_agents_and_of_the_test_grid_are_all_different() -> None:
    family = family_of(RandomMDP, heterogeneity=0.7)
    train = family.draw({}, seed=0, agent_ids=range(4))
    unseen = family.grid({}, size=5, seed=0)
    assert train["kernel"].tolist() == [0, 1, 2, 3]
    every = np.concatenate([family.kernels(d) for d in (train, unseen, family.nominal())])
    assert len(np.unique(every.reshape(10, -1), axis=0)) == 10
    np.testing.assert_array_equal(train["heterogeneity"], 0.7)


def test_heterogeneity_is_the_distance_from_the_centre_to_a_kernel() -> None:
    family = family_of(RandomMDP)
    points = {"kernel": np.zeros(3), "heterogeneity": np.array([0.0, 0.25, 1.0])}
    none, quarter, full = family.kernels(points)
    np.testing.assert_array_equal(none, family.kernels(family.nominal())[0])
    np.testing.assert_allclose(quarter, 0.75 * none + 0.25 * full)
    far = heterogeneity(mdp_of(family, family.kernels({
        "kernel": np.arange(4.0), "heterogeneity": np.full(4, 1.0)})))  # fmt: skip
    near = heterogeneity(mdp_of(family, family.kernels({
        "kernel": np.arange(4.0), "heterogeneity": np.full(4, 0.2)})))  # fmt: skip
    assert (near < far).all()


def test_random_mdps_obey_their_perturbation() -> None:
    family = family_of(RandomMDP)
    perturb = {"kernel": (7.0, 7.0, 9.0), "heterogeneity": UniformRange(low=0.2, high=0.4)}
    dynamics = family.draw(perturb, seed=0, agent_ids=[2, 0])
    assert dynamics["kernel"].tolist() == [9, 7]
    assert ((dynamics["heterogeneity"] >= 0.2) & (dynamics["heterogeneity"] <= 0.4)).all()
    points = family.grid({"heterogeneity": perturb["heterogeneity"]}, size=3, seed=0)
    np.testing.assert_allclose(points["heterogeneity"], [0.2, 0.3, 0.4])
    assert not np.isin(points["kernel"], (7, 9)).any()
    listed = family.grid(perturb, size=11, seed=0, key="evaluation.perturb")
    assert listed["kernel"].tolist() == [7, 9]
    np.testing.assert_allclose(listed["heterogeneity"], [0.2, 0.4])
    for wrong in (0.5, (0.5, 1.0)):
        with pytest.raises(UserError, match=r"perturb\.kernel: must list one whole number"):
            family.draw({"kernel": wrong}, seed=0, agent_ids=[0])
    with pytest.raises(UserError, match=r"perturb\.gravity: no such parameter"):
        family.draw({"gravity": 0.5}, seed=0, agent_ids=[0])


@pytest.mark.parametrize(
    ("cls", "keys", "holds"),
    [
        (RandomMDP, {}, True),
        (RandomMDP, {"shared_support": False}, False),
        (WindyCliff, {}, True),
        (FrozenLake, {}, True),
    ],
)
def test_assumption_1_holds_where_promised(cls: Any, keys: dict[str, Any], holds: bool) -> None:
    family = family_of(cls, **keys)
    perturb: dict[str, Any] = {} if cls is RandomMDP else {
        next(iter(family.parameters)): UniformRange(low=0.0, high=1.0)}  # fmt: skip
    kernels = family.kernels(family.grid(perturb, size=5, seed=0))
    assert assumption1_violations(mdp_of(family, kernels)).any() != holds


def test_windy_cliff_is_jins() -> None:
    family = family_of(WindyCliff)
    calm, stormy = family.kernels({"wind": np.array([0.0, 0.6])})
    up, down, left, right = range(4)
    assert calm[0, up, 4] == calm[0, left, 0] == calm[0, right, 1] == calm[0, down, 0] == 1
    assert calm[6, left, 5] == calm[7, right, 7] == calm[13, up, 13] == 1
    assert (calm[1:4, :, 0] == 1).all() and (stormy[1:4, :, 0] == 1).all()
    assert stormy[5, right, 6] == pytest.approx(0.8)
    assert stormy[5, right, 1] == pytest.approx(0.2)
    assert stormy[5, down, 1] == pytest.approx(1.0)
    rewards = family.tables.reward_SAX[:, 0, 0]
    assert rewards[:4].tolist() == [-1, -100, -100, 100] and (rewards[4:] == -1).all()


@pytest.mark.parametrize(
    ("map_name", "name"), [("4x4", "FrozenLake-v1"), ("8x8", "FrozenLake8x8-v1")]
)
def test_frozen_lake_is_gymnasiums(map_name: str, name: str) -> None:
    family = family_of(FrozenLake, map_name=map_name)
    env = gymnasium.make(name, success_rate=1.0)
    assert env.spec is not None
    assert family.spec.max_episode_steps == env.spec.max_episode_steps
    vector_env = family.make(
        {"success_rate": np.ones(1)}, EpisodeSeeds.of_agents(0, [0]), retire=False
    )
    obs, done = env.reset(seed=0)[0], False
    for action in random_actions(vector_env, 400):
        obs = env.reset()[0] if done else obs
        t = vector_env.step(action)
        assert t.obs[0] == obs
        obs, reward, terminated, truncated, _ = env.step(int(action[0]))
        done = terminated or truncated
        assert (t.next_obs[0], t.reward[0], t.terminated[0]) == (obs, reward, terminated)
