"""What all trials of a sweep have in common, and the experiment of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from .. import experiments, packing
from ..config import Experiment
from ..errors import UserError
from ..resources import together
from .config import Pbt, SweepConfig
from .points import at_point, related
from .search import seed_of


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """Where the sweep lies, its experiment as plain data, and where agents live."""

    directory: Path
    base: dict[str, Any]
    sweep: SweepConfig
    pool: str
    cpus: float
    """CPUs of the cluster when the sweep began: packing is decided once for all trials."""

    @property
    def is_population(self) -> bool:
        """Whether trials take up each other's states."""
        return isinstance(self.sweep.scheduler, Pbt)


def trial_experiment(settings: TrialSettings, config: dict[str, Any]) -> Experiment:
    """The experiment that one trial trains, from the config that Tune gives it."""
    experiment = at_point(settings.base, config["trial"]["point"], seed_of(config))
    data = experiment.to_dict()
    data["federation"]["pool"] = settings.pool
    if settings.is_population and "keep_degree_network" in data["learner"]:
        data["learner"]["keep_degree_network"] = True
    return experiments.from_dict(data)


def can_reuse(sweep: SweepConfig) -> bool:
    """Whether one trial's process may take up the next: a trial whose process refuses is an error
    to Tune, so sweeps over keys that change the agents themselves start every trial afresh."""
    changes = (
        "learner.name",
        "environment",
        "federation.num_agents",
        "federation.agents_per_actor",
    )
    return not any(related(key, change) for key in sweep.search for change in changes)


def resources(settings: TrialSettings, config: dict[str, Any]) -> tune.PlacementGroupFactory:
    """One CPU for a trial with its agents inside; else a bundle per actor, none for the driver,
    which waits while they work."""
    try:
        experiment = trial_experiment(settings, config)
    except UserError:  # the trial itself will say so
        return tune.PlacementGroupFactory([{"CPU": 1.0}])
    if experiment.federation.pool == "in_process":
        everybody = range(experiment.federation.num_agents)
        return tune.PlacementGroupFactory([together(experiment.resources, everybody)])
    _, requests = packing.plan(experiment, settings.cpus)
    return tune.PlacementGroupFactory([{}, *requests])
