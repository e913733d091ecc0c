"""Methods: runs of one experiment, whatever their seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fedrl_ray.analysis import statistics
from fedrl_ray.reports.keys import differing, flatten, identity, level, short_names
from fedrl_ray.reports.methods import canonical, chosen, grouped
from fedrl_ray.reports.studies import studies_of
from tests.support.report_runs import run_data


def returns(seed: int = 0, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(10 + shift, 1, (3, 4))


def study(runs):
    found = studies_of(runs)
    assert len(found) == 1
    return found[0]


def test_seeds_name_and_place_do_not_make_another_method():
    runs = [
        run_data(returns(), seed=0),
        run_data(returns(), seed=1, name="other"),
        run_data(returns(), seed=2, federation={"backend": "ray", "agents_per_actor": 2}),
        run_data(returns(), seed=3, checkpoint={"every": None}),
    ]
    assert [len(group) for group in grouped(runs)] == [4]


@pytest.mark.parametrize(
    "change",
    [
        {"learner": {"omega": 0.4}},
        {"federation": {"sync_interval": 10}},
        {"federation": {"steps": 4000}},
        {"evaluation": {"seed": 7}},
        {"environment": {"perturb": {"pole_length": 0.4}}},
        {"federation": {"on_failure": "continue"}},
    ],
)
def test_any_other_key_makes_another_method(change):
    assert len(grouped([run_data(returns()), run_data(returns(), **change)])) == 2


def test_zero_is_zero_whether_it_has_a_point():
    assert canonical({"a": 0, "b": [1]}) == canonical({"b": [1.0], "a": 0.0})
    assert canonical({"a": True}) != canonical({"a": 1})


def test_the_same_seed_twice_is_one_observation():
    runs = [run_data(returns(), label=label, seed=1) for label in ("first", "second")]
    method = study(runs).methods[0]
    assert [run.label for run in method.runs] == ["first"]
    assert [run.label for run in method.left_out] == ["second"]


def test_complete_runs_come_before_all_others():
    runs = [
        run_data(returns(), seed=0, status="failed"),
        run_data(returns(), seed=1),
        run_data(returns(), seed=2, status="running"),
    ]
    assert [run.seed for run in chosen(runs)] == [1]
    assert [run.seed for run in chosen(runs[::2])] == [0, 2]
    assert study(runs[1:]).methods[0].complete
    assert not study(runs[::2]).methods[0].complete


def test_seeds_that_a_scheduler_spared_do_not_make_a_method_complete():
    runs = [run_data(returns(), seed=0), run_data(returns(), seed=1, status="stopped")]
    assert not study(runs).methods[0].complete and not study(runs).compared


def test_seeds_that_survive_a_failed_one_do_not_make_a_method_complete():
    runs = [run_data(returns(), seed=0), run_data(returns(), seed=1, status="failed")]
    method = study(runs).methods[0]
    assert not method.complete and not study(runs).compared
    assert method.failed == {1} and method.seeds == {0, 1} and method.scored == {0}


def test_a_seed_that_ends_without_finite_returns_has_failed():
    diverged = run_data(returns(), seed=1)
    diverged = replace(diverged, evaluations=replace(diverged.evaluations, final_returns=None))
    method = study([run_data(returns(), seed=0), diverged]).methods[0]
    assert method.failed == {1} and not method.complete


def test_a_failed_seed_that_was_run_again_has_not_failed():
    runs = [run_data(returns(), seed=0, status=status) for status in ("failed", "completed")]
    assert not study(runs).methods[0].failed and study(runs).methods[0].complete


def test_one_seed_is_not_compared_with_many():
    many = [run_data(returns(seed), seed=seed) for seed in range(2)]
    one = run_data(returns(), seed=0, learner={"omega": 0.5})
    assert [m.omega for m in study([*many, one]).compared] == [0.3]
    assert len(study([many[0], one]).compared) == 2  # all have one: said, but compared


def test_final_statistics_are_those_of_the_analysis():
    runs = [run_data(returns(seed), seed=seed, nominal=seed) for seed in range(3)]
    method = study(runs).methods[0]
    stacked = np.stack([returns(seed) for seed in range(3)])
    np.testing.assert_array_equal(method.returns, stacked)
    for name in statistics.RETURN_STATISTICS:
        assert method.statistics[name] == statistics.interval(stacked, name)
    low, high = statistics.mean_interval(np.array([[0.0], [1.0], [2.0]]))
    assert method.statistics["nominal"] == (1.0, low[0], high[0])


def test_labels_are_the_keys_that_differ():
    runs = [
        run_data(returns(), learner={"omega": omega}, federation={"sync_interval": sync})
        for omega in (0.3, 0.0)
        for sync in (20, 10)
    ]
    labels = [m.label for m in study(runs).methods]
    assert labels == [
        "omega 0 (DQNAvg), E 10",
        "omega 0 (DQNAvg), E 20",
        "omega 0.3, E 10",
        "omega 0.3, E 20",
    ]


def test_one_method_has_the_name_of_its_experiment():
    assert study([run_data(returns(), name="mine")]).methods[0].label == "mine"


def test_other_keys_are_called_by_their_last_part_unless_that_is_ambiguous():
    names = short_names(["learner.omega", "learner.batch_size", "a.seed", "b.seed"])
    assert list(names.values()) == ["omega", "batch_size", "a.seed", "b.seed"]
    assert short_names(["learner.epsilon.steps"]) == {"learner.epsilon.steps": "epsilon.steps"}


def test_methods_of_different_environments_are_different_studies():
    run = run_data(returns())
    other = replace(run, config=run.config | {"environment": {"name": "acrobot", "perturb": {}}})
    found = studies_of([run, other])
    assert [s.title for s in found] == ["cartpole", "acrobot"]


def test_a_population_has_no_methods_but_trials():
    runs = [run_data(returns(), label=f"trial-{i}", seed=i, alone=True) for i in range(3)]
    found = study(runs)
    assert [m.label for m in found.methods] == ["trial-0", "trial-1", "trial-2"]
    assert not found.compared and len(found.shown) == 3


def test_differing_keys_come_in_the_order_people_say_them():
    flats = [
        identity(
            flatten({"a": {"b": 1}, "federation": {"sync_interval": e}, "learner": {"omega": o}})
        )
        for e, o in ((10, 0.0), (100, 0.1))
    ]
    assert differing(flats) == ["learner.omega", "federation.sync_interval"]


def test_omega_per_agent_counts_by_its_mean():
    assert level([0.0, 0.5]) == 0.25 and level("x") is None and level(True) is None
