"""A draw depends on (seed, role, agent id, counter) alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from algorithms.draws import Role, StepDraws, episode_seed, gaussian, philox
from tests.support.memory import peak_memory


def draws(**changes: object) -> StepDraws:
    given = {"seed": 5, "role": Role.REPLAY, "agent_ids": [0, 1, 2], "width": 6} | changes
    seed, role, agents = given.pop("seed"), given.pop("role"), given.pop("agent_ids")
    return StepDraws(seed, role, agents, **given)  # type: ignore[arg-type]


def numbers(steps: list[int], **changes: object) -> np.ndarray:
    stream = draws(**changes)
    return np.stack([stream.at(step) for step in steps])


@pytest.mark.parametrize("width", [1, 2, 4, 6, 33])
@pytest.mark.parametrize("block", [1, 7, 128])
def test_the_block_size_changes_no_number(width: int, block: int) -> None:
    steps = list(range(20))
    assert np.array_equal(numbers(steps, width=width, block=block), numbers(steps, width=width))


def test_agents_have_the_same_numbers_in_any_company() -> None:
    steps = list(range(10))
    every = numbers(steps, agent_ids=[0, 1, 2, 3, 4])
    assert np.array_equal(numbers(steps, agent_ids=[3, 0]), every[:, [3, 0]])
    assert np.array_equal(numbers(steps, agent_ids=[4]), every[:, [4]])


def test_a_resumed_stream_goes_on_with_the_same_numbers() -> None:
    every = numbers(list(range(50)), block=16)
    assert np.array_equal(numbers(list(range(23, 50)), block=16), every[23:])
    there_and_back = [40, 3, 41, 0, 15, 16]
    assert np.array_equal(numbers(there_and_back, block=16), every[there_and_back])


def test_a_wide_step_keeps_few_numbers() -> None:
    """A block of 128 steps would take 256 MiB."""
    draws = StepDraws(0, Role.REPLAY, [0], width=2**18)
    assert peak_memory(lambda: draws.at(0)) < 2**26
    assert draws.at(0).shape == (1, 2**18)
    plain = StepDraws(0, Role.REPLAY, [0], width=2**18, block=1)
    assert np.array_equal(plain.at(5), draws.at(5))


def test_no_two_streams_share_a_number() -> None:
    """Numbers are uniform over seeds, roles, agents and steps."""
    streams = [
        numbers(list(range(8)), seed=seed, role=role, agent_ids=[agent])
        for seed, role, agent in itertools.product((0, 1), (Role.REPLAY, Role.EPISODE), (0, 1))
    ]
    values = np.concatenate([stream.ravel() for stream in streams])
    assert len(np.unique(values)) == len(values) == 8 * 8 * 6


def test_numbers_are_uniform_in_the_half_open_unit_interval() -> None:
    values = numbers(list(range(2000)), width=8, block=500).ravel()
    assert values.min() >= 0.0 and values.max() < 1.0
    counts, _ = np.histogram(values, bins=20, range=(0, 1))
    expected = len(values) / 20
    assert ((counts - expected) ** 2 / expected).sum() < 43.8  # chi-square, 19 d.o.f., p = 0.001


def test_a_counter_step_is_four_words() -> None:
    long = philox(1, Role.DYNAMICS, 2).random(12)
    assert np.array_equal(philox(1, Role.DYNAMICS, 2, 2).random(4), long[8:])


def test_gaussian_numbers_are_the_normal_quantiles_and_always_finite() -> None:
    np.testing.assert_allclose(
        gaussian(np.array([0.5, 0.975, 0.025])), [0.0, 1.959964, -1.959964], atol=1e-6
    )
    assert np.isfinite(gaussian(np.array([0.0, np.nextafter(1.0, 0.0)]))).all()


def test_episode_seeds_differ_and_fit_31_bits() -> None:
    seeds = [episode_seed(0, Role.EPISODE, agent, k) for agent in range(5) for k in range(200)]
    assert len(set(seeds)) == len(seeds)
    assert min(seeds) >= 0 and max(seeds) < 2**31
