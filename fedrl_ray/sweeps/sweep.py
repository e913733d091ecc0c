"""A whole sweep, from the first trial to the last, in a directory that one program writes."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common import signals
from ..common.console import notes
from ..common.errors import RunError, UserError
from ..config.schema import Experiment
from ..config.sweep import Pbt, SweepConfig
from ..runs.default_output import claimed_output, latest_output
from ..storage import locations
from . import directory
from .directory import Ledger, Trial
from .points import Variant
from .resume import (
    DISK,
    clear_tunes_state,
    forget_failures,
    is_done,
    left_variants,
    listed_variants,
)
from .tuner import backend_of_trials, build_tuner, import_tune
from .validation import require_sweep


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """Arguments of `fedrl-ray sweep` besides the experiment."""

    source: str
    """Path of the experiment file, for errors."""
    output: Path | None
    command: list[str]
    """Words of the command, for the hint that says how to go on."""
    resume: bool = False
    restartable: bool = False
    """True: resume the sweep if the output holds it, begin otherwise."""
    retry_failed: bool = False
    show: bool = False
    as_json: bool = False


def run_sweep(experiment: Experiment, options: SweepOptions) -> tuple[Path, list[Trial]]:
    """Run every trial to its end. Return the directory and the trials.

    Raise UserError for a mistake in the section `sweep`, the output or the options; RunError if
    the directory cannot be written.
    """
    try:
        sweep = require_sweep(experiment)
    except UserError as error:
        raise UserError(f"{options.source}: {error}") from None
    with _output(experiment, sweep, options) as folder:
        return folder, _run_in(folder, experiment, sweep, options)


def _run_in(
    folder: Path, experiment: Experiment, sweep: SweepConfig, options: SweepOptions
) -> list[Trial]:
    with directory.locked(folder, patient=options.restartable):
        try:
            _fit(experiment, sweep, folder, options)
        except KeyboardInterrupt:  # before Tune had begun
            notes.print(how_to_go_on(folder, options), soft_wrap=True)
        except Exception as error:  # Tune wraps errors of the disk in its own exceptions
            reason = _disk_error(error)
            if reason is None:
                raise
            raise RunError(f"{folder}: {reason}; {how_to_go_on(folder, options)}") from None
        return directory.read_trials(folder)


def _fit(experiment: Experiment, sweep: SweepConfig, folder: Path, options: SweepOptions) -> None:
    """Let Tune run the trials, then delete what nobody needs any more."""
    listed = listed_variants(experiment, sweep)
    if options.resume:
        again = options.retry_failed
        if is_done(experiment, sweep, folder, retry_failed=again):
            return
        listed = left_variants(experiment, sweep, folder, retry_failed=again)
        forget_failures(folder, retry_failed=again)
        clear_tunes_state(sweep, folder, listed)
    _run_trials(experiment, sweep, folder, listed, options)
    if all(t.status in ("completed", "stopped") for t in directory.read_trials(folder)):
        for state in (folder / directory.TUNE).glob("*/checkpoint_*/state"):
            shutil.rmtree(state, ignore_errors=True)  # no trial will take it over any more


def _run_trials(
    experiment: Experiment,
    sweep: SweepConfig,
    folder: Path,
    listed: dict[str, Variant],
    options: SweepOptions,
) -> None:
    from ..ray_cluster import cluster  # imports Ray, so only after the section has been checked
    from ..ray_cluster.shared_storage import require_shared

    imports = threading.Thread(target=import_tune)  # the import takes as long as Ray's start
    imports.start()
    cluster.connect()
    require_shared(folder)
    imports.join()
    tuner = build_tuner(experiment, sweep, folder, listed, show=options.show)
    _introduce(sweep, folder, options)
    if options.show:
        _introduce_trial(experiment, sweep)
    with signals.handled(_as_interrupt, signals.ending()):
        tuner.fit()


def _disk_error(error: BaseException | None) -> str | None:
    """Return the system's message if an error of the disk is behind an exception, else None."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in DISK:
            return error.strerror or str(error)
        error = error.__cause__ or error.__context__
    return None


def folder_of(output: str) -> Path:
    """Return the directory of a sweep from the text that the user gave.

    Raise UserError for a URI.
    """
    location = locations.parse(output)
    if isinstance(location, Path):
        return location
    raise UserError(
        "--output: must be a folder that every node mounts for a sweep, because trials and Ray "
        f"Tune write there at the same time; got {location}"
    )


@contextmanager
def _output(experiment: Experiment, sweep: SweepConfig, options: SweepOptions) -> Iterator[Path]:
    """Yield the directory, new or resumed, with all known trials in trials.json.

    Raise UserError if the directory is taken or cannot be resumed.
    """
    name = f"sweep-{experiment.name}"
    if options.retry_failed and not options.resume:
        raise UserError("--retry-failed: must be given together with --resume")
    if options.resume:
        folder = options.output or latest_output(name, directory.SWEEP)
        directory.require_same_sweep(folder, experiment, sweep)
        directory.require_no_links(folder)
        yield folder
        return
    with nullcontext(options.output) if options.output else claimed_output(name) as folder:
        _begin(folder, experiment, sweep)
        yield folder


def _begin(folder: Path, experiment: Experiment, sweep: SweepConfig) -> None:
    """Write sweep.yaml and trials.json. Raise UserError if the directory is taken."""
    if directory.is_sweep(folder):
        raise UserError(f"--output {folder} already holds a sweep; choose another, or --resume it")
    directory.require_free(folder)
    directory.write_sweep(folder, experiment, sweep)
    listed = listed_variants(experiment, sweep)
    Ledger(folder).put(*[Trial(name, v.point, v.seed) for name, v in listed.items()])


def _introduce(sweep: SweepConfig, folder: Path, options: SweepOptions) -> None:
    if not options.show:
        return
    count = len(directory.read_trials(folder)) or sweep.samples * sweep.seeds
    notes.print(f"{count} trials, {sweep.seeds} seeds a point; sweep: {folder}", soft_wrap=True)
    if isinstance(sweep.scheduler, Pbt):
        notes.print(
            "pbt: trials with omega 0 have degree networks too, so that omega may rise",
            soft_wrap=True,
        )


def _introduce_trial(experiment: Experiment, sweep: SweepConfig) -> None:
    """Print the placement and the memory of one trial with the keys of the file itself."""
    from ..backends.plan import make_plan
    from ..ray_cluster import cluster

    federation = experiment.federation.model_copy(update={"backend": backend_of_trials(sweep)})
    trial = experiment.model_copy(update={"federation": federation})
    plan = make_plan(trial, cluster.capacity())
    notes.print(f"a trial: {plan}", soft_wrap=True, highlight=False)


def how_to_go_on(folder: Path, options: SweepOptions) -> str:
    """Return the hint that names the command which resumes a sweep."""
    command = [*options.command, "--output", str(folder), "--resume"]
    return f"to go on: {shlex.join(command)}"


def _as_interrupt(number: int, frame: Any) -> None:
    """End a sweep as Ctrl-C does: Tune writes its state, trials their checkpoints."""
    os.kill(os.getpid(), signal.SIGINT)
