"""Physical parameters of environments, and the keys that perturb them."""

from __future__ import annotations

from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from algorithms.settings import Settings


class Parameter(NamedTuple):
    """A physical parameter: nominal value, unit, legal range (with both ends) and meaning.

    is_whole: its values are whole numbers.
    """

    nominal: float
    unit: str
    low: float
    high: float
    meaning: str
    is_whole: bool = False


class UniformRange(Settings):
    """A uniform distribution between two values, in the unit of the parameter."""

    low: float
    """Smallest value, in the unit of the parameter."""
    high: float
    """Largest value, in the unit of the parameter."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not exceed high")
        return self


Perturbation = Annotated[float, Field(gt=0)] | UniformRange | tuple[float, ...]
"""A half-width relative to the nominal value, a range, or one value per agent."""

EpisodeSteps = Annotated[int, Field(ge=1, le=10**7)]
"""A time limit, in steps per episode."""

TRAINING = "environment.perturb"
"""Key that perturbs the agents' environments. The test grid may be perturbed by another key."""


class EnvironmentConfig(Settings):
    """Keys of every environment family."""

    def num_agents(self) -> int | None:
        """Return the number of agents that the keys list; None if they list none."""
        return None

    perturb: dict[str, Perturbation] = {}
    """Physical parameters that differ between local agents. A value is 0.5 (uniform within +-50% of
    nominal), {low:, high:} in the parameter's unit, or a list with one value per agent."""
