"""Coverage of 95% intervals, ours beside the usual bootstraps, on simulated returns.

    python benchmarks/interval_coverage.py --replications 1000

prints the tables of docs/statistics.md: the percentage of intervals that contain the true
statistic and, in brackets, their mean width. Returns are normal with standard deviation 1 in an
episode and 0.3 between seeds; there are 11 test environments with 10 episodes each. Shape letters
as in fedrl_ray/analysis/statistics.py, and B bootstrap resamples.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from scipy import stats

from algorithms.types import Array
from fedrl_ray.analysis.statistics import (
    RETURN_STATISTICS,
    ReturnStatistic,
    difference,
    estimate,
    interval,
    probability_of_improvement,
)

ENVIRONMENTS, EPISODES, RESAMPLES = 11, 10, 1000
SEED_COUNTS = (3, 5, 10)
METHODS = ("percentile", "expanded", "bias-corrected", "basic", "t", "ours")
Ends = tuple[float, ...]
Method = Callable[[Array, ReturnStatistic], dict[str, Ends]]


@dataclass(frozen=True)
class World:
    """A distribution of returns.

    means: mean return of each environment, [M]. own: deviation of a seed's environment means from
    `means`. common: share of the variance of an episode that all seeds share (the same start
    states). between: deviation between seeds. failing: share of seeds whose returns are 3 lower.
    """

    text: str
    means: Array
    own: float = 0.0
    common: float = 0.0
    between: float = 0.3
    failing: float = 0.0

    def draw(self, rng: np.random.Generator, seeds: int, episodes_MR: Array | None = None) -> Array:
        """Draw returns [S, M, R]; `episodes_MR` is the noise of an episode that all seeds share."""
        shape = (seeds, ENVIRONMENTS, EPISODES)
        common_MR = rng.normal(size=shape[1:]) if episodes_MR is None else episodes_MR
        noise = np.sqrt(self.common) * common_MR
        noise = noise + np.sqrt(1 - self.common) * rng.normal(size=shape)
        return np.asarray(self._policies(rng, seeds)[:, :, None] + noise)

    def truth(self, statistic: ReturnStatistic) -> float:
        """Return the statistic of noiseless returns of 200,000 seeds."""
        return estimate(self._policies(np.random.default_rng(0), 200_000)[:, :, None], statistic)

    def _policies(self, rng: np.random.Generator, seeds: int) -> Array:
        shift = self.between * rng.normal(size=(seeds, 1))
        means_SM = self.means + shift + self.own * rng.normal(size=(seeds, ENVIRONMENTS))
        return np.asarray(means_SM - 3 * (rng.random((seeds, 1)) < self.failing))


EQUAL_M = np.zeros(ENVIRONMENTS)
ONE_WORST_M = np.where(np.arange(ENVIRONMENTS) == 0, -3.0, 0.0)
RISING = World("0, 0.1, ..., 1", np.linspace(0, 1, ENVIRONMENTS))
COMPARED = (World("equal", EQUAL_M), World("one clearly worst", ONE_WORST_M))
FURTHER = (
    World("equal, seeds too", EQUAL_M, between=0.0),
    World("equal, episodes in common", EQUAL_M, common=1.0),
    World("one worst, episodes in common", ONE_WORST_M, common=1.0),
    RISING,
    World("0, 0.1, ..., 1, episodes in common", RISING.means, common=1.0),
    World("each seed its own means", EQUAL_M, own=0.5),
    World("equal, one seed in five fails", EQUAL_M, failing=0.2),
)


def ours(x_SMR: Array, statistic: ReturnStatistic) -> dict[str, Ends]:
    """Return the product's interval."""
    return {"ours": interval(x_SMR, statistic)[1:]}


def candidates(x_SMR: Array, statistic: ReturnStatistic) -> dict[str, Ends]:
    """Return the intervals of two-level bootstraps, by name, and ours.

    A bootstrap resamples seeds and episodes; all seeds get the same episodes. All but `percentile`
    are widened for few seeds: percentiles as in Hesterberg (2015), `t` by Student's quantile.
    """
    factor = np.sqrt(len(x_SMR) / (len(x_SMR) - 1))
    plain, draws_B = estimate(x_SMR, statistic), resampled(x_SMR, statistic)
    student = float(stats.t.ppf(0.975, len(x_SMR) - 1)) * factor
    wide = stats.norm.cdf(student * np.array([-1, 1]))
    low, high = np.quantile(draws_B, wide)
    z0 = stats.norm.ppf(np.clip((draws_B < plain).mean(), 1 / RESAMPLES, 1 - 1 / RESAMPLES))
    corrected = stats.norm.cdf(2 * z0 + stats.norm.ppf(wide))
    return {
        "percentile": tuple(np.quantile(draws_B, [0.025, 0.975])),
        "expanded": (low, high),
        "bias-corrected": tuple(np.quantile(draws_B, corrected)),
        "basic": (2 * plain - high, 2 * plain - low),
        "t": (plain - student * draws_B.std(), plain + student * draws_B.std()),
    } | ours(x_SMR, statistic)


def resampled(x_SMR: Array, statistic: ReturnStatistic) -> Array:
    """Return the statistic of every resample, [B]."""
    seeds, environments, episodes = x_SMR.shape
    rng = np.random.default_rng(0)
    even_R = np.full(episodes, 1 / episodes)
    weights_BMR = rng.multinomial(episodes, even_R, size=(RESAMPLES, environments)) / episodes
    means_BSM = np.einsum("smr,bmr->bsm", x_SMR, weights_BMR, optimize=True)
    rows_BS = rng.integers(seeds, size=(RESAMPLES, seeds))
    drawn_BSM = np.take_along_axis(means_BSM, rows_BS[:, :, None], 1)
    if statistic.pooled:
        return statistic(drawn_BSM.reshape(RESAMPLES, -1))
    return np.asarray(statistic(drawn_BSM).mean(1))


def coverage(method: Method, world: World, seeds: int, name: str, count: int) -> dict[str, str]:
    """Return the percentage of intervals that contain the truth, and their mean width."""
    statistic, rng = RETURN_STATISTICS[name], np.random.default_rng(0)
    truth = world.truth(statistic)
    found = [method(world.draw(rng, seeds), statistic) for _ in range(count)]
    return {key: cell([x[key] for x in found], truth) for key in found[0]}


def coverage_of_differences(a: World, b: World, seeds: int, name: str, count: int) -> str:
    """Return the coverage of our interval for a minus b, which meet the same episodes."""
    statistic, rng = RETURN_STATISTICS[name], np.random.default_rng(0)
    truth, found = a.truth(statistic) - b.truth(statistic), []
    for _ in range(count):
        common_MR = rng.normal(size=(ENVIRONMENTS, EPISODES))
        a_SMR, b_SMR = (x.draw(rng, seeds, common_MR) for x in (a, b))
        found.append(difference(a_SMR, b_SMR, statistic)[1:])
    return cell(found, truth)


def coverage_of_improvement(gap: float, seeds: int, count: int) -> str:
    """Return the coverage for the probability of improvement, with normal means `gap` apart."""
    samples = np.random.default_rng(0).normal(size=(count, 2, seeds, 1))
    found = [probability_of_improvement(a_SM + gap, b_SM)[1:] for a_SM, b_SM in samples]
    return cell(found, float(stats.norm.cdf(gap / np.sqrt(2))))


def cell(found: Sequence[Ends], truth: float) -> str:
    """Return the coverage in percent and, in brackets, the mean width."""
    low, high = np.array(found).T
    return f"{100 * ((low <= truth) & (truth <= high)).mean():.1f} ({(high - low).mean():.2f})"


def candidate_rows(names: list[str], count: int) -> Iterator[list[str]]:
    """Yield the rows of a table that compares ours with the bootstraps."""
    yield ["environments", "S", "statistic", *METHODS]
    for world, seeds, name in product(COMPARED, SEED_COUNTS, names):
        got = coverage(candidates, world, seeds, name, count)
        yield [world.text, str(seeds), name, *(got[m] for m in METHODS)]


def further_rows(names: list[str], count: int) -> Iterator[list[str]]:
    """Yield the rows of ours in more worlds; with one seed too where all seeds are equal."""
    yield ["environments", "S", *names]
    for world, seeds in [(FURTHER[0], 1), *product(FURTHER, SEED_COUNTS)]:
        got = [coverage(ours, world, seeds, name, count)["ours"] for name in names]
        yield [world.text, str(seeds), *got]


def difference_rows(names: list[str], count: int) -> Iterator[list[str]]:
    """Yield the rows of differences, with and without episode noise that all seeds share."""
    yield ["difference to equal environments of", "S", *names]
    worlds = [*COMPARED, RISING]
    for common, other, seeds in product((0.0, 1.0), worlds, SEED_COUNTS):
        a, b = (replace(world, common=common) for world in (worlds[0], other))
        got = [coverage_of_differences(a, b, seeds, name, count) for name in names]
        yield [other.text + ", episodes in common" * bool(common), str(seeds), *got]


def improvement_rows(count: int) -> Iterator[list[str]]:
    """Yield the rows of the probability of improvement."""
    yield ["true probability", *(f"S = {seeds}" for seeds in SEED_COUNTS)]
    for gap in (0.0, 1.0, 2.0, 5.0):
        row = [coverage_of_improvement(gap, seeds, count) for seeds in SEED_COUNTS]
        yield [f"{stats.norm.cdf(gap / np.sqrt(2)):.3f}", *row]


def main() -> None:
    """Print each table as soon as it is made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--replications", type=int, default=1000)
    parser.add_argument("--statistics", nargs="+", default=["average", "worst", "cvar25"])
    given = parser.parse_args()
    names, count = given.statistics, given.replications
    tables = (candidate_rows, further_rows, difference_rows)
    for rows in [*(table(names, count) for table in tables), improvement_rows(count)]:
        for number, row in enumerate(rows):
            print("| " + " | ".join(row) + " |" + ("\n|" + "---|" * len(row)) * (not number))
        print(flush=True)


if __name__ == "__main__":
    main()
