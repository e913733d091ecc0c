"""The partition law over every aggregation rule, and what the mean is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from algorithms.types import Params, ServerState
from fedrl_ray.config import plugins
from tests.support.federations import same_bits

NUM_AGENTS = 50
RULES = plugins.names("aggregators")


def rule(name: str) -> Any:
    chosen = plugins.load("aggregators", name)
    return chosen(chosen.Config())


def agents(dtype: Any, *, spread: float = 0.0) -> Params:
    """Parameters of 50 agents; `spread` gives them magnitudes over so many decades."""
    rng = np.random.default_rng(0)
    shapes = {"q/0.weight": (50, 7, 9), "q/0.bias": (50, 1, 9), "degree/0.bias": (50, 1, 1)}
    return {
        name: (rng.normal(size=shape) * 10 ** rng.uniform(0, spread, shape)).astype(dtype)
        for name, shape in shapes.items()
    }


def merged(name: str, shared: Params, groups: list[np.ndarray]) -> ServerState:
    chosen = rule(name)
    partials = [chosen.partial({k: x[rows] for k, x in shared.items()}) for rows in groups]
    server = ServerState(round=4, shared={k: x[0] for k, x in shared.items()})
    return chosen.merge(server, partials)


def splits() -> list[list[np.ndarray]]:
    """50 agents in one actor, in 50, in unequal groups, and in any order."""
    rng = np.random.default_rng(1)
    order = np.arange(NUM_AGENTS)
    fixed = [[order], list(order[:, None]), np.split(order, [1]), np.split(order, [17, 34])]
    drawn = [
        np.split(rng.permutation(order), np.sort(rng.choice(np.arange(1, 50), cuts, replace=False)))
        for cuts in rng.integers(1, 20, size=40)
    ]
    return fixed + drawn


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spread", [0.0, 6.0])
def test_any_split_and_order_gives_the_same_bits(name: str, dtype: Any, spread: float) -> None:
    shared = agents(dtype, spread=spread)
    expected = merged(name, shared, [np.arange(NUM_AGENTS)])
    for groups in splits():
        got = merged(name, shared, groups)
        assert same_bits(got.shared, expected.shared) and same_bits(got.memory, expected.memory)


@pytest.mark.parametrize("name", RULES)
def test_a_merge_keeps_names_types_and_shapes_and_counts_the_round(name: str) -> None:
    shared = agents(np.float32)
    server = merged(name, shared, [np.arange(20), np.arange(20, 50)])
    assert server.round == 5
    assert {k: (x.shape, x.dtype) for k, x in server.shared.items()} == {
        k: (x.shape[1:], x.dtype) for k, x in shared.items()
    }


@pytest.mark.parametrize("name", RULES)
def test_agents_that_agree_are_left_as_they_are(name: str) -> None:
    one = {k: x[:1] for k, x in agents(np.float32).items()}
    alike = {k: np.repeat(x, NUM_AGENTS, axis=0) for k, x in one.items()}
    server = merged(name, alike, np.split(np.arange(NUM_AGENTS), [13]))
    assert same_bits(server.shared, {k: x[0] for k, x in one.items()})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_mean_is_the_mean(dtype: Any) -> None:
    shared = agents(dtype)
    server = merged("mean", shared, splits()[-1])
    for name, x in shared.items():
        expected = x.astype(np.float64).mean(0)
        tolerance = float(np.finfo(dtype).eps) * np.abs(x).max()
        np.testing.assert_allclose(server.shared[name], expected, rtol=0, atol=tolerance)


def test_the_mean_survives_cancellation() -> None:
    """A float64 sum in this order would lose the small number."""
    x = {"w": np.array([[1e16], [1.0], [-1e16], [3.0]])}
    assert merged("mean", x, [np.arange(4)]).shared["w"].tolist() == [1.0]
    assert merged("mean", x, [np.array([3, 2]), np.array([0, 1])]).shared["w"].tolist() == [1.0]
