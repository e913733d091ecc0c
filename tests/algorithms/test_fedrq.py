"""FedRQ against hand numbers, a plain loop and the exact solutions it should reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from algorithms.learners.fedrq import FedRQ
from algorithms.types import Array, Spec, Transition
from fedrl_ray.environments.windy_cliff import WindyCliff
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds
from fedrl_ray.vector_envs.tabular import TabularVectorEnv
from tests.support import laws
from tests.support.federations import cartpoles, same_bits
from tests.support.tabular_federations import distance, random_federation

THREE_STATES = Spec(obs_size=1, num_states=3, num_actions=2, max_episode_steps=10)
DISCOUNT = 0.9


def one_agent(**keys: Any) -> FedRQ:
    return FedRQ(FedRQ.Config(**keys), THREE_STATES, agent_ids=[0], seed=0)


def transition(s: int, a: int, r: float, x: int, *, terminated: bool = False) -> Transition:
    return Transition(
        np.array([s]),
        np.array([a]),
        np.array([r], dtype=np.float32),
        np.array([x]),
        np.array([terminated], dtype=np.float32),
    )


def windy_cliffs(
    agent_ids: Sequence[int], winds: Sequence[float] = (0.1, 0.9, 0.4, 0.7, 0.2)
) -> Any:
    family = WindyCliff(WindyCliff.Config(max_episode_steps=7))
    dynamics = {"wind": np.array([winds[agent] for agent in agent_ids])}
    return family.make(dynamics, EpisodeSeeds.of_agents(0, agent_ids), retire=False)


def test_an_update_is_the_papers_equation() -> None:
    learner = one_agent(omega=0.25, discount=0.5, step_size={"kind": "constant", "value": 0.5})
    learner.load_shared({"q": np.array([[0.0, 4.0], [8.0, 1.0], [2.0, 3.0]])})
    learner.update(transition(0, 0, 1.0, 1))
    # N_0 = {1}: y = 1 + .5 (.75 * 8 + .25 * 8) = 5, half-way from 0
    assert learner.q_NSA[0, 0, 0] == 2.5
    learner.update(transition(0, 1, 1.0, 2))
    # N_0 = {1, 2}: y = 1 + .5 (.75 * 3 + .25 * min(8, 3)) = 2.5, half-way from 4
    assert learner.q_NSA[0, 0, 1] == 3.25
    learner.update(transition(0, 0, 1.0, 1))
    # y = 1 + .5 (.75 * 8 + .25 * 3) = 4.375, half-way from 2.5
    assert learner.q_NSA[0, 0, 0] == 3.4375


def test_neighbours_start_with_the_first_successor_seen() -> None:
    learner = one_agent()
    assert not learner.neighbours_NSX.any()
    learner.update(transition(2, 0, 0.0, 1))
    np.testing.assert_array_equal(np.argwhere(learner.neighbours_NSX[0]), [[2, 1]])


def test_a_terminal_successor_is_a_neighbour_of_value_zero() -> None:
    learner = one_agent(omega=0.25, discount=0.5, step_size={"kind": "constant", "value": 1.0})
    learner.load_shared({"q": np.full((3, 2), 8.0)})
    learner.update(transition(0, 0, 1.0, 2, terminated=True))
    assert learner.q_NSA[0, 0, 0] == 1.0
    learner.update(transition(0, 1, 1.0, 1))
    # y = 1 + .5 (.75 * 8 + .25 * 0), although the table holds 8 for state 2
    assert learner.q_NSA[0, 0, 1] == 4.0
    learner.update(transition(1, 1, 1.0, 1))
    assert learner.q_NSA[0, 1, 1] == 5.0


def plain_q_averaging(
    env: TabularVectorEnv, actions_TN: Array, *, interval: int, c: float
) -> Array:
    """Return the result of QAvg as a plain loop over agents and steps: [S, A]."""
    n, states, num_actions = env.kernel_NSAX.shape[:3]
    q = [np.zeros((states, num_actions)) for _ in range(n)]
    visits = np.zeros((n, states, num_actions))
    for step, action_N in enumerate(actions_TN):
        t = env.step(action_N)
        for k in range(n):
            s, a, x = t.obs[k], t.action[k], t.next_obs[k]
            size = c / (c + visits[k, s, a])
            q[k][s, a] += size * (float(t.reward[k]) + DISCOUNT * q[k][x].max() - q[k][s, a])
            visits[k, s, a] += 1
        if (step + 1) % interval == 0:
            q = [sum(q) / n for _ in range(n)]  # type: ignore[misc]
    return q[0]


def test_omega_zero_is_qavg(monkeypatch: pytest.MonkeyPatch) -> None:
    robust_free = random_federation(
        omega=0.0, epsilon=1.0, step_size={"kind": "decaying", "c": 10.0}
    )
    actions, step = [], robust_free.env.step

    def recorded(action: Array) -> Transition:
        actions.append(action)
        return step(action)

    monkeypatch.setattr(robust_free.env, "step", recorded)
    mine = robust_free.run(600, interval=20)
    other = random_federation(omega=0.0)
    plain = plain_q_averaging(other.env, np.array(actions), interval=20, c=10.0)
    np.testing.assert_allclose(mine, plain, rtol=1e-12)
    assert distance(mine, np.zeros_like(mine)) > 1


@pytest.mark.parametrize(
    ("keys", "sizes"),
    [
        ({"kind": "constant", "value": 0.2}, [0.2, 0.2, 0.2, 0.2]),
        ({"kind": "decaying", "c": 10.0}, [1.0, 10 / 11, 1.0, 10 / 12]),
        ({"kind": "decaying", "c": 10.0, "count": "steps"}, [1.0, 10 / 11, 10 / 12, 10 / 13]),
        ({"kind": "decaying"}, [1.0, 20 / 21, 1.0, 20 / 22]),
        ({"kind": "power", "exponent": 1.0}, [1.0, 1 / 2, 1.0, 1 / 3]),
        ({"kind": "power", "exponent": 1.0, "count": "steps"}, [1.0, 1 / 2, 1 / 3, 1 / 4]),
    ],
)
def test_step_sizes_count_visits_or_steps(keys: dict[str, Any], sizes: list[float]) -> None:
    learner, seen = one_agent(step_size=keys), []
    for s in (0, 0, 1, 0):
        learner.update(transition(s, 0, 1.0, 1))
        learner.clock += 1
        seen.append(float(learner.drain_metrics()["step_size"][0]))
    np.testing.assert_allclose(seen, sizes)


def test_metrics_are_means_since_the_last_call() -> None:
    learner = one_agent(step_size={"kind": "constant", "value": 1.0})
    learner.update(transition(0, 0, 1.0, 1))
    learner.update(transition(0, 0, 3.0, 1))
    assert learner.drain_metrics()["td_loss"].tolist() == [(1 + 4) / 2]
    assert np.isnan(learner.drain_metrics()["td_loss"]).all()


def test_actions_are_greedy_and_explored_ones_uniform() -> None:
    greedy = one_agent(epsilon=0.0)
    greedy.load_shared({"q": np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 3.0]])})
    np.testing.assert_array_equal(greedy.act(np.array([[0, 1, 2, 1]])), [[1, 0, 1, 0]])
    assert greedy.explore(np.array([1])).tolist() == [0]
    curious, taken = one_agent(epsilon=1.0), []
    for curious.clock in range(400):
        taken.append(int(curious.explore(np.array([0]))[0]))
    assert 150 < sum(taken) < 250


@pytest.mark.parametrize("mode", ["sampled", "exact"])
@pytest.mark.parametrize("step_size", [{"kind": "decaying"}, {"kind": "power"}])
def test_packing_changes_no_bit(mode: str, step_size: dict[str, Any]) -> None:
    config = FedRQ.Config(mode=mode, step_size=step_size)
    laws.packing_changes_no_bit(FedRQ, config, windy_cliffs)


@pytest.mark.parametrize("mode", ["sampled", "exact"])
def test_agents_are_independent(mode: str) -> None:
    laws.agents_are_independent(FedRQ, FedRQ.Config(mode=mode), windy_cliffs)


@pytest.mark.parametrize("mode", ["sampled", "exact"])
def test_a_saved_agent_goes_on_exactly(mode: str) -> None:
    laws.a_saved_agent_goes_on_exactly(FedRQ, FedRQ.Config(mode=mode), windy_cliffs)


def test_the_state_of_an_agent_is_a_copy() -> None:
    learner = one_agent()
    before = learner.agent_state(0)
    learner.update(transition(0, 0, 1.0, 1))
    assert not same_bits(before, learner.agent_state(0))
    learner.load_agent_state(0, before)
    assert same_bits(before, learner.agent_state(0))


def test_mode_exact_leaves_the_environment_alone_and_needs_its_kernels() -> None:
    env = windy_cliffs([0, 1])
    before = env.agent_state(0)
    learner = FedRQ(FedRQ.Config(mode="exact"), env.spec, agent_ids=[0, 1], seed=0)
    learner.step(env)
    assert same_bits(before, env.agent_state(0))
    with pytest.raises(TypeError, match="got exact with PerturbedCartPoleVectorEnv"):
        learner.step(cartpoles([0, 1]))


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        ({"step_size": {"kind": "decaying", "c": 9.0}}, r"at least 1 / \(1 - discount\) = 10"),
        ({"step_size": {"kind": "power", "exponent": 0.5}}, "greater than 0.5"),
        ({"step_size": {"kind": "constant", "c": 1.0}}, "Extra inputs"),
        ({"step_size": {"kind": "wobbling"}}, "'constant', 'decaying', 'power'"),
        ({"mode": "exact", "epsilon": 0.1}, "epsilon must be null in mode exact"),
        ({"omega": 1.5}, "less than or equal to 1"),
        ({"epsilon": -0.1}, "greater than or equal to 0"),
    ],
)
def test_keys_that_make_no_sense_are_refused(keys: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        FedRQ.Config(discount=0.9, **keys)


@pytest.mark.parametrize("mode", ["sampled", "exact"])
def test_a_resolved_configuration_reads_back_as_itself(mode: str) -> None:
    config = FedRQ.Config(mode=mode)
    assert FedRQ.Config(**config.model_dump()) == config
    assert (config.epsilon is None) == (mode == "exact")
