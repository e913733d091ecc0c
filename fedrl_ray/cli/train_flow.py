"""The flow of `fedrl-ray train`: progress, interruption, and the report at the end."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from ..backends.plan import Plan, make_plan
from ..common import signals
from ..common.console import console, notes
from ..common.errors import UserError
from ..common.exits import stop_at_once
from ..common.json_values import nan_as_null
from ..config.schema import Experiment
from ..runs import run_directory
from ..runs.default_output import RUNS, claimed_output, latest_output
from ..runs.tracking import Tracking, require_trackers
from ..runs.training_run import TrainingRun
from ..storage import locations
from ..storage.local_mirror import LocalMirror
from ..storage.locations import Location
from .progress import BarView, ProgressView, SilentView, print_evaluation

REPORT = "report.html"


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Arguments of `fedrl-ray train` besides the experiment."""

    output: Location | None
    resume: bool
    restartable: bool
    """True: resume the run if the output holds one, begin otherwise."""
    any_profile: bool
    progress: bool
    as_json: bool
    command: list[str]
    """Words of the command, for the hint that says how to go on."""


class _Interrupt:
    """A handler that stores a signal until the round is over; a second signal exits at once."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            stop_at_once(number, frame)
        self.number = number
        notes.print("\nstopping after this round, to write a checkpoint (again: stop at once)")


def train_run(experiment: Experiment, options: TrainOptions) -> int:
    """Train to the end or to an interruption. Return the exit status."""
    require_trackers(experiment)
    plan = make_plan(experiment)  # a refusal comes in seconds, before any process is started
    experiment = plan.settle(experiment)
    with _location(experiment, options) as location:
        return _train(experiment, location, plan, options)


def _train(experiment: Experiment, location: Location, plan: Plan, options: TrainOptions) -> int:
    run = _open(experiment, location, plan, options)
    tracking = Tracking(experiment, location)
    try:
        tracking.start()
        with _interruptible() as interrupt:
            _rounds(run, experiment, options, interrupt, tracking)
            summary = run.finish()
    except BaseException:
        run.close(at_once=True)
        tracking.fail()
        raise
    run.close()
    with _report(location, wanted=not options.as_json or bool(experiment.trackers)) as page:
        tracking.finish(summary, page)
    return _announce(summary, location, options, interrupt)


def _location(
    experiment: Experiment, options: TrainOptions
) -> AbstractContextManager[Location, bool | None]:
    if options.output is not None:
        return nullcontext(_within_reach(options.output))
    if options.restartable:
        return nullcontext(RUNS / experiment.name)
    if options.resume:
        return nullcontext(latest_output(experiment.name, run_directory.CONFIG))
    return claimed_output(experiment.name)


def _within_reach(output: Location) -> Location:
    """Return the output. Raise UserError for a URI without a folder, or one out of reach."""
    if isinstance(output, str):
        if not locations.name_of(output):
            raise UserError(f"--output: must name a folder in the bucket; got {output!r}")
        locations.filesystem(output, "--output")
    return output


def _open(
    experiment: Experiment, location: Location, plan: Plan, options: TrainOptions
) -> TrainingRun:
    """Open the run: in an actor of its own under Ray, otherwise in this process."""
    there = options.restartable and locations.exists(
        locations.child(location, run_directory.CONFIG)
    )
    resume, any_profile = options.resume or there, options.any_profile
    run: TrainingRun
    if plan.backend == "ray":
        from ..runs.remote_run import RemoteRun

        run = RemoteRun(
            experiment,
            location,
            plan,
            resume=resume,
            any_profile=any_profile,
            fall_back=options.restartable,
        )
    else:
        from ..runs.run import Run

        run = Run(
            experiment,
            location,
            plan=plan,
            resume=resume,
            any_profile=any_profile,
            fall_back=options.restartable,
        )
    if options.progress:
        _introduce(run, plan)
    return run


def _introduce(run: TrainingRun, plan: Plan) -> None:
    """Print where the agents are, what they need, where results go, and which laws do not hold."""
    notes.print(f"{plan}; run: {run.location}", soft_wrap=True, highlight=False)
    for reason in run.exemptions.values():
        notes.print(reason, style="yellow", soft_wrap=True)


def _rounds(
    run: TrainingRun,
    experiment: Experiment,
    options: TrainOptions,
    stop: _Interrupt,
    tracking: Tracking,
) -> None:
    view: ProgressView = BarView(experiment) if options.progress else SilentView()
    with view:
        while not run.done and not stop.number:
            report = run.advance()
            if report is not None:
                view.show(report)
                tracking.round(report)


@contextmanager
def _interruptible() -> Iterator[_Interrupt]:
    """Let Ctrl-C, SIGTERM and SIGHUP stop the run between rounds, while the context lasts.

    Ray sets handlers too, so ours must be set after Ray has started.
    """
    interrupt = _Interrupt()
    with signals.handled(interrupt, [signal.SIGINT, *signals.ending()]):
        yield interrupt


@contextmanager
def _report(location: Location, *, wanted: bool) -> Iterator[Path | None]:
    """Write the report if it is wanted, and yield its local path; None if there is none."""
    if not wanted:
        yield None
        return
    from ..reports.page import write_report

    copy = LocalMirror(location)
    page: Path | None = None
    try:
        page = write_report([copy.directory], copy.directory / REPORT)
    except UserError as error:  # the run is complete even without a report
        notes.print(f"no report: {error}", soft_wrap=True, markup=False)
    copy.publish()
    yield page
    copy.close()


def _announce(
    summary: dict[str, Any], location: Location, options: TrainOptions, interrupt: _Interrupt
) -> int:
    if options.as_json:
        console.print_json(json.dumps(nan_as_null(summary)), indent=None)
        return 128 + interrupt.number if interrupt.number else 0
    if summary["evaluation"]:
        print_evaluation(summary["evaluation"])
    console.print(f"digest   {summary['digest']}", soft_wrap=True)
    console.print(f"report   {locations.child(location, REPORT)}", soft_wrap=True)
    if summary["status"] == "completed":
        return 0
    console.print(
        f"stopped after round {summary['rounds']}; to go on: "
        + shlex.join([*options.command, "--output", str(location), "--resume"]),
        soft_wrap=True,
    )
    return 128 + interrupt.number
