"""Return statistics over seeds and test environments, and their intervals."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from algorithms.types import Array
from fedrl_ray.analysis.statistics import (
    MAX_HALVINGS,
    RETURN_STATISTICS,
    Interval,
    cvar,
    difference,
    estimate,
    interval,
    mean_interval,
    probability_of_improvement,
    scope,
)

T1, T2, T3 = 12.706204736174698, 4.302652729749462, 3.1824463052837077
"""97.5% quantiles of Student's t with 1, 2 and 3 degrees of freedom, from a printed table."""

SQUARES_M = np.arange(11.0) ** 2
WHOLE = st.integers(-50, 50).map(float)
SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(2, 5))
RETURNS = SHAPES.flatmap(lambda shape: arrays(np.float64, shape, elements=WHOLE))
NAMES = st.sampled_from(sorted(RETURN_STATISTICS))
quick = settings(max_examples=40, deadline=None)


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


# Statistics


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        (0.1, 1.0),  # 0.4 of an environment: the worst
        (0.25, 1.0),  # one
        (0.3, (1 + 0.2 * 2) / 1.2),  # one and a fifth
        (0.5, (1 + 2) / 2),
        (1.0, 2.5),
    ],
)
def test_cvar_counts_the_last_environment_in_part(fraction: float, expected: float) -> None:
    assert cvar(np.array([4.0, 1.0, 3.0, 2.0]), fraction) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("average", 385 / 11),
        ("worst", 0.0),
        ("cvar10", (0 + 0.1 * 1) / 1.1),
        ("cvar25", (0 + 1 + 0.75 * 4) / 2.75),
        ("iqm", (4 + 9 + 16 + 25 + 36 + 49 + 64) / 7),  # 11 // 4 = 2 go at each end
        ("p10", 1.0),  # the 10th percentile of 11 values is the second
        ("p50", 25.0),
        ("p90", 81.0),
    ],
)
def test_statistics_by_hand(name: str, expected: float) -> None:
    shuffled_M = np.random.default_rng(0).permutation(SQUARES_M)
    assert RETURN_STATISTICS[name](shuffled_M) == pytest.approx(expected)


@pytest.mark.parametrize("n", range(1, 25))
def test_statistics_agree_with_scipy_and_numpy(n: int) -> None:
    means_M = noise(n, seed=n)
    assert RETURN_STATISTICS["iqm"](means_M) == pytest.approx(stats.trim_mean(means_M, 0.25))
    for percent in (10, 50, 90):
        expected = np.percentile(means_M, percent)
        assert RETURN_STATISTICS[f"p{percent}"](means_M) == pytest.approx(expected)


def test_statistics_keep_leading_axes() -> None:
    means_TSM = noise(4, 3, 11)
    for statistic in RETURN_STATISTICS.values():
        assert statistic(means_TSM).shape == (4, 3)
        assert statistic(means_TSM)[2, 1] == pytest.approx(statistic(means_TSM[2, 1]))


@quick
@given(RETURNS)
def test_a_smaller_fraction_is_no_better(returns_SMR: Array) -> None:
    names = ("worst", "cvar10", "cvar25", "average")
    for low, high in pairwise(estimate(returns_SMR, name) for name in names):
        assert low <= high + 1e-9


def test_the_worst_is_that_of_each_seed_and_the_iqm_is_of_all() -> None:
    returns_SMR = np.array([[1.0, 5.0], [7.0, 3.0]])[:, :, None]
    assert estimate(returns_SMR, "worst") == (1 + 3) / 2  # not the worse of (4, 4)
    assert estimate(returns_SMR, "iqm") == (3 + 5) / 2  # 1 and 7 cut off


# Intervals by hand


def test_without_episode_noise_it_is_students_over_seeds() -> None:
    returns_SMR = np.array([1.0, 2.0, 3.0])[:, None, None] + np.zeros((3, 4, 5))
    half = T2 * 1 / np.sqrt(3)
    for name in set(RETURN_STATISTICS) - {"iqm"}:
        assert interval(returns_SMR, name) == pytest.approx((2, 2 - half, 2 + half))


def test_with_one_seed_it_is_students_over_episodes() -> None:
    returns_SMR = np.array([[[1.0, 2.0, 3.0, 4.0]]])  # variance 5/3
    half = T3 * np.sqrt(5 / 3 / 4)
    assert interval(returns_SMR, "average") == pytest.approx((2.5, 2.5 - half, 2.5 + half))


def test_what_an_episode_does_to_all_seeds_is_no_smaller_with_more_seeds() -> None:
    seeds_S, episodes_R = np.array([0.0, 2.0]), np.array([-1.0, 1.0])
    returns_SMR = (seeds_S[:, None] + episodes_R)[:, None]
    half = np.hypot(T1 * np.sqrt(2 / 2), T1 * np.sqrt(2 / 2))  # both of variance 2, of 2 values
    assert interval(returns_SMR, "average") == pytest.approx((1, 1 - half, 1 + half))


def test_noise_of_each_seed_counts_once() -> None:
    # episode means over seeds: 0.5, -0.5, 0, variance 0.25; own noise t = +-0.5, -+0.5, 0 has mean
    # square 4 * 0.25 / ((2 - 1) * (3 - 1)) = 0.5, so 0.5 / 2 of it is expected there: nothing left
    returns_SMR = np.array([[[1.0, -1.0, 0.0]], [[0.0, 0.0, 0.0]]])
    assert interval(returns_SMR, "average") == pytest.approx((0, 0, 0))


def test_the_other_half_of_the_episodes_values_what_one_half_picks() -> None:
    # By all episodes B is worse: 4. By the first A is, which gets 10 in the second; by the second B
    # is, which gets 4 in the first: 7, from (4, 10), of variance 18.
    returns_SMR = np.array([[[0.0, 10.0], [4.0, 4.0]]])
    half = T1 * np.sqrt(18 / 2)
    assert interval(returns_SMR, "worst") == pytest.approx((4, 7 - half, 7 + half))


def test_environments_that_tie_share_their_weight() -> None:
    # Sorted by the first episode (5, 5): the second gives (9 + 1) / 2; by the second: B, which has
    # 5 in the first. Mean 5, from (5, 5).
    returns_SMR = np.array([[[5.0, 9.0], [5.0, 1.0]]])
    found, swapped = interval(returns_SMR, "worst"), interval(returns_SMR[:, ::-1], "worst")
    plain = T1 * np.sqrt(8 / 2)  # B alone: (5, 1)
    assert found == swapped == pytest.approx((3, 3 - plain, 3 + plain))


def test_difference_of_seeds_is_welchs() -> None:
    a_SMR, b_SMR = (np.array(x)[:, None, None] for x in ([1.0, 2.0, 3.0], [5.0, 9.0]))
    expected = stats.ttest_ind(a_SMR.ravel(), b_SMR.ravel(), equal_var=False)
    low, high = expected.confidence_interval()
    assert difference(a_SMR, b_SMR, "average") == pytest.approx((-5, low, high))


def test_what_an_episode_does_to_both_cancels_in_a_difference() -> None:
    common_MR = 10 * noise(6, 8)
    a_SMR, b_SMR = common_MR + np.ones((3, 1, 1)), common_MR + np.zeros((2, 1, 1))
    assert difference(a_SMR, b_SMR, "average") == pytest.approx((1, 1, 1))
    unlike = difference(a_SMR, b_SMR[:, :, :7], "average")  # other episodes
    assert unlike.high - unlike.low > 5


def test_biases_of_a_difference_need_not_cancel() -> None:
    # a as above: 4, by halves 7, halfway 5.5. b: 0, also by halves. So 7 - 0, 7 - 0 and 5.5 - 0
    # by halves, and 4 - 0.
    a_SMR = np.array([[[0.0, 10.0], [4.0, 4.0]]])
    found = difference(a_SMR, np.zeros((1, 2, 2)), "worst")
    half = T1 * np.sqrt(18 / 2)
    assert found == pytest.approx((4, 5.5 - half, 7 + half))


def test_a_pooled_statistic_has_the_jackknifes_spread() -> None:
    # Of 1, 2, 3, 9: iqm (2 + 3) / 2. Without one of them nothing is cut (3 // 4 = 0):
    # 14/3, 13/3, 12/3, 6/3; pseudo-values 4 * 2.5 - 3 * those: -4, -3, -2, 4, of variance 155/12
    returns_SMR = np.array([1.0, 2.0, 3.0, 9.0])[:, None, None]
    half = T3 * np.sqrt(155 / 12 / 4)
    assert interval(returns_SMR, "iqm") == pytest.approx((2.5, 2.5 - half, 2.5 + half))


# Laws


@quick
@given(RETURNS, NAMES)
def test_the_estimate_lies_inside(returns_SMR: Array, name: str) -> None:
    found = interval(returns_SMR, name)
    assert found.low <= found.estimate == estimate(returns_SMR, name) <= found.high


@quick
@given(RETURNS, NAMES, st.integers(-8, 8), st.sampled_from([0.5, 2.0, 16.0]))
def test_intervals_follow_shift_and_scale(
    returns_SMR: Array, name: str, shift: int, scale: float
) -> None:
    expected = scale * np.array(interval(returns_SMR, name)) + shift
    assert interval(scale * returns_SMR + shift, name) == pytest.approx(tuple(expected), abs=1e-6)


@quick
@given(RETURNS, NAMES, st.randoms(use_true_random=False))
def test_the_order_of_seeds_and_environments_does_not_matter(
    returns_SMR: Array, name: str, random: object
) -> None:
    rng = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    other_SMR = rng.permutation(rng.permutation(returns_SMR, axis=0), axis=1)
    assert interval(other_SMR, name) == pytest.approx(interval(returns_SMR, name), abs=1e-6)


@quick
@given(RETURNS, RETURNS, NAMES)
def test_a_difference_the_other_way_round_has_the_other_sign(a: Array, b: Array, name: str) -> None:
    there, back = difference(a, b, name), difference(b, a, name)
    assert there == pytest.approx((-back.estimate, -back.high, -back.low), abs=1e-6)
    assert there.estimate == estimate(a, name) - estimate(b, name)


@pytest.mark.parametrize("name", RETURN_STATISTICS)
def test_equal_returns_have_no_width(name: str) -> None:
    equal_SMR = np.full((3, 4, 5), 0.1)
    assert interval(equal_SMR, name) == pytest.approx((0.1, 0.1, 0.1))
    assert difference(equal_SMR, equal_SMR, name) == pytest.approx((0, 0, 0))


def test_the_same_returns_have_the_same_interval() -> None:
    returns_SMR = noise(4, 11, 10)
    for name in RETURN_STATISTICS:
        assert interval(returns_SMR, name) == interval(returns_SMR.copy(), name)


def test_a_higher_level_is_wider() -> None:
    returns_SMR = noise(4, 11, 10)
    wide, narrow = (interval(returns_SMR, "worst", level=level) for level in (0.99, 0.8))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_more_episodes_than_halvings() -> None:
    returns_SMR = noise(2, 5, 2 * MAX_HALVINGS + 7)
    with np.errstate(all="raise"):
        found = interval(returns_SMR, "worst")
    assert found.low < 0 < found.high
    assert found.high - found.low < 2


# Coverage


def coverage(name: str, seeds: int, means_M: Array, *, common: bool = False) -> float:
    """Share of 300 intervals that contain the statistic of the true means.

    Standard deviations are 0.3 between seeds and 1 between episodes, whose noise is independent or
    common to all seeds.
    """
    rng, truth, hits = np.random.default_rng(0), float(RETURN_STATISTICS[name](means_M)), 0.0
    for _ in range(300):
        episodes_SMR = rng.normal(size=(1 if common else seeds, len(means_M), 10))
        seeds_S11 = 0.3 * rng.normal(size=(seeds, 1, 1))
        found = interval(means_M[:, None] + seeds_S11 + episodes_SMR, name)
        hits += found.low <= truth <= found.high
    return hits / 300


@pytest.mark.parametrize("seeds", [3, 10])
def test_the_average_is_covered_as_often_as_said(seeds: int) -> None:
    assert 0.92 <= coverage("average", seeds, np.zeros(11)) <= 0.98


@pytest.mark.parametrize("name", ["worst", "cvar25", "p90"])
@pytest.mark.parametrize("common", [False, True])
def test_equal_environments_are_covered_in_spite_of_the_bias(name: str, common: bool) -> None:
    assert coverage(name, 10, np.zeros(11), common=common) >= 0.93


def test_one_clearly_worst_environment_is_covered_as_often_as_said() -> None:
    assert 0.92 <= coverage("worst", 5, np.array([-3.0, *np.zeros(10)])) <= 0.99


# Probability of improvement, curves


def test_probability_of_improvement_counts_pairs() -> None:
    # (1, 2) 0, (1, 3) 0, (3, 2) 1, (3, 3) 1/2: 1.5 of 4; in the other environment all 4
    a_SM, b_SM = np.array([[1.0, 9.0], [3.0, 9.0]]), np.array([[2.0, 0.0], [3.0, 0.0]])
    assert probability_of_improvement(a_SM, b_SM).estimate == (1.5 / 4 + 1) / 2


@pytest.mark.parametrize("wins", range(5))
def test_its_interval_is_wilsons(wins: int) -> None:
    a_SM, b_SM = np.arange(4.0)[:, None], np.full((9, 1), 3.5 - wins)
    found = probability_of_improvement(a_SM, b_SM)
    low, high = stats.binomtest(wins, 4).proportion_ci(method="wilson")
    assert found == pytest.approx((wins / 4, low, high))


def test_three_seeds_that_beat_three_prove_little() -> None:
    found = probability_of_improvement(np.ones((3, 5)), np.zeros((3, 5)))
    assert found.estimate == found.high == 1
    assert found.low < 0.5


def test_a_method_is_as_good_as_itself() -> None:
    a_SM = noise(4, 6)
    assert probability_of_improvement(a_SM, a_SM).estimate == 0.5


def test_a_band_is_students_at_every_point() -> None:
    values_ST = np.array([[1.0, 0.0], [2.0, 0.0], [3.0, 6.0]])  # 6, 0, 0: mean 2, variance 12
    low_T, high_T = mean_interval(values_ST)
    half_T = T2 * np.array([1, np.sqrt(12)]) / np.sqrt(3)
    np.testing.assert_allclose(low_T, 2 - half_T)
    np.testing.assert_allclose(high_T, 2 + half_T)


def test_a_band_of_one_seed_is_unknown() -> None:
    assert all(np.isnan(x_T).all() for x_T in mean_interval(np.ones((1, 3))))


# Scope of an interval, and refused input


def test_scope_names_what_was_resampled() -> None:
    assert scope(noise(2, 3, 4)) == "seeds and episodes"
    assert scope(noise(2, 3, 1)) == "seeds"
    assert scope(noise(1, 3, 4)) == "one seed: the interval covers episodes only"
    assert scope(noise(1, 3, 1)) == "one seed and one episode: there is no interval"
    assert scope(noise(5, 3, 4), noise(1, 3, 4)) == "one seed: the interval covers episodes only"


def test_one_episode_of_one_seed_has_no_interval() -> None:
    found = interval(np.ones((1, 3, 1)), "average")
    assert found.estimate == 1
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(difference(np.ones((1, 3, 1)), noise(3, 3, 1), "average").low)


def test_one_episode_of_several_seeds_is_students_over_seeds() -> None:
    returns_SMR = noise(4, 5, 1)
    low_T, high_T = mean_interval(returns_SMR.min(1))
    expected = Interval(returns_SMR.min(1).mean(), low_T[0], high_T[0])
    assert interval(returns_SMR, "worst") == pytest.approx(expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_returns_must_be_finite(bad: float) -> None:
    returns_SMR = noise(2, 3, 4)
    returns_SMR[1, 2, 3] = bad
    for call in (estimate, interval):
        with pytest.raises(ValueError, match="returns_SMR: must be finite"):
            call(returns_SMR, "worst")
    with pytest.raises(ValueError, match="finite"):
        difference(noise(2, 3, 4), returns_SMR, "worst")
    with pytest.raises(ValueError, match="finite"):
        mean_interval(returns_SMR[1])
    with pytest.raises(ValueError, match="finite"):
        probability_of_improvement(returns_SMR[:, :, 3], np.ones((2, 3)))


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0), (2, 3), (1, 2, 3, 4)])
def test_returns_must_have_three_axes_with_something_on_each(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\[S, M, R\]"):
        interval(np.zeros(shape), "average")


def test_unknown_statistics_and_fractions_are_refused() -> None:
    with pytest.raises(ValueError, match=r"average, worst, .*got 'best'"):
        estimate(noise(2, 3, 4), "best")
    for fraction in (0.0, 1.1, np.nan):
        with pytest.raises(ValueError, match="fraction"):
            cvar(np.ones(3), fraction)


def test_improvement_needs_the_same_environments() -> None:
    with pytest.raises(ValueError, match="got 3 and 4"):
        probability_of_improvement(np.ones((2, 3)), np.ones((2, 4)))


def test_an_empty_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        mean_interval(np.ones((0, 3)))
