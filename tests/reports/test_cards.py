"""The cards of a report: the recommendation, its returns and its gain, each with its interval."""

from __future__ import annotations

import numpy as np
import pytest

from fedrl_ray.reports.data import ReportData
from fedrl_ray.reports.numbers import interval_text
from fedrl_ray.reports.studies import studies_of
from fedrl_ray.reports.verdict.cards import Card, card_groups
from fedrl_ray.reports.verdict.rule import difference, verdicts
from tests.support.report_runs import run_data


def method(omega, average, worst, *, sync=20, spread=0.5, seeds=4, episodes=4, **changes):
    """Return runs with three environments, one of which returns `worst`."""
    other = (3 * average - worst) / 2
    runs = []
    for seed in range(seeds):
        noise = np.random.default_rng([seed, int(10 * omega), sync])
        returns = np.array([[other], [other], [worst]]) + noise.normal(0, spread, (3, episodes))
        runs.append(
            run_data(returns, label=f"{omega}-{sync}-{seed}", seed=seed, learner={"omega": omega},
                     federation={"sync_interval": sync}, **changes)
        )  # fmt: skip
    return runs


def data_of(*groups):
    runs = [run for group in groups for run in group]
    return ReportData(runs=tuple(runs), studies=tuple(studies_of(runs)), sweeps=(), problems=())


def cards_of(*groups) -> dict[str, Card]:
    (group,) = card_groups(data_of(*groups).studies)
    return {card.name: card for card in group.cards}


def test_each_number_has_the_interval_of_the_statistics():
    groups = [method(0.0, 100, 50), method(0.1, 101, 90), method(0.1, 101, 92, sync=40)]
    data = data_of(*groups)
    (verdict,), found = verdicts(data.studies[0]), cards_of(*groups)
    one = verdict.recommended
    assert (one.omega, one.sync_interval) == (0.1, 40)
    for name, statistic in (("Average return", "average"), ("Worst return", "worst")):
        shown = f"{found[name].value} {found[name].more}"
        assert shown == interval_text(one.statistics[statistic])
    baseline = next(m for m in verdict.methods if m.omega == 0)
    for name, statistic in (("Gain on average", "average"),
                            ("Gain in the worst environment", "worst")):  # fmt: skip
        gain = difference(one, baseline, statistic)
        assert f"{found[name].value} {found[name].more}" == f"+{interval_text(gain)}"
    card = found["Recommended"]
    assert (card.value, card.more, card.note) == ("omega 0.1", "E 40", "4 seeds")


@pytest.mark.parametrize(
    ("average", "worst", "notes"),
    [
        (101, 90, ("a clear gain", "a clear gain")),
        (97, 90, ("a clear loss", "a clear gain")),
        (100, 90, ("not clear", "a clear gain")),
    ],
)
def test_a_gain_is_clear_in_the_words_of_the_rule(average, worst, notes):
    found = cards_of(method(0.0, 100, 50), method(0.1, average, worst))
    gains = [card for name, card in found.items() if name.startswith("Gain")]
    assert [card.note for card in gains] == [f"over omega 0 (DQNAvg): {note}" for note in notes]
    assert gains[0].value.startswith("-" if notes[0] == "a clear loss" else ("+", "0", "-"))


def test_a_recommended_baseline_gains_nothing_over_itself():
    found = cards_of(method(0.0, 100, 50), method(0.5, 80, 70))
    assert found["Recommended"].value == "omega 0"
    assert found["Gain over the baseline"].value == "none"
    assert found["Gain over the baseline"].note.startswith(
        "It is the baseline. Each method with a larger omega that is clearly better"
    )
    found = cards_of(method(0.0, 100, 50), method(0.5, 100, 50))
    assert found["Gain over the baseline"].note == (
        "It is the baseline. No larger omega is clearly better in the worst environment."
    )


def test_a_comparison_of_e_alone_has_no_baseline():
    found = cards_of(method(0.1, 100, 50), method(0.1, 100, 90, sync=40))
    assert (found["Recommended"].value, found["Recommended"].more) == ("omega 0.1", "E 40")
    assert found["Gain over the baseline"].note == "All methods have the same omega."


def test_the_smallest_omega_is_the_baseline_whatever_it_is():
    found = cards_of(method(0.1, 100, 50), method(0.3, 100, 90))
    assert "over omega 0.1: " in found["Gain in the worst environment"].note


def test_one_seed_with_one_episode_has_no_interval():
    found = cards_of(method(0.0, 1, 1, seeds=1, episodes=1), method(0.1, 9, 9, seeds=1, episodes=1))
    assert found["Average return"].more == "no interval"


def test_other_keys_are_named_with_the_recommendation():
    trimmed = {"aggregator": {"name": "trimmed_mean", "fraction": 0.2}}
    found = cards_of(method(0.0, 100, 50), method(0.0, 100, 95, **trimmed))
    assert found["Recommended"].note == "aggregator trimmed_mean; 4 seeds"


def test_each_setting_has_cards_of_its_own_under_its_name():
    wide = {"environment": {"perturb": {"pole_length": 0.8}}}
    data = data_of(method(0.0, 100, 50), method(0.1, 100, 90), method(0.0, 10, 5, **wide),
                   method(0.1, 10, 9, **wide))  # fmt: skip
    titles = [group.title for group in card_groups(data.studies)]
    assert titles == ["pole_length 0.5", "pole_length 0.8"]


@pytest.mark.parametrize("groups", [[method(0.1, 100, 90)], []])
def test_without_a_choice_there_is_no_card(groups):
    assert card_groups(data_of(*groups).studies) == []
