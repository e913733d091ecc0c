"""Confidence intervals of return statistics; docs/statistics.md gives the reasons.

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
from .spread import Parts, half_width

MAX_HALVINGS = 50
"""Most ways J to halve the episodes; more would cost memory and change little."""


class Interval(NamedTuple):
    """An estimate and its confidence interval, which contains it."""

    estimate: float
    low: float
    high: float


def scope(*returns_SMR: Array) -> str:
    """Return a phrase that says what an interval of these returns covers, to print beside it."""
    shapes = [_checked(x).shape for x in returns_SMR]
    seeds, _, episodes = (min(sizes) for sizes in zip(*shapes, strict=True))
    if seeds > 1:
        return "seeds and episodes" if episodes > 1 else "seeds"
    if episodes > 1:
        return "one seed: the interval covers episodes only"
    return "one seed and one episode: there is no interval"


def estimate(returns_SMR: Array, statistic: str | ReturnStatistic) -> float:
    """Return the statistic of each seed's environment means, averaged over seeds (`iqm`: pooled).

    The estimate is not corrected for bias: the minimum of noisy means lies below the minimum of
    the true means.
    """
    return _of_seeds(_checked(returns_SMR).mean(2), _named(statistic))


def interval(
    returns_SMR: Array, statistic: str | ReturnStatistic, *, level: float = 0.95
) -> Interval:
    """Return a statistic with Student's interval.

    Its width comes from the spread between seeds and from the episode effects that all seeds share.
    It spans two estimates. In the plain one, noise helps to pick the worst environment, so it is
    biased low for `worst` and `cvar`. In the other, one half of the episodes picks the environment
    and the other half values it, so it is biased high. With one seed the interval covers episodes
    only; with one episode it cannot see the bias; with one of both it is NaN (see `scope`).
    """
    return _interval([_checked(returns_SMR)], _named(statistic), level)


def difference(
    a_SMR: Array, b_SMR: Array, statistic: str | ReturnStatistic, *, level: float = 0.95
) -> Interval:
    """Return the statistic of a minus that of b, with Welch's interval.

    Seeds count as independent, since equal seed numbers do not make two methods learn alike. If a
    and b have the same environments and episodes, the effects of an episode on both cancel.
    """
    return _interval([_checked(a_SMR), _checked(b_SMR)], _named(statistic), level)


def probability_of_improvement(a_SM: Array, b_SM: Array, *, level: float = 0.95) -> Interval:
    """Return the mean over environments of P(X > Y) + P(X = Y) / 2, as rliable defines it.

    X is the mean return of a seed of a, Y that of a seed of b. The interval is Wilson's with
    n = min(S_a, S_b), because the variance is at most p (1 - p) / n whatever the returns are. It
    stays wide even if three seeds beat three others in every environment.
    """
    a_SM, b_SM = (_checked(np.expand_dims(x, -1))[..., 0] for x in (a_SM, b_SM))
    if a_SM.shape[1] != b_SM.shape[1]:
        raise ValueError(
            f"a_SM, b_SM: must have the same environments; got {a_SM.shape[1]} and {b_SM.shape[1]}"
        )
    p = float((np.sign(a_SM[:, None] - b_SM[None]) / 2 + 0.5).mean())
    n, z = min(len(a_SM), len(b_SM)), float(stats.norm.ppf((1 + level) / 2))
    centre, half = p + z**2 / (2 * n), z * float(np.sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2))
    low, high = ((centre + side * half) / (1 + z**2 / n) for side in (-1, 1))
    return Interval(p, max(0.0, min(p, low)), min(1.0, max(p, high)))


def mean_interval(values_ST: Array, *, level: float = 0.95) -> tuple[Array, Array]:
    """Return Student's interval of the mean over seeds: [S, T] -> low [T], high [T].

    Both are NaN for one seed.
    """
    values_ST = np.asarray(values_ST, dtype=np.float64)
    if values_ST.size == 0 or not np.isfinite(values_ST).all():
        raise ValueError("values_ST: must hold at least one value, all finite")
    seeds, mean_T = len(values_ST), values_ST.mean(0)
    if seeds == 1:
        return mean_T * np.nan, mean_T * np.nan
    half_T = stats.t.ppf((1 + level) / 2, seeds - 1) * stats.sem(values_ST, axis=0)
    return mean_T - half_T, mean_T + half_T


def _interval(samples: Sequence[Array], statistic: ReturnStatistic, level: float) -> Interval:
    """Return the interval of the first sample's statistic, minus the second's if there is one."""
    plain, split = [_plain(x, statistic) for x in samples], [_split(x, statistic) for x in samples]
    first, *second = [_of_seeds(x.mean(2), statistic) for x in samples]
    centre = first - sum(second)
    if any(len(x) == x.shape[2] == 1 for x in samples):
        return Interval(centre, float("nan"), float("nan"))
    paired = len({x.shape[1:] for x in samples}) == 1
    low, high = _around([centre], half_width(plain, paired, level))
    ends = _around(_unpicked(plain, split), half_width(split, paired, level))
    return Interval(centre, min(low, *ends), max(high, *ends))


def _unpicked(plain: Sequence[Parts], split: Sequence[Parts]) -> list[float]:
    """Return the estimates from halved episodes.

    A difference has three, because the biases of its two sides need not cancel: each side is also
    taken halfway to its plain estimate.
    """
    ends = [x.centre for x in split]
    if len(ends) == 1:
        return ends
    halfway = [(x.centre + y.centre) / 2 for x, y in zip(plain, split, strict=True)]
    return [ends[0] - ends[1], ends[0] - halfway[1], halfway[0] - ends[1]]


def _around(centres: Sequence[float], half: float) -> tuple[float, float]:
    return min(centres) - half, max(centres) + half


def _plain(x_SMR: Array, statistic: ReturnStatistic) -> Parts:
    """Return the parts if all episodes sort the environments."""
    return _parts(x_SMR, _by_rank(x_SMR.mean(2, keepdims=True), statistic), statistic)


def _split(x_SMR: Array, statistic: ReturnStatistic) -> Parts:
    """Return the parts if half of the episodes sorts and the rest values, over J halvings.

    No episode influences its own weight, so noise is not mistaken for rank. Pooled statistics need
    no halving, because both of their ends are cut alike.
    """
    episodes = x_SMR.shape[2]
    if statistic.pooled or episodes == 1:
        return _plain(x_SMR, statistic)
    halvings = np.arange(min(episodes, MAX_HALVINGS)) * episodes // min(episodes, MAX_HALVINGS)
    valued_RJ = (np.arange(episodes)[:, None] - halvings) % episodes < episodes // 2
    weights_SMJ = _by_rank(x_SMR @ ~valued_RJ, statistic)
    return _parts(x_SMR, weights_SMJ @ valued_RJ.T / valued_RJ.sum(1), statistic)


def _parts(x_SMR: Array, weights_SMR: Array, statistic: ReturnStatistic) -> Parts:
    table_SR = (weights_SMR * x_SMR).sum(1)
    seeds_S = table_SR.mean(1)
    centre = float(seeds_S.mean())
    episodes_SR = table_SR - seeds_S[:, None]
    return Parts(centre, _jackknife(x_SMR, statistic) if statistic.pooled else seeds_S, episodes_SR)


def _by_rank(order_SMJ: Array, statistic: ReturnStatistic) -> Array:
    """Return each environment's weight if sorted by `order_SMJ`; equal values share theirs."""
    shape = order_SMJ.shape
    if statistic.pooled:
        order_SMJ = order_SMJ.reshape(1, -1, shape[2])
    sums = np.append(0, np.cumsum(statistic.weights(order_SMJ.shape[1])))
    below, up_to = (stats.rankdata(order_SMJ, how, axis=1).astype(int) for how in ("min", "max"))
    weights_SMJ = (sums[up_to] - sums[below - 1]) / (up_to - below + 1)
    return np.asarray(weights_SMJ.reshape(shape) * (shape[0] if statistic.pooled else 1))


def _jackknife(x_SMR: Array, statistic: ReturnStatistic) -> Array:
    """Return pseudo-values of a pooled statistic, [S]: S f(all) - (S - 1) f(all but s)."""
    means_SM, seeds = x_SMR.mean(2), len(x_SMR)
    if seeds == 1:
        return np.array([_of_seeds(means_SM, statistic)])
    others_S = [_of_seeds(np.delete(means_SM, s, 0), statistic) for s in range(seeds)]
    return seeds * _of_seeds(means_SM, statistic) - (seeds - 1) * np.array(others_S)


def _of_seeds(means_SM: Array, statistic: ReturnStatistic) -> float:
    return float(statistic(means_SM.ravel()) if statistic.pooled else statistic(means_SM).mean())


def _named(statistic: str | ReturnStatistic) -> ReturnStatistic:
    if isinstance(statistic, ReturnStatistic):
        return statistic
    if statistic not in RETURN_STATISTICS:
        names = ", ".join(RETURN_STATISTICS)
        raise ValueError(f"statistic: must be one of {names}; got {statistic!r}")
    return RETURN_STATISTICS[statistic]


def _checked(returns_SMR: Array) -> Array:
    returns_SMR = np.asarray(returns_SMR, dtype=np.float64)
    if returns_SMR.ndim != 3 or returns_SMR.size == 0:
        raise ValueError(f"returns_SMR: must be [S, M, R], no axis empty; got {returns_SMR.shape}")
    if not np.isfinite(returns_SMR).all():
        raise ValueError("returns_SMR: must be finite; got NaN or infinity")
    return returns_SMR
