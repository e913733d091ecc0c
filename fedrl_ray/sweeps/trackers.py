"""MLflow and Weights & Biases, through Ray Tune's own callbacks."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from ..common.errors import UserError
from ..config.schema import Experiment
from ..config.sweep import SweepConfig


def callbacks(sweep: SweepConfig, experiment: Experiment, folder: Path) -> list[Any]:
    """One callback per tracker. Raises UserError where its package is missing."""
    for name in sweep.trackers:
        if importlib.util.find_spec(name) is None:
            raise UserError(f"sweep.trackers: {name} is not installed: pip install {name}")
    builders = {"mlflow": _mlflow, "wandb": _wandb}
    return [builders[name](experiment, folder) for name in sweep.trackers]


def _mlflow(experiment: Experiment, folder: Path) -> Any:
    """Into MLFLOW_TRACKING_URI, or a database in the sweep directory where that is not set."""
    import mlflow
    from ray.tune.logger.mlflow import MLflowLoggerCallback  # type: ignore[attr-defined]

    uri = None if mlflow.is_tracking_uri_set() else f"sqlite:///{folder / 'mlflow.db'}"
    return MLflowLoggerCallback(tracking_uri=uri, experiment_name=experiment.name)


def _wandb(experiment: Experiment, folder: Path) -> Any:
    """Into the project WANDB_PROJECT, or one of the experiment's name; WANDB_MODE=offline works."""
    import os

    from ray.tune.logger.wandb import WandbLoggerCallback  # type: ignore[attr-defined]

    project = os.environ.get("WANDB_PROJECT", experiment.name)
    return WandbLoggerCallback(project=project, group=folder.name, dir=str(folder))
