"""FedRDQN: robust deep Q-learning, arXiv 2507.14487; with omega 0 it is DQNAvg (Jin et al. 2022).

One local step, in this order: act (epsilon-greedy), step the environment, store; sample one
minibatch; v(s'), y and D(s) from the parameters before the step; theta and psi step together;
theta' follows. After E local steps theta, theta' and psi are averaged and broadcast. Replay,
optimiser state and exploration stay with the agent.

The paper is silent on which network makes the degree network's regression target; we take theta',
as y does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..draws import Role, StepDraws
from ..networks import StackedMLP, initial_weights
from ..offpolicy import OffPolicyConfig, OffPolicyLearner
from ..optimiser import StackedAdam
from ..replay import action_rows
from ..robust import expectile_loss, next_value, robust_target, td_loss
from ..schedules import Schedule, value_at
from ..types import Array, Spec, Transition

_Q, _DEGREE = 0, 1  # numbers of the networks in the initial draw


class FedRDQN(OffPolicyLearner):
    """Networks per agent: Q(.; theta), its target theta', degree network D(s; psi)."""

    spec_kinds: ClassVar[tuple[str, ...]] = ("discrete",)

    class Config(OffPolicyConfig):
        """Keys of `learner: {name: fedrdqn}`."""

        epsilon: float | Schedule = Schedule(start=1.0, end=0.05, steps=5000)
        """Probability of a random action: a number or a schedule over local steps."""

    config: Config

    def __init__(self, config: Config, spec: Spec, *, agent_ids: Sequence[int], seed: int) -> None:
        super().__init__(config, spec, agent_ids=agent_ids, seed=seed)
        q_widths = [spec.obs_size, *config.hidden_sizes, spec.num_actions]
        weights = {"q": initial_weights(q_widths, seed=seed, network=_Q)}
        self.networks["q"] = StackedMLP(self.num_agents, q_widths, trainable=True)
        self.networks["q_target"] = StackedMLP(self.num_agents, q_widths, trainable=False)
        weights["q_target"] = weights["q"]
        if self.robust:
            d_widths = [spec.obs_size, *config.hidden_sizes, 1]
            self.networks["degree"] = StackedMLP(self.num_agents, d_widths, trainable=True)
            weights["degree"] = initial_weights(d_widths, seed=seed, network=_DEGREE)
        self._trained = [name for name in ("q", "degree") if name in self.networks]
        self.optimisers["all"] = StackedAdam([self.networks[name] for name in self._trained])
        for name, params in weights.items():
            self.networks[name].load(params)
        self._explore_draws = StepDraws(seed, Role.EXPLORATION, agent_ids, width=2)

    def explore(self, obs_NS: Tensor) -> Array:
        """Epsilon-greedy: [N] int64."""
        uniform_N2 = self._explore_draws.at(self.clock)
        greedy_N = self.networks["q"](obs_NS[:, None]).argmax(-1)[:, 0].numpy()
        random_N = (uniform_N2[:, 1] * self.spec.num_actions).astype(np.int64)
        explores_N = uniform_N2[:, 0] < value_at(self.config.epsilon, self.clock)
        return np.where(explores_N, random_N, greedy_N)

    def act(self, obs: Array) -> Array:
        """Greedy: [N, M, S] -> [N, M] int64."""
        with torch.no_grad():
            return self.networks["q"](torch.from_numpy(obs)).argmax(-1).numpy()

    def update(self, batch: Transition) -> None:
        """The losses of FedRDQN; batch fields are [N, B, ...]."""
        q, config = self.networks["q"], self.config
        with torch.no_grad():
            v_target_NB = self.networks["q_target"](batch.next_obs).amax(-1)
            v_next_NB = next_value(v_target_NB, batch.terminated)
        v_worst_NB = self.networks["degree"](batch.obs)[..., 0] if self.robust else None
        target_NB = robust_target(
            batch.reward, v_next_NB, v_worst_NB, discount=config.discount, omega_N1=self.omega_N1
        )
        q_NB = q(batch.obs).gather(-1, action_rows(batch.action))[..., 0]
        td_N = td_loss(q_NB, target_NB)
        loss = td_N.sum()
        self.metrics.add(td_loss=td_N)
        if v_worst_NB is not None:
            loss = loss + self.degree_loss(v_worst_NB, v_next_NB).sum()
        self.descend(loss, "all", self._trained)
        self.update_target("q", "q_target")

    def degree_loss(self, v_worst_NB: Tensor, v_next_NB: Tensor) -> Tensor:
        """Expectile regression of D(s; psi) on v(s'): [N]."""
        loss_N = expectile_loss(v_worst_NB, v_next_NB, expectile=self.config.expectile).mean(-1)
        gap_N = (v_worst_NB - v_next_NB.amin(-1, keepdim=True)).mean(-1)
        self.metrics.add(degree_loss=loss_N, degree_gap=gap_N)
        return loss_N
