"""What all trials of a sweep have in common, and the experiment of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from .. import experiments, packing
from ..config import Experiment
from .config import Pbt, SweepConfig
from .points import at_point
from .search import seed_of

_KEEP_ALL = 10**9


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """Where the sweep lies, its experiment as plain data, and where agents live."""

    directory: Path
    base: dict[str, Any]
    sweep: SweepConfig
    pool: str
    cpus: float
    """CPUs of the cluster when the sweep began: packing is decided once for all trials."""


def trial_experiment(settings: TrialSettings, config: dict[str, Any]) -> Experiment:
    """The experiment that one trial trains, from the config that Tune gives it."""
    experiment = at_point(settings.base, config["trial"]["point"], seed_of(config))
    data = experiment.to_dict()
    data["federation"]["pool"] = settings.pool
    if isinstance(settings.sweep.scheduler, Pbt):
        data["checkpoint"]["keep"] = _KEEP_ALL  # another trial may yet take one up
        if "keep_degree_network" in data["learner"]:
            data["learner"]["keep_degree_network"] = True
    return experiments.from_dict(data)


def can_reuse(sweep: SweepConfig) -> bool:
    """Whether one trial's process may take up the next: a trial whose process refuses is an error
    to Tune, so sweeps over keys that change the agents themselves start every trial afresh."""
    changes = ("learner.name", "environment", "federation.num_agents", "federation.agents_per")
    return not any(key.startswith(changes) for key in sweep.search)


def resources(settings: TrialSettings, config: dict[str, Any]) -> tune.PlacementGroupFactory:
    """One CPU for a trial with its agents inside; else a bundle per actor, none for the driver,
    which waits while they work."""
    experiment = trial_experiment(settings, config)
    f = experiment.federation
    if f.pool == "in_process":
        return tune.PlacementGroupFactory([{"CPU": 1.0}])
    actors = packing.num_actors(f.num_agents, f.agents_per_actor, int(settings.cpus))
    cpus = packing.actor_cpus(actors, settings.cpus)
    return tune.PlacementGroupFactory([{}, *[{"CPU": cpus}] * actors])
