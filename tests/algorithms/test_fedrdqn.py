"""FedRDQN against its one-agent oracle, and the laws of the house on CartPole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from algorithms.learners.fedrdqn import FedRDQN
from algorithms.schedules import Schedule
from tests.support import laws
from tests.support.federations import cartpoles, run
from tests.support.oracles import FedRDQNOracle

SMALL: dict[str, Any] = {
    "hidden_sizes": (16, 12),
    "batch_size": 8,
    "replay_capacity": 90,  # the ring wraps within a test
    "learning_starts": 20,
    "epsilon": 0.2,
    "discount": 0.95,
}
LR = Schedule(start=3e-3, end=1e-4, steps=150)
EPSILON = Schedule(start=1.0, end=0.05, steps=100, shape="exponential")


def config(**changes: Any) -> FedRDQN.Config:
    return FedRDQN.Config(**(SMALL | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"omega": 0.0},
        {"omega": 0.3},
        {"omega": 0.3, "target_period": 7},
        {"omega": (0.0, 0.3, 1.0), "max_grad_norm": 0.5},
        {"omega": 0.3, "updates_per_step": 2},
        {"omega": 0.5, "updates_per_step": 0.25, "degree_learning_rate": 5e-3},
        {"omega": 0.1, "learning_rate": LR, "epsilon": EPSILON, "expectile": 0.1},
        {"omega": 0.3, "reset_on_sync": True, "target_period": 10},
    ],
    ids=str,
)
@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
def test_stacked_agents_step_to_the_numbers_of_the_oracle(
    float64: None, changes: dict[str, Any], compiled: bool
) -> None:
    chosen = config(**changes, compiled=compiled)
    laws.follows_its_oracle(FedRDQN, FedRDQNOracle, chosen, cartpoles, steps=200)


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "eager"])
@pytest.mark.parametrize("omega", [0.0, 0.3])
def test_packing_changes_no_bit(omega: float, compiled: bool) -> None:
    chosen = config(
        omega=omega, compiled=compiled, hidden_sizes=(128, 128), batch_size=16, max_grad_norm=1.0
    )
    laws.packing_changes_no_bit(FedRDQN, chosen, cartpoles)


def test_agents_are_independent() -> None:
    laws.agents_are_independent(FedRDQN, config(), cartpoles)


def test_omega_zero_is_the_baseline_bit_for_bit() -> None:
    laws.omega_zero_needs_no_degree_network(FedRDQN, config(max_grad_norm=0.5), cartpoles)


def test_a_saved_agent_goes_on_exactly() -> None:
    laws.a_saved_agent_goes_on_exactly(FedRDQN, config(), cartpoles)


def test_nothing_is_learnt_before_learning_starts() -> None:
    env = cartpoles((0, 1))
    learner = laws.build(FedRDQN, config(), env, (0, 1))
    before = learner.shared()
    run(learner, env, 20)
    assert all(np.array_equal(x, before[k]) for k, x in learner.shared().items())
    assert all(np.isnan(x).all() for x in learner.drain_metrics().values())
    run(learner, env, 1)
    assert not np.array_equal(learner.shared()["q/0.weight"], before["q/0.weight"])
    assert set(learner.drain_metrics()) == {"td_loss", "degree_loss", "degree_gap"}


def test_acting_greedily_takes_the_argmax_of_the_shared_network(float64: None) -> None:
    env, rng = cartpoles((0, 1)), np.random.default_rng(0)
    learner = laws.build(FedRDQN, config(), env, (0, 1))
    shared = {name: rng.normal(size=x.shape[1:]) for name, x in learner.shared().items()}
    oracle = FedRDQNOracle(config(epsilon=0.0), env.spec, agent=0, seed=7)
    for one in (learner, oracle):
        one.load_shared(shared)
    obs = rng.normal(size=(2, 30, 4)).astype(np.float32)
    expected = [[oracle.explore(torch.from_numpy(o).double()) for o in row] for row in obs]
    assert {action for row in expected for action in row} == {0, 1}
    assert learner.act(obs).tolist() == expected


def test_soft_and_hard_targets_exclude_each_other() -> None:
    with pytest.raises(ValidationError, match="got both"):
        FedRDQN.Config(target_rate=0.1, target_period=10)
    assert FedRDQN.Config().target_rate == 0.005
    assert FedRDQN.Config(target_period=10).target_rate is None
