"""Outliers: an agent that is far from the others is named, and an ordinary fleet names none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fedrl_ray.config.loading import from_dict
from fedrl_ray.federation.driver import Driver
from fedrl_ray.federation.outliers import ROUNDS, OutlierWatch
from tests.support.small import SMALL, merged

NAN = float("nan")


def looked(*rounds: Any, name: str = "update_norm", watch: OutlierWatch | None = None) -> list[Any]:
    """Return the agents named in each of these rounds of one metric."""
    watch = watch or OutlierWatch()
    found = [
        watch.look(number, {name: np.array(values, dtype=np.float64)})
        for number, values in enumerate(rounds, start=1)
    ]
    return [[outlier.agent for outlier in round_] for round_ in found]


@pytest.mark.parametrize(
    "values", [[1, 30], [30, 1, 1], [1, 1, 1, 30], [1, 2, NAN, 30, NAN], [50, 0, 3, 1, 60]]
)
def test_an_agent_far_from_the_others_is_named_in_the_third_round(values):
    far = [agent for agent, value in enumerate(values) if value >= 30]
    assert looked(*[values] * 5) == [[]] * (ROUNDS - 1) + [far] * 3


@pytest.mark.parametrize(
    "values",
    [[5], [0, 0, 0, 9], [1, 9.9], [1, 1, 1, 9.9], [0, 0], [NAN, NAN, 7], [NAN] * 4],
)
def test_no_agent_is_named_without_others_to_compare_or_within_the_limit(values):
    assert looked(*[values] * 6) == [[]] * 6


def test_a_loss_is_the_square_of_an_error():
    assert looked(*[[1, 1, 99]] * 4, name="td_loss") == [[]] * 4
    assert looked(*[[1, 1, 101]] * 4, name="td_loss")[2:] == [[2], [2]]
    assert looked(*[[1, 1, 1e9]] * 4, name="entropy") == [[]] * 4


def test_a_single_round_is_chance_and_infinity_is_not():
    one, other, endless = [1, 1, 99], [1, 99, 1], [1, 1, float("inf")]
    assert looked(one, one, other, one, one) == [[]] * 5
    assert looked(endless) == [[2]]
    assert looked([float("inf")] * 3) == [[0, 1, 2]]


def test_agents_that_learn_now_and_then_are_not_named():
    """Rewards are rare: in each round one agent moves, and all others hardly do."""
    rows = [[1e-4] * 5 for _ in range(40)]
    for number, row in enumerate(rows):
        row[number // 4 % 5] = 1.0  # four rounds in a row
    assert looked(*rows)[15:] == [[]] * 25


def test_an_agent_that_is_not_asked_keeps_its_count():
    far, without = [1, 1, 99], [1, 1, NAN]
    assert looked(far, without, far, without, far)[-1] == [2]


def test_after_a_rewind_the_count_begins_anew():
    watch = OutlierWatch()
    assert looked(*[[1, 1, 99]] * 3, watch=watch)[-1] == [2]
    assert looked(*[[1, 1, 99]] * 3, watch=watch) == [[], [], [2]]


def test_it_is_told_less_and_less_often():
    watch = OutlierWatch()
    reports = [watch.look(n, {"td_loss": np.array([1.0, 1.0, 1e9])}) for n in range(1, 43)]
    told = [found[0].rounds for found in reports if found and found[0].is_told]
    assert told == [1, 2, 4, 8, 16, 32]
    assert str(reports[-1][0]) == (
        "agent 2 is an outlier: its td_loss is 1,000,000,000 times the median of the others"
    )


HETEROGENEOUS: list[dict[str, Any]] = [
    {"environment": {"name": "cartpole", "perturb": {"pole_length": 0.9, "gravity": 0.5}},
     "evaluation": {"every": None, "grid": 5}},
    {"environment": {"name": "cartpole", "perturb": {"pole_length": 0.9}},
     "federation": {"num_agents": 2}, "client_sampler": {"name": "all"}},
    {"environment": {"name": "cartpole", "perturb": {"pole_length": 0.9}},
     "client_sampler": {"name": "uniform", "fraction": 0.6}},
]  # fmt: skip


@pytest.mark.parametrize("changes", HETEROGENEOUS)
def test_an_ordinary_fleet_names_nobody(changes):
    changes = merged({"federation": {"steps": 1200}}, changes)
    assert named_by(from_dict(merged(SMALL, changes))) == set()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    ("name", "k", "interval"), [("frozen_lake", 10, 10), ("windy_cliff", 10, 10)]
)
def test_rare_rewards_name_nobody(name, k, interval, seed):
    federation = {"num_agents": k, "sync_interval": interval, "steps": 150 * interval,
                  "backend": "in_process"}  # fmt: skip
    ranges = {"frozen_lake": ("success_rate", 0.2, 0.8), "windy_cliff": ("wind", 0.0, 1.0)}
    parameter, low, high = ranges[name]
    perturb = {parameter: {"low": low, "high": high}}
    experiment = from_dict({
        "name": "rare", "seed": seed, "federation": federation,
        "learner": {"name": "fedrq", "omega": 0.1},
        "environment": {"name": name, "perturb": perturb}, "evaluation": {"every": None},
    })  # fmt: skip
    assert named_by(experiment) == set()


def named_by(experiment: Any) -> set[int]:
    """Return the agents that are outliers in any round of a run."""
    driver, watch = Driver(experiment), OutlierWatch()
    found = {o.agent for r in driver.rounds() for o in watch.look(r.round, r.metrics)}
    driver.close()
    return found
