"""Curves of a report: long logs in bins, several seeds at common steps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedrl_ray.reports.series import averaged, bins_of, coarser, common, last_tenth


@given(total=st.integers(1, 3000), most=st.integers(3, 300))
def test_bins_keep_the_first_and_the_last_round_and_the_mean(total, most):
    rounds = np.arange(1, total + 1)
    values = np.random.default_rng(total).normal(size=total)
    bins = bins_of(rounds, total, most=most)
    binned = averaged(values, bins)
    assert len(binned) <= most
    assert binned[0] == pytest.approx(values[0]) and binned[-1] == pytest.approx(values[-1])
    weights = np.bincount(bins)
    assert np.average(binned, weights=weights[weights > 0]) == pytest.approx(values.mean())


@given(total=st.integers(1, 3000))
def test_bins_are_in_order_and_nearly_even(total):
    bins = bins_of(np.arange(1, total + 1), total)
    assert (np.diff(bins) >= 0).all() and np.diff(bins).max(initial=0) <= 1
    inner = np.bincount(bins)[1:-1]
    assert len(inner) == 0 or inner.max() - inner.min() <= 1


def test_bins_of_a_run_under_way_are_those_of_the_whole_run():
    whole, part = bins_of(np.arange(1, 5001), 5000), bins_of(np.arange(1, 2001), 5000)
    np.testing.assert_array_equal(part, whole[:2000])


def test_missing_values_count_for_nothing():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 7.0]])
    binned = averaged(values, np.array([0, 0, 1]))
    np.testing.assert_array_equal(binned, [[2.0, np.nan], [5.0, 7.0]])


def test_few_bins_are_left_as_they_are():
    values = np.arange(10.0)
    np.testing.assert_array_equal(coarser(values), values)
    assert len(coarser(np.arange(300.0))) == 60
    assert coarser(np.empty((0, 3))).shape == (0, 3)


def test_seeds_meet_at_the_steps_they_share():
    steps, values = common(
        [np.array([1, 2, 3]), np.array([2, 3, 4])],
        [np.array([1.0, 2.0, 3.0]), np.array([20.0, np.nan, 40.0])],
    )
    np.testing.assert_array_equal(steps, [2])
    np.testing.assert_array_equal(values, [[2.0], [20.0]])


@pytest.mark.parametrize(("length", "count"), [(1, 1), (9, 1), (10, 1), (19, 1), (20, 2), (50, 5)])
def test_the_last_tenth_is_one_evaluation_at_least(length, count):
    assert len(range(length)[last_tenth(length)]) == count
