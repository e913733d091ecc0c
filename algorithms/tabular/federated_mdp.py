"""The tabular problem of arXiv 2507.14487, its sets and backups, as pure float64 functions.

`solver` computes its fixed points.

Shape letters are those of `types`, and K counts the agents of a federation. With the average
kernel Pbar = (1/K) sum_k P_k and the neighbours N_s = { x : P_k(x|s,a) > 0 for some k and a },

    covering set   P_omega(s,a) = { (1 - omega) Pbar(.|s,a) + omega q : q a distribution on N_s }
    optimum        Q*(s,a) = r(s,a) + gamma (1 - omega) sum_x Pbar(x|s,a) v(x)
                             + gamma omega min_{x in N_s} v(x),     v(x) = max_b Q*(x,b).

The paper leaves two points open. We treat a terminal state as an absorbing neighbour of value 0.
We take a reward r(s,a,x) as r(s,a) = sum_x Pbar(x|s,a) r(s,a,x): the adversary moves the successor
only.
"""

# ruff: noqa: N815 (shape suffixes are capitals)
from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..types import Array
from ..vector_env import KnownDynamicsEnv, VectorEnv

Omega = float | Array
"""Robustness level in [0, 1]: a number, or one per agent [K]."""

_ROUNDING = 1e-12  # rounding error of probabilities after a few operations
_ROUNDING_OF_SUMS = 1e-9  # of a row of probabilities, which users may have rounded themselves


@dataclass(frozen=True, kw_only=True)
class FederatedMDP:
    """K Markov decision processes that differ in their kernels alone.

    kernel_KSAX: P_k(x|s,a); rows sum to 1. reward: [S, A], or [S, A, X] if it depends on the
    successor. terminal_S: bool. discount: gamma in [0, 1).

    Raises ValueError if shapes disagree, a row is no distribution, or the discount is not legal.
    """

    kernel_KSAX: Array
    reward: Array
    terminal_S: Array
    discount: float

    def __post_init__(self) -> None:
        shape = self.kernel_KSAX.shape[1:]
        if len(shape) != 3 or shape[0] != shape[2] or not len(self.kernel_KSAX):
            raise ValueError(f"kernel_KSAX must be [K, S, A, S]; got {self.kernel_KSAX.shape}")
        if self.reward.shape not in (shape, shape[:2]) or self.terminal_S.shape != shape[:1]:
            raise ValueError("reward must be [S, A] or [S, A, X] and terminal_S [S]")
        if self.kernel_KSAX.min() < 0 or not _sums_to_one(self.kernel_KSAX).all():
            raise ValueError("every row of kernel_KSAX must be a distribution")
        if not 0 <= self.discount < 1:
            raise ValueError(f"discount must lie in [0, 1); got {self.discount}")


def _sums_to_one(kernel: Array) -> Array:
    """Mask of the rows whose sum is 1 but for rounding: [..., X] -> [...] bool."""
    return np.asarray(np.abs(kernel.sum(-1) - 1) <= _ROUNDING_OF_SUMS)


def average_kernel(mdp: FederatedMDP) -> Array:
    """Pbar = (1/K) sum_k P_k: [S, A, X]."""
    return np.asarray(mdp.kernel_KSAX.mean(0))


def neighbours(kernel_NSAX: Array) -> Array:
    """N_s^k = { x : P_k(x|s,a) > 0 for some a }: [N, S, X] bool."""
    return np.asarray((kernel_NSAX > 0).any(2))


def union_neighbours(mdp: FederatedMDP) -> Array:
    """N_s, the union of N_s^k over the agents: [S, X] bool."""
    return np.asarray(neighbours(mdp.kernel_KSAX).any(0))


def assumption1_violations(mdp: FederatedMDP) -> Array:
    """Return the states that violate Assumption 1, N_s^k = N_s for every agent k: [S] bool.

    A terminal state never violates it, because no agent learns there.
    """
    differs_S = (neighbours(mdp.kernel_KSAX) != union_neighbours(mdp)).any((0, 2))
    return np.asarray(differs_S & ~mdp.terminal_S)


def heterogeneity(mdp: FederatedMDP) -> Array:
    """kappa(s,a) = max_k max_{x : Pbar(x|s,a) > 0} [1 - P_k(x|s,a) / Pbar(x|s,a)]: [S, A].

    It is the smallest omega whose covering set contains every P_k(.|s,a).
    """
    mean_SAX = average_kernel(mdp)
    ratio_KSAX = np.divide(
        mdp.kernel_KSAX, mean_SAX, out=np.ones_like(mdp.kernel_KSAX), where=mean_SAX > 0
    )
    return np.asarray((1.0 - ratio_KSAX).max((0, 3)).clip(0.0))


def in_covering_set(kernel: Array, mdp: FederatedMDP, *, omega: float) -> Array:
    """Mask of the (s,a) with kernel(.|s,a) in P_omega(s,a): [..., S, A, X] -> [..., S, A] bool.

    This holds if kernel(.|s,a) sums to 1, and kernel - (1 - omega) Pbar is nowhere negative and is
    0 outside N_s. The rest then sums to omega, so that it is omega times a distribution on N_s.
    """
    rest = kernel - (1.0 - omega) * average_kernel(mdp)
    outside = np.abs(rest) * ~union_neighbours(mdp)[:, None]
    within = (rest >= -_ROUNDING).all(-1) & (outside <= _ROUNDING).all(-1)
    return np.asarray(within & _sums_to_one(kernel))


def covering_vertices(mdp: FederatedMDP, state: int, action: int, *, omega: float) -> Array:
    """Return the vertices (1 - omega) Pbar + omega e_x of P_omega(s,a), x in N_s: [|N_s|, X]."""
    corners = np.eye(len(mdp.terminal_S))[union_neighbours(mdp)[state]]
    return np.asarray((1.0 - omega) * average_kernel(mdp)[state, action] + omega * corners)


def expected_reward(reward: Array, kernel: Array) -> Array:
    """r(s,a) = sum_x P(x|s,a) r(s,a,x) under kernel [..., S, A, X]: [..., S, A]."""
    if reward.ndim == 2:
        return np.broadcast_to(reward, kernel.shape[:-1])
    return np.asarray((kernel * reward).sum(-1))


def state_values(q: Array, terminal_S: Array) -> Array:
    """v(x) = max_a Q(x,a), or 0 if x is terminal: [..., S, A] -> [..., S]."""
    return np.where(terminal_S, 0.0, q.max(-1))


def worst_value(v: Array, neighbours: Array) -> Array:
    """min_{x in N_s} v(x): values [..., X] and neighbours [..., S, X] -> [..., S]."""
    return np.asarray(np.where(neighbours, v[..., None, :], np.inf).min(-1))


def robust_backup(
    reward: Array, v_next: Array, v_worst: Array, *, discount: float, omega: Omega
) -> Array:
    """r + gamma [ (1 - omega) v(s') + omega min_{x in N_s} v(x) ], elementwise.

    At omega 0 it equals r + gamma v(s'), the target of QAvg, bit for bit (v_worst must be finite).
    """
    return np.asarray(reward + discount * ((1.0 - omega) * v_next + omega * v_worst))


def exact_backup(
    kernel_NSAX: Array,
    reward_NSA: Array,
    neighbours_NSX: Array,
    v_NX: Array,
    *,
    discount: float,
    omega_N: Array,
) -> Array:
    """Return the robust target of every (s,a), in expectation under each agent's P_k: [N, S, A]."""
    v_next_NSA = (kernel_NSAX * v_NX[:, None, None]).sum(-1)
    v_worst_NS1 = worst_value(v_NX, neighbours_NSX)[..., None]
    omega_N11 = omega_N[:, None, None]
    return robust_backup(reward_NSA, v_next_NSA, v_worst_NS1, discount=discount, omega=omega_N11)


class KnownKernels(NamedTuple):
    """The exact dynamics of N environments, as mode `exact` uses them."""

    kernel_NSAX: Array
    reward_NSA: Array
    neighbours_NSX: Array
    terminal_S: Array

    @classmethod
    def of(cls, env: VectorEnv) -> KnownKernels:
        """Read them from an environment. Raises TypeError if it is no `KnownDynamicsEnv`."""
        if not isinstance(env, KnownDynamicsEnv):
            raise TypeError(
                "learner.mode: must be sampled unless the environment has known kernels "
                f"(KnownDynamicsEnv); got exact with {type(env).__name__}"
            )
        kernel = env.kernel_NSAX
        reward = expected_reward(env.reward_SAX, kernel)
        return cls(kernel, reward, neighbours(kernel), env.terminal_S)
