"""Numbers for people, with as many digits as their interval justifies."""

from __future__ import annotations

import math
from typing import Any

from ..analysis.statistics import Interval


def number(value: float | None, decimals: int | None = None) -> str:
    """Return three significant digits (481, 48.2, 0.0312), or `n/a` if there is no number."""
    if value is None or not math.isfinite(value):
        return "n/a"
    text = f"{value:,.{_decimals(value, 2) if decimals is None else decimals}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.,") else text


def interval_text(interval: Interval) -> str:
    """Return a text such as `41 [22, 60]`; the estimate alone if there is no interval.

    It has two digits of the half-width, and at most four of the number.
    """
    if not is_known(interval):
        return number(interval.estimate)
    half, scale = (interval.high - interval.low) / 2, max(map(abs, interval))
    wide = has_width(interval)
    decimals = min(_decimals(half, 1), _decimals(scale, 3)) if wide else _decimals(scale, 2)
    low, high = number(interval.low, decimals), number(interval.high, decimals)
    return f"{number(interval.estimate, decimals)} [{low}, {high}]"


def is_known(interval: Interval) -> bool:
    """Return True if there is an interval: one seed with one episode has none."""
    return math.isfinite(interval.low) and math.isfinite(interval.high)


def has_width(interval: Interval) -> bool:
    """Return True if the ends of an interval differ by more than rounding."""
    return interval.high - interval.low > 2e-9 * max(map(abs, interval))


def value_text(value: Any) -> str:
    """Return a key's value as text: 0.1, 100, none, [0, 0.1]."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(value_text(v) for v in value)}]"
    return str(value)


def plural(count: int, noun: str) -> str:
    """Return a text such as `1 seed` or `5 seeds`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _decimals(value: float, digits: int) -> int:
    """Return the number of decimals for `digits + 1` significant digits, at most 4."""
    if not math.isfinite(value) or value == 0:
        return 0
    return min(4, max(0, digits - math.floor(math.log10(abs(value)))))
