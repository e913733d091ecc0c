"""The search space of one key: a list of values, or a distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..common.errors import UserError

_RANGES = ("uniform", "loguniform", "randint")
_RULE = (
    ": must be a list of values, or one of {uniform: [low, high]}, {loguniform: [low, high]}, "
    "{randint: [low, high]}, {choice: [values]}"
)


@dataclass(frozen=True)
class Grid:
    """A list whose values are tried in turn."""

    values: tuple[Any, ...]

    def ends(self) -> tuple[Any, ...]:
        """Return values that represent all, to check the key with."""
        return self.values


@dataclass(frozen=True)
class Choice:
    """A distribution over values that are equally likely."""

    values: tuple[Any, ...]

    def ends(self) -> tuple[Any, ...]:
        """Return values that represent all, to check the key with."""
        return self.values

    def draw(self, rng: np.random.Generator) -> Any:
        """Draw one of the values."""
        return self.values[int(rng.integers(len(self.values)))]

    def is_numeric(self) -> bool:
        """Return True if all values are numbers."""
        return all(_is_number(value) for value in self.values)


@dataclass(frozen=True)
class SearchRange:
    """A distribution: uniform or loguniform on [low, high], or randint on [low, high)."""

    kind: str
    low: float
    high: float

    def ends(self) -> tuple[float, float]:
        """Return the smallest and the largest value."""
        return (self.low, self.high - 1) if self.kind == "randint" else (self.low, self.high)

    def draw(self, rng: np.random.Generator) -> float:
        """Draw a number."""
        if self.kind == "randint":
            return int(rng.integers(int(self.low), int(self.high)))
        if self.kind == "loguniform":
            return float(np.exp(rng.uniform(np.log(self.low), np.log(self.high))))
        return float(rng.uniform(self.low, self.high))

    def is_numeric(self) -> bool:
        """Return True."""
        return True

    def clip(self, value: float) -> float:
        """Return the nearest value inside the range."""
        low, high = self.ends()
        clipped = min(max(value, low), high)
        return round(clipped) if self.kind == "randint" else float(clipped)


Space = Grid | Choice | SearchRange


def parse(key: str, raw: Any) -> Space:
    """Return the search space that the YAML describes. Raises UserError with the key."""
    where = f"sweep.search.{key}"
    if isinstance(raw, list | tuple):
        return Grid(_values(where, raw))
    if not isinstance(raw, dict) or len(raw) != 1:
        raise UserError(f"{where}{_RULE}; got {raw!r}")
    kind, content = next(iter(raw.items()))
    if kind == "choice":
        return Choice(_values(where, content))
    if kind not in _RANGES:
        raise UserError(f"{where}{_RULE}; got {raw!r}")
    return _range(where, kind, content)


def _values(where: str, raw: Any) -> tuple[Any, ...]:
    if not isinstance(raw, list | tuple) or not raw:
        raise UserError(f"{where}: must hold at least one value; got {raw!r}")
    for index, value in enumerate(raw):
        if value in raw[:index]:
            raise UserError(f"{where}: must not hold a value twice; got {value!r} twice")
    return tuple(raw)


def _range(where: str, kind: str, content: Any) -> SearchRange:
    fine = isinstance(content, list | tuple) and len(content) == 2
    if not fine or not all(_is_number(x) for x in content) or not content[0] < content[1]:
        raise UserError(f"{where}.{kind}: must be two numbers [low, high]; got {content!r}")
    low, high = content
    if kind == "loguniform" and low <= 0:
        raise UserError(f"{where}.loguniform: must be above 0; got {content!r}")
    if kind == "randint" and not all(float(x).is_integer() for x in content):
        raise UserError(f"{where}.randint: must be two whole numbers; got {content!r}")
    return SearchRange(kind, low, high)


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)
