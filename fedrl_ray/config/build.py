"""Construction of the plug-ins that an experiment names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algorithms.aggregator import Aggregator
from algorithms.client_sampler import ClientSampler
from algorithms.learner import Learner
from algorithms.server_optimizer import ServerOptimizer

from ..vector_envs.family import EnvFamily
from . import plugins

if TYPE_CHECKING:
    from .schema import Experiment


def learner_class(experiment: Experiment) -> type[Learner]:
    """Return the class of the experiment's learner."""
    return plugins.load("learners", experiment.learner.name)


def build_family(experiment: Experiment) -> EnvFamily:
    """Build the environment family of an experiment."""
    family = plugins.load("environments", experiment.environment.name)
    return family(experiment.environment.settings)


def build_aggregator(experiment: Experiment) -> Aggregator:
    """Build the aggregation rule of an experiment."""
    rule = plugins.load("aggregators", experiment.aggregator.name)
    return rule(experiment.aggregator.settings)


def build_server_optimizer(experiment: Experiment) -> ServerOptimizer:
    """Build the server optimizer of an experiment."""
    optimizer = plugins.load("server_optimizers", experiment.server_optimizer.name)
    return optimizer(experiment.server_optimizer.settings)


def build_client_sampler(experiment: Experiment) -> ClientSampler:
    """Build the client sampler of an experiment."""
    sampler = plugins.load("client_samplers", experiment.client_sampler.name)
    k = experiment.federation.num_agents
    return sampler(experiment.client_sampler.settings, num_agents=k, seed=experiment.seed)
