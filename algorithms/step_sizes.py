"""Step sizes lambda of tabular learning, as functions of the number of updates of an entry."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from .settings import Settings
from .types import Array

Count = Literal["visits", "steps"]


class Constant(Settings):
    """A constant lambda; with an averaging interval E > 1 it leaves a bias."""

    kind: Literal["constant"] = "constant"
    """constant."""
    value: Annotated[float, Field(gt=0, le=1)] = 0.1
    """lambda."""

    def at(self, visits: Array, clock: int, *, discount: float) -> Array:
        """lambda for counts of any shape; `clock` is the local step."""
        return np.full(visits.shape, self.value)


class Decaying(Settings):
    """lambda = c / (c + n): every agent has the same weight, however often it visits (s,a)."""

    kind: Literal["decaying"] = "decaying"
    """decaying."""
    c: Annotated[float, Field(gt=0)] | None = None
    """Constant c. It must be at least 1 / (1 - discount), or errors fade too slowly; null:
    2 / (1 - discount)."""
    count: Count = "visits"
    """Meaning of n: visits counts the agent's own visits of (s,a); steps counts its local steps,
    one clock for all (s,a)."""

    def at(self, visits: Array, clock: int, *, discount: float) -> Array:
        """lambda for counts of any shape; `clock` is the local step."""
        c = 2 / (1 - discount) if self.c is None else self.c
        return np.asarray(c / (c + _counted(self.count, visits, clock)))

    def check(self, discount: float) -> None:
        """Raise ValueError if c is too small for the discount."""
        least = 1 / (1 - discount)
        if self.c is not None and self.c < least * (1 - 1e-9):
            raise ValueError(
                f"step_size.c: must be at least 1 / (1 - discount) = {least:g}; got {self.c:g}"
            )


class Power(Settings):
    """lambda = (1 + n)^-exponent. Below exponent 1, agents that visit (s,a) more weigh more."""

    kind: Literal["power"] = "power"
    """power."""
    exponent: Annotated[float, Field(gt=0.5, le=1)] = 0.6
    """Exponent in (0.5, 1]: the step sizes then sum to infinity, and their squares do not."""
    count: Count = "visits"
    """Meaning of n: visits counts the agent's own visits of (s,a); steps counts its local steps,
    one clock for all (s,a)."""

    def at(self, visits: Array, clock: int, *, discount: float) -> Array:
        """lambda for counts of any shape; `clock` is the local step."""
        return np.asarray((1.0 + _counted(self.count, visits, clock)) ** -self.exponent)


def _counted(count: Count, visits: Array, clock: int) -> Array:
    return visits if count == "visits" else np.full(visits.shape, clock)
