"""Learners by autograd: the same numbers as written-out gradients, and the same laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from algorithms.autograd import AutogradConfig, AutogradLearner
from algorithms.learners.fedrdqn import FedRDQN
from algorithms.offpolicy import NetworkPlan
from algorithms.types import Array, Transition
from tests.support import laws
from tests.support.federations import cartpoles, point_masses, run
from tests.support.twin_critics import TwinCritics

TWINS = TwinCritics.Config(
    hidden_sizes=(16, 16), batch_size=8, replay_capacity=64, learning_starts=10, max_grad_norm=1.0
)


class ByAutograd(AutogradLearner):
    """DQN by autograd: only its loss is written."""

    spec_kinds = ("discrete",)
    Config = AutogradConfig

    def __init__(self, config: Any, spec: Any, *, agent_ids: Any, seed: int) -> None:
        super().__init__(config, spec, agent_ids=agent_ids, seed=seed)
        widths = [spec.obs_size, *config.hidden_sizes, spec.num_actions]
        self.build_group("critics", [NetworkPlan("q", 0, widths, has_target=True)])

    def explore(self, obs_NS: Any) -> Array:
        return np.asarray(self.clock % self.spec.num_actions).repeat(self.num_agents)

    def act(self, obs: Array) -> Array:
        return self.networks["q"](self.home.asarray(obs)).argmax(-1).numpy()

    def update(self, batch: Transition) -> None:
        (q,) = self.trainable("critics")
        with torch.no_grad():
            value = self.networks["q_target"](batch.next_obs).amax(-1) * (1 - batch.terminated)
            target = batch.reward + self.config.discount * value
        taken = q(batch.obs).gather(-1, batch.action.long())[..., 0]
        self.minimise("critics", (taken - target).square().mean(-1))
        with torch.no_grad():
            self.update_target("q", "q_target")


class WrittenOut(FedRDQN):
    """FedRDQN that explores as `ByAutograd` does."""

    def explore(self, obs_NS: Any) -> Array:
        return np.asarray(self.clock % self.spec.num_actions).repeat(self.num_agents)


@pytest.mark.parametrize("max_grad_norm", [None, 0.5])
def test_autograd_steps_to_the_numbers_of_written_out_gradients(
    float64: None, max_grad_norm: float | None
) -> None:
    keys = {"omega": 0.0, "hidden_sizes": (16, 16), "batch_size": 8, "learning_starts": 10,
            "compiled": False, "max_grad_norm": max_grad_norm}  # fmt: skip
    learners = []
    for cls in (ByAutograd, WrittenOut):
        env = cartpoles((0, 1, 2))
        learner = cls(cls.Config(**keys), env.spec, agent_ids=(0, 1, 2), seed=7)
        run(learner, env, 120)
        learners.append(learner.shared())
    for name, expected in learners[1].items():
        np.testing.assert_allclose(learners[0][name], expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "law", [laws.packing_changes_no_bit, laws.agents_are_independent,
            laws.a_saved_agent_goes_on_exactly], ids=lambda law: law.__name__
)  # fmt: skip
def test_two_critics_by_autograd_keep_the_laws(law: Any) -> None:
    law(TwinCritics, TWINS, point_masses)


def test_two_critics_learn_and_report() -> None:
    env = point_masses((0, 1))
    learner = TwinCritics(TWINS, env.spec, agent_ids=(0, 1), seed=7)
    before = {name: x.copy() for name, x in learner.shared().items()}
    run(learner, env, 60)
    metrics = learner.drain_metrics()
    assert np.isfinite(metrics["td_loss"]).all() and np.isfinite(metrics["actor_loss"]).all()
    for name, x in learner.shared().items():
        assert not np.array_equal(x, before[name]), name


def test_autograd_cannot_be_compiled() -> None:
    with pytest.raises(ValueError, match="compiled"):
        TwinCritics.Config(compiled=True)
