"""Schedulers, searchers and search spaces of Ray Tune for a sweep."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, FIFOScheduler, PopulationBasedTraining
from ray.tune.schedulers.trial_scheduler import TrialScheduler
from ray.tune.search.repeater import TRIAL_INDEX

from ..config.schema import Experiment
from ..config.search_spaces import Choice, Grid, SearchRange, Space
from ..config.sweep import Asha, Pbt, SweepConfig
from .points import Variant

_TIME = "agent_steps"


def scheduler(experiment: Experiment, sweep: SweepConfig) -> TrialScheduler:
    """Return the scheduler. It compares trials at equal agent steps, for any sync_interval."""
    chosen, f = sweep.scheduler, experiment.federation
    if isinstance(chosen, Asha):
        grace = chosen.grace or max(1, f.steps // chosen.reduction**2)
        return ASHAScheduler(
            time_attr=_TIME,
            max_t=f.steps * f.num_agents,
            grace_period=min(grace, f.steps) * f.num_agents,
            reduction_factor=chosen.reduction,
        )
    if isinstance(chosen, Pbt):
        return _population(chosen, experiment, sweep)
    return FIFOScheduler()  # type: ignore[no-untyped-call]


def _population(chosen: Pbt, experiment: Experiment, sweep: SweepConfig) -> TrialScheduler:
    f, spaces = experiment.federation, sweep.spaces()
    interval = chosen.interval or max(1, f.steps // 10)
    # Tune moves to a neighbour in a list. It would multiply a value of a Domain, off the choices.
    mutations = {
        k: list(s.values) if isinstance(s, Choice) else domain(s) for k, s in spaces.items()
    }
    return PopulationBasedTraining(
        time_attr=_TIME,
        perturbation_interval=interval * f.num_agents,
        hyperparam_mutations={"trial": {"point": mutations}},
        resample_probability=chosen.resample,
        custom_explore_fn=functools.partial(_inside, spaces),
    )


def _inside(spaces: dict[str, Space], config: dict[str, Any]) -> dict[str, Any]:
    """Clip each key to its range: Tune multiplies it by 1.2 or 0.8."""
    point = config["trial"]["point"]
    for key, space in spaces.items():
        if isinstance(space, SearchRange):
            point[key] = space.clip(point[key])
    return config


def param_space(
    experiment: Experiment, sweep: SweepConfig, variants: Iterable[Variant]
) -> dict[str, Any]:
    """Return Tune's search space: the list of the trials to run, or the domains for Optuna."""
    if sweep.searcher == "optuna":
        domains = {key: domain(space) for key, space in sweep.spaces().items()}
        return {"trial": {"point": domains, "seed": experiment.seed}}
    listed = [{"point": v.point, "seed": v.seed} for v in variants]
    return {"trial": tune.grid_search(listed)}


def num_samples(sweep: SweepConfig) -> int:
    """Return Tune's number of samples: all trials of a searcher, or one pass over the list."""
    return sweep.samples * sweep.seeds if sweep.searcher == "optuna" else 1


def seed_of(config: dict[str, Any]) -> int:
    """Return a trial's seed: the listed one, or the experiment's plus the number of the repeat."""
    return int(config["trial"]["seed"]) + int(config.get(TRIAL_INDEX, 0))


def domain(space: Space) -> Any:
    """Return the same distribution as an object of Tune."""
    if isinstance(space, Grid | Choice):
        return tune.choice(list(space.values))
    if space.kind == "randint":
        return tune.randint(int(space.low), int(space.high))
    continuous = {"uniform": tune.uniform, "loguniform": tune.loguniform}
    return continuous[space.kind](space.low, space.high)
