"""Rules for the section `sweep` that depend on the rest of the experiment."""

from __future__ import annotations

from ..common.errors import UserError
from ..config.schema import Experiment
from ..config.sweep import Fifo, SweepConfig
from .points import check_search, related


def require_sweep(experiment: Experiment) -> SweepConfig:
    """Return the section `sweep`. Raise UserError if it does not suit the experiment."""
    if experiment.sweep is None:
        raise UserError("sweep: required, but missing; it names the keys to search")
    check_search(experiment, experiment.sweep)
    where = experiment.evaluation.where
    if where == "none" or (where == "agents" and experiment.sweep.metric == "nominal"):
        raise UserError(
            f"sweep.metric: no evaluation gives {experiment.sweep.metric} with evaluation.where "
            f"{where}; choose another metric, or another evaluation.where"
        )
    _check_cadence(experiment, experiment.sweep)
    return experiment.sweep


def _check_cadence(experiment: Experiment, sweep: SweepConfig) -> None:
    """Raise UserError unless every trial evaluates at the same steps, on which schedulers act."""
    if isinstance(sweep.scheduler, Fifo):
        return
    name, every = sweep.scheduler.name, experiment.evaluation.every
    if every is None:
        raise UserError(
            f"evaluation.every: must be a number under sweep.scheduler {name}; got null"
        )
    searched = sweep.spaces().get("federation.sync_interval")
    unit = experiment.round_steps // experiment.federation.sync_interval
    for value in searched.ends() if searched else [experiment.federation.sync_interval]:
        if every % (value * unit):
            raise UserError(
                f"federation.sync_interval: must divide evaluation.every ({every}) under "
                f"sweep.scheduler {name}, which compares trials at equal steps; got {value}"
            )
    if any(related(key, "federation.num_agents") for key in sweep.search):
        raise UserError(
            f"sweep.search.federation.num_agents: cannot be searched under sweep.scheduler {name}, "
            "which counts agent steps"
        )
