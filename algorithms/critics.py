"""The robust critics that FedRDQN and FedRDDPG share: Q(.; theta), its target, and D(s; psi).

The two algorithms differ in the bootstrap value of s' and in their actor. What they have in
common is here: the robust target y, the regression of D, and the joint step of theta and psi.
The degree network is built only if some agent has omega above 0.

The paper is silent on which network makes the degree network's regression target; we take
theta', as y does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .offpolicy import NetworkPlan, OffPolicyLearner
from .offpolicy_config import OffPolicyConfig, has_degree_network, omega_of
from .robust import expectile_loss, next_value, robust_target, td_loss
from .types import Spec, Transition

_Q, _DEGREE = 0, 1  # numbers of the networks in the initial draw


class RobustCriticLearner(OffPolicyLearner):
    """Adds theta, theta' and psi, and the step that theta and psi take together."""

    def __init__(
        self, config: OffPolicyConfig, spec: Spec, *, agent_ids: Sequence[int], seed: int
    ) -> None:
        super().__init__(config, spec, agent_ids=agent_ids, seed=seed)
        self.omega_N1 = torch.tensor([[omega_of(config.omega, a)] for a in self.agent_ids])
        self.robust = has_degree_network(config)
        self._critics = ["q", "degree"] if self.robust else ["q"]
        self.metrics.expect("td_loss", *(["degree_loss", "degree_gap"] if self.robust else []))

    def build_critics(self, widths: Sequence[int], *, last_bound: float | None = None) -> None:
        """Q of the given widths, its target, and D with the same hidden layers."""
        plans = [NetworkPlan("q", _Q, widths, has_target=True)]
        if self.robust:
            degree_widths = [self.spec.obs_size, *widths[1:-1], 1]
            plans.append(NetworkPlan("degree", _DEGREE, degree_widths))
        self.build_stack("critics", plans, last_bound=last_bound)

    def evaluate_critics(
        self, q_input_NBI: Tensor, obs_NBS: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Q of all actions or of the one in its input, [N, B, A], and D(s), [N, B], in one pass
        that keeps what their joint step needs."""
        if not self.robust:
            return self.stacks["critics"](q_input_NBI)[0], None
        q_NBA, v_worst_NB1 = self.stacks["critics"](q_input_NBI, obs_NBS)
        return q_NBA, v_worst_NB1[..., 0]

    def step_critics(
        self,
        batch: Transition,
        *,
        q_NB: Tensor,
        v_worst_NB: Tensor | None,
        bootstrap_NB: Tensor,
    ) -> None:
        """theta and psi step together, from v(s'), y and D(s) of the parameters before the step.

        q_NB is Q(s, a; theta) and v_worst_NB D(s; psi), with their graph; bootstrap_NB is the
        target networks' value of s'.
        """
        v_next_NB = next_value(bootstrap_NB, batch.terminated)
        target_NB = robust_target(
            batch.reward,
            v_next_NB,
            v_worst_NB,
            discount=self.config.discount,
            omega_N1=self.omega_N1,
        )
        loss_N = td_loss(q_NB, target_NB)
        self.metrics.add(td_loss=loss_N)
        if v_worst_NB is not None:
            loss_N = loss_N + self._degree_loss(v_worst_NB, v_next_NB)
        self.descend(loss_N, "critics", self._critics)

    def _degree_loss(self, v_worst_NB: Tensor, v_next_NB: Tensor) -> Tensor:
        """Expectile regression of D(s; psi) on v(s'): [N]."""
        loss_N = expectile_loss(v_worst_NB, v_next_NB, expectile=self.config.expectile).mean(-1)
        gap_N = (v_worst_NB.detach() - v_next_NB.amin(-1, keepdim=True)).mean(-1)
        self.metrics.add(degree_loss=loss_N, degree_gap=gap_N)
        return loss_N
