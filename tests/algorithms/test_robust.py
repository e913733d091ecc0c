"""The paper's equations, compared with numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from torch import Tensor

from algorithms.robust import (
    expectile_loss,
    expectile_regression,
    next_value,
    robust_target,
    td_regression,
)

UNIT = st.floats(0.0, 1.0)


def tensor(*values: float) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


def expectile(samples: Tensor, level: float) -> float:
    """Return the value at which the mean gradient of the loss over the samples is zero."""

    def gradient(at: float) -> float:
        prediction = torch.full_like(samples, at, requires_grad=True)
        expectile_loss(prediction, samples, expectile=level).mean().backward()
        assert prediction.grad is not None
        return float(prediction.grad.sum())

    return float(brentq(gradient, float(samples.min()), float(samples.max()), xtol=1e-12))


def test_a_prediction_above_its_target_weighs_one_minus_the_level() -> None:
    above = expectile_loss(tensor(1.0), tensor(0.0), expectile=0.01)
    below = expectile_loss(tensor(0.0), tensor(1.0), expectile=0.01)
    assert above.item() == 0.99 and below.item() == 0.01
    assert expectile_loss(tensor(3.0), tensor(1.0), expectile=0.25).item() == 0.75 * 4.0


@pytest.mark.parametrize(
    ("worst", "known"), [(0.5, 0.01), (0.1, 0.083), (0.05, 0.161), (0.01, 0.5), (0.001, 0.91)]
)
def test_expectile_of_two_points(worst: float, known: float) -> None:
    """Return the expectile at level 0.01 of 0 with probability `worst`, else 1."""
    zeros = round(1000 * worst)
    samples = torch.cat([torch.zeros(zeros), torch.ones(1000 - zeros)]).double()
    assert expectile(samples, 0.01) == pytest.approx(known, abs=0.001)


@pytest.mark.parametrize(("level", "known"), [(0.01, 0.0913), (0.001, 0.0307), (0.5, 0.5)])
def test_expectile_of_the_uniform_distribution(level: float, known: float) -> None:
    midpoints = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    assert expectile(midpoints, level) == pytest.approx(known, abs=5e-5)


def test_the_regression_target_gets_no_gradient() -> None:
    prediction, target = tensor(1.0).requires_grad_(), tensor(0.0).requires_grad_()
    expectile_loss(prediction, target, expectile=0.01).sum().backward()
    assert prediction.grad is not None and target.grad is None


def test_a_terminal_successor_is_worth_nothing() -> None:
    value = next_value(tensor(5.0, -3.0, 2.0), tensor(0.0, 1.0, 1.0))
    assert value.tolist() == [[5.0, 0.0, 0.0]]


def test_robust_target_by_hand() -> None:
    y = robust_target(tensor(1.0), tensor(10.0), tensor(4.0), discount=0.5, omega_N1=tensor(0.25))
    assert y.item() == 1.0 + 0.5 * (0.75 * 10.0 + 0.25 * 4.0)


def test_omega_one_sees_the_worst_neighbour_alone_and_omega_zero_the_successor_alone() -> None:
    omega_N1 = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
    y = robust_target(
        tensor(1.0).expand(2, 1),
        tensor(10.0).expand(2, 1),
        tensor(4.0).expand(2, 1),
        discount=0.5,
        omega_N1=omega_N1,
    )
    assert y.ravel().tolist() == [6.0, 3.0]


def test_without_a_degree_network_the_target_is_that_of_omega_zero_bit_for_bit() -> None:
    torch.manual_seed(0)
    reward, v_next, v_worst = torch.randn(3, 4, 64)
    omega_N1 = torch.zeros(4, 1)
    with_network = robust_target(reward, v_next, v_worst, discount=0.99, omega_N1=omega_N1)
    without = robust_target(reward, v_next, None, discount=0.99, omega_N1=omega_N1)
    assert torch.equal(with_network, without)


@given(st.floats(-100, 100), UNIT, UNIT, UNIT)
def test_the_target_falls_as_omega_grows(value: float, drop: float, a: float, b: float) -> None:
    """This holds as long as D lies below the successor's value."""
    low, high = sorted((a, b))
    y_low, y_high = (
        robust_target(
            tensor(0.0), tensor(value), tensor(value - drop), discount=0.9, omega_N1=tensor(omega)
        )
        for omega in (low, high)
    )
    assert y_high.item() <= y_low.item() + 1e-12


def test_td_loss_is_a_mean_over_the_minibatch_and_keeps_agents_apart() -> None:
    q_NB = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    y_NB = torch.tensor([[2.0, 4.0], [0.0, 3.0]])
    np.testing.assert_allclose(td_regression(q_NB, y_NB).loss, [2.5, 4.5])


@pytest.mark.parametrize("level", [0.01, 0.5, 0.9])
def test_the_slopes_are_those_of_the_losses(level: float) -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = (torch.randn(3, 7, generator=generator).double() for _ in range(2))
    prediction.requires_grad_()
    for found, loss_NB in (
        (td_regression(prediction, target), (target - prediction).square()),
        (
            expectile_regression(prediction, target, expectile=level),
            expectile_loss(prediction, target, expectile=level),
        ),
    ):
        (gradient,) = torch.autograd.grad(loss_NB.mean(-1).sum(), prediction, retain_graph=True)
        torch.testing.assert_close(found.loss, loss_NB.mean(-1))
        torch.testing.assert_close(found.gradient, gradient)


def test_arrays_of_numpy_give_the_numbers_that_tensors_give() -> None:
    rng = np.random.default_rng(0)
    value, worst, reward = rng.normal(size=(3, 4, 16)).astype(np.float32)
    omega_N1, terminated = rng.random((4, 1), np.float32), np.float32(rng.random((4, 16)) < 0.3)

    def everything(convert: Any) -> list[Any]:
        v_next = next_value(convert(value), convert(terminated))
        y = robust_target(
            convert(reward), v_next, convert(worst), discount=0.9, omega_N1=convert(omega_N1)
        )
        losses = (
            td_regression(convert(worst), y),
            expectile_regression(convert(worst), v_next, expectile=0.01),
        )
        return [v_next, y, *(number for loss in losses for number in loss)]

    for array, tensor in zip(everything(np.asarray), everything(torch.from_numpy), strict=True):
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, tensor.numpy(), rtol=1e-6)
