"""The axis of a test grid, and numbers that may be missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..vector_envs.sites import ENVIRONMENT

Axis = tuple[list[float | str], str]
"""Positions of the test environments, numbers or names, and the label of the axis."""


def grid_axis(dynamics: Mapping[str, Sequence[float] | Sequence[str]]) -> Axis:
    """Return the positions of the test environments, and the label of the axis.

    They are the names of the environments, if they have names, or the values of the parameter that
    varies. If several parameters vary, or none does, they are the numbers of the environments.
    """
    varying = [n for n, v in dynamics.items() if n != ENVIRONMENT and len(set(v)) > 1]
    if ENVIRONMENT in dynamics:
        columns = [[f"{n} {x:.3g}" for x in dynamics[n]] for n in varying]
        names = zip(map(str, dynamics[ENVIRONMENT]), *columns, strict=True)
        return [", ".join(parts) for parts in names], ENVIRONMENT
    if len(varying) == 1:
        return [float(x) for x in dynamics[varying[0]]], varying[0]
    count = len(next(iter(dynamics.values()))) if dynamics else 1
    return [float(i) for i in range(count)], f"environment ({', '.join(varying) or 'nominal'})"


def position_text(position: float | str) -> str:
    """Return a position on the axis for a table."""
    return position if isinstance(position, str) else f"{position:g}"


def finite(value: float | None) -> float | None:
    """Return a number; None if it is missing or not finite."""
    return value if value is not None and math.isfinite(value) else None
