"""Width of an interval: the spread between seeds, and between episodes that all seeds share.

Shape letters as in `statistics`: S seeds, R episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from algorithms.types import Array

Variance = tuple[float, int]
"""An estimated variance and its degrees of freedom."""


class Parts(NamedTuple):
    """The estimate of a statistic and its spread between seeds and between episodes."""

    centre: float
    """Estimate of the statistic."""
    seeds: Array
    """Value of each seed, [S]."""
    episodes: Array
    """Value of each episode minus the mean of its seed, [S, R]."""


def half_width(samples: Sequence[Parts], paired: bool, level: float) -> float:
    """Return half the width: seeds and episodes, each with its quantile, added as squares.

    paired: the samples share environments and episodes, so common episode effects cancel.
    """
    seeds = [(float(x.seeds.var(ddof=1)) / n, n - 1) for x in samples if (n := len(x.seeds)) > 1]
    groups = [list(samples)] if paired else [[x] for x in samples]
    episodes = [_shared(group) for group in groups if group[0].episodes.shape[1] > 1]
    return float(np.hypot(_student(seeds, level), _student(episodes, level)))


def _shared(group: Sequence[Parts]) -> Variance:
    """Return the variance of the episode effects that all seeds share.

    It is the variance of the episode means over seeds, minus the seeds' own noise in them: two-way
    analysis of variance with random seeds and episodes.
    """
    effect_R = group[0].episodes.mean(0) - sum(x.episodes.mean(0) for x in group[1:])
    episodes = len(effect_R)
    noise_SR = [x.episodes - x.episodes.mean(0) for x in group if len(x.episodes) > 1]
    own = sum(float((t**2).sum()) / (len(t) * (len(t) - 1) * (episodes - 1)) for t in noise_SR)
    return max(0.0, float(effect_R.var(ddof=1)) - own) / episodes, episodes - 1


def _student(variances: Sequence[Variance], level: float) -> float:
    """Return half the width for a sum, with degrees of freedom by Welch and Satterthwaite."""
    total = sum(v for v, _ in variances)
    if total == 0:
        return 0.0
    freedom = total**2 / sum(v**2 / n for v, n in variances)
    return float(stats.t.ppf((1 + level) / 2, freedom) * np.sqrt(total))
