"""Logs as curves: averaged in bins, brought to the steps that all seeds share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from algorithms.types import Array

MAX_BINS = 300


def bins_of(rounds: Array, total: int, *, most: int = MAX_BINS) -> Array:
    """The bin of each round 1..total, [T] -> [T].

    The first and the last round have bins of their own, those between share the others evenly. The
    edges depend on `total` alone, so that runs of one experiment have the same bins.
    """
    rounds = np.clip(rounds, 1, max(total, 1)) - 1
    if total <= most:
        return rounds
    inner = (rounds - 1) * (most - 2) // (total - 2) + 1
    return np.where(rounds == 0, 0, np.where(rounds == total - 1, most - 1, inner))


def averaged(values: Array, bins: Array) -> Array:
    """Mean over the rows of each bin, [T, ...] -> [bins present, ...]; NaN counts for nothing.

    Weighted by the rows in each bin, the mean of the result is the mean of the values.
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
    """Means of as many bins at a time as leave about `most`, [T, ...] -> [T', ...].

    Few episodes end in a short bin, and short episodes more often: a mean over agents needs bins
    in which every agent is seen.
    """
    return averaged(values, np.arange(len(values)) // max(1, len(values) // most))


def common(steps: Sequence[Array], values: Sequence[Array]) -> tuple[Array, Array]:
    """Curves of S runs, each [T_s], at the steps where all have a finite value: [T], [S, T]."""
    kept = [s[np.isfinite(v)] for s, v in zip(steps, values, strict=True)]
    shared = kept[0]
    for other in kept[1:]:
        shared = np.intersect1d(shared, other)
    rows = [v[np.isin(s, shared)] for s, v in zip(steps, values, strict=True)]
    return shared, np.array(rows).reshape(len(rows), len(shared))


def mean_over(values: Array, axis: int) -> Array:
    """Mean of what is there; NaN, without a warning, where nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmean(values, axis=axis))


def last_tenth(length: int) -> slice:
    """The last tenth of so many evaluations, at least one."""
    return slice(length - max(1, length // 10), length)
