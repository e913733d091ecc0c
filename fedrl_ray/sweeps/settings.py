"""Settings that all trials of a sweep share, the experiment of one trial, and its resources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune

from ..backends.plan import pack
from ..common.errors import UserError
from ..config import loading
from ..config.schema import Experiment
from ..config.sweep import Pbt, SweepConfig
from ..ray_cluster.resources import Bundle, require_capacity, together
from .points import at_point, related
from .search import seed_of

LEAST_CPU = 0.001
"""CPUs for agents that ask for none: Ray reserves no bundle for a request of nothing."""


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """Settings that all trials of a sweep share."""

    directory: Path
    base: dict[str, Any]
    sweep: SweepConfig
    backend: str
    nodes: list[dict[str, float]]
    """Resources of the nodes when the sweep began: all trials pack their agents alike."""

    @property
    def is_population(self) -> bool:
        """True if trials take over each other's states."""
        return isinstance(self.sweep.scheduler, Pbt)


def trial_experiment(settings: TrialSettings, config: dict[str, Any]) -> Experiment:
    """Return the experiment of one trial, from the config that Tune gives it."""
    experiment = at_point(settings.base, config["trial"]["point"], seed_of(config))
    data = experiment.to_dict()
    data["federation"]["backend"] = settings.backend
    if settings.is_population and "keep_degree_network" in data["learner"]:
        data["learner"]["keep_degree_network"] = True
    return loading.from_dict(data)


def can_reuse(sweep: SweepConfig) -> bool:
    """Return True if the process of one trial may run the next trial.

    A sweep over keys that change the agents themselves starts a process per trial: Tune treats a
    refusal of the next trial as an error.
    """
    changes = (
        "learner.name",
        "environment",
        "federation.num_agents",
        "federation.agents_per_actor",
    )
    return not any(related(key, change) for key in sweep.search for change in changes)


def resources(settings: TrialSettings, config: dict[str, Any]) -> tune.PlacementGroupFactory:
    """Return the resources of a trial: one bundle for all, or one per Ray worker.

    The driver gets an empty bundle, because it waits while the workers work.
    """
    try:
        experiment = trial_experiment(settings, config)
    except UserError:  # the trial itself will report it
        return tune.PlacementGroupFactory([{"CPU": 1.0}])
    requests = requests_of(settings, experiment)
    held = [request | {"CPU": request["CPU"] or LEAST_CPU} for request in requests]
    return tune.PlacementGroupFactory(
        [{}, *held] if experiment.federation.backend == "ray" else held
    )


def requests_of(settings: TrialSettings, experiment: Experiment) -> list[Bundle]:
    """Return the requests of a trial's processes."""
    if experiment.federation.backend == "in_process":
        return [together(experiment.resources, range(experiment.federation.num_agents))]
    return pack(experiment, settings.nodes)[1]


def require_room(settings: TrialSettings, configs: Iterable[dict[str, Any]]) -> None:
    """Raise UserError unless the cluster has the resources of each trial.

    Tune itself would wait for ever without a word.
    """
    for config in configs:
        experiment = trial_experiment(settings, config)
        groups: Sequence[Sequence[int]] = [range(experiment.federation.num_agents)]
        if experiment.federation.backend == "ray":
            groups = pack(experiment, settings.nodes)[0]
        require_capacity(groups, requests_of(settings, experiment), settings.nodes)
