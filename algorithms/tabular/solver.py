"""Fixed points of the tabular problem: Q*, the limit of FedRQ, and values of policies.

These are pure float64 functions; `federated_mdp` has the equations, and `types` the shape letters.
A fixed point is found by iterating a gamma-contraction until only rounding error is left.
"""

# ruff: noqa: N815 (shape suffixes are capitals)
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, log

import numpy as np

from ..types import Array
from .federated_mdp import (
    FederatedMDP,
    Omega,
    expected_reward,
    neighbours,
    union_neighbours,
    worst_value,
)

_PRECISION = 1e-15  # error of a fixed point, relative to the largest possible value


@dataclass(frozen=True, kw_only=True)
class AveragedOperator:
    """v -> sum_k w_k T_k v, where T_k is the exact robust backup of agent k.

    reward_SA = sum_k w_k r_k, kernel_SAX = sum_k w_k (1 - omega_k) P_k and
    adversary_KSA = w_k omega_k. The minimum of agent k runs over neighbours_KSX[k]. Composed with
    v(x) = max_a Q(x,a), or with a policy's mean, it is a gamma-contraction in the sup norm.
    """

    reward_SA: Array
    kernel_SAX: Array
    adversary_KSA: Array
    neighbours_KSX: Array
    terminal_S: Array
    discount: float

    def __call__(self, v_S: Array) -> Array:
        """Apply the operator: [S] -> [S, A]. Terminal states count as 0 in v and get 0."""
        v_S = np.where(self.terminal_S, 0.0, v_S)
        worst_KS1 = worst_value(v_S, self.neighbours_KSX)[..., None]
        robust_SA = (self.adversary_KSA * worst_KS1).sum(0)
        q_SA = self.reward_SA + self.discount * (self.kernel_SAX @ v_S + robust_SA)
        return np.where(self.terminal_S[:, None], 0.0, q_SA)


def averaged_operator(
    mdp: FederatedMDP,
    *,
    omega: Omega,
    neighbours_KSX: Array,
    weights_KSA: Array | None = None,
) -> AveragedOperator:
    """Return the operator of a federation.

    omega: a number, or [K]. weights_KSA: sum to 1 over k; None means 1/K each.
    """
    num_agents = len(mdp.kernel_KSAX)
    w_KSA = np.full((num_agents, 1, 1), 1 / num_agents) if weights_KSA is None else weights_KSA
    omega_K11 = np.reshape(np.broadcast_to(omega, (num_agents,)), (-1, 1, 1)).astype(np.float64)
    reward_KSA = expected_reward(mdp.reward, mdp.kernel_KSAX)
    return AveragedOperator(
        reward_SA=(w_KSA * reward_KSA).sum(0),
        kernel_SAX=((w_KSA * (1.0 - omega_K11))[..., None] * mdp.kernel_KSAX).sum(0),
        adversary_KSA=w_KSA * omega_K11,
        neighbours_KSX=neighbours_KSX,
        terminal_S=mdp.terminal_S,
        discount=mdp.discount,
    )


def robust_optimal_q(mdp: FederatedMDP, *, omega: Omega) -> Array:
    """Return Q* of the global objective, with the minimum over the union N_s: [S, A].

    With omega [K] it is the optimum for the mean robustness level.
    """
    return _fixed_point(_global_operator(mdp, omega), _greedy_value)


def fedrq_fixed_point(
    mdp: FederatedMDP, *, omega: Omega, weights_KSA: Array | None = None
) -> Array:
    """Return the limit of FedRQ when each agent knows its own N_s^k alone: [S, A].

    Q = sum_k w_k [ r_k + gamma (1 - omega_k) P_k v + gamma omega_k min_{N_s^k} v ]. Weights 1/K
    (the default) give exact FedRQ at E = 1, whose limit under Assumption 1 is Q*. `visit_weights`
    gives the weights for step sizes that decay at the wrong rate.
    """
    operator = averaged_operator(
        mdp, omega=omega, neighbours_KSX=neighbours(mdp.kernel_KSAX), weights_KSA=weights_KSA
    )
    return _fixed_point(operator, _greedy_value)


def visit_weights(visits_KSA: Array, *, power: float) -> Array:
    """Return w_k(s,a), proportional to n_k(s,a)^power: [K, S, A], with sum 1 over k.

    An agent moves the mean at (s,a) by its rate of visits times its step size. A step size n^-p in
    its own visits therefore gives it the weight n^(1-p); a step size that all (s,a) share gives it
    the weight n. Some agent must have visited every (s,a).
    """
    weights_KSA = visits_KSA.astype(np.float64) ** power
    return np.asarray(weights_KSA / weights_KSA.sum(0))


def greedy_policy(q_SA: Array) -> Array:
    """Return the policy with all probability on the first best action: [S, A]."""
    return np.asarray(np.eye(q_SA.shape[-1])[q_SA.argmax(-1)])


def robust_policy_value(mdp: FederatedMDP, policy_SA: Array, *, omega: Omega) -> Array:
    """Return the value of a policy under the worst kernel of the covering set: [S]."""

    def mean_value(q_SA: Array) -> Array:
        """Return the mean of Q under the policy: [S]."""
        return np.asarray((policy_SA * q_SA).sum(-1), dtype=np.float64)

    q_SA = _fixed_point(_global_operator(mdp, omega), mean_value)
    return mean_value(q_SA)


def policy_value(mdp: FederatedMDP, policy_SA: Array) -> Array:
    """Return the value of a policy under each kernel, by a linear solve: [K, S].

    v_k = (I - gamma P_k^pi)^-1 r_k^pi; terminal states are absorbing and have value 0.
    """
    reward_KSA = expected_reward(mdp.reward, mdp.kernel_KSAX)
    live_S = ~mdp.terminal_S
    reward_KS = (policy_SA * reward_KSA).sum(-1) * live_S
    kernel_KSX = (policy_SA[..., None] * mdp.kernel_KSAX).sum(-2) * live_S[:, None]
    system = np.eye(len(live_S)) - mdp.discount * kernel_KSX
    return np.asarray(np.linalg.solve(system, reward_KS[..., None])[..., 0])


def average_and_worst(
    mdp: FederatedMDP, policy_SA: Array, *, start_S: Array
) -> tuple[float, float]:
    """Return mean and minimum over kernels of a policy's value from a start distribution [S]."""
    value_K = policy_value(mdp, policy_SA) @ start_S
    return float(value_K.mean()), float(value_K.min())


def _global_operator(mdp: FederatedMDP, omega: Omega) -> AveragedOperator:
    union_1SX = union_neighbours(mdp)[None]
    return averaged_operator(mdp, omega=omega, neighbours_KSX=union_1SX)


def _greedy_value(q_SA: Array) -> Array:
    return np.asarray(q_SA.max(-1))


def _fixed_point(operator: AveragedOperator, value: Callable[[Array], Array]) -> Array:
    q_SA = operator.reward_SA
    for _ in range(ceil(log(_PRECISION) / log(operator.discount)) if operator.discount else 1):
        q_SA = operator(value(q_SA))
    return q_SA
