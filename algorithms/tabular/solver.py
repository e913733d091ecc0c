"""Fixed points of the tabular problem: Q*, what FedRQ reaches, and values of policies.

Pure functions on numpy float64; see `tabular` for the equations, and `types` for shape letters.
Fixed points are found by iterating a gamma-contraction often enough for rounding error to be all
that is left.
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

_PRECISION = 1e-15  # relative to the largest possible value


@dataclass(frozen=True, kw_only=True)
class AveragedOperator:
    """v -> sum_k w_k T_k v, where T_k is the exact robust backup of agent k.

    reward_SA = sum_k w_k r_k, kernel_SAX = sum_k w_k (1 - omega_k) P_k and
    adversary_KSA = w_k omega_k; the minimum of agent k runs over neighbours_KSX[k]. After
    v(x) = max_a Q(x,a), or a policy's mean, it is a gamma-contraction in the sup norm.
    """

    reward_SA: Array
    kernel_SAX: Array
    adversary_KSA: Array
    neighbours_KSX: Array
    terminal_S: Array
    discount: float

    def __call__(self, v_S: Array) -> Array:
        """[S] -> [S, A]; terminal states count 0 in v and get 0."""
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
    """The operator of a federation; omega is a number or [K], weights sum to 1 over k (1/K)."""
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
    """Q* of the global objective, the minimum over the union N_s: [S, A].

    With omega [K] it is the optimum of the mean robustness level.
    """
    return _fixed_point(_global_operator(mdp, omega), _greedy_value)


def fedrq_fixed_point(
    mdp: FederatedMDP, *, omega: Omega, weights_KSA: Array | None = None
) -> Array:
    """Where FedRQ goes when each agent knows its own N_s^k alone: [S, A].

    Q = sum_k w_k [ r_k + gamma (1 - omega_k) P_k v + gamma omega_k min_{N_s^k} v ]. Weights 1/K
    (the default) are exact FedRQ at E = 1, which under Assumption 1 is Q*; `visit_weights` gives
    those of step sizes that decay at the wrong rate.
    """
    operator = averaged_operator(
        mdp, omega=omega, neighbours_KSX=neighbours(mdp.kernel_KSAX), weights_KSA=weights_KSA
    )
    return _fixed_point(operator, _greedy_value)


def visit_weights(visits_KSA: Array, *, power: float) -> Array:
    """w_k(s,a) proportional to n_k(s,a)^power: [K, S, A], sums to 1 over k.

    An agent moves the mean at (s,a) by its rate of visits times its step size. A step n^-p of its
    own visits therefore weighs it by n^(1-p), and a step of a clock shared by all (s,a) by n.
    Every (s,a) must have been visited by some agent.
    """
    weights_KSA = visits_KSA.astype(np.float64) ** power
    return np.asarray(weights_KSA / weights_KSA.sum(0))


def greedy_policy(q_SA: Array) -> Array:
    """All probability on the first best action: [S, A]."""
    return np.asarray(np.eye(q_SA.shape[-1])[q_SA.argmax(-1)])


def robust_policy_value(mdp: FederatedMDP, policy_SA: Array, *, omega: Omega) -> Array:
    """Value of a policy under the worst kernel of the covering set: [S]."""

    def mean_value(q_SA: Array) -> Array:
        return np.asarray((policy_SA * q_SA).sum(-1), dtype=np.float64)

    q_SA = _fixed_point(_global_operator(mdp, omega), mean_value)
    return mean_value(q_SA)


def policy_value(mdp: FederatedMDP, policy_SA: Array) -> Array:
    """Value of a policy under each kernel, by a linear solve: [K, S].

    v_k = (I - gamma P_k^pi)^-1 r_k^pi, terminal states absorbing with value 0.
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
    """Mean and minimum over the kernels of a policy's value from a start distribution [S]."""
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
