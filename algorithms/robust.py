"""The paper's equations (arXiv 2507.14487), one pure function each.

Shapes: [N, B] unless said otherwise. Functions work on torch tensors and on numpy arrays alike
where they only use arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .on_use import torch

if TYPE_CHECKING:
    from torch import Tensor


class Regression(NamedTuple):
    """A loss per agent, [N], and its derivative by each prediction, [N, B]."""

    loss: Tensor
    slope: Tensor


def next_value(value_NB: Tensor, terminated_NB: Tensor) -> Tensor:
    """v(s') of a transition: the bootstrap value, and 0 at a terminal s'.

    The paper is silent about terminal states. Our choice: a terminal state is an absorbing
    neighbour of value 0. This is the one place that decides it; the result feeds both the robust
    target and the regression of the degree network, so the two cannot disagree. A truncated
    transition is not terminated and keeps its value.
    """
    return value_NB * (1.0 - terminated_NB)


def robust_target(
    reward_NB: Tensor,
    v_next_NB: Tensor,
    v_worst_NB: Tensor | None,
    *,
    discount: float,
    omega_N1: Tensor,
) -> Tensor:
    """y = r + gamma [ (1 - omega) v(s') + omega D(s; psi) ], detached.

    `v_worst_NB` is the degree network at s, not at s'. It is not masked at terminal transitions.
    None means that omega is 0 for every agent: the target of QAvg, DQNAvg and DDPGAvg.
    omega_N1 broadcasts over the minibatch: [N, 1].
    """
    if v_worst_NB is None:
        return (reward_NB + discount * v_next_NB).detach()
    mixed_NB = (1.0 - omega_N1) * v_next_NB + omega_N1 * v_worst_NB
    return (reward_NB + discount * mixed_NB).detach()


def expectile_loss(prediction: Tensor, target: Tensor, *, expectile: float) -> Tensor:
    """l_tau(u) = |tau - 1{u < 0}| u^2 with u = target - prediction, elementwise.

    With tau = 0.01 a prediction above its target weighs 0.99 and one below it 0.01, so the
    minimiser is the lower expectile of the targets: a soft minimum.
    `expectile_loss(1., 0., expectile=.01) == .99`, `expectile_loss(0., 1., expectile=.01) == .01`.
    """
    u = target.detach() - prediction
    return (expectile - (u < 0).to(u.dtype)).abs() * u.square()


def expectile_regression(
    prediction_NB: Tensor, target_NB: Tensor, *, expectile: float
) -> Regression:
    """Mean of `expectile_loss` over the minibatch, and d loss / d prediction = -2 w u / B."""
    u_NB = target_NB - prediction_NB
    weighted_NB = torch.where(u_NB < 0, 1.0 - expectile, expectile) * u_NB
    return Regression((weighted_NB * u_NB).mean(-1), weighted_NB * (-2.0 / u_NB.shape[-1]))


def td_regression(q_NB: Tensor, target_NB: Tensor) -> Regression:
    """Mean over the minibatch of (y - Q(s, a; theta))^2, and d loss / d Q = -2 (y - Q) / B: each
    agent's own, so that agents stay independent."""
    u_NB = target_NB - q_NB
    return Regression(u_NB.square().mean(-1), u_NB * (-2.0 / u_NB.shape[-1]))
