"""`fedrl-ray evaluate`: score a stored policy, without agents and without Ray."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..agents.evaluation import EvaluationGrid, GridEvaluator, initial_shared
from ..agents.execution_profile import single_thread
from ..agents.messages import Evaluation
from ..common.errors import UserError
from ..config import loading
from ..config.build import build_family
from ..config.schema import Experiment
from ..config.yaml_files import apply_overrides
from ..federation.resume_rules import require_fits
from ..runs import run_directory
from .readers.reading import find, read_policy


def evaluate_command(
    path: Path, config: str | Path | None, overrides: Sequence[str], *, trust_pickle: bool
) -> Evaluation:
    """Score a run, or a policy of any origin on the test grid of an experiment file.

    Raises UserError: the path holds neither, or an option does not apply to it.
    """
    if (path / run_directory.CONFIG).exists():
        if config is not None or trust_pickle:
            option = "--trust-pickle" if config is None else "--config"
            raise UserError(f"{option}: applies to policies of any origin, and {path} is a run")
        return evaluate_run(path, overrides)
    find(path)
    if config is None:
        raise UserError(f"{path}: a policy needs --config, the experiment file with the test grid")
    return evaluate_policy(path, config, overrides, trust_pickle=trust_pickle)


def evaluate_run(run: Path, overrides: Sequence[str]) -> Evaluation:
    """Score the newest checkpoint of a run on its test grid, after the overrides.

    Raises UserError: an override changes more than the test grid, or the run has no such grid.
    """
    single_thread()
    experiment = tested_experiment(run, overrides)
    path, _, shared = run_directory.read_policy(lambda: run_directory.newest_checkpoint(run))
    family = build_family(experiment)
    require_fits(path, shared, initial_shared(experiment, family))
    return GridEvaluator(experiment, family)(shared)


def tested_experiment(run: Path, overrides: Sequence[str]) -> Experiment:
    """Return the experiment of a run, with the overrides of its test grid.

    Raises UserError: an override changes more than the test grid, or the run has no such grid.
    """
    allowed = ("evaluation", "environment.perturb")
    _require_settable(overrides, allowed, "the policy is already trained")
    data = apply_overrides(run_directory.read_experiment(run).to_dict(), overrides)
    experiment = loading.from_dict(data, source=str(run))
    _require_grid(experiment, str(run))
    return experiment


def evaluate_policy(
    path: Path, config: str | Path, overrides: Sequence[str], *, trust_pickle: bool
) -> Evaluation:
    """Score a policy of any origin on the test grid of an experiment file.

    Raises UserError: the policy does not fit the environment, or the file has no test grid.
    """
    single_thread()
    _require_settable(overrides, ("evaluation", "environment"), "nothing is trained here")
    experiment = loading.load(config, overrides)
    _require_grid(experiment, str(config))
    family = build_family(experiment)
    act = read_policy(path, family.spec, family.actions, trust_pickle=trust_pickle)
    return EvaluationGrid(experiment, family).evaluate(act)


def _require_settable(overrides: Sequence[str], allowed: Sequence[str], why: str) -> None:
    for override in overrides:
        key = override.partition("=")[0].strip()
        if not any(key == known or key.startswith(f"{known}.") for known in allowed):
            raise UserError(f"--set {key}: {why}; only {' and '.join(allowed)} can be set")


def _require_grid(experiment: Experiment, source: str) -> None:
    if experiment.evaluation.where != "driver":
        raise UserError(
            f"{source}: evaluation.where: must be driver; got {experiment.evaluation.where!r}; "
            "--set evaluation.where=driver evaluates in the family's simulator"
        )
