"""Statistics of a policy's returns over its test environments: average, worst, CVaR, percentiles.

This module imports no SciPy, because every trial of a sweep imports it. Intervals are in
`statistics`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np

from algorithms.types import Array


@dataclass(frozen=True)
class ReturnStatistic:
    """A weighted mean of sorted mean returns."""

    text: str
    """Description for people."""
    weights: Callable[[int], Array]
    """Maps n to the weights [n] of n values in ascending order; they sum to 1."""
    pooled: bool = False
    """True: taken once over the S x M mean returns of all seeds. False: averaged over seeds."""

    def __call__(self, means_M: Array) -> Array:
        """Return the statistic of mean returns per environment, [..., M] -> [...]."""
        means_M = np.asarray(means_M, dtype=np.float64)
        return np.asarray(np.sort(means_M, axis=-1) @ self.weights(means_M.shape[-1]))


def cvar(means_M: Array, fraction: float) -> Array:
    """Return the mean of the worst `fraction` of the environments, [..., M] -> [...].

    The environment at the border counts in part: 0.25 of 11 environments are the two worst and
    three quarters of the third. Fraction 1 gives the mean; 1 / M or less gives the minimum.
    """
    return ReturnStatistic("", partial(cvar_weights, fraction=fraction))(means_M)


def cvar_weights(n: int, fraction: float) -> Array:
    """Return clip(k - i, 0, 1) / k for i = 0, ..., n - 1, where k = fraction * n."""
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction: must lie in (0, 1]; got {fraction}")
    return np.asarray(np.clip(fraction * n - np.arange(n), 0, 1) / (fraction * n))


def percentile_weights(n: int, percent: float) -> Array:
    """Return the weights of a percentile, linear between neighbours as in numpy.percentile."""
    return np.asarray(np.clip(1 - np.abs(np.arange(n) - percent / 100 * (n - 1)), 0, None))


def iqm_weights(n: int) -> Array:
    """Return the weights of the middle half, as in scipy.stats.trim_mean(values, 0.25)."""
    kept = np.ones(n)
    kept[: n // 4] = kept[n - n // 4 :] = 0
    return np.asarray(kept / kept.sum())


RETURN_STATISTICS: Mapping[str, ReturnStatistic] = MappingProxyType(
    {
        "average": ReturnStatistic("mean of test environments", partial(cvar_weights, fraction=1)),
        "worst": ReturnStatistic("worst test environment", lambda n: np.eye(n)[0]),
        "cvar10": ReturnStatistic("mean of the worst 10%", partial(cvar_weights, fraction=0.1)),
        "cvar25": ReturnStatistic("mean of the worst 25%", partial(cvar_weights, fraction=0.25)),
        "iqm": ReturnStatistic("interquartile mean, seeds pooled", iqm_weights, pooled=True),
        "p10": ReturnStatistic("10th percentile", partial(percentile_weights, percent=10)),
        "p50": ReturnStatistic("median", partial(percentile_weights, percent=50)),
        "p90": ReturnStatistic("90th percentile", partial(percentile_weights, percent=90)),
    }
)
"""Statistics by name. `iqm` is that of rliable: over the mean returns of all seeds at once."""
