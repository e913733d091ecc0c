"""The equations of the paper (arXiv 2507.14487), each as one pure function.

Shapes are [N, B] unless another is given. Numbers are torch tensors or NumPy arrays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .arrays import Numbers, namespace

if TYPE_CHECKING:
    from torch import Tensor


class Regression(NamedTuple):
    """A loss per agent, [N], and its derivative by each prediction, [N, B]."""

    loss: Numbers
    gradient: Numbers


def next_value(value_NB: Numbers, terminated_NB: Numbers) -> Numbers:
    """Return v(s') of a transition: the bootstrap value, or 0 if s' is terminal.

    The paper says nothing about terminal states. We treat a terminal state as an absorbing
    neighbour of value 0. Only this function decides it: both the robust target and the regression
    of the degree network use its result, so they cannot disagree. A truncated transition is not
    terminated and keeps its value.
    """
    return value_NB * (1.0 - terminated_NB)


def robust_target(
    reward_NB: Numbers,
    v_next_NB: Numbers,
    v_worst_NB: Numbers | None,
    *,
    discount: float,
    omega_N1: Numbers,
) -> Numbers:
    """y = r + gamma [ (1 - omega) v(s') + omega D(s; psi) ].

    v_worst_NB: output of the degree network at s, not at s'; it is not masked at terminal
    transitions. None means that omega is 0 for every agent: the target of QAvg, DQNAvg and
    DDPGAvg. omega_N1: [N, 1], broadcast over the minibatch.
    """
    if v_worst_NB is None:
        return reward_NB + discount * v_next_NB
    mixed_NB = (1.0 - omega_N1) * v_next_NB + omega_N1 * v_worst_NB
    return reward_NB + discount * mixed_NB


def expectile_loss(prediction: Tensor, target: Tensor, *, expectile: float) -> Tensor:
    """l_tau(u) = |tau - 1{u < 0}| u^2 with u = target - prediction, elementwise, for autograd.

    With tau = 0.01 a prediction above its target has weight 0.99, and one below it 0.01. The
    minimiser is therefore the lower expectile of the targets, a soft minimum.
    `expectile_loss(1., 0., expectile=.01) == .99`, `expectile_loss(0., 1., expectile=.01) == .01`.
    """
    u = target.detach() - prediction
    return (expectile - (u < 0).to(u.dtype)).abs() * u.square()


def expectile_regression(
    prediction_NB: Numbers, target_NB: Numbers, *, expectile: float
) -> Regression:
    """Return the mean of `expectile_loss` over the minibatch, and its derivative -2 w u / B."""
    u_NB = target_NB - prediction_NB
    below, above = (1.0 - expectile) * u_NB, expectile * u_NB
    weighted_NB = namespace(u_NB).where(u_NB < 0, below, above)
    return _regression(weighted_NB * u_NB, weighted_NB)


def td_regression(q_NB: Numbers, target_NB: Numbers) -> Regression:
    """Return the mean of (y - Q(s, a; theta))^2 over the minibatch, and its derivative by Q.

    The derivative is d loss / d Q = -2 (y - Q) / B. Each agent has its own loss, so agents stay
    independent.
    """
    u_NB = target_NB - q_NB
    return _regression(u_NB * u_NB, u_NB)


def _regression(loss_NB: Numbers, weighted_NB: Numbers) -> Regression:
    """Return the mean of w u^2 and its derivative -2 w u / B, given w u^2 and w u."""
    batch = loss_NB.shape[-1]
    return Regression(loss_NB.sum(-1) / batch, weighted_NB * (-2.0 / batch))
