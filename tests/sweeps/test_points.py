"""Search spaces, points and schedulers of a sweep, without starting one."""

from __future__ import annotations

import numpy as np
import pytest

from fedrl_ray.common.errors import UserError
from fedrl_ray.config import loading
from fedrl_ray.config.search_spaces import parse
from fedrl_ray.sweeps import points, search
from fedrl_ray.sweeps.validation import require_sweep


def sweep_of(small_yaml, **section):
    """Return the small experiment with a sweep, loaded from a file as a user does."""
    return loading.load(small_yaml(sweep=section))


def test_lists_make_a_grid_in_the_files_order_and_seeds_come_last(small_yaml):
    e = sweep_of(
        small_yaml,
        search={"learner.omega": [0.0, 0.3], "federation.sync_interval": [10, 20]},
        seeds=2,
    )
    found = [(*v.point.values(), v.seed) for v in points.variants(e, e.sweep)]
    grid = [(0.0, 10), (0.0, 20), (0.3, 10), (0.3, 20)]
    assert found == [(*p, 3) for p in grid] + [(*p, 4) for p in grid]


def test_a_draw_is_shared_by_the_whole_grid_and_by_all_seeds(small_yaml):
    e = sweep_of(
        small_yaml,
        search={
            "learner.omega": [0.0, 0.3],
            "learner.learning_rate": {"loguniform": [1e-4, 1e-2]},
        },
        samples=3,
        seeds=2,
    )
    rates = {}
    for variant in points.variants(e, e.sweep):
        rate = variant.point["learner.learning_rate"]
        assert 1e-4 <= rate <= 1e-2
        rates.setdefault(rate, []).append((variant.point["learner.omega"], variant.seed))
    assert len(rates) == 3
    assert all(sorted(v) == [(0.0, 3), (0.0, 4), (0.3, 3), (0.3, 4)] for v in rates.values())
    assert points.variants(e, e.sweep) == points.variants(e, e.sweep)


@pytest.mark.parametrize(
    ("raw", "low", "high"),
    [
        ({"uniform": [2, 3]}, 2, 3),
        ({"loguniform": [0.1, 10]}, 0.1, 10),
        ({"randint": [1, 4]}, 1, 3),
    ],
)
def test_draws_stay_inside_and_reach_both_halves(raw, low, high):
    space, rng = parse("key", raw), np.random.default_rng(0)
    drawn = np.array([space.draw(rng) for _ in range(300)])
    assert drawn.min() >= low and drawn.max() <= high
    middle = np.sqrt(low * high) if "loguniform" in raw else (low + high) / 2
    assert 0.35 < np.mean(drawn < middle) + np.mean(drawn == middle) / 2 < 0.65
    assert space.clip(high + 5) == high and space.clip(low - 5) == low


@pytest.fixture
def settings_of(small_yaml, monkeypatch):
    """Returns the arguments that a sweep gives to its scheduler of Ray Tune."""
    monkeypatch.setattr(search, "ASHAScheduler", dict)
    monkeypatch.setattr(search, "PopulationBasedTraining", dict)

    def of(**keys):
        e = sweep_of(small_yaml, **keys)
        return search.scheduler(e, e.sweep)

    return of


def test_asha_and_pbt_count_agent_steps_whatever_e(settings_of):
    for interval in (10, 80):
        asha = settings_of(search={"federation.sync_interval": [interval]}, scheduler="asha")
        assert asha["time_attr"] == "agent_steps"
        assert (asha["max_t"], asha["grace_period"]) == (240 * 5, 240 // 9 * 5)
    space = {"learner.omega": {"uniform": [0, 1]}}
    pbt = settings_of(search=space, scheduler="pbt", samples=4)
    assert (pbt["time_attr"], pbt["perturbation_interval"]) == ("agent_steps", 24 * 5)


def test_a_population_moves_among_listed_values_only(settings_of):
    space = {"learner.batch_size": {"choice": [4, 8, 16]}}
    pbt = settings_of(search=space, scheduler="pbt", samples=4)
    assert pbt["hyperparam_mutations"] == {"trial": {"point": {"learner.batch_size": [4, 8, 16]}}}


def test_a_population_stays_inside_its_ranges(settings_of):
    space = {"learner.omega": {"uniform": [0, 1]}}
    pbt = settings_of(search=space, scheduler="pbt", samples=4)
    moved = pbt["custom_explore_fn"]({"trial": {"point": {"learner.omega": 1.08}}})
    assert moved["trial"]["point"]["learner.omega"] == 1.0


BAD = [
    ({"search": {"learner.omgea": [0.1]}}, "learner.omgea: unknown key (did you mean 'omega'?)"),
    ({"search": {"learner.omega": []}}, "sweep.search.learner.omega: must hold at least one value"),
    ({"search": {"learner.omega": [0.1, 0.1]}}, "must not hold a value twice"),
    ({"search": {"learner.omega": [0, 1.5]}}, "learner.omega=1.5: learner.omega: must be less"),
    ({"search": {"learner.omega": {"uniform": [0, 2]}}}, "less than or equal to 1; got 2"),
    ({"search": {"learner.omega": {"uniform": [1, 0]}}}, "uniform: must be two numbers"),
    ({"search": {"learner.omega": {"unifrm": [0, 1]}}}, "must be a list of values, or one of"),
    ({"search": {"learner.omega": 0.3}}, "must be a list of values, or one of"),
    ({"search": {"learner.learning_rate": {"loguniform": [0, 1]}}}, "must be above 0"),
    ({"search": {"federation.sync_interval": [10, 7]}}, "sync_interval: must divide"),
    ({"search": {"federation.steps": [100]}}, "every point gets the same budget"),
    ({"search": {"seed": [1, 2]}}, "sweep.seeds repeats every point"),
    ({"search": {"federation": [{"steps": 100}]}}, "sweep.search.federation: cannot be searched"),
    (
        {"search": {"federation.num_agents": [2, 3]}, "scheduler": "asha"},
        "num_agents: cannot be searched under sweep.scheduler asha",
    ),
    (
        {"search": {"federation.sync_interval": [10, 60]}, "scheduler": "asha"},
        "must divide evaluation.every (80) under sweep.scheduler asha",
    ),
    ({"search": {}}, "sweep.search"),
    ({"search": {"learner.omega": [0]}, "metric": "wrst"}, "sweep.metric: must be"),
    ({"search": {"learner.omega": [0]}, "scheduler": "ash"}, "sweep.scheduler.name: must be one"),
    (
        {"search": {"learner.omega": [0]}, "scheduler": {"name": "asha", "grce": 1}},
        "sweep.scheduler.grce: unknown key (did you mean 'grace'?)",
    ),
    ({"search": {"learner.omega": [0]}, "samples": 2}, "samples above 1 needs a distribution"),
    ({"search": {"learner.omega": [0]}, "searcher": "optuna"}, "optuna needs distributions"),
    ({"search": {"learner.omega": [0, 1]}, "scheduler": "pbt"}, "pbt needs samples"),
    (
        {"search": {"learner.omega": {"uniform": [0, 1]}}, "scheduler": "pbt", "seeds": 2},
        "pbt needs seeds 1",
    ),
    (
        {"search": {"federation.sync_interval": {"choice": [10, 20]}}, "scheduler": "pbt",
         "samples": 2},
        "keys of the learner only",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("section", "words"), BAD)
def test_a_bad_sweep_is_one_line(small_yaml, section, words):
    with pytest.raises(UserError) as error:
        require_sweep(sweep_of(small_yaml, **section))
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(("where", "metric"), [("none", "worst"), ("agents", "nominal")])
def test_a_metric_that_no_evaluation_gives_is_refused(small_yaml, where, metric):
    section = {"search": {"learner.omega": [0.0]}, "metric": metric}
    e = loading.load(small_yaml(sweep=section, evaluation={"where": where}))
    with pytest.raises(UserError, match=f"sweep.metric: no evaluation gives {metric}"):
        require_sweep(e)


def test_a_file_without_a_sweep_is_refused(small_yaml):
    with pytest.raises(UserError, match="sweep: required, but missing"):
        require_sweep(loading.load(small_yaml()))


def test_set_reaches_a_searched_key_and_train_passes_the_section_over(small_yaml):
    path = small_yaml(sweep={"search": {"learner.omega": [0.0]}})
    e = loading.load(path, ["sweep.search.learner.omega=[0.1, 0.2]"])
    assert e.sweep.search == {"learner.omega": [0.1, 0.2]}
    e = loading.load(path, ["sweep.search={federation.sync_interval: [10]}"])
    assert e.sweep.search == {"federation.sync_interval": [10]}
    assert "sweep" not in e.to_dict()
