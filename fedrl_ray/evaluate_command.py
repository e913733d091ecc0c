"""Scoring a stored policy; needs no agents and no Ray."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import checkpoints, experiments, run_directory
from .config_checks import build_family
from .config_files import apply_overrides
from .errors import UserError
from .evaluation import GridEvaluator, initial_shared
from .messages import Evaluation
from .profile import settle_arithmetic
from .resume_rules import require_fits

_ALLOWED = ("evaluation", "environment.perturb")


def evaluate_run(run: Path, overrides: Sequence[str]) -> Evaluation:
    """The newest checkpoint of a run on the test grid, overrides applied. Raises UserError."""
    settle_arithmetic()
    for override in overrides:
        key = override.partition("=")[0].strip()
        if not any(key == known or key.startswith(f"{known}.") for known in _ALLOWED):
            raise UserError(
                f"--set {key}: the policy is trained already; "
                "only evaluation and environment.perturb can be set"
            )
    data = apply_overrides(run_directory.read_experiment(run).to_dict(), overrides)
    experiment = experiments.from_dict(data, source=str(run))
    if experiment.evaluation.where != "driver":
        raise UserError(
            f"{run}: evaluation.where is {experiment.evaluation.where!r}, so the dynamics of a "
            "test grid are unknown; --set evaluation.where=driver uses the family's simulator"
        )
    path = run_directory.newest_checkpoint(run)
    shared = checkpoints.read_server(path, checkpoints.verify(path)).shared
    family = build_family(experiment)
    require_fits(path, shared, initial_shared(experiment, family))
    return GridEvaluator(experiment, family)(shared)
