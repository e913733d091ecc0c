"""Sums over agents that are the same for any split and any order.

A sum is an error-compensated pair of float64 (Knuth's two-sum), rounded once at the end. Plain
float64 sums of 5 to 50 agents are not always the same for another split over workers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .types import Array, Params

Pair = tuple[Array, Array]


class Sums(NamedTuple):
    """Sums by name, each a pair `high + low` of float64."""

    high: Params
    low: Params


def weighted_sums(rows: Params, weights: Array) -> Sums:
    """Sum w_n x_n over the agent axis: [N, ...] -> [...]. weights: [N] float64."""
    pairs = {name: _sum_rows(x, weights) for name, x in rows.items()}
    return Sums({n: pair[0] for n, pair in pairs.items()}, {n: p[1] for n, p in pairs.items()})


def add_sums(a: Sums, b: Sums) -> Sums:
    """Add two sums."""
    pairs = {
        name: _add((a.high[name], a.low[name]), (b.high[name], b.low[name])) for name in a.high
    }
    return Sums({n: pair[0] for n, pair in pairs.items()}, {n: p[1] for n, p in pairs.items()})


def divided(sums: Sums, by: float) -> Params:
    """Return (high + low) / by in float64."""
    return {name: (sums.high[name] + sums.low[name]) / by for name in sums.high}


def _sum_rows(x: Array, weights: Array) -> Pair:
    total: Pair = _weighted(x[0], weights[0]), np.zeros(x.shape[1:])
    for row, weight in zip(x[1:], weights[1:], strict=True):
        total = _add(total, (_weighted(row, weight), np.float64(0.0)))
    return total


def _weighted(row: Array, weight: float) -> Array:
    """Return the row times its weight, in float64; a weight of 1, the usual one, costs nothing."""
    exact = row.astype(np.float64)
    return exact if weight == 1.0 else weight * exact


def _add(a: Pair, b: tuple[Array, Array | np.float64]) -> Pair:
    """Sum of two pairs: two-sum of the high parts, its error added to the low parts."""
    high = a[0] + b[0]
    part = high - a[0]
    error = (a[0] - (high - part)) + (b[0] - part)
    return high, a[1] + b[1] + error
