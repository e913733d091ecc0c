"""Schedules over local steps."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from algorithms.schedules import Schedule, value_at


def test_linear_goes_straight_and_then_stays() -> None:
    schedule = Schedule(start=1.0, end=0.2, steps=4)
    assert [schedule.at(step) for step in (0, 1, 2, 4, 100)] == pytest.approx(
        [1.0, 0.8, 0.6, 0.2, 0.2]
    )


def test_exponential_loses_a_constant_factor_per_step() -> None:
    schedule = Schedule(start=1.0, end=1e-3, steps=3, shape="exponential")
    assert [schedule.at(step) for step in (0, 1, 2, 3, 9)] == pytest.approx(
        [1.0, 0.1, 0.01, 1e-3, 1e-3]
    )


def test_a_schedule_may_rise() -> None:
    assert Schedule(start=0.0, end=1.0, steps=10).at(5) == 0.5


def test_a_number_is_the_same_at_every_step() -> None:
    assert value_at(0.3, 0) == value_at(0.3, 10**6) == 0.3
    assert value_at(Schedule(start=0.0, end=1.0, steps=10), 5) == 0.5


def test_an_exponential_schedule_to_zero_is_refused() -> None:
    with pytest.raises(ValidationError, match="above 0"):
        Schedule(start=1.0, end=0.0, steps=10, shape="exponential")


@pytest.mark.parametrize("bad", [{"steps": 0}, {"start": -0.1}, {"shape": "cosine"}, {"stop": 1}])
def test_values_out_of_range_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Schedule(**({"start": 1.0, "end": 0.5, "steps": 10} | bad))
