"""Scoring a stored policy; needs no agents and no Ray."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from . import checkpoints, config, run_directory
from .config_checks import build_family
from .config_files import apply_overrides
from .errors import UserError
from .evaluation import GridEvaluator
from .messages import Evaluation
from .profile import single_thread


def evaluate_run(run: Path, overrides: Sequence[str]) -> Evaluation:
    """The newest checkpoint of a run on the test grid, overrides applied. Raises UserError."""
    single_thread()
    stored = run_directory.read_experiment(run)
    data = apply_overrides(stored.to_dict(), overrides)
    experiment = config.from_dict(data, source=str(run))
    if experiment.evaluation.where != "driver":
        raise UserError(
            f"{run}: evaluation.where is {experiment.evaluation.where!r}, so the dynamics of a "
            "test grid are unknown; --set evaluation.where=driver uses the family's simulator"
        )
    path = run_directory.newest_checkpoint(run)
    server = checkpoints.read_server(path, checkpoints.verify(path))
    if experiment.learner != stored.learner:
        raise UserError(f"{run}: learner cannot be overridden, the policy is trained already")
    return GridEvaluator(experiment, build_family(experiment))(server.shared)
