"""Which method to take, and how it is said."""

from __future__ import annotations

import numpy as np
import pytest
from report_runs import run_data

from fedrl_ray.reports.data import ReportData
from fedrl_ray.reports.headline import headline
from fedrl_ray.reports.numbers import interval_text, number
from fedrl_ray.reports.studies import studies_of
from fedrl_ray.reports.verdict import baseline_of, difference, verdicts
from fedrl_ray.statistics import Interval

SEEDS = 5


def method(omega, average, worst, *, sync=20, spread=0.1, seeds=SEEDS, **changes):
    """Runs whose three environments return `worst`, and what makes the average right."""
    other = (3 * average - worst) / 2
    runs = []
    for seed in range(seeds):
        noise = np.random.default_rng([seed, int(10 * omega), sync]).normal(0, spread, (3, 4))
        returns = np.array([[other], [other], [worst]]) + noise
        runs.append(
            run_data(returns, label=f"{omega}-{sync}-{seed}", seed=seed, learner={"omega": omega},
                     federation={"sync_interval": sync}, **changes)
        )  # fmt: skip
    return runs


def data_of(*groups):
    runs = [run for group in groups for run in group]
    return ReportData(runs=tuple(runs), studies=tuple(studies_of(runs)), sweeps=(), problems=())


def verdict_of(*groups):
    return verdicts(data_of(*groups).studies[0])[0]


def test_a_clear_gain_in_the_worst_for_an_equal_average_is_taken():
    found = verdict_of(method(0.0, 100, 50), method(0.1, 100, 90))
    assert found.recommended.omega == 0.1 and found.reference.omega == 0


def test_a_gain_in_the_worst_that_costs_average_is_not():
    found = verdict_of(method(0.0, 100, 50), method(0.5, 80, 70))
    assert found.recommended.omega == 0 and found.subject.omega == 0.5


def test_where_nothing_is_clear_the_smallest_omega_is_taken():
    groups = [method(omega, 100 + omega, 50 + omega, spread=30) for omega in (0.3, 0.0, 0.1)]
    assert verdict_of(*groups).recommended.omega == 0


def test_equal_robustness_takes_the_smaller_omega():
    found = verdict_of(method(0.0, 100, 50), method(0.1, 100, 90), method(0.3, 100, 90.05))
    assert found.recommended.omega == 0.1


def test_e_is_the_one_with_the_best_worst_environment():
    found = verdict_of(
        method(0.0, 100, 50), method(0.1, 100, 90), method(0.1, 100, 92, sync=40),
        method(0.0, 100, 50, sync=40),
    )  # fmt: skip
    assert (found.recommended.omega, found.recommended.sync_interval) == (0.1, 40)
    assert (found.reference.omega, found.reference.sync_interval) == (0, 40)


def test_one_seed_and_one_episode_decide_nothing():
    runs = [
        run_data([[value]] * 3, label=str(omega), learner={"omega": omega})
        for omega, value in ((0.0, 1.0), (0.1, 100.0))
    ]
    assert verdict_of(runs).recommended.omega == 0


def test_a_baseline_has_the_same_other_keys_where_there_is_one():
    groups = [method(o, 100, 50 + o, sync=e) for o in (0.0, 0.1) for e in (20, 40)]
    methods = data_of(*groups, method(0.3, 100, 50, sync=10)).studies[0].compared
    by_keys = {(m.omega, m.sync_interval): m for m in methods}
    assert baseline_of(by_keys[0.1, 40], methods) is by_keys[0, 40]
    assert baseline_of(by_keys[0.3, 10], methods).omega == 0
    assert baseline_of(by_keys[0, 40], methods) is None


def test_the_headline_says_what_is_lost_and_gained():
    data = data_of(method(0.0, 100, 50, seeds=3), method(0.1, 99, 90, seeds=3))
    found = verdicts(data.studies[0])[0]
    text = headline(data)
    average = difference(found.subject, found.reference, "average")
    lost = interval_text(Interval(-average.estimate, -average.high, -average.low))
    gained = interval_text(difference(found.subject, found.reference, "worst"))
    assert text.startswith(
        f"omega 0.1 loses {lost} in the average and gains {gained} in the worst environment over "
        "omega 0 (DQNAvg) (3 seeds, E 20)."
    )
    assert "Recommended: omega 0 (DQNAvg), E 20" in text


def test_the_headline_admits_that_nothing_is_clear():
    text = headline(data_of(method(0.0, 100, 50, spread=30), method(0.1, 100, 52, spread=30)))
    assert "omega 0.1 shows no clear difference over omega 0" in text
    assert "Recommended: omega 0 (DQNAvg), E 20; no larger omega is clearly better" in text


def test_the_headline_of_a_mixed_result_says_both():
    text = headline(data_of(method(0.0, 100, 50, spread=3), method(0.1, 100, 90, spread=3)))
    assert "omega 0.1 gains " in text
    assert "over omega 0 (DQNAvg), with no clear difference in the average, " in text


def test_the_headline_of_one_seed_says_what_the_interval_leaves_out():
    text = headline(data_of(method(0.0, 100, 50, seeds=1), method(0.1, 100, 90, seeds=1)))
    assert "1 seed, E 20; intervals over episodes only, they say nothing of other seeds" in text


def test_the_headline_of_one_method_makes_no_comparison():
    text = headline(data_of(method(0.1, 100, 90)))
    assert text.startswith("small returns 100") and "Recommended" not in text


def test_while_nothing_is_complete_there_is_no_recommendation():
    runs = [run_data([[1.0, 2.0]], status="running", seed=0)]
    text = headline(data_of(runs))
    assert text.startswith("Not complete yet; so far small returns 1.5")
    assert "after 300 local steps" in text and "Recommended" not in text


def test_methods_of_different_tests_are_not_compared():
    wide = {"environment": {"perturb": {"pole_length": 0.8}}}
    data = data_of(method(0.0, 100, 50), method(0.1, 100, 90),
                   method(0.0, 10, 5, **wide), method(0.1, 10, 9, **wide))  # fmt: skip
    found = verdicts(data.studies[0])
    assert [len(v.methods) for v in found] == [2, 2]
    lines = headline(data).split("\n")
    assert lines[0].startswith("pole_length 0.5: ") and lines[1].startswith("pole_length 0.8: ")


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ((41, 22, 60), "41 [22, 60]"),
        ((3.21, 1.1, 5.3), "3.2 [1.1, 5.3]"),
        ((0.0312, 0.01, 0.05), "0.031 [0.010, 0.050]"),
        ((500, 500, 500), "500 [500, 500]"),
        ((1234.5, 1000, 1500), "1,234 [1,000, 1,500]"),
        ((29.4753, 29.4748, 29.4757), "29.48 [29.47, 29.48]"),
        ((-0.001, -3, 3), "0.0 [-3.0, 3.0]"),
        ((1.5, np.nan, np.nan), "1.50"),
    ],
)
def test_intervals_are_written_with_the_digits_they_are_worth(interval, text):
    assert interval_text(Interval(*interval)) == text


def test_a_figure_that_is_missing_says_so():
    assert number(float("nan")) == number(None) == "n/a"
