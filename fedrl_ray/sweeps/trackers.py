"""MLflow and Weights & Biases, through the callbacks of Ray Tune."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..config.schema import Experiment
from ..runs.tracker import require_packages


def callbacks(experiment: Experiment, folder: Path) -> list[Any]:
    """Return one callback per tracker. Raise UserError if a package is missing."""
    require_packages(experiment.trackers)
    builders = {"mlflow": _mlflow, "wandb": _wandb}
    return [builders[name](experiment, folder) for name in experiment.trackers]


def _mlflow(experiment: Experiment, folder: Path) -> Any:
    """Log to MLFLOW_TRACKING_URI; if it is not set, to a database in the sweep directory."""
    import mlflow
    from ray.tune.logger.mlflow import MLflowLoggerCallback  # type: ignore[attr-defined]

    uri = None if mlflow.is_tracking_uri_set() else f"sqlite:///{folder / 'mlflow.db'}"
    return MLflowLoggerCallback(tracking_uri=uri, experiment_name=experiment.name)


def _wandb(experiment: Experiment, folder: Path) -> Any:
    """Log to the project WANDB_PROJECT; if it is not set, to one with the experiment's name.

    WANDB_MODE=offline works too.
    """
    import os

    from ray.tune.logger.wandb import WandbLoggerCallback  # type: ignore[attr-defined]

    project = os.environ.get("WANDB_PROJECT", experiment.name)
    return WandbLoggerCallback(project=project, group=folder.name, dir=str(folder))
