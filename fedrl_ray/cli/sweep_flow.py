"""The flow of `fedrl-ray sweep`: run every trial, then write a report that compares the keys."""

from __future__ import annotations

import collections
import json
from dataclasses import replace
from pathlib import Path

from ..common.console import console, notes
from ..common.errors import UserError
from ..config.schema import Experiment
from ..runs.default_output import RUNS
from ..sweeps import directory
from ..sweeps.directory import Trial
from ..sweeps.sweep import SweepOptions, how_to_go_on, run_sweep


def sweep_command(experiment: Experiment, options: SweepOptions) -> int:
    """Run a sweep, write the report and print the outcome. Return the exit status.

    It is 1 if a trial failed, and 130 if trials are left to run.
    """
    options = _settle(experiment, options)
    folder, trials = run_sweep(experiment, options)
    left = [t for t in trials if t.status in ("pending", "running")]
    failed = [t for t in trials if t.status == "failed"]
    if options.as_json:
        rows = [trial._asdict() for trial in trials]
        console.print_json(json.dumps({"sweep": str(folder), "trials": rows}), indent=None)
    else:
        _conclude(folder, trials)
    for trial in failed:
        notes.print(f"failed: {trial.name}: {trial.reason}", style="yellow", soft_wrap=True)
    if left:
        text = f"{len(left)} trials are not done; {how_to_go_on(folder, options)}"
        notes.print(text, soft_wrap=True)
    return 130 if left else min(1, len(failed))


def _settle(experiment: Experiment, options: SweepOptions) -> SweepOptions:
    """Replace `--restartable` by a fixed output, and by `--resume` if it holds a sweep."""
    if not options.restartable:
        return options
    output = options.output or RUNS / f"sweep-{experiment.name}"
    resume = options.resume or directory.is_sweep(output)
    return replace(options, output=output, resume=resume)


def _conclude(folder: Path, trials: list[Trial]) -> None:
    """Print the number of trials by status and write the report, if any trial was evaluated."""
    from ..reports.page import write_report  # plotly takes half a second

    counts = collections.Counter(trial.status for trial in trials)
    console.print(", ".join(f"{n} {status}" for status, n in counts.items()))
    try:
        path = write_report([folder], folder / "report.html")
    except UserError as error:
        notes.print(f"no report: {error}", soft_wrap=True)
    else:
        console.print(f"report   {path}", soft_wrap=True)
