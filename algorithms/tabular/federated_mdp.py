"""The tabular problem of arXiv 2507.14487, its sets and backups: pure functions, numpy float64.

`tabular_solver` computes its fixed points.

Shape letters as in `types`, and K for the agents of a federation. With the average kernel
Pbar = (1/K) sum_k P_k and the neighbours N_s = { x : P_k(x|s,a) > 0 for some k and a },

    covering set   P_omega(s,a) = { (1 - omega) Pbar(.|s,a) + omega q : q a distribution on N_s }
    optimum        Q*(s,a) = r(s,a) + gamma (1 - omega) sum_x Pbar(x|s,a) v(x)
                             + gamma omega min_{x in N_s} v(x),     v(x) = max_b Q*(x,b).

Where the paper is silent: a terminal state is an absorbing neighbour of value 0, and a reward
r(s,a,x) counts as r(s,a) = sum_x Pbar(x|s,a) r(s,a,x): the adversary moves the successor only.
"""

# ruff: noqa: N815 (shape suffixes are capitals)
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..types import Array

Omega = float | Array
"""Robustness level in [0, 1]: a number, or one per agent [K]."""

_ROUNDING = 1e-12  # of probabilities that come out of a few operations


@dataclass(frozen=True, kw_only=True)
class FederatedMDP:
    """K Markov decision processes that differ in their kernels alone.

    kernel_KSAX: P_k(x|s,a), rows sum to 1. reward: [S, A], or [S, A, X] where it depends on the
    successor. terminal_S: bool. discount: gamma in [0, 1).

    Raises ValueError for shapes that disagree, rows that are no distributions, or a bad discount.
    """

    kernel_KSAX: Array
    reward: Array
    terminal_S: Array
    discount: float

    def __post_init__(self) -> None:
        shape = self.kernel_KSAX.shape[1:]
        if len(shape) != 3 or shape[0] != shape[2] or not len(self.kernel_KSAX):
            raise ValueError(f"kernel_KSAX must be [K, S, A, S], got {self.kernel_KSAX.shape}")
        if self.reward.shape not in (shape, shape[:2]) or self.terminal_S.shape != shape[:1]:
            raise ValueError("reward must be [S, A] or [S, A, X] and terminal_S [S]")
        sums = self.kernel_KSAX.sum(-1)
        if self.kernel_KSAX.min() < 0 or not np.allclose(sums, 1, rtol=0, atol=1e-9):
            raise ValueError("every row of kernel_KSAX must be a distribution")
        if not 0 <= self.discount < 1:
            raise ValueError(f"discount must lie in [0, 1), got {self.discount}")


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
    """States where some N_s^k differs from the union, against Assumption 1: [S] bool.

    Terminal states never violate it: nothing is learnt there.
    """
    differs_S = (neighbours(mdp.kernel_KSAX) != union_neighbours(mdp)).any((0, 2))
    return np.asarray(differs_S & ~mdp.terminal_S)


def heterogeneity(mdp: FederatedMDP) -> Array:
    """kappa(s,a) = max_k max_{x : Pbar(x|s,a) > 0} [1 - P_k(x|s,a) / Pbar(x|s,a)]: [S, A].

    The smallest omega whose covering set holds every P_k(.|s,a).
    """
    mean_SAX = average_kernel(mdp)
    ratio_KSAX = np.divide(
        mdp.kernel_KSAX, mean_SAX, out=np.ones_like(mdp.kernel_KSAX), where=mean_SAX > 0
    )
    return np.asarray((1.0 - ratio_KSAX).max((0, 3)).clip(0.0))


def in_covering_set(kernel: Array, mdp: FederatedMDP, *, omega: float) -> Array:
    """Whether kernel(.|s,a) lies in P_omega(s,a): [..., S, A, X] -> [..., S, A] bool.

    It does if kernel - (1 - omega) Pbar is nowhere negative and rests on N_s alone.
    """
    rest = kernel - (1.0 - omega) * average_kernel(mdp)
    outside = np.abs(rest) * ~union_neighbours(mdp)[:, None]
    return np.asarray((rest >= -_ROUNDING).all(-1) & (outside <= _ROUNDING).all(-1))


def covering_vertices(mdp: FederatedMDP, state: int, action: int, *, omega: float) -> Array:
    """Vertices (1 - omega) Pbar + omega e_x of P_omega(s,a), one per x in N_s: [|N_s|, X]."""
    corners = np.eye(len(mdp.terminal_S))[union_neighbours(mdp)[state]]
    return np.asarray((1.0 - omega) * average_kernel(mdp)[state, action] + omega * corners)


def expected_reward(reward: Array, kernel: Array) -> Array:
    """r(s,a) = sum_x P(x|s,a) r(s,a,x) under kernel [..., S, A, X]: [..., S, A]."""
    if reward.ndim == 2:
        return np.broadcast_to(reward, kernel.shape[:-1])
    return np.asarray((kernel * reward).sum(-1))


def state_values(q: Array, terminal_S: Array) -> Array:
    """v(x) = max_a Q(x,a), and 0 where x is terminal: [..., S, A] -> [..., S]."""
    return np.where(terminal_S, 0.0, q.max(-1))


def worst_value(v: Array, neighbours: Array) -> Array:
    """min_{x in N_s} v(x): values [..., X] and neighbours [..., S, X] -> [..., S]."""
    return np.asarray(np.where(neighbours, v[..., None, :], np.inf).min(-1))


def robust_backup(
    reward: Array, v_next: Array, v_worst: Array, *, discount: float, omega: Omega
) -> Array:
    """r + gamma [ (1 - omega) v(s') + omega min_{x in N_s} v(x) ], elementwise.

    At omega 0 it is r + gamma v(s'), the target of QAvg, bit for bit (v_worst must be finite).
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
    """The robust target of every (s,a) of every agent, the expectation under P_k: [N, S, A]."""
    v_next_NSA = (kernel_NSAX * v_NX[:, None, None]).sum(-1)
    v_worst_NS1 = worst_value(v_NX, neighbours_NSX)[..., None]
    omega_N11 = omega_N[:, None, None]
    return robust_backup(reward_NSA, v_next_NSA, v_worst_NS1, discount=discount, omega=omega_N11)


class KnownKernels(NamedTuple):
    """What an exact learner knows of N environments."""

    kernel_NSAX: Array
    reward_NSA: Array
    neighbours_NSX: Array
    terminal_S: Array

    @classmethod
    def of(cls, env: Any) -> KnownKernels:
        """Read from an environment. Raises TypeError where it does not expose its kernels."""
        try:
            kernel, reward, terminal = env.kernel_NSAX, env.reward_SAX, env.terminal_S
        except AttributeError:
            raise TypeError(
                "learner.mode exact needs an environment with known kernels (kernel_NSAX, "
                f"reward_SAX, terminal_S), which {type(env).__name__} has not; use mode sampled"
            ) from None
        return cls(kernel, expected_reward(reward, kernel), neighbours(kernel), terminal)
