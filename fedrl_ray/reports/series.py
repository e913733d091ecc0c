"""Logs as curves: averaged in bins, at the steps that all seeds share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from algorithms.types import Array

MAX_BINS = 300
"""Most points of a curve."""


def bins_of(rounds: Array, total: int, *, most: int = MAX_BINS) -> Array:
    """Return the bin of each round in 1..total, [T] -> [T].

    The first and the last round have bins of their own; the rounds between share the other bins
    evenly. The edges depend on `total` only, so that runs of one experiment have the same bins.
    """
    rounds = np.clip(rounds, 1, max(total, 1)) - 1
    if total <= most:
        return rounds
    inner = (rounds - 1) * (most - 2) // (total - 2) + 1
    return np.where(rounds == 0, 0, np.where(rounds == total - 1, most - 1, inner))


def averaged(values: Array, bins: Array) -> Array:
    """Return the mean over the rows of each bin, [T, ...] -> [bins present, ...], ignoring NaN.

    The mean of the result, weighted by the rows in each bin, is the mean of the values.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values):
        return values
    starts = np.flatnonzero(np.diff(bins, prepend=bins[0] - 1))
    seen = np.isfinite(values)
    sums = np.add.reduceat(np.where(seen, values, 0.0), starts, axis=0)
    counts = np.add.reduceat(seen, starts, axis=0, dtype=np.int64)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts)


def coarser(values: Array, most: int = 60) -> Array:
    """Return means of neighbouring bins, about `most` in all, [T, ...] -> [T', ...].

    Few episodes end in a short bin, and most of those are short ones. A mean over agents needs
    bins in which episodes of every agent end.
    """
    return averaged(values, np.arange(len(values)) // max(1, len(values) // most))


def common(steps: Sequence[Array], values: Sequence[Array]) -> tuple[Array, Array]:
    """Return S curves, each [T_s], at the steps where all are finite: steps [T], values [S, T]."""
    kept = [s[np.isfinite(v)] for s, v in zip(steps, values, strict=True)]
    shared = kept[0]
    for other in kept[1:]:
        shared = np.intersect1d(shared, other)
    rows = [v[np.isin(s, shared)] for s, v in zip(steps, values, strict=True)]
    return shared, np.array(rows).reshape(len(rows), len(shared))


def mean_over(values: Array, axis: int) -> Array:
    """Return the mean of the finite values; NaN, without a warning, if there are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(values, axis=axis))


def last_tenth(length: int) -> slice:
    """Return the slice of the last tenth of `length` evaluations, at least one."""
    return slice(length - max(1, length // 10), length)
