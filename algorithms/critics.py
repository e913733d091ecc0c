"""The robust critics that FedRDQN and FedRDDPG share: Q(.; theta), its target, and D(s; psi).

The two algorithms differ in the bootstrap value of s' and in their actor. They share the code
here: the robust target y, the regression of D, and the derivatives of both losses. The degree
network is built only if some agent has omega above 0.

The paper does not say which network computes the regression target of the degree network. We take
theta', as y does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .arrays import Numbers, namespace
from .offpolicy import NetworkPlan, OffPolicyLearner
from .offpolicy_config import OffPolicyConfig
from .omega import omega_of
from .robust import expectile_regression, next_value, robust_target, td_regression
from .schedules import Schedule
from .types import Spec, Transition

_Q, _DEGREE = 0, 1  # numbers that key the networks' initial weights


class RobustCriticLearner(OffPolicyLearner):
    """Adds theta, theta' and psi, and the gradients of the joint step of theta and psi."""

    def __init__(
        self, config: OffPolicyConfig, spec: Spec, *, agent_ids: Sequence[int], seed: int
    ) -> None:
        super().__init__(config, spec, agent_ids=agent_ids, seed=seed)
        omega_N1 = [[omega_of(config.omega, agent)] for agent in self.agent_ids]
        self.omega_N1 = self.home.asarray(np.array(omega_N1))
        self.robust = config.has_degree_network()
        self.metrics.expect("td_loss", *(["degree_loss", "degree_gap"] if self.robust else []))

    def build_critics(self, widths: Sequence[int], *, last_bound: float | None = None) -> None:
        """Build Q of the given widths, its target, and D with the same hidden layers."""
        plans = [NetworkPlan("q", _Q, widths, has_target=True)]
        if self.robust:
            degree_widths = [self.spec.obs_size, *widths[1:-1], 1]
            plans.append(NetworkPlan("degree", _DEGREE, degree_widths))
        self.build_group("critics", plans, last_bound=last_bound)

    def evaluate_critics(
        self, q_input_NBI: Numbers, obs_NBS: Numbers
    ) -> tuple[Numbers, Numbers | None]:
        """Return Q(s, .), [N, B, A], and D(s), [N, B] (None without a degree network).

        With the action in its input Q has one output, A = 1. One pass computes both networks, and
        the group keeps the activations for their joint step.
        """
        if not self.robust:
            return self.groups["critics"].forward(q_input_NBI)[0], None
        q_NBA, v_worst_NB1 = self.groups["critics"].forward(q_input_NBI, obs_NBS)
        return q_NBA, v_worst_NB1[..., 0]

    def critic_gradients(
        self,
        batch: Transition,
        *,
        q_NB: Numbers,
        v_worst_NB: Numbers | None,
        bootstrap_NB: Numbers,
    ) -> tuple[Numbers, ...]:
        """Return the derivatives of both losses by Q(s, a; theta) and by D(s; psi): [N, B, 1] each.

        They use v(s'), y and D(s) of the parameters before the step, so theta and psi can step
        together. q_NB: Q(s, a; theta). v_worst_NB: D(s; psi). bootstrap_NB: the target networks'
        value of s'.
        """
        v_next_NB = next_value(bootstrap_NB, batch.terminated)
        target_NB = robust_target(
            batch.reward,
            v_next_NB,
            v_worst_NB,
            discount=self.config.discount,
            omega_N1=self.omega_N1,
        )
        td = td_regression(q_NB, target_NB)
        self.metrics.add(td_loss=td.loss)
        if v_worst_NB is None:
            return (td.gradient[..., None],)
        degree = expectile_regression(v_worst_NB, v_next_NB, expectile=self.config.expectile)
        lowest_N = namespace(v_next_NB).amin(v_next_NB, -1)
        gap_N = v_worst_NB.sum(-1) / v_worst_NB.shape[-1] - lowest_N
        self.metrics.add(degree_loss=degree.loss, degree_gap=gap_N)
        return td.gradient[..., None], degree.gradient[..., None]

    def learning_rate_of(self, network: str) -> float | Schedule:
        """Return the learning rate of one network; the degree network may have its own."""
        own = self.config.degree_learning_rate if network == "degree" else None
        return super().learning_rate_of(network) if own is None else own
