"""Rules that span several sections of an experiment. Each refuses with one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import plugins
from .errors import UserError
from .resources import check_gpu, check_resources
from .stacks.family import EnvFamily

if TYPE_CHECKING:
    from .config import Experiment


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
