"""The sweep's own callback to Tune: it keeps trials.json and shows the progress."""

from __future__ import annotations

import time
from collections.abc import Set
from pathlib import Path
from typing import Any

from ray import tune
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..common.console import notes
from ..config.sweep import SweepConfig
from ..ray_cluster import cluster
from . import directory
from .directory import Ledger, Status, Trial
from .points import trial_name
from .search import seed_of


def name_of(listed: list[str], trial: Any) -> str:
    """Return the name of one of Tune's trials.

    A listed trial is found by its number. A searcher's trial is named after the number of its
    suggestion and its keys, so a resumed sweep finds its directory again.
    """
    if listed:
        return listed[int(trial.trial_id.rsplit("_", 1)[-1])]
    number = int(trial.experiment_tag.split("_")[0]) - 1  # Tune counts from 1
    return trial_name(f"{number:05d}", trial.config["trial"]["point"], seed_of(trial.config))


PATIENCE_SECONDS = 15.0
"""Seconds without a running trial after which the user is told why."""


class Watch(tune.Callback):
    """Callback that Tune calls at every event of a trial.

    Tune pickles it, so its pickle leaves out the progress bar and the ledger.
    """

    _explained: Set[str] = frozenset()
    """Reasons whose traceback was printed: many trials may fail for the same reason."""

    def __init__(
        self, folder: Path, sweep: SweepConfig, *, expected: int, steps: int, show: bool
    ) -> None:
        self._folder, self._metric, self._show = folder, sweep.metric, show
        self._max_failures = sweep.max_failures
        self._expected, self._steps = expected, steps
        self._progress: dict[str, float] = {}
        self._idle_since = time.monotonic()
        self._ledger: Ledger | None = None
        self._bar: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_bar": None, "_ledger": None}

    def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:
        """Say that no trial runs if the cluster has been too busy for `PATIENCE_SECONDS`."""
        if any(trial.status == "RUNNING" for trial in trials) or not trials:
            self._idle_since = time.monotonic()
        elif time.monotonic() - self._idle_since > PATIENCE_SECONDS:
            self._idle_since = time.monotonic()
            self._say(f"the cluster has no room for a trial yet: {cluster.occupancy()}")

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Record the trial as running."""
        trial.max_failures = self._max_failures
        self._note(trial, "running")

    def on_trial_result(
        self, iteration: int, trials: Any, trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Show the progress. Forbid Tune to retry a trial that raised an exception."""
        if result.get("failing"):
            trial.max_failures = 0  # an exception would come again; only a death deserves a retry
        self._note(trial, "running")
        self._progress[str(trial)] = min(1.0, result["steps"] / self._steps)
        self._draw()

    def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Record the trial as completed or stopped, and print its metric."""
        whole = bool(trial.last_result.get("done")) and self._spent(trial)
        self._note(trial, "completed" if whole else "stopped")
        value = trial.last_result.get(self._metric, float("nan"))
        how = "" if whole else f" (stopped after {trial.last_result.get('steps', 0):,} steps)"
        self._say(f"{trial}: {self._metric} {value:.2f}{how}")
        self._progress[str(trial)] = 1.0
        self._draw()

    def on_trial_error(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Record the trial as failed, and print the reason and a traceback not seen before."""
        failure = directory.read_failure(self._folder / "trials" / str(trial))
        reason = failure["reason"] if failure else _tunes_reason(trial)
        self._note(trial, "failed", reason)
        self._say(f"{trial}: failed: {reason}", style="yellow")
        if failure and "traceback" in failure and reason not in self._explained:
            self._explained = {*self._explained, reason}
            self._say(failure["traceback"].strip(), style="yellow")
        self._progress[str(trial)] = 1.0
        self._draw()

    def on_experiment_end(self, trials: Any, **info: Any) -> None:
        """Stop the progress bar."""
        if self._bar is not None:
            self._bar.stop()

    def _spent(self, trial: Any) -> bool:
        return int(trial.last_result.get("steps", 0)) >= self._steps

    def _note(self, trial: Any, status: Status, reason: str | None = None) -> None:
        if self._ledger is None:
            self._ledger = Ledger(self._folder)
        config = trial.config
        new = Trial(str(trial), config["trial"]["point"], seed_of(config), status, reason)
        if self._ledger.trials.get(new.name) != new:
            self._ledger.put(new)

    def _say(self, text: str, **style: Any) -> None:
        if self._show or style:
            notes.print(text, soft_wrap=True, **style)

    def _draw(self) -> None:
        """Draw a progress bar over the budget of all trials."""
        if not (self._show and notes.is_terminal):
            return
        if self._bar is None:
            self._bar = _bar(self._expected)
            self._bar.start()
        done = sum(self._progress.values())
        running = sum(0 < p < 1 for p in self._progress.values())
        self._bar.update(0, completed=done, text=f"{int(done)} done, {running} running")


def _bar(expected: int) -> Progress:
    bar = Progress(
        TextColumn("sweep", markup=False),
        BarColumn(),
        TextColumn("{task.percentage:.0f}%  {task.fields[text]}", markup=False),
        TimeRemainingColumn(),
        console=notes,
    )
    bar.add_task("sweep", total=expected, text="", start=True)
    return bar


def _tunes_reason(trial: Any) -> str:
    """Return Tune's reason for a failure that the trial itself could not record."""
    error = trial.get_error()
    lines = str(error).strip().splitlines() if error else []
    return lines[-1][:300] if lines else "its process died"
