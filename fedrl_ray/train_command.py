"""`fedrl-ray train`: progress, interruption, the report at the end."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from . import run_directory
from .config import Experiment
from .terminal import BarView, ProgressView, SilentView, console, notes, print_evaluation


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What the command line asked for besides the experiment."""

    output: Path | None
    resume: bool
    any_profile: bool
    progress: bool
    as_json: bool
    command: list[str]
    """How it was called, for the hint that says how to go on."""


class _Interrupt:
    """Remembers a signal until the round is over; a second one ends at once."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            raise SystemExit(128 + number)
        self.number = number
        notes.print("\nstopping after this round, to write a checkpoint (again: stop at once)")


def train_run(experiment: Experiment, options: TrainOptions) -> int:
    """Train to the end or to an interruption; the exit status."""
    directory = _directory(experiment, options)
    run = _open(experiment, directory, options)
    try:
        with _interruptible() as interrupt:
            _rounds(run, experiment, options, interrupt)
            summary = run.finish()
    except BaseException:
        run.close(at_once=True)
        raise
    run.close()
    if not options.as_json:
        _write_report(directory)
    return _announce(summary, directory, options, interrupt)


def _directory(experiment: Experiment, options: TrainOptions) -> Path:
    if options.output is not None:
        return options.output
    if options.resume:
        return run_directory.latest_output(experiment.name)
    return run_directory.free_output(experiment.name)


def _open(experiment: Experiment, directory: Path, options: TrainOptions) -> Any:
    """The run, in an actor under Ray and in this process otherwise."""
    keys: Any = {"resume": options.resume, "any_profile": options.any_profile}
    if experiment.federation.pool == "ray":
        from .remote_run import RemoteRun

        run: Any = RemoteRun(experiment, directory, **keys)
    else:
        from .run import Run

        run = Run(experiment, directory, **keys)
    if options.progress:
        _introduce(run, experiment, directory)
    return run


def _introduce(run: Any, experiment: Experiment, directory: Path) -> None:
    """Where the agents are, where the results go, and which laws do not hold here."""
    kind = "Ray actors" if experiment.federation.pool == "ray" else "groups in this process"
    text = f"{sum(run.packing)} agents in {len(run.packing)} {kind} {run.packing}; run: {directory}"
    notes.print(text, soft_wrap=True)
    for reason in run.exemptions.values():
        notes.print(reason, style="yellow", soft_wrap=True)


def _rounds(run: Any, experiment: Experiment, options: TrainOptions, stop: _Interrupt) -> None:
    view: ProgressView = BarView(experiment) if options.progress else SilentView()
    with view:
        while not run.done and not stop.number:
            report = run.advance()
            if report is not None:
                view.show(report)


@contextmanager
def _interruptible() -> Iterator[_Interrupt]:
    """Ctrl-C and SIGTERM stop between rounds. Set after Ray has set its own handlers."""
    interrupt = _Interrupt()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, interrupt) for number in numbers]
    try:
        yield interrupt
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _write_report(directory: Path) -> None:
    from .reports.page import write_report

    write_report([directory], directory / "report.html")


def _announce(
    summary: dict[str, Any], directory: Path, options: TrainOptions, interrupt: _Interrupt
) -> int:
    if options.as_json:
        console.print_json(json.dumps(run_directory.plain(summary)), indent=None)
        return 128 + interrupt.number if interrupt.number else 0
    if summary["evaluation"]:
        print_evaluation(summary["evaluation"])
    console.print(f"digest   {summary['digest']}", soft_wrap=True)
    console.print(f"report   {directory / 'report.html'}", soft_wrap=True)
    if summary["status"] == "completed":
        return 0
    console.print(
        f"stopped after round {summary['rounds']}; to go on: "
        + shlex.join([*options.command, "--output", str(directory), "--resume"]),
        soft_wrap=True,
    )
    return 128 + interrupt.number
