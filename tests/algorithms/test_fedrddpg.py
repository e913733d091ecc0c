"""FedRDDPG against its one-agent oracle, and the laws of the house on point masses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from algorithms.learners.fedrddpg import FedRDDPG
from algorithms.noise import ActionNoise
from algorithms.schedules import Schedule
from tests.support import laws
from tests.support.federations import point_masses, run
from tests.support.oracles import FedRDDPGOracle

SMALL: dict[str, Any] = {
    "hidden_sizes": (16, 12),
    "batch_size": 8,
    "replay_capacity": 90,  # the ring wraps within a test
    "learning_starts": 20,
    "learning_rate": 1e-3,
    "actor_learning_rate": 2e-3,
    "discount": 0.95,
    "target_rate": 0.01,
}
LR = Schedule(start=3e-3, end=1e-4, steps=150)
FADING = Schedule(start=1.0, end=0.0, steps=100)


def config(**changes: Any) -> FedRDDPG.Config:
    return FedRDDPG.Config(**(SMALL | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"omega": 0.0},
        {"omega": 0.3},
        {"omega": 0.3, "target_rate": None, "target_period": 7},
        {"omega": (0.0, 0.3, 1.0), "max_grad_norm": 0.05},
        {"omega": 0.3, "updates_per_step": 2, "noise_theta": 1.0},
        {"omega": 0.5, "updates_per_step": 0.25, "degree_learning_rate": 5e-3},
        {"omega": 0.1, "learning_rate": LR, "actor_learning_rate": LR, "noise_scale": FADING},
        {"omega": 0.3, "reset_on_sync": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
def test_stacked_agents_step_to_the_numbers_of_the_oracle(
    float64: None, changes: dict[str, Any], compiled: bool
) -> None:
    chosen = config(**changes, compiled=compiled)
    laws.follows_its_oracle(FedRDDPG, FedRDDPGOracle, chosen, point_masses, steps=200)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
@pytest.mark.parametrize("omega", [0.0, 0.3])
def test_packing_changes_no_bit(omega: float, compiled: bool) -> None:
    chosen = config(
        omega=omega, compiled=compiled, hidden_sizes=(64, 48), batch_size=16, max_grad_norm=1.0
    )
    laws.packing_changes_no_bit(FedRDDPG, chosen, point_masses)


def test_agents_are_independent() -> None:
    laws.agents_are_independent(FedRDDPG, config(), point_masses)


def test_omega_zero_is_the_baseline_bit_for_bit() -> None:
    laws.omega_zero_needs_no_degree_network(FedRDDPG, config(max_grad_norm=0.5), point_masses)


def test_a_saved_agent_goes_on_exactly() -> None:
    laws.a_saved_agent_goes_on_exactly(FedRDDPG, config(), point_masses)


def test_the_actor_step_leaves_the_critic_alone() -> None:
    """The critics' own step reads the target policy only, so two policies make no difference."""
    env = point_masses((0, 1))
    first = laws.build(FedRDDPG, config(), env, (0, 1))
    run(first, env, 30)
    batch = first.replay.sample(np.linspace(0.0, 0.99, 16).reshape(2, 8))
    start = {name: array[0] for name, array in first.shared().items()}
    one, two = (laws.build(FedRDDPG, config(), env, (0, 1)) for _ in range(2))
    for learner, move in ((one, 0.0), (two, 0.1)):
        policy = {n: array + move for n, array in start.items() if n.startswith("policy/")}
        learner.load_shared(start | policy)
        with torch.inference_mode():
            learner.update(batch)
    moments = (learner.optimizers["critics"].moments.values() for learner in (one, two))
    assert all(map(torch.equal, *moments))
    for name, array in one.shared().items():
        of_policy = name.startswith("policy")
        assert np.array_equal(array, two.shared()[name]) != of_policy
        assert of_policy or not np.array_equal(array[0], start[name])
    assert not np.array_equal(one.shared()["policy/0.weight"][0], start["policy/0.weight"])


def test_actions_stay_within_their_bounds() -> None:
    env = point_masses((0, 1))
    learner = laws.build(FedRDDPG, config(noise_scale=20.0), env, (0, 1))
    run(learner, env, 40)
    action = learner.replay.sample(np.linspace(0, 0.999, 80).reshape(2, 40)).action
    assert action.min((0, 1)).tolist() == [-2.0, 0.0] and action.max((0, 1)).tolist() == [2.0, 0.5]


def test_greedy_actions_are_free_of_noise_and_start_at_the_centre() -> None:
    env = point_masses((0, 1))
    learner = laws.build(FedRDDPG, config(), env, (0, 1))
    obs = np.random.default_rng(0).normal(size=(2, 30, 3)).astype(np.float32)
    action = learner.act(obs)
    assert action.shape == (2, 30, 2) and action.dtype == np.float32
    assert np.array_equal(action, learner.act(obs))
    np.testing.assert_allclose(action - [0.0, 0.25], 0.0, atol=0.05)


def test_metrics_hold_the_actor_loss_of_every_agent() -> None:
    env = point_masses((0, 1))
    learner = laws.build(FedRDDPG, config(), env, (0, 1))
    run(learner, env, 40)
    metrics = learner.drain_metrics()
    assert set(metrics) == {"td_loss", "degree_loss", "degree_gap", "actor_loss"}
    assert all(x.shape == (2,) and np.isfinite(x).all() for x in metrics.values())


def test_noise_restarts_with_the_episode_and_only_there() -> None:
    noise = ActionNoise(2, 1, theta=0.15, sigma=0.2)
    noise.step(np.ones((2, 1)))
    np.testing.assert_allclose(noise.step(np.ones((2, 1))), [[0.37], [0.37]])
    noise.restart(np.array([True, False]))
    np.testing.assert_allclose(noise.step(np.zeros((2, 1))), [[0.0], [0.3145]])


def test_noise_with_theta_one_is_gaussian() -> None:
    noise = ActionNoise(1, 1, theta=1.0, sigma=0.2)
    noise.step(np.full((1, 1), 5.0))
    np.testing.assert_allclose(noise.step(np.full((1, 1), -1.0)), [[-0.2]], rtol=1e-15)
