"""Learners on small problems whose answers are known by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from algorithms.learners.fedrddpg import FedRDDPG
from algorithms.learners.fedrdqn import FedRDQN
from algorithms.schedules import Schedule
from algorithms.types import Array
from tests.support import probes
from tests.support.federations import run

STEPS = 1000
COOLING = Schedule(start=1e-2, end=1e-4, steps=STEPS, shape="exponential")
QUICK: dict[str, Any] = {
    "hidden_sizes": (32,),
    "batch_size": 32,
    "replay_capacity": STEPS,
    "learning_starts": 50,
    "learning_rate": COOLING,
    "target_rate": 0.05,
    "discount": 0.9,
}
DQN = FedRDQN, QUICK | {"epsilon": 1.0}, probes.discrete
DDPG = FedRDDPG, QUICK | {"actor_learning_rate": 1e-3, "noise_theta": 1.0}, probes.continuous


def trained(learner_class: Any, settings: dict[str, Any], env: Any, **changes: Any) -> Any:
    agent_ids = tuple(range(len(env.seeds)))
    config = learner_class.Config(**(settings | changes))
    learner = learner_class(config, env.spec, agent_ids=agent_ids, seed=3)
    run(learner, env, STEPS)
    return learner


def value_of_start(learner: Any, env: Any) -> Array:
    """Return max_a Q(0, a) or Q(0, pi(0)) of each agent."""
    obs = start(env)
    if isinstance(learner, FedRDQN):
        return np.asarray(learner.networks["q"](obs)[:, 0].max(-1))
    return np.asarray(learner.q("q", obs, learner.pi("policy", obs))[:, 0])


def degree_of_start(learner: Any, env: Any) -> Array:
    return np.asarray(learner.networks["degree"](start(env))[:, 0, 0])


def start(env: Any) -> Array:
    """Return state 0 for every agent: [N, 1, S]."""
    return np.tile(np.eye(env.spec.obs_size, dtype=np.float32)[0], (len(env.seeds), 1, 1))


@pytest.mark.parametrize("algorithm", [DQN, DDPG], ids=["fedrdqn", "fedrddpg"])
@pytest.mark.parametrize("omega", [0.0, 0.5])
def test_one_state_is_worth_its_discounted_rewards(algorithm: Any, omega: float) -> None:
    learner_class, settings, spec = algorithm
    env = probes.probe_one_state(spec(1), ends=[1.0, 0.0])
    learner = trained(learner_class, settings, env, omega=omega, discount=0.5)
    np.testing.assert_allclose(value_of_start(learner, env), [1.0, 2.0], atol=0.02)


def test_a_time_limit_is_no_termination() -> None:
    env = probes.probe_one_state(probes.discrete(1, max_episode_steps=2), ends=[0.0])
    learner = trained(*DQN[:2], env, omega=0.0, discount=0.5)
    np.testing.assert_allclose(value_of_start(learner, env), [2.0], atol=0.02)
    assert env.drain_episodes()[1] == STEPS // 2


@pytest.mark.parametrize("algorithm", [DQN, DDPG], ids=["fedrdqn", "fedrddpg"])
def test_probe_degree_two_neighbours(algorithm: Any) -> None:
    """Return the expectile of 0 with probability p, else 1: (1-p) tau / (p (1-tau) + (1-p) tau)."""
    learner_class, settings, spec = algorithm
    env = probes.probe_degree_two_neighbours(spec(2), worst=[0.5, 0.1, 0.0])
    learner = trained(learner_class, settings, env, omega=0.3)
    known = [0.0100, 0.0833, 1.0]
    np.testing.assert_allclose(degree_of_start(learner, env), known, atol=0.005, rtol=0.05)


def test_robust_fork_flips_the_greedy_action_between_the_computed_levels() -> None:
    env = probes.probe_robust_fork(4)
    learner = trained(*DQN[:2], env, omega=(0.0, 0.45, 0.65, 1.0))
    assert learner.act(start(env)).ravel().tolist() == [1, 1, 0, 0]


def test_robust_slope_flips_the_policy_between_the_computed_levels() -> None:
    env = probes.probe_robust_slope(3)
    learner = trained(*DDPG[:2], env, omega=(0.0, 0.3, 0.8), noise_sigma=1.0)
    action = learner.act(start(env)).ravel()
    assert (action > 0.8).tolist() == [True, True, False]
    assert (action < -0.8).tolist() == [False, False, True]


def test_policy_finds_the_best_action_of_one_step() -> None:
    env = probes.probe_best_action([2.0, 0.0])
    changes = {"noise_sigma": 0.7, "hidden_sizes": (64,), "learning_rate": 5e-3}
    learner = trained(*DDPG[:2], env, omega=0.0, **changes)
    action = learner.act(start(env)).ravel()
    np.testing.assert_allclose(action, [2.0, 0.0], atol=0.25)
    np.testing.assert_allclose(value_of_start(learner, env), 0.0, atol=0.1)
