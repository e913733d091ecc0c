"""Rules that span several sections of an experiment. Each refuses with one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from algorithms.types import Spec

from ..common.errors import UserError
from . import plugins
from .build import build_family, learner_class

if TYPE_CHECKING:
    from ..vector_envs.family import EnvFamily
    from .schema import Experiment


def check_experiment(experiment: Experiment) -> None:
    """Raise UserError for the first rule that the experiment breaks."""
    _budget(experiment)
    _agents(experiment)
    _learns(experiment)
    _quorum(experiment)
    _resources(experiment)
    _gpu(experiment)
    family = build_family(experiment)
    _learner(experiment, family.spec)
    _perturbations(experiment, family)


def _budget(experiment: Experiment) -> None:
    f = experiment.federation
    if f.steps % experiment.round_steps:
        unit = experiment.round_steps // f.sync_interval
        counted = f" ({experiment.round_steps} local steps)" if unit > 1 else ""
        raise UserError(
            f"federation.sync_interval: must divide federation.steps ({f.steps}); "
            f"got {f.sync_interval}{counted}"
        )


def _agents(experiment: Experiment) -> None:
    """Check the keys that hold one value per agent."""
    k, sampler = experiment.federation.num_agents, experiment.client_sampler
    listed = experiment.environment.settings.num_agents()
    if listed not in (None, k):
        raise UserError(
            f"federation.num_agents: must be {listed}, the length of environment.agents, or be "
            f"left out; got {k}"
        )
    try:
        experiment.learner.settings.require_agents(k)
    except ValueError as error:
        raise UserError(f"learner.{error}") from None
    try:
        plugins.load("client_samplers", sampler.name).check(sampler.settings, k)
    except ValueError as error:
        raise UserError(f"client_sampler.{error}") from None


def _learns(experiment: Experiment) -> None:
    settings, f = experiment.learner.settings, experiment.federation
    starts = settings.steps_before_learning()
    if starts >= f.steps:
        raise UserError(
            f"learner.learning_starts: must be below federation.steps ({f.steps}), "
            f"or nothing is ever learnt; got {starts}"
        )
    if settings.forgets_on_sync() and starts >= f.sync_interval:
        raise UserError(
            f"learner.learning_starts: must be below federation.sync_interval ({f.sync_interval}) "
            f"with reset_on_sync, or nothing is ever learnt; got {starts}"
        )


def _quorum(experiment: Experiment) -> None:
    f = experiment.federation
    if f.min_agents > f.num_agents:
        raise UserError(
            f"federation.min_agents: must be at most num_agents ({f.num_agents}); "
            f"got {f.min_agents}"
        )


def _resources(experiment: Experiment) -> None:
    """Check that needs of single agents name agents that exist."""
    k = experiment.federation.num_agents
    for agent in experiment.resources.agents:
        if not (agent.isascii() and agent.isdecimal() and int(agent) < k):
            raise UserError(
                f"resources.agents: must name agents by their ids, 0 to {k - 1}; got {agent!r}"
            )


def _gpu(experiment: Experiment) -> None:
    """Check that every worker asks Ray for the GPU that it uses: Ray hides all others."""
    f = experiment.federation
    if experiment.learner.settings.network_device() != "cuda" or f.backend == "in_process":
        return
    for agent in range(f.num_agents):
        if not experiment.resources.of(agent).gpu:
            raise UserError(
                "resources.gpu: must be above 0 for every agent with learner.device cuda; "
                f"got {experiment.resources.of(agent).gpu or 0:g} for agent {agent}"
            )


def _learner(experiment: Experiment, spec: Spec) -> None:
    learner, name = learner_class(experiment), experiment.learner.name
    if spec.kind not in learner.spec_kinds:
        raise UserError(
            f"learner.name: {name} learns on {' or '.join(learner.spec_kinds)} "
            f"environments, but {experiment.environment.name} is {spec.kind}"
        )
    try:
        learner.check(experiment.learner.settings, spec, experiment.federation.sync_interval)
    except ValueError as error:
        raise UserError(f"learner.{error}") from None


def _perturbations(experiment: Experiment, family: EnvFamily) -> None:
    training = experiment.environment.settings.perturb
    family.ranges(training)
    k = experiment.federation.num_agents
    for name, value in training.items():
        if isinstance(value, tuple) and len(value) != k:
            raise UserError(
                f"environment.perturb.{name}: must hold one value per agent ({k}); got {len(value)}"
            )
    if experiment.evaluation.environments is not None:
        family.named_grid(experiment.evaluation.environments)
        return
    own = experiment.evaluation.perturb is not None
    key = "evaluation.perturb" if own else "environment.perturb"
    family.ranges(experiment.test_perturb, key=key)
    if experiment.evaluation.where == "driver":
        family.check_grid(experiment.test_perturb, size=experiment.evaluation.grid, key=key)
