"""The rule that recommends a method, and the sentences that state it."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from fedrl_ray.analysis.statistics import Interval
from fedrl_ray.reports.data import ReportData
from fedrl_ray.reports.headline import headline
from fedrl_ray.reports.numbers import interval_text, number
from fedrl_ray.reports.studies import studies_of
from fedrl_ray.reports.verdict.rule import (
    STEPS,
    TOLERANCE,
    baseline_of,
    best,
    difference,
    is_loss,
    unbeaten,
    verdicts,
)
from fedrl_ray.reports.verdict.words import RULE
from tests.support.report_runs import run_data

SEEDS = 5


def method(omega, average, worst, *, sync=20, spread=0.1, seeds=SEEDS, failed=(), **changes):
    """Runs with three environments: one returns `worst`, the others complete the average."""
    other = (3 * average - worst) / 2
    runs = []
    for seed in range(seeds):
        noise = np.random.default_rng([seed, int(10 * omega), sync]).normal(0, spread, (3, 4))
        returns = np.array([[other], [other], [worst]]) + noise
        runs.append(
            run_data(returns, label=f"{omega}-{sync}-{seed}", seed=seed, learner={"omega": omega},
                     federation={"sync_interval": sync},
                     status="failed" if seed in failed else "completed", **changes)
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


def test_a_small_clear_loss_in_the_average_does_not_outweigh_a_gain_in_the_worst():
    found = verdict_of(method(0.0, 100, 50), method(0.1, 96, 90))
    assert is_loss(found.effect("average")) and found.recommended.omega == 0.1
    assert verdict_of(method(0.0, 100, 50), method(0.1, 94, 90)).recommended.omega == 0


def test_the_tolerance_is_of_the_size_of_the_better_average_whatever_its_sign():
    assert verdict_of(method(0.0, -100, -150), method(0.1, -104, -120)).recommended.omega == 0.1
    assert verdict_of(method(0.0, -100, -150), method(0.1, -106, -120)).recommended.omega == 0


def test_a_small_clear_loss_in_the_average_for_nothing_is_not_taken():
    found = verdict_of(method(0.0, 97, 50), method(0.1, 100, 50))
    assert found.recommended.omega == 0.1


def test_a_noisy_best_method_shields_no_bad_ones():
    """omega 0.3 has the best estimate and beats nothing clearly; omega 0.1 beats omega 0."""
    found = verdict_of(
        noisy_worst(0.0, 10, 1), noisy_worst(0.1, 50, 1), noisy_worst(0.3, 55, 30),
    )  # fmt: skip
    assert best(found.methods, "worst").omega == 0.3
    assert [m.omega for m in unbeaten(found.methods, "worst")] == [0.1, 0.3]
    assert found.recommended.omega == 0.1 and found.reference.omega == 0


def noisy_worst(omega, worst, spread):
    """Runs whose worst environment varies by +-spread over seeds, with a fixed average."""
    steps = np.linspace(-spread, spread, SEEDS)
    return [
        run_data(
            [[(300 - worst - step) / 2] * 4] * 2 + [[worst + step] * 4], seed=seed,
            label=f"{omega}-{seed}", learner={"omega": omega},
        )
        for seed, step in enumerate(steps)
    ]  # fmt: skip


def test_some_method_is_always_left_and_none_that_another_beats():
    rng = np.random.default_rng(0)
    for _ in range(20):
        groups = [
            method(omega, rng.normal(0, 5), rng.normal(-9, 5), spread=rng.choice([0.0, 1.0, 9.0]))
            for omega in (0.0, 0.1, 0.2, 0.3)
        ]
        methods = data_of(*groups).studies[0].compared
        for statistic, share in STEPS:
            left = unbeaten(methods, statistic, share)
            assert best(methods, statistic) in left
            for m in methods:
                pairs = [
                    (difference(m, o, statistic), o.statistics[statistic].estimate) for o in methods
                ]
                lost = [is_loss(d) and -d.estimate > share * abs(top) for d, top in pairs]
                assert (m in left) == (not any(lost))


def test_the_rival_of_a_recommended_baseline_is_one_that_is_clearly_better():
    """omega 0.3 has the best estimate in the worst environment, but only because of noise."""
    found = verdict_of(
        noisy_worst(0.0, 10, 1), method(0.1, 60, 50, sync=40), noisy_worst(0.3, 55, 60),
    )  # fmt: skip
    assert found.recommended.omega == 0 and best(found.methods, "worst").omega == 0.3
    assert found.subject.omega == 0.1


def test_the_rule_on_the_page_names_the_tolerance_of_the_code():
    assert STEPS[0] == ("average", TOLERANCE) and f"more than {TOLERANCE:.0%}" in RULE


def test_equal_returns_differ_by_no_rounding():
    """Means of 3, 5 and 7 equal numbers differ in the last bit."""
    methods = data_of(*(
        [run_data([[-79.34335600479281]] * 3, seed=seed, label=f"{omega}-{seed}",
                  learner={"omega": omega}) for seed in range(seeds)]
        for omega, seeds in ((0.0, 7), (0.1, 5), (0.3, 3))
    )).studies[0].compared  # fmt: skip
    for a, b in permutations(methods, 2):
        assert difference(a, b, "average") == difference(a, b, "worst") == (0, 0, 0)


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
    data = data_of(method(0.0, 100, 50, seeds=3), method(0.1, 90, 70, seeds=3))
    found = verdicts(data.studies[0])[0]
    text = headline(data)
    average = difference(found.subject, found.reference, "average")
    lost = interval_text(Interval(-average.estimate, -average.high, -average.low))
    gained = interval_text(difference(found.subject, found.reference, "worst"))
    assert text.startswith(
        f"omega 0.1 returns {lost} less than omega 0 (DQNAvg) on average, but {gained} more in the "
        "worst environment (3 seeds, E 20)."
    )
    assert text.endswith(
        "Recommended: omega 0 (DQNAvg), E 20. Each method with a larger omega that is clearly "
        "better in the worst environment is clearly below another method on average, by more than "
        "5%."
    )


def test_the_headline_admits_that_nothing_is_clear():
    text = headline(data_of(method(0.0, 100, 50, spread=30), method(0.1, 100, 52, spread=30)))
    assert "omega 0.1 shows no clear difference from omega 0" in text
    assert "Recommended: omega 0 (DQNAvg), E 20. No larger omega is clearly better" in text


def test_the_headline_of_a_mixed_result_says_both():
    text = headline(data_of(method(0.0, 100, 50, spread=3), method(0.1, 100, 90, spread=3)))
    assert "omega 0.1 returns " in text
    assert "more than omega 0 (DQNAvg) in the worst environment; the difference on average " in text


def test_the_headline_of_one_seed_says_what_the_interval_leaves_out():
    text = headline(data_of(method(0.0, 100, 50, seeds=1), method(0.1, 100, 90, seeds=1)))
    assert (
        "1 seed, E 20; the intervals cover episodes only and say nothing about other seeds" in text
    )


def test_the_headline_says_which_method_rules_out_the_baseline():
    """omega 0.1 is kept because of its noise alone: nothing shows that it beats omega 0."""
    text = headline(data_of(noisy_worst(0.0, 10, 1), noisy_worst(0.1, 40, 60),
                            noisy_worst(0.3, 50, 1)))  # fmt: skip
    assert "omega 0.1 shows no clear difference from omega 0" in text
    assert text.endswith(
        "the smallest omega that the rule below keeps. The rule leaves out omega 0 (DQNAvg), which "
        "is clearly below omega 0.3 in the worst environment."
    )


def test_the_headline_names_failed_seeds_and_does_not_compare_their_survivors():
    text = headline(data_of(method(0.0, 100, 50), method(0.1, 100, 90, failed=(0, 2, 3)),
                            method(0.3, 100, 60)))  # fmt: skip
    assert text.startswith("omega 0.3 returns ")
    assert text.endswith(" with failed seeds are not compared: omega 0.1 (3 of 5 seeds failed).")


def test_the_headline_of_one_method_beside_a_failed_one_says_so():
    text = headline(data_of(method(0.0, 100, 50), method(0.1, 100, 90, failed=range(5))))
    assert text.startswith("Only one method can be judged: omega 0 (DQNAvg) returns ")
    assert text.endswith(" with failed seeds are not compared: omega 0.1 (5 of 5 seeds failed).")


def test_where_every_method_has_failed_seeds_there_is_no_recommendation():
    text = headline(data_of(method(0.1, 100, 90, failed=(1,))))
    assert text.startswith("No method is complete. So far, small returns ")
    assert text.endswith(" with failed seeds are not compared: small (1 of 5 seeds failed).")


def test_a_setting_without_a_complete_method_has_its_line():
    wide = {"environment": {"perturb": {"pole_length": 0.8}}}
    data = data_of(method(0.0, 100, 50), method(0.0, 10, 5, failed=(0,), **wide))
    lines = headline(data).split("\n")
    assert lines[0].startswith("pole_length 0.5: ") and len(lines) == 2
    assert lines[1].startswith("pole_length 0.8: No method is complete. So far, ")


def test_seeds_that_have_not_ended_are_named():
    late = [replace(run, status="unfinished") for run in method(0.1, 100, 90)[3:]]
    text = headline(data_of(method(0.0, 100, 50), method(0.1, 100, 90)[:3], late))
    assert "(3 and 5 seeds, E 20)" in text  # of omega 0.1, which is named first
    assert text.endswith("The comparison leaves out incomplete seeds: omega 0.1 (2 of 5 seeds).")


@pytest.mark.parametrize(
    ("worst", "remark"),
    [
        (499.9, "; the intervals of the average and the worst environment have no width, because "
                "seeds and episodes do not differ)."),
        (np.linspace(490, 499, SEEDS), None),
    ],
)  # fmt: skip
def test_an_interval_without_width_is_explained(worst, remark):
    runs = [
        run_data([[value] * 4] * 3, seed=seed, label=f"{omega}-{seed}", learner={"omega": omega})
        for omega, values in ((0.0, worst), (0.1, 500.0))
        for seed, value in enumerate(np.broadcast_to(values, SEEDS))
    ]
    text = headline(data_of(runs))
    assert ("no width" in text) == (remark is not None) and (remark or "") in text
    alone = headline(data_of(runs[SEEDS:]))
    assert "500 [500, 500]" in alone and "because seeds and episodes do not differ)." in alone


def test_the_headline_of_one_method_makes_no_comparison():
    text = headline(data_of(method(0.1, 100, 90)))
    assert text.startswith("small returns 100") and "Recommended" not in text


def test_while_nothing_is_complete_there_is_no_recommendation():
    runs = [run_data([[1.0, 2.0]], status="running", seed=0)]
    text = headline(data_of(runs))
    assert text.startswith("No method is complete. So far, small returns 1.5")
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


def test_a_number_that_is_missing_says_so():
    assert number(float("nan")) == number(None) == "n/a"
