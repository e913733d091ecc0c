"""The axis of a test grid, and numbers that may be missing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def grid_axis(dynamics: Mapping[str, Sequence[float]]) -> tuple[list[float], str]:
    """Return the values of the parameter that varies, and its name.

    If several vary, or none does, return the numbers of the environments instead.
    """
    varying = [name for name, values in dynamics.items() if len(set(values)) > 1]
    if len(varying) == 1:
        return list(dynamics[varying[0]]), varying[0]
    count = len(next(iter(dynamics.values()))) if dynamics else 1
    return [float(i) for i in range(count)], f"environment ({', '.join(varying) or 'nominal'})"


def finite(value: float | None) -> float | None:
    """Return a number; None if it is missing or not finite."""
    return value if value is not None and math.isfinite(value) else None
