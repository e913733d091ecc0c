"""A sweep from its first trial to its last, in a directory that only this program writes."""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.console import notes
from ..common.errors import RunError, UserError
from ..config.schema import Experiment
from ..config.sweep import Pbt, SweepConfig
from ..runs import run_directory
from ..storage import locations
from . import directory
from .directory import Ledger, Trial
from .tuner import backend_of_trials, build_tuner, import_tune, listed_variants
from .validation import require_sweep


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """What the command line asked for besides the experiment."""

    source: str
    """The experiment file, for errors."""
    output: Path | None
    command: list[str]
    """How it was called, for the hint that says how to go on."""
    resume: bool = False
    restartable: bool = False
    """Go on where the output ends, or begin."""
    retry_failed: bool = False
    show: bool = False
    as_json: bool = False


def run_sweep(experiment: Experiment, options: SweepOptions) -> tuple[Path, list[Trial]]:
    """Every trial to its end; the directory and its trials. Raises UserError or RunError."""
    try:
        sweep = require_sweep(experiment)
    except UserError as error:
        raise UserError(f"{options.source}: {error}") from None
    folder = _claim(experiment, sweep, options)
    with directory.locked(folder, patient=options.restartable):
        try:
            _fit(experiment, sweep, folder, options)
        except KeyboardInterrupt:  # before Tune had begun
            notes.print(how_to_go_on(folder, options), soft_wrap=True)
        except Exception as error:  # Tune wraps what goes wrong in its own exceptions
            reason = _disk_error(error)
            if reason is None:
                raise
            raise RunError(f"{folder}: {reason}; {how_to_go_on(folder, options)}") from None
        return folder, directory.read_trials(folder)


def _fit(experiment: Experiment, sweep: SweepConfig, folder: Path, options: SweepOptions) -> None:
    """Tune's part, then what is left to tidy."""
    from ..ray_cluster import cluster  # Ray: not before the section is known to be sound
    from ..ray_cluster.shared_storage import require_shared

    imports = threading.Thread(target=import_tune)  # takes as long as Ray takes to start
    imports.start()
    cluster.connect()
    require_shared(folder)
    imports.join()
    tuner = build_tuner(
        experiment,
        sweep,
        folder,
        resume=options.resume,
        retry_failed=options.retry_failed,
        show=options.show,
    )
    _introduce(sweep, folder, options)
    if options.show:
        _introduce_trial(experiment, sweep)
    before = signal.signal(signal.SIGTERM, _as_interrupt)
    try:
        results = tuner.fit()
    finally:
        signal.signal(signal.SIGTERM, before)
    if sweep.searcher == "optuna":  # what was begun after Tune last wrote its state, then killed
        Ledger(folder).drop_all_but({str(t) for t in results._experiment_analysis.trials})
    if all(t.status in ("completed", "stopped") for t in directory.read_trials(folder)):
        for state in (folder / directory.TUNE).glob("*/checkpoint_*/state"):
            shutil.rmtree(state, ignore_errors=True)  # nobody will take it up any more


_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def _disk_error(error: BaseException | None) -> str | None:
    """What the system said, where a file that could not be written is behind an exception."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK:
            return error.strerror or str(error)
        error = error.__cause__ or error.__context__
    return None


def folder_of(output: str) -> Path:
    """The directory of a sweep from what the user wrote. Raises UserError for a URI."""
    location = locations.parse(output)
    if isinstance(location, Path):
        return location
    raise UserError(
        "--output of a sweep must be a folder that all nodes mount: its trials and Ray Tune write "
        f"there at the same time, got {location}"
    )


def _claim(experiment: Experiment, sweep: SweepConfig, options: SweepOptions) -> Path:
    """The directory, new or resumed, with every trial that is known beforehand in trials.json."""
    name = f"sweep-{experiment.name}"
    if options.retry_failed and not options.resume:
        raise UserError("--retry-failed goes with --resume")
    if options.resume:
        folder = options.output or run_directory.latest_output(name)
        directory.require_same_sweep(folder, experiment, sweep)
        directory.require_own(folder)
        if options.retry_failed:
            _forget_failures(folder)
        return folder
    folder = options.output or run_directory.free_output(name)
    if directory.is_sweep(folder):
        raise UserError(f"--output {folder} already holds a sweep; choose another, or --resume it")
    directory.require_free(folder)
    directory.write_sweep(folder, experiment, sweep)
    listed = listed_variants(experiment, sweep)
    Ledger(folder).put(*[Trial(name, v.point, v.seed) for name, v in listed.items()])
    return folder


def _forget_failures(folder: Path) -> None:
    for trial in directory.read_trials(folder):
        (folder / "trials" / trial.name / directory.FAILURE).unlink(missing_ok=True)


def _introduce(sweep: SweepConfig, folder: Path, options: SweepOptions) -> None:
    if not options.show:
        return
    count = len(directory.read_trials(folder)) or sweep.samples * sweep.seeds
    notes.print(f"{count} trials, {sweep.seeds} seeds a point; sweep: {folder}", soft_wrap=True)
    notes.print(
        f"resuming it reads Ray Tune's pickled state in {folder / directory.TUNE}: keep the folder "
        "to yourself",
        soft_wrap=True,
    )
    if isinstance(sweep.scheduler, Pbt):
        notes.print(
            "pbt: degree networks are built at omega 0 too, so that omega may rise", soft_wrap=True
        )


def _introduce_trial(experiment: Experiment, sweep: SweepConfig) -> None:
    """Where the agents of the file's own experiment are, and what it needs."""
    from ..backends import memory_estimate, placement
    from ..ray_cluster import cluster

    backend, sizes = backend_of_trials(sweep), [experiment.federation.num_agents]
    if backend == "ray":
        sizes = [len(group) for group in placement.plan(experiment, cluster.capacity())[0]]
    where = placement.packing_words(sizes, backend)
    needed = memory_estimate.estimate(experiment, len(sizes) if backend == "ray" else 0)
    notes.print(f"a trial: {where}; {needed}", soft_wrap=True, highlight=False)


def how_to_go_on(folder: Path, options: SweepOptions) -> str:
    """Return the hint that names the command which resumes a sweep."""
    command = [*options.command, "--output", str(folder), "--resume"]
    return f"to go on: {shlex.join(command)}"


def _as_interrupt(number: int, frame: Any) -> None:
    """SIGTERM ends a sweep as Ctrl-C does: Tune writes its state, trials their checkpoints."""
    os.kill(os.getpid(), signal.SIGINT)
