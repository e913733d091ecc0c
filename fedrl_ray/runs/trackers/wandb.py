"""A run in Weights & Biases."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...common.errors import UserError
from ...config.schema import Experiment
from ..tracker import Outcome, TrackedRound, Tracker

_NO_ACCOUNT = ("offline", "dryrun", "disabled")
"""Values of WANDB_MODE that need no account."""
_INIT_SECONDS = 30
"""Seconds in which the server must answer a new run."""


def require_account() -> None:
    """Raise UserError if nobody is logged in: W&B would ask at the terminal."""
    if os.environ.get("WANDB_MODE") in _NO_ACCOUNT:
        return
    import wandb

    wandb.setup(wandb.Settings(silent=True))
    if not wandb.login(prompt=False, verify=False):
        raise UserError(
            "trackers: wandb has no account here; set WANDB_API_KEY, or WANDB_MODE=offline"
        )


class WandbTracker(Tracker):
    """Logs to the project WANDB_PROJECT; if it is not set, to one with the experiment's name.

    With WANDB_MODE=offline it writes below the run directory, for `wandb sync`. After a kill W&B
    may lack the newest rows, so a resumed run sends all; W&B ignores rows of steps that it has.
    """

    idempotent = True

    def __init__(self, experiment: Experiment, folder: Path, id: str | None) -> None:
        self._experiment, self._folder, self.id = experiment, folder.absolute(), id
        self._run: Any = None

    def open(self) -> None:
        """Begin a run under an id of our own, so that it is known even if W&B does not answer."""
        import wandb

        self.id = self.id or uuid.uuid4().hex[:8]
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", self._experiment.name),
            name=self._folder.name,
            id=self.id,
            resume="allow",
            dir=str(self._folder),
            config=self._experiment.to_dict(),
            settings=wandb.Settings(
                silent=True, console="off", symlink=False, init_timeout=_INIT_SECONDS
            ),
        )
        self._run.define_metric("steps")
        self._run.define_metric("*", step_metric="steps")

    def log(self, rounds: Sequence[TrackedRound]) -> None:
        """Send each round as a row, whose W&B step is the round; the x axis is `steps`."""
        for one in rounds:
            self._run.log({"steps": one.steps, **one.values}, step=one.round)

    def finish(self, outcome: Outcome) -> None:
        """Send final returns and the report, and wait until W&B has taken all."""
        import wandb

        self._run.summary.update(outcome.values | {"status": outcome.status})
        if outcome.report is not None:
            artifact = wandb.Artifact(f"report-{self.id}", type="report")
            artifact.add_file(str(outcome.report))
            self._run.log_artifact(artifact)
        self._run.finish(exit_code=1 if outcome.status == "failed" else 0)
