"""Physical parameters of environments and how a configuration perturbs them."""

from __future__ import annotations

from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from algorithms.settings import Settings


class Parameter(NamedTuple):
    """A physical parameter: its nominal value, unit and legal range, ends included."""

    nominal: float
    unit: str
    low: float
    high: float
    meaning: str


class Range(Settings):
    """Uniform between two values in the parameter's own unit."""

    low: float
    """Smallest value."""
    high: float
    """Largest value."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not exceed high")
        return self


Perturbation = Annotated[float, Field(gt=0)] | Range | tuple[float, ...]
"""A half-width relative to nominal, a range, or one value per agent."""

EpisodeSteps = Annotated[int, Field(ge=1, le=10**7)]
"""A time limit."""

TRAINING = "environment.perturb"
"""The key of what differs between local agents; that of the test grid may be another."""


class EnvironmentConfig(Settings):
    """Keys that every environment family has."""

    perturb: dict[str, Perturbation] = {}
    """What differs between local agents: parameter -> 0.5 (uniform within +-50% of nominal),
    {low:, high:} in the parameter's unit, or a list with one value per agent."""
