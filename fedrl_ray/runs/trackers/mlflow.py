"""A run in MLflow, through its client."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...config.schema import Experiment
from ..tracker import Outcome, TrackedRound, Tracker, flat

DATABASE, ARTIFACTS = "mlflow.db", "mlflow-artifacts"
_MOST_METRICS, _MOST_PARAMS = 1000, 100  # of one call of log_batch
_MOST_CHARACTERS = 500  # of a parameter's value, in every version of MLflow
_STATUS = {"completed": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


class MlflowTracker(Tracker):
    """Logs to MLFLOW_TRACKING_URI; if it is not set, to a database in the run directory.

    The experiment's name is MLFLOW_EXPERIMENT_NAME, or the name of the experiment.
    """

    def __init__(self, experiment: Experiment, folder: Path, id: str | None) -> None:
        self._experiment, self._folder, self.id = experiment, folder.absolute(), id
        self._client: Any = None

    def open(self) -> None:
        """Begin a run, or set the run to RUNNING again."""
        # the default of 7 keeps a server that does not answer for minutes
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
        import mlflow
        from mlflow.entities import Param

        remote = mlflow.is_tracking_uri_set()
        uri = None if remote else f"sqlite:///{self._folder / DATABASE}"
        if not remote:
            _silence_database()
        self._client = mlflow.MlflowClient(tracking_uri=uri)
        if self.id is not None:
            self._client.update_run(self.id, status="RUNNING")
            return
        created = self._client.create_run(
            self._experiment_id(remote=remote), run_name=self._folder.name
        )
        self.id = str(created.info.run_id)
        keys = flat(self._experiment.to_dict())
        params = [Param(key, str(value)[:_MOST_CHARACTERS]) for key, value in keys.items()]
        for part in _parts(params, _MOST_PARAMS):
            self._client.log_batch(self.id, params=part)

    def _experiment_id(self, *, remote: bool) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", self._experiment.name)
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        # with a database MLflow would put artifacts into the working directory
        place = None if remote else (self._folder / ARTIFACTS).as_uri()
        return str(self._client.create_experiment(name, artifact_location=place))

    def log(self, rounds: Sequence[TrackedRound]) -> None:
        """Send the metrics of many rounds in few calls."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(key, value, now, one.steps)
            for one in rounds
            for key, value in one.values.items()
        ]
        for part in _parts(metrics, _MOST_METRICS):
            self._client.log_batch(self.id, metrics=part)

    def finish(self, outcome: Outcome) -> None:
        """Send final returns and the report, and set the run's status."""
        for key, value in outcome.values.items():
            self._client.log_metric(self.id, key, value)
        self._client.set_tag(self.id, "status", outcome.status)
        if outcome.report is not None:
            self._client.log_artifact(self.id, str(outcome.report))
        self._client.set_terminated(self.id, status=_STATUS[outcome.status])


def _silence_database() -> None:
    """Silence the modules that tell of every new table; one sets its own level when imported."""
    import mlflow.store.db.utils

    for name in ("alembic", mlflow.store.db.utils.__name__):
        logging.getLogger(name).setLevel(logging.WARNING)


def _parts(items: Sequence[Any], most: int) -> list[list[Any]]:
    return [list(items[i : i + most]) for i in range(0, len(items), most)]
