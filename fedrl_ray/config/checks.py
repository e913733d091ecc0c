"""Rules that span several sections of an experiment. Each refuses with one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..common.errors import UserError
from ..vector_envs.family import EnvFamily
from . import plugins

if TYPE_CHECKING:
    from .schema import Experiment


def check_experiment(experiment: Experiment) -> None:
    """Raises UserError for the first rule broken."""
    _budget(experiment)
    _per_agent_omega(experiment)
    _learns(experiment)
    _quorum(experiment)
    check_resources(experiment)
    check_gpu(experiment)
    _environment(experiment, build_family(experiment))


def build_family(experiment: Experiment) -> EnvFamily:
    """The environment family of an experiment."""
    cls = plugins.load("environments", experiment.environment.name)
    family: EnvFamily = cls(experiment.environment.settings)
    return family


def _budget(experiment: Experiment) -> None:
    f = experiment.federation
    if f.steps % experiment.round_steps:
        unit = experiment.round_steps // f.sync_interval
        counted = f" ({experiment.round_steps} local steps)" if unit > 1 else ""
        raise UserError(
            f"federation.sync_interval must divide federation.steps ({f.steps}), "
            f"got {f.sync_interval}{counted}"
        )


def _per_agent_omega(experiment: Experiment) -> None:
    omega, k = getattr(experiment.learner.settings, "omega", 0.0), experiment.federation.num_agents
    if isinstance(omega, tuple) and len(omega) != k:
        raise UserError(f"learner.omega must be one number or {k}, one per agent, got {len(omega)}")


def _learns(experiment: Experiment) -> None:
    settings, f = experiment.learner.settings, experiment.federation
    starts = getattr(settings, "learning_starts", 0)
    if starts >= f.steps:
        raise UserError(
            f"learner.learning_starts must be below federation.steps ({f.steps}), "
            f"or nothing is ever learnt, got {starts}"
        )
    if getattr(settings, "reset_on_sync", False) and starts >= f.sync_interval:
        raise UserError(
            f"learner.learning_starts must be below federation.sync_interval ({f.sync_interval}) "
            f"with reset_on_sync, or nothing is ever learnt, got {starts}"
        )


def _quorum(experiment: Experiment) -> None:
    f = experiment.federation
    if f.min_agents > f.num_agents:
        raise UserError(
            f"federation.min_agents must be at most num_agents ({f.num_agents}), got {f.min_agents}"
        )


def _environment(experiment: Experiment, family: EnvFamily) -> None:
    learner = plugins.load("learners", experiment.learner.name)
    if family.spec.kind not in learner.spec_kinds:
        raise UserError(
            f"learner.name: {experiment.learner.name} learns on {' or '.join(learner.spec_kinds)} "
            f"environments, but {experiment.environment.name} is {family.spec.kind}"
        )
    if hasattr(learner, "check"):
        f = experiment.federation
        learner.check(experiment.learner.settings, family.spec, f.sync_interval)
    _perturbations(experiment, family)


def _perturbations(experiment: Experiment, family: EnvFamily) -> None:
    training: dict[str, Any] = experiment.environment.settings.perturb
    family.ranges(training)
    k = experiment.federation.num_agents
    for name, value in training.items():
        if isinstance(value, tuple) and len(value) != k:
            raise UserError(
                f"environment.perturb.{name} must hold one value per agent ({k}), got {len(value)}"
            )
    own = experiment.evaluation.perturb is not None
    key = "evaluation.perturb" if own else "environment.perturb"
    family.ranges(experiment.test_perturb, key=key)
    if experiment.evaluation.where == "driver":
        family.check_grid(experiment.test_perturb, size=experiment.evaluation.grid, key=key)


def check_resources(experiment: Experiment) -> None:
    """Raises UserError for needs of an agent that there is not."""
    k = experiment.federation.num_agents
    for agent in experiment.resources.agents:
        if not (agent.isascii() and agent.isdecimal() and int(agent) < k):
            raise UserError(
                f"resources.agents must name agents by their ids, 0 to {k - 1}, got {agent!r}"
            )


def check_gpu(experiment: Experiment) -> None:
    """Raises UserError where an actor is to use a GPU that it does not ask for: Ray hides them."""
    f = experiment.federation
    if getattr(experiment.learner.settings, "device", "cpu") != "cuda" or f.backend == "in_process":
        return
    for agent in range(f.num_agents):
        if not experiment.resources.of(agent).gpu:
            raise UserError(
                "learner.device cuda needs resources.gpu above 0 for every agent, "
                f"got {experiment.resources.of(agent).gpu or 0:g} for agent {agent}"
            )
