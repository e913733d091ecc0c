"""Server optimizers: a contract over every file, and hand-computed steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from algorithms.server_optimizer import ServerOptimizer
from algorithms.types import Params
from fedrl_ray.config import plugins
from tests.support.federations import same_bits

OPTIMIZERS = plugins.names("server_optimizers")
SHARED: Params = {"w": np.array([1.0, 2.0], np.float32), "q/b": np.array([[0.5]], np.float64)}
TARGET: Params = {"w": np.array([2.0, 0.0]), "q/b": np.array([[0.5]])}


def build(name: str, **keys: Any) -> ServerOptimizer:
    chosen = plugins.load("server_optimizers", name)
    return chosen(chosen.Config(**keys))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_keeps_names_types_and_shapes_and_its_state_has_a_fixed_form(name: str) -> None:
    optimizer = build(name)
    state = optimizer.initial_state(SHARED)
    moved, after = optimizer.apply(SHARED, TARGET, state)
    assert {k: (x.shape, x.dtype) for k, x in moved.items()} == {
        k: (x.shape, x.dtype) for k, x in SHARED.items()
    }
    assert {k: (x.shape, x.dtype) for k, x in after.items()} == {
        k: (x.shape, x.dtype) for k, x in state.items()
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_goes_towards_the_aggregate_and_stays_where_it_agrees(name: str) -> None:
    optimizer = build(name)
    moved, _ = optimizer.apply(SHARED, TARGET, optimizer.initial_state(SHARED))
    assert moved["w"][0] > 1.0 and moved["w"][1] < 2.0
    assert moved["q/b"] == SHARED["q/b"]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_changes_none_of_its_arguments(name: str) -> None:
    optimizer = build(name)
    state = optimizer.initial_state(SHARED)
    before = [{k: x.copy() for k, x in part.items()} for part in (SHARED, TARGET, state)]
    optimizer.apply(SHARED, TARGET, state)
    for part, copy in zip((SHARED, TARGET, state), before, strict=True):
        assert same_bits(part, copy)


def test_sgd_at_rate_1_is_the_aggregate_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    shared = {"w": rng.normal(size=10_000).astype(np.float32)}
    target = {"w": rng.normal(size=10_000) * 10 ** rng.uniform(-6, 6, 10_000)}
    moved, state = build("sgd").apply(shared, target, {})
    assert same_bits(moved, {"w": target["w"].astype(np.float32)}) and not state


def test_sgd_steps_by_hand() -> None:
    moved, _ = build("sgd", learning_rate=0.5).apply(SHARED, TARGET, {})
    assert moved["w"].tolist() == [1.5, 1.0]
    optimizer = build("sgd", momentum=0.5)
    first, state = optimizer.apply(SHARED, TARGET, optimizer.initial_state(SHARED))
    assert first["w"].tolist() == [2.0, 0.0] and state["w"].tolist() == [1.0, -2.0]
    second, state = optimizer.apply(first, TARGET, state)  # Delta = 0: half of the velocity is left
    assert second["w"].tolist() == [2.5, -1.0] and state["w"].tolist() == [0.5, -1.0]


def test_adam_steps_by_hand() -> None:
    """First step: m = 0.1 Delta, v = 0.99 eps^2 + 0.01 Delta^2 (no bias correction)."""
    optimizer = build("adam", learning_rate=0.1, epsilon=0.1)
    moved, state = optimizer.apply(SHARED, TARGET, optimizer.initial_state(SHARED))
    v = 0.99 * 0.01 + 0.01 * np.array([1.0, 4.0])
    m = np.array([0.1, -0.2])
    np.testing.assert_allclose(state["mean/w"], m, rtol=1e-12)
    np.testing.assert_allclose(state["square/w"], v, rtol=1e-12)
    expected = np.array([1.0, 2.0]) + 0.1 * m / (np.sqrt(v) + 0.1)
    np.testing.assert_allclose(moved["w"], expected, rtol=1e-6)


@pytest.mark.parametrize("keys", [{"learning_rate": 0.0}, {"momentum": 1.0}])
def test_bad_keys_are_refused(keys: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        build("sgd", **keys)
