"""Values that an environment derived from a parameter before the parameter was set.

CartPole computes `polemass_length = masspole * length` once, in its constructor. Setting `length`
alone leaves it stale, and the physics is that of no pole.
"""

from __future__ import annotations

import math
from typing import Any

from . import paths


def stale_attributes(
    env: Any, path: paths.Path, old: float, written: frozenset[paths.Path]
) -> list[str]:
    """Return the attributes that still equal a formula of an attribute's old value.

    env: an environment after the attribute was changed from `old`. A formula is a sum, a product or
    a ratio with another number of the same object. written: other attributes that the configuration
    sets too.
    """
    if isinstance(path.parts[-1], paths.Item):
        return []
    try:
        holder = paths.read(env, path.parts[:-1])
    except paths.MissingPartError:
        return []
    numbers = _numbers(holder)
    name = str(path.parts[-1])
    own = {str(p.parts[-1]) for p in written if p.parts[:-1] == path.parts[:-1]} | {name}
    others = {k: v for k, v in numbers.items() if k != name and abs(v) not in (0.0, 1.0)}
    ones = {k: v for k, v in numbers.items() if k != name and abs(v) == 1.0}
    return [
        found
        for found, value in others.items()
        if found not in own and _derives(value, old, found, others, ones)
    ]


def _derives(
    value: float, old: float, name: str, others: dict[str, float], ones: dict[str, float]
) -> bool:
    factors = [other for k, other in others.items() if k != name]
    products = [old * f for f in factors] + [old / f for f in factors] + [f / old for f in factors]
    sums = [old + f for f in (*factors, *ones.values())]
    # rounding of one operation; a wider tolerance would find relations by chance
    return any(math.isclose(value, made, rel_tol=1e-15) for made in (*products, *sums))


def _numbers(holder: Any) -> dict[str, float]:
    """Return the numbers that an object holds as attributes of its own."""
    held = vars(holder) if hasattr(holder, "__dict__") else {}
    return {
        name: float(value)
        for name, value in held.items()
        if isinstance(value, float) and math.isfinite(value) and value
    }
