"""A learner with two critics, by autograd: clipped double Q-learning for DDPG (as in TD3).

One file, as an extension would be: it states its networks and its losses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from algorithms.arrays import Numbers
from algorithms.autograd import AutogradConfig, AutogradLearner
from algorithms.draws import Role, StepDraws, gaussian
from algorithms.offpolicy import NetworkPlan
from algorithms.types import Array, Spec, Transition


class TwinCritics(AutogradLearner):
    """DDPG with the smaller of two target critics; no degree network."""

    spec_kinds = ("continuous",)

    class Config(AutogradConfig):
        """Keys of the learner."""

        omega: float = 0.0
        """Unused: this learner has no robust target."""

    config: Config

    def __init__(self, config: Config, spec: Spec, *, agent_ids: Sequence[int], seed: int) -> None:
        super().__init__(config, spec, agent_ids=agent_ids, seed=seed)
        self.metrics.expect("td_loss", "actor_loss")
        actions, hidden = len(spec.action_low), config.hidden_sizes
        widths = [spec.obs_size + actions, *hidden, 1]
        critics = [NetworkPlan(f"q{n}", n, widths, has_target=True) for n in (1, 2)]
        policy = NetworkPlan("policy", 3, [spec.obs_size, *hidden, actions], has_target=True)
        self.build_group("critics", critics)
        self.build_group("actor", [policy])
        low, high = (torch.tensor(bound) for bound in (spec.action_low, spec.action_high))
        self._centre, self._half = (high + low) / 2, (high - low) / 2
        self._draws = StepDraws(seed, Role.EXPLORATION, agent_ids, width=actions)

    def _bounded(self, raw: torch.Tensor) -> torch.Tensor:
        return self._centre + self._half * torch.tanh(raw)

    def explore(self, obs_NS: Numbers) -> Array:
        noise = 0.1 * gaussian(self._draws.at(self.clock))
        action: Array = self.act(obs_NS[:, None].numpy())[:, 0] + noise
        return action.clip(self.spec.action_low, self.spec.action_high).astype(np.float32)

    def act(self, obs: Array) -> Array:
        policy = self.networks["policy"]
        return self._bounded(policy(self.home.asarray(obs))).numpy().astype(np.float32)

    def update(self, batch: Transition) -> None:
        with torch.no_grad():
            action = self._bounded(self.networks["policy_target"](batch.next_obs))
            following = torch.cat([batch.next_obs, action], -1)
            values = [self.networks[f"q{n}_target"](following)[..., 0] for n in (1, 2)]
            bootstrap = torch.minimum(*values) * (1 - batch.terminated)
            target = batch.reward + self.config.discount * bootstrap
        taken = torch.cat([batch.obs, batch.action], -1)
        loss_N = sum(
            (q(taken)[..., 0] - target).square().mean(-1) for q in self.trainable("critics")
        )
        self.metrics.add(td_loss=loss_N.detach())
        self.minimise("critics", loss_N)
        (policy,) = self.trainable("actor")
        acted = torch.cat([batch.obs, self._bounded(policy(batch.obs))], -1)
        actor_loss_N = -self.networks["q1"](acted)[..., 0].mean(-1)
        self.metrics.add(actor_loss=actor_loss_N.detach())
        self.minimise("actor", actor_loss_N)
        with torch.no_grad():
            for name in ("q1", "q2", "policy"):
                self.update_target(name, f"{name}_target")
