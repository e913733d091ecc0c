"""Figures over seeds and test environments, with intervals; docs/statistics.md has the reasons.

Shape letters: S seeds (independently trained policies), M test environments, R episodes in each,
J ways to halve the episodes, T points of a curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from algorithms.types import Array

from .return_statistics import RETURN_STATISTICS as RETURN_STATISTICS
from .return_statistics import ReturnStatistic as ReturnStatistic
from .return_statistics import cvar as cvar

MAX_HALVINGS = 50
"""Ways to halve the episodes; more would cost memory and change little."""

Variance = tuple[float, int]
"""An estimated variance and its degrees of freedom."""


class Interval(NamedTuple):
    """An estimate and its confidence interval; the estimate lies inside."""

    estimate: float
    low: float
    high: float


def scope(*returns_SMR: Array) -> str:
    """What an interval of these returns speaks of, to be printed beside it."""
    shapes = [_checked(x).shape for x in returns_SMR]
    seeds, _, episodes = (min(sizes) for sizes in zip(*shapes, strict=True))
    if seeds > 1:
        return "seeds and episodes" if episodes > 1 else "seeds"
    return "one seed: interval over episodes only" if episodes > 1 else "one episode: no interval"


def estimate(returns_SMR: Array, figure: str | ReturnStatistic) -> float:
    """The figure of each seed's environment means, averaged over seeds (`iqm`: pooled).

    As logged, not corrected for bias: the minimum of noisy means lies below the minimum of the
    true ones.
    """
    return _of_seeds(_checked(returns_SMR).mean(2), _figure(figure))


def interval(returns_SMR: Array, figure: str | ReturnStatistic, *, level: float = 0.95) -> Interval:
    """A figure with its interval.

    Student's, from the spread between seeds and what episodes add that all seeds share. It spans
    two estimates: the plain one, where noise picks the worst environment as much as the policy
    does (biased low for `worst` and `cvar`), and one where half of the episodes picks and the
    other half values (biased high). With one seed it speaks of episodes only, with one episode it
    cannot see the bias, with one of both it is NaN: see `scope`.
    """
    return _interval([_checked(returns_SMR)], _figure(figure), level)


def difference(
    a_SMR: Array, b_SMR: Array, figure: str | ReturnStatistic, *, level: float = 0.95
) -> Interval:
    """Figure of a minus that of b, with its interval (Welch's where `interval` is Student's).

    Seeds count as independent, since equal seed numbers do not make two methods learn alike.
    Where a and b have the same environments and episodes, what an episode does to both cancels.
    """
    return _interval([_checked(a_SMR), _checked(b_SMR)], _figure(figure), level)


def probability_of_improvement(a_SM: Array, b_SM: Array, *, level: float = 0.95) -> Interval:
    """Mean over environments of P(X > Y) + P(X = Y) / 2, X of a seed of a, Y of one of b.

    rliable's figure. Wilson's interval with n = min(S_a, S_b), as the variance is at most
    p (1 - p) / n whatever the returns; it stays wide where three seeds beat three.
    """
    a_SM, b_SM = (_checked(np.expand_dims(x, -1))[..., 0] for x in (a_SM, b_SM))
    if a_SM.shape[1] != b_SM.shape[1]:
        raise ValueError(f"environments must be the same, got {a_SM.shape[1]} and {b_SM.shape[1]}")
    p = float((np.sign(a_SM[:, None] - b_SM[None]) / 2 + 0.5).mean())
    n, z = min(len(a_SM), len(b_SM)), float(stats.norm.ppf((1 + level) / 2))
    centre, half = p + z**2 / (2 * n), z * float(np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2))
    low, high = ((centre + side * half) / (1 + z**2 / n) for side in (-1, 1))
    return Interval(p, max(0.0, min(p, low)), min(1.0, max(p, high)))


def mean_interval(values_ST: Array, *, level: float = 0.95) -> tuple[Array, Array]:
    """Student's interval of the mean over seeds, [S, T] -> low [T], high [T]; NaN for one seed."""
    values_ST = np.asarray(values_ST, dtype=np.float64)
    if values_ST.size == 0 or not np.isfinite(values_ST).all():
        raise ValueError("values must be finite and at least one")
    seeds, mean_T = len(values_ST), values_ST.mean(0)
    if seeds == 1:
        return mean_T * np.nan, mean_T * np.nan
    half_T = stats.t.ppf((1 + level) / 2, seeds - 1) * stats.sem(values_ST, axis=0)
    return mean_T - half_T, mean_T + half_T


class _Parts(NamedTuple):
    """What seeds and episodes contribute: the figure, [S] and [S, R]."""

    centre: float
    seeds: Array
    episodes: Array
    """Less the mean of each seed."""


def _interval(samples: Sequence[Array], figure: ReturnStatistic, level: float) -> Interval:
    """Of the first sample's figure less that of the second, if there is one."""
    plain, split = [_plain(x, figure) for x in samples], [_split(x, figure) for x in samples]
    first, *second = [_of_seeds(x.mean(2), figure) for x in samples]
    centre = first - sum(second)
    if any(len(x) == x.shape[2] == 1 for x in samples):
        return Interval(centre, float("nan"), float("nan"))
    paired = len({x.shape[1:] for x in samples}) == 1
    low, high = _around([centre], _half(plain, paired, level))
    ends = _around(_unpicked(plain, split), _half(split, paired, level))
    return Interval(centre, min(low, *ends), max(high, *ends))


def _unpicked(plain: Sequence[_Parts], split: Sequence[_Parts]) -> list[float]:
    """The estimate by halves. Of a difference three, as the biases of two need not cancel: each
    is also taken halfway to its plain estimate.
    """
    ends = [x.centre for x in split]
    if len(ends) == 1:
        return ends
    halfway = [(x.centre + y.centre) / 2 for x, y in zip(plain, split, strict=True)]
    return [ends[0] - ends[1], ends[0] - halfway[1], halfway[0] - ends[1]]


def _around(centres: Sequence[float], half: float) -> tuple[float, float]:
    return min(centres) - half, max(centres) + half


def _plain(x_SMR: Array, figure: ReturnStatistic) -> _Parts:
    """Environments sorted by all their episodes."""
    return _parts(x_SMR, _by_rank(x_SMR.mean(2, keepdims=True), figure), figure)


def _split(x_SMR: Array, figure: ReturnStatistic) -> _Parts:
    """Environments sorted by half of the episodes and valued by the others, over J halvings.

    No episode has a say in its own weight, so noise is not taken for rank. Pooled figures are
    left as they are: their two ends are cut alike.
    """
    episodes = x_SMR.shape[2]
    if figure.pooled or episodes == 1:
        return _plain(x_SMR, figure)
    halvings = np.arange(min(episodes, MAX_HALVINGS)) * episodes // min(episodes, MAX_HALVINGS)
    valued_RJ = (np.arange(episodes)[:, None] - halvings) % episodes < episodes // 2
    weights_SMJ = _by_rank(x_SMR @ ~valued_RJ, figure)
    return _parts(x_SMR, weights_SMJ @ valued_RJ.T / valued_RJ.sum(1), figure)


def _parts(x_SMR: Array, weights_SMR: Array, figure: ReturnStatistic) -> _Parts:
    table_SR = (weights_SMR * x_SMR).sum(1)
    seeds_S = table_SR.mean(1)
    centre = float(seeds_S.mean())
    episodes_SR = table_SR - seeds_S[:, None]
    return _Parts(centre, _jackknife(x_SMR, figure) if figure.pooled else seeds_S, episodes_SR)


def _by_rank(order_SMJ: Array, figure: ReturnStatistic) -> Array:
    """The figure's weight of each environment, given what to sort by; equals share theirs."""
    shape = order_SMJ.shape
    if figure.pooled:
        order_SMJ = order_SMJ.reshape(1, -1, shape[2])
    sums = np.append(0, np.cumsum(figure.weights(order_SMJ.shape[1])))
    below, up_to = (stats.rankdata(order_SMJ, how, axis=1).astype(int) for how in ("min", "max"))
    weights_SMJ = (sums[up_to] - sums[below - 1]) / (up_to - below + 1)
    return np.asarray(weights_SMJ.reshape(shape) * (shape[0] if figure.pooled else 1))


def _jackknife(x_SMR: Array, figure: ReturnStatistic) -> Array:
    """Pseudo-values of the seeds of a pooled figure, [S]: S f(all) - (S - 1) f(all but s)."""
    means_SM, seeds = x_SMR.mean(2), len(x_SMR)
    if seeds == 1:
        return np.array([_of_seeds(means_SM, figure)])
    others_S = [_of_seeds(np.delete(means_SM, s, 0), figure) for s in range(seeds)]
    return seeds * _of_seeds(means_SM, figure) - (seeds - 1) * np.array(others_S)


def _half(samples: Sequence[_Parts], paired: bool, level: float) -> float:
    """Half the width: seeds and episodes with a quantile each, added as squares."""
    seeds = [(float(x.seeds.var(ddof=1)) / n, n - 1) for x in samples if (n := len(x.seeds)) > 1]
    groups = [list(samples)] if paired else [[x] for x in samples]
    episodes = [_shared(group) for group in groups if group[0].episodes.shape[1] > 1]
    return float(np.hypot(_student(seeds, level), _student(episodes, level)))


def _shared(group: Sequence[_Parts]) -> Variance:
    """Variance by what an episode does to all seeds: that of its means over seeds, less the seeds'
    own noise in it. Two-way analysis of variance, seeds and episodes random."""
    effect_R = group[0].episodes.mean(0) - sum(x.episodes.mean(0) for x in group[1:])
    episodes = len(effect_R)
    noise_SR = [x.episodes - x.episodes.mean(0) for x in group if len(x.episodes) > 1]
    own = sum(float((t**2).sum()) / (len(t) * (len(t) - 1) * (episodes - 1)) for t in noise_SR)
    return max(0.0, float(effect_R.var(ddof=1)) - own) / episodes, episodes - 1


def _student(variances: Sequence[Variance], level: float) -> float:
    """Half the width of an interval of a sum, degrees of freedom by Welch and Satterthwaite."""
    total = sum(v for v, _ in variances)
    if total == 0:
        return 0.0
    freedom = total**2 / sum(v**2 / n for v, n in variances)
    return float(stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(total))


def _of_seeds(means_SM: Array, figure: ReturnStatistic) -> float:
    return float(figure(means_SM.ravel()) if figure.pooled else figure(means_SM).mean())


def _figure(figure: str | ReturnStatistic) -> ReturnStatistic:
    if isinstance(figure, ReturnStatistic):
        return figure
    if figure not in RETURN_STATISTICS:
        raise ValueError(f"figure must be one of {', '.join(RETURN_STATISTICS)}, got {figure!r}")
    return RETURN_STATISTICS[figure]


def _checked(returns_SMR: Array) -> Array:
    returns_SMR = np.asarray(returns_SMR, dtype=np.float64)
    if returns_SMR.ndim != 3 or returns_SMR.size == 0:
        raise ValueError(f"returns must be [S, M, R] with no axis empty, got {returns_SMR.shape}")
    if not np.isfinite(returns_SMR).all():
        raise ValueError("returns must be finite, got NaN or infinity")
    return returns_SMR
