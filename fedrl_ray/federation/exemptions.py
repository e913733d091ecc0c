"""Laws of the project that do not hold in a run, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping

from ..config import plugins
from ..config.build import learner_class
from ..config.schema import Experiment
from ..vector_envs.family import EnvFamily


def exemptions_of(experiment: Experiment, family: EnvFamily) -> dict[str, str]:
    """Return the exemptions that the experiment's plug-ins declare."""
    settings = experiment.learner.settings
    found: dict[str, str] = dict(learner_class(experiment).exemptions_of(settings))
    others: tuple[Mapping[str, str], ...] = (
        plugins.load("aggregators", experiment.aggregator.name).exemptions,
        plugins.load("server_optimizers", experiment.server_optimizer.name).exemptions,
        plugins.load("client_samplers", experiment.client_sampler.name).exemptions,
        family.exemptions,
    )
    for exemptions in others:
        found |= exemptions
    return found
