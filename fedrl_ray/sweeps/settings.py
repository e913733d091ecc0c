"""What all trials of a sweep have in common, and the experiment of one of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from ..backends import placement
from ..common.errors import UserError
from ..config import loading
from ..config.schema import Experiment
from ..config.sweep import Pbt, SweepConfig
from ..ray_cluster.resources import Bundle, require_capacity, together
from .points import at_point, related
from .search import seed_of

LEAST_CPU = 0.001
"""For agents that ask for none: Ray holds no place for a trial that asks for nothing."""


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """Where the sweep lies, its experiment as plain data, and where agents live."""

    directory: Path
    base: dict[str, Any]
    sweep: SweepConfig
    backend: str
    nodes: list[dict[str, float]]
    """The cluster when the sweep began: packing is decided once for all trials."""

    @property
    def is_population(self) -> bool:
        """Whether trials take up each other's states."""
        return isinstance(self.sweep.scheduler, Pbt)


def trial_experiment(settings: TrialSettings, config: dict[str, Any]) -> Experiment:
    """The experiment that one trial trains, from the config that Tune gives it."""
    experiment = at_point(settings.base, config["trial"]["point"], seed_of(config))
    data = experiment.to_dict()
    data["federation"]["backend"] = settings.backend
    if settings.is_population and "keep_degree_network" in data["learner"]:
        data["learner"]["keep_degree_network"] = True
    return loading.from_dict(data)


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
    requests = requests_of(settings, experiment)
    held = [request | {"CPU": request["CPU"] or LEAST_CPU} for request in requests]
    return tune.PlacementGroupFactory(
        [{}, *held] if experiment.federation.backend == "ray" else held
    )


def requests_of(settings: TrialSettings, experiment: Experiment) -> list[Bundle]:
    """What the processes of a trial ask for."""
    if experiment.federation.backend == "in_process":
        return [together(experiment.resources, range(experiment.federation.num_agents))]
    return placement.plan(experiment, settings.nodes)[1]


def require_room(settings: TrialSettings, configs: Iterable[dict[str, Any]]) -> None:
    """Whether the cluster has what each of some trials asks for. Raises UserError: Tune would
    wait for ever, and say nothing."""
    for config in configs:
        experiment = trial_experiment(settings, config)
        groups: Sequence[Sequence[int]] = [range(experiment.federation.num_agents)]
        if experiment.federation.backend == "ray":
            groups = placement.plan(experiment, settings.nodes)[0]
        require_capacity(groups, requests_of(settings, experiment), settings.nodes)
