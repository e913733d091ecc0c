"""Figures over seeds and test environments, with intervals (docs/statistics.md).

Shape letters: S seeds (independently trained policies), M test environments, R episodes in each,
T points of a curve, B bootstrap resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy import stats

from algorithms.types import Array

MAX_NUMBERS = 2_000_000
"""Numbers that one chunk of resamples may hold: 16 MB."""


class Interval(NamedTuple):
    """An estimate and its confidence interval; the estimate lies inside."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Figure:
    """A weighted mean of sorted returns: what a set of mean returns is worth in one number.

    weights: of n values in ascending order, [n], summing to 1. pooled: the figure is taken once,
    over the S x M mean returns of all seeds; else it is taken for each seed and averaged.
    """

    text: str
    weights: Callable[[int], Array]
    pooled: bool = False

    def __call__(self, means_M: Array) -> Array:
        """Of mean returns per environment, [..., M] -> [...]."""
        means_M = np.asarray(means_M, dtype=np.float64)
        return np.asarray(np.sort(means_M, axis=-1) @ self.weights(means_M.shape[-1]))

    def of_seeds(self, means_SM: Array) -> Array:
        """Of mean returns of S seeds, [..., S, M] -> [...]."""
        if self.pooled:
            return self(means_SM.reshape(*means_SM.shape[:-2], -1))
        return np.asarray(self(means_SM).mean(-1))


def cvar(means_M: Array, fraction: float) -> Array:
    """Mean of the worst `fraction` of the environments, [..., M] -> [...].

    The environment at the border counts in part: 0.25 of 11 environments is the two worst and
    three quarters of the third. fraction 1 is the mean; 1/M and below is the minimum.
    """
    return Figure("", lambda n: cvar_weights(n, fraction))(means_M)


def cvar_weights(n: int, fraction: float) -> Array:
    """clip(k - i, 0, 1) / k of the values i = 0, ..., n - 1, where k = fraction * n."""
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must lie in (0, 1], got {fraction}")
    return np.asarray(np.clip(fraction * n - np.arange(n), 0, 1) / (fraction * n))


def percentile_weights(n: int, percent: float) -> Array:
    """Linear between order statistics, as numpy.percentile."""
    return np.asarray(np.clip(1 - np.abs(np.arange(n) - percent / 100 * (n - 1)), 0, None))


def iqm_weights(n: int) -> Array:
    """The middle half: scipy.stats.trim_mean(values, 0.25)."""
    cut = n // 4
    kept = (np.arange(n) >= cut) & (np.arange(n) < n - cut)
    return np.asarray(kept / kept.sum())


FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        "average": Figure("mean over the test environments", lambda n: np.full(n, 1 / n)),
        "worst": Figure("minimum over the test environments", lambda n: np.eye(n)[0]),
        "cvar10": Figure("mean of the worst 10% of them", lambda n: cvar_weights(n, 0.1)),
        "cvar25": Figure("mean of the worst 25% of them", lambda n: cvar_weights(n, 0.25)),
        "iqm": Figure("interquartile mean over seeds and environments", iqm_weights, pooled=True),
        "p10": Figure("10th percentile over them", lambda n: percentile_weights(n, 10)),
        "p50": Figure("median over them", lambda n: percentile_weights(n, 50)),
        "p90": Figure("90th percentile over them", lambda n: percentile_weights(n, 90)),
    }
)
"""By name. `iqm` is rliable's: over the mean returns of all seeds and environments at once."""


def scope(returns_SMR: Array) -> str:
    """What an interval of these returns speaks of, to be printed beside it."""
    seeds, _, episodes = _checked(returns_SMR).shape
    if seeds > 1:
        return "seeds and episodes" if episodes > 1 else "seeds"
    return "one seed: interval over episodes only" if episodes > 1 else "one episode: no interval"


def estimate(returns_SMR: Array, figure: str | Figure) -> float:
    """The figure of every seed's environment means, averaged over seeds (`iqm`: pooled)."""
    return float(_figure(figure).of_seeds(_checked(returns_SMR).mean(-1)))


def interval(
    returns_SMR: Array,
    figure: str | Figure,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """A figure with its interval; `scope` says what it speaks of."""
    returns_SMR, figure = _checked(returns_SMR), _figure(figure)
    draws_B = _resampled([returns_SMR], figure, resamples=resamples, seed=seed)[0]
    centres = (estimate(returns_SMR, figure), cross_fitted(returns_SMR, figure))
    return _bracket(centres, draws_B, _freedom(returns_SMR), level)


def difference(
    a_SMR: Array,
    b_SMR: Array,
    figure: str | Figure,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Figure of a minus that of b."""
    pair, figure = [_checked(a_SMR), _checked(b_SMR)], _figure(figure)
    a_B, b_B = _resampled(pair, figure, resamples=resamples, seed=seed)
    plain = estimate(pair[0], figure) - estimate(pair[1], figure)
    crossed = cross_fitted(pair[0], figure) - cross_fitted(pair[1], figure)
    return _bracket((plain, crossed), a_B - b_B, min(map(_freedom, pair)), level)


def probability_of_improvement(a_SM: Array, b_SM: Array, *, level: float = 0.95) -> Interval:
    """Mean over environments of P(X > Y) + P(X = Y) / 2, X of a seed of a, Y of one of b."""
    a_SM, b_SM = (_checked(np.asarray(x)[..., None])[..., 0] for x in (a_SM, b_SM))
    if a_SM.shape[1] != b_SM.shape[1]:
        raise ValueError(f"both must have the same environments, got {a_SM.shape}, {b_SM.shape}")
    value = float((np.sign(a_SM[:, None] - b_SM[None]) / 2 + 0.5).mean())
    n, z = min(len(a_SM), len(b_SM)), float(stats.norm.ppf((1 + level) / 2))
    centre = (value + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(value * (1 - value) / n + z**2 / (4 * n**2))
    return Interval(value, max(0.0, float(centre - half)), min(1.0, float(centre + half)))


def mean_interval(values_ST: Array, *, level: float = 0.95) -> tuple[Array, Array]:
    """Student's interval of the mean over seeds, [S, T] -> low [T], high [T]; one seed: NaN."""
    values_ST = np.asarray(values_ST, dtype=np.float64)
    if values_ST.size == 0 or not np.isfinite(values_ST).all():
        raise ValueError("values must be finite and not empty")
    seeds, mean_T = len(values_ST), values_ST.mean(0)
    if seeds == 1:
        return np.full_like(mean_T, np.nan), np.full_like(mean_T, np.nan)
    quantile = stats.t.ppf((1 + level) / 2, seeds - 1)
    half_T = quantile * values_ST.std(0, ddof=1) / np.sqrt(seeds)
    return mean_T - half_T, mean_T + half_T


def cross_fitted(returns_SMR: Array, figure: Figure) -> float:
    """The figure with environments sorted by R - 1 episodes and valued by the one left out."""
    episodes = returns_SMR.shape[-1]
    if episodes == 1:
        return estimate(returns_SMR, figure)
    others_SMR = (returns_SMR.sum(-1, keepdims=True) - returns_SMR) / (episodes - 1)
    values_RSM, others_RSM = np.moveaxis(returns_SMR, -1, 0), np.moveaxis(others_SMR, -1, 0)
    if figure.pooled:
        values_RSM, others_RSM = (x.reshape(episodes, 1, -1) for x in (values_RSM, others_RSM))
    sums = np.append(0, np.cumsum(figure.weights(values_RSM.shape[-1])))
    below = stats.rankdata(others_RSM, "min", axis=-1).astype(int) - 1
    up_to = stats.rankdata(others_RSM, "max", axis=-1).astype(int)
    weights_RSM = (sums[up_to] - sums[below]) / (up_to - below)  # equals share their weights
    return float((weights_RSM * values_RSM).sum(-1).mean())


def _bracket(centres: tuple[float, float], draws_B: Array, freedom: int, level: float) -> Interval:
    if freedom == 0:
        return Interval(centres[0], float("nan"), float("nan"))
    half = float(stats.t.ppf((1 + level) / 2, freedom) * draws_B.std() * np.sqrt(1 + 1 / freedom))
    return Interval(centres[0], min(centres) - half, max(centres) + half)


def _resampled(methods: list[Array], figure: Figure, *, resamples: int, seed: int) -> list[Array]:
    """The figure of B resamples of each method, [B]: seeds, and episodes of every environment."""
    rng = np.random.default_rng(seed)
    paired = len({x.shape[1:] for x in methods}) == 1
    size = max(1, MAX_NUMBERS // max(x[0].size + x[..., 0].size for x in methods))
    draws: list[list[Array]] = [[] for _ in methods]
    for start in range(0, resamples, size):
        count = min(size, resamples - start)
        weights_BMR = None
        for x_SMR, drawn in zip(methods, draws, strict=True):
            if weights_BMR is None or not paired:
                weights_BMR = _episode_weights(rng, count, x_SMR.shape[1:])
            means_BSM = np.einsum("smr,bmr->bsm", x_SMR, weights_BMR, optimize=True)
            rows_BS = rng.integers(len(x_SMR), size=(count, len(x_SMR)))
            drawn.append(figure.of_seeds(np.take_along_axis(means_BSM, rows_BS[..., None], 1)))
    return [np.concatenate(drawn) for drawn in draws]


def _episode_weights(rng: np.random.Generator, count: int, shape: tuple[int, ...]) -> Array:
    """How often each episode is drawn, over R: [B, M, R]."""
    environments, episodes = shape
    even_R = np.full(episodes, 1 / episodes)
    return rng.multinomial(episodes, even_R, size=(count, environments)) / episodes


def _freedom(returns_SMR: Array) -> int:
    """Degrees of freedom: of the seeds; with one seed, of the episodes."""
    seeds, episodes = len(returns_SMR), int(returns_SMR.shape[-1])
    return seeds - 1 if seeds > 1 else episodes - 1


def _figure(figure: str | Figure) -> Figure:
    if isinstance(figure, Figure):
        return figure
    if figure not in FIGURES:
        raise ValueError(f"figure must be one of {', '.join(FIGURES)}, got {figure!r}")
    return FIGURES[figure]


def _checked(returns_SMR: Array) -> Array:
    returns_SMR = np.asarray(returns_SMR, dtype=np.float64)
    if returns_SMR.ndim != 3 or returns_SMR.size == 0:
        raise ValueError(f"returns must be [S, M, R] and not empty, got {returns_SMR.shape}")
    if not np.isfinite(returns_SMR).all():
        raise ValueError("returns must be finite, got NaN or infinity")
    return returns_SMR
