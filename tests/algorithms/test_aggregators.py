"""The partition law over every aggregation rule, and hand-computed results."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from algorithms.aggregator import Aggregator
from algorithms.types import Params
from fedrl_ray.config import plugins
from tests.support.aggregation import aggregated, server_of
from tests.support.federations import same_bits

NUM_AGENTS = 50
RULES = plugins.names("aggregators")


def rule(name: str, **keys: Any) -> Aggregator:
    chosen = plugins.load("aggregators", name)
    return chosen(chosen.Config(**keys))


def agents(dtype: Any, *, spread: float = 0.0) -> Params:
    """Return parameters of 50 agents with magnitudes over `spread` decades."""
    rng = np.random.default_rng(0)
    shapes = {"q/0.weight": (50, 7, 9), "q/0.bias": (50, 1, 9), "degree/0.bias": (50, 1, 1)}
    return {
        name: (rng.normal(size=shape) * 10 ** rng.uniform(0, spread, shape)).astype(dtype)
        for name, shape in shapes.items()
    }


def splits() -> list[list[np.ndarray]]:
    """50 agents in one worker, in 50, in unequal groups, and in any order."""
    rng = np.random.default_rng(1)
    order = np.arange(NUM_AGENTS)
    fixed = [[order], list(order[:, None]), np.split(order, [1]), np.split(order, [17, 34])]
    drawn = [
        np.split(rng.permutation(order), np.sort(rng.choice(np.arange(1, 50), cuts, replace=False)))
        for cuts in rng.integers(1, 20, size=40)
    ]
    return fixed + drawn


def rounded(shared: Params, dtype: Any) -> Params:
    return {name: x.astype(dtype) for name, x in shared.items()}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [0.0, 6.0])
def test_any_split_and_order_gives_the_same_bits(name: str, dtype: Any, spread: float) -> None:
    shared = agents(dtype, spread=spread)
    expected = aggregated(rule(name), shared, [np.arange(NUM_AGENTS)])
    for groups in splits():
        found = aggregated(rule(name), shared, groups)
        assert same_bits(rounded(found.shared, dtype), rounded(expected.shared, dtype))
        assert same_bits(found.state, expected.state)
        assert found.drift == pytest.approx(expected.drift, rel=1e-9)


@pytest.mark.parametrize("name", RULES)
def test_an_aggregate_keeps_names_and_shapes_in_float64(name: str) -> None:
    shared = agents(np.float32)
    found = aggregated(rule(name), shared, [np.arange(20), np.arange(20, 50)])
    assert {k: (x.shape, x.dtype) for k, x in found.shared.items()} == {
        k: (x.shape[1:], np.float64) for k, x in shared.items()
    }


@pytest.mark.parametrize("name", RULES)
def test_agents_that_agree_are_left_as_they_are(name: str) -> None:
    one = {k: x[:1] for k, x in agents(np.float32).items()}
    alike = {k: np.repeat(x, NUM_AGENTS, axis=0) for k, x in one.items()}
    found = aggregated(rule(name), alike, np.split(np.arange(NUM_AGENTS), [13]))
    assert same_bits(rounded(found.shared, np.float32), {k: x[0] for k, x in one.items()})
    assert found.drift == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_without_messages_there_is_no_aggregate(name: str) -> None:
    server = server_of({"w": np.zeros(3)}, 2)
    assert rule(name).aggregate(server, []) is None


@pytest.mark.parametrize("name", RULES)
def test_the_drift_is_the_distance_to_the_aggregate(name: str) -> None:
    shared = agents(np.float64)
    found = aggregated(rule(name), shared, np.split(np.arange(NUM_AGENTS), [13]))
    squares = sum(
        np.square(x - found.shared[k]).reshape(NUM_AGENTS, -1).sum(1) for k, x in shared.items()
    )
    assert found.drift == pytest.approx(float(np.sqrt(np.mean(squares))), rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_mean_is_the_mean(dtype: Any) -> None:
    shared = agents(dtype)
    found = aggregated(rule("mean"), shared, splits()[-1])
    for name, x in shared.items():
        expected = x.astype(np.float64).mean(0)
        tolerance = float(np.finfo(dtype).eps) * np.abs(x).max()
        np.testing.assert_allclose(found.shared[name], expected, rtol=0, atol=tolerance)


def test_the_mean_survives_cancellation() -> None:
    """A float64 sum in this order would lose the small number."""
    x = {"w": np.array([[1e16], [1.0], [-1e16], [3.0]])}
    assert aggregated(rule("mean"), x, [np.arange(4)]).shared["w"].tolist() == [1.0]
    backwards = [np.array([3, 2]), np.array([0, 1])]
    assert aggregated(rule("mean"), x, backwards).shared["w"].tolist() == [1.0]


def test_the_trimmed_mean_leaves_out_the_ends_of_each_coordinate() -> None:
    x = {"w": np.array([[0.0, 9.0], [1.0, 2.0], [2.0, 1.0], [3.0, 0.0], [100.0, -50.0]])}
    found = aggregated(rule("trimmed_mean", fraction=0.2), x, [np.arange(5)])
    assert found.shared["w"].tolist() == [2.0, 1.0]


def test_a_trimmed_mean_of_nothing_trimmed_is_the_mean() -> None:
    shared = agents(np.float64)
    found = aggregated(rule("trimmed_mean", fraction=0.0), shared, [np.arange(NUM_AGENTS)])
    for name, x in shared.items():
        np.testing.assert_allclose(found.shared[name], x.mean(0), atol=1e-12)


def test_one_agent_that_sends_anything_does_not_move_a_trimmed_mean_out_of_range() -> None:
    rng = np.random.default_rng(0)
    honest = rng.normal(size=(9, 40))
    for bad in (1e30, -1e30, rng.normal(size=40) * 1e9):
        x = {"w": np.concatenate([honest, np.broadcast_to(bad, (1, 40))])}
        found = aggregated(rule("trimmed_mean", fraction=0.1), x, [np.arange(10)]).shared["w"]
        assert (found >= honest.min(0)).all() and (found <= honest.max(0)).all()
