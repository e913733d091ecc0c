"""Client samplers: a contract over every file, and how often each agent is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from algorithms.client_sampler import ClientSampler
from fedrl_ray.common.errors import UserError
from fedrl_ray.config import plugins
from fedrl_ray.config.schema import Experiment

K = 7
KEYS: dict[str, dict[str, Any]] = {"uniform": {"count": 3}}
"""Keys without which a sampler cannot be built."""
SAMPLERS = plugins.names("client_samplers")


def build(name: str, *, seed: int = 0, **keys: Any) -> ClientSampler:
    chosen = plugins.load("client_samplers", name)
    config = chosen.Config(**(keys or KEYS.get(name, {})))
    chosen.check(config, K)
    return chosen(config, num_agents=K, seed=seed)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_choice_is_a_function_of_seed_and_round(name: str) -> None:
    rounds = [build(name).sample(r, range(K)) for r in range(50)]
    assert rounds == [build(name).sample(r, range(K)) for r in reversed(range(50))][::-1]
    if name != "all":
        assert rounds != [build(name, seed=1).sample(r, range(K)) for r in range(50)]
        assert len(set(rounds)) > 5


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_choice_is_of_available_agents_in_order_and_never_empty(name: str) -> None:
    rng = np.random.default_rng(0)
    for round_number in range(200):
        size = int(rng.integers(1, K + 1))
        available = sorted(rng.choice(K, size, replace=False).tolist())
        chosen = build(name).sample(round_number, available)
        assert chosen and set(chosen) <= set(available) and list(chosen) == sorted(set(chosen))


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_agent_gets_its_turn(name: str) -> None:
    sampler = build(name)
    counts = np.zeros(K)
    for round_number in range(2000):
        counts[list(sampler.sample(round_number, range(K)))] += 1
    expected = {"all": 1.0, "uniform": 3 / 7}.get(name, counts.mean() / 2000)
    np.testing.assert_allclose(counts / 2000, expected, atol=0.05)


def test_uniform_takes_a_fraction_or_a_count() -> None:
    assert len(build("uniform", fraction=0.5).sample(0, range(K))) == round(K / 2)
    assert len(build("uniform", fraction=0.01).sample(0, range(K))) == 1
    assert len(build("uniform", count=K).sample(0, range(K))) == K
    for keys in ({}, {"fraction": 0.5, "count": 2}, {"fraction": 0.0}, {"count": 0}):
        with pytest.raises(ValueError):
            plugins.load("client_samplers", "uniform").Config(**keys)
    with pytest.raises(ValueError, match=r"count: must be at most federation\.num_agents"):
        build("uniform", count=K + 1)


def test_availability_by_agent_and_with_a_minimum() -> None:
    p = (0.0, 1.0, 0.5, 0.5, 0.5, 0.9, 0.1)
    sampler = build("availability", probability=p)
    counts = np.zeros(K)
    for round_number in range(3000):
        counts[list(sampler.sample(round_number, range(K)))] += 1
    np.testing.assert_allclose(counts / 3000, p, atol=0.04)
    nobody = build("availability", probability=0.0, minimum=2)
    chosen = [nobody.sample(r, range(K)) for r in range(50)]
    assert {len(c) for c in chosen} == {2} and len(set(chosen)) > 10
    with pytest.raises(ValueError, match="one number or 7, one per agent"):
        build("availability", probability=(0.5, 0.5))


def test_a_sampler_that_does_not_fit_the_federation_is_refused_in_one_line(small: Any) -> None:
    built: Experiment = small(client_sampler={"name": "uniform", "count": 5})
    assert built.client_sampler.name == "uniform"
    with pytest.raises(UserError, match=r"client_sampler\.count: must be at most"):
        small(client_sampler={"name": "uniform", "count": 6})
