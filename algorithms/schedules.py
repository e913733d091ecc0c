"""Schedules: numbers that change with the local step, for exploration and learning rates."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from .settings import Settings


class Schedule(Settings):
    """A value that goes from `start` to `end` over `steps` local steps and then stays."""

    start: Annotated[float, Field(ge=0)]
    """Value at step 0."""
    end: Annotated[float, Field(ge=0)]
    """Value from step `steps` on."""
    steps: Annotated[int, Field(ge=1)]
    """Local steps from start to end."""
    shape: Literal["linear", "exponential"] = "linear"
    """linear changes by a constant amount per step, exponential by a constant factor (start and end
    must then be above 0)."""

    @model_validator(mode="after")
    def _exponential_needs_positive_ends(self) -> Self:
        if self.shape == "exponential" and min(self.start, self.end) <= 0:
            raise ValueError("start and end must be above 0 for an exponential schedule")
        return self

    def at(self, step: int) -> float:
        """Return the value at a local step."""
        share = min(1.0, step / self.steps)
        if self.shape == "exponential":
            return float(self.start * (self.end / self.start) ** share)
        return self.start + share * (self.end - self.start)


def _within_one(schedule: Schedule) -> Schedule:
    if max(schedule.start, schedule.end) > 1:
        raise ValueError("must stay within [0, 1], as a probability does")
    return schedule


def _starts_above_zero(schedule: Schedule) -> Schedule:
    if schedule.start <= 0:
        raise ValueError("must start above 0, or nothing is learnt")
    return schedule


Probability = Annotated[float, Field(ge=0, le=1)] | Annotated[Schedule, AfterValidator(_within_one)]
"""A probability, or a schedule that never leaves [0, 1]."""

LearningRate = (
    Annotated[float, Field(gt=0)] | Annotated[Schedule, AfterValidator(_starts_above_zero)]
)
"""A learning rate, or a schedule that starts above 0; it may end at 0."""


def value_at(value: float | Schedule, step: int) -> float:
    """Return the value of a number or of a schedule at a local step."""
    return value.at(step) if isinstance(value, Schedule) else value
