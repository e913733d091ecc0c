"""`fedrl-ray sweep`: from one experiment file to a report that answers which keys to take."""

from __future__ import annotations

import collections
import errno
import functools
import json
import os
import shlex
import shutil
import signal
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import run_directory, storage
from ..config import Experiment
from ..errors import RunError, UserError
from ..terminal import console, notes, results_alone_on_stdout
from . import directory
from .config import Fifo, Pbt, SweepConfig
from .directory import Ledger, Trial
from .points import Variant, check_search, listed_names, related


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


def sweep_command(experiment: Experiment, options: SweepOptions) -> int:
    """Run, report, say how it went; the exit status, 1 where a trial failed."""
    options = _settle(experiment, options)
    with results_alone_on_stdout():
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
        text = f"{len(left)} trials are not done; {_how_to_go_on(folder, options)}"
        notes.print(text, soft_wrap=True)
    return 130 if left else min(1, len(failed))


def _settle(experiment: Experiment, options: SweepOptions) -> SweepOptions:
    """`--restartable` as a fixed output, resumed where a sweep lies there."""
    if not options.restartable:
        return options
    output = options.output or Path("runs") / f"sweep-{experiment.name}"
    resume = options.resume or directory.is_sweep(output)
    return replace(options, output=output, resume=resume)


def _conclude(folder: Path, trials: list[Trial]) -> None:
    """The report and its first sentence; without a trial that was evaluated there is none."""
    from ..reports.page import write_report

    counts = collections.Counter(trial.status for trial in trials)
    console.print(", ".join(f"{n} {status}" for status, n in counts.items()))
    try:
        path = write_report([folder], folder / "report.html")
    except UserError as error:
        notes.print(f"no report: {error}", soft_wrap=True)
    else:
        console.print(f"report   {path}", soft_wrap=True)


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
            notes.print(_how_to_go_on(folder, options), soft_wrap=True)
        except Exception as error:  # Tune wraps what goes wrong in its own exceptions
            reason = _disk_error(error)
            if reason is None:
                raise
            raise RunError(f"{folder}: {reason}; {_how_to_go_on(folder, options)}") from None
        return folder, directory.read_trials(folder)


def _fit(experiment: Experiment, sweep: SweepConfig, folder: Path, options: SweepOptions) -> None:
    """Tune's part, then what is left to tidy."""
    from .. import cluster  # Ray: not before the section is known to be sound
    from ..shared_storage import require_shared

    imports = threading.Thread(target=_import_tune)  # takes as long as Ray takes to start
    imports.start()
    cluster.connect()
    require_shared(folder)
    imports.join()
    tuner = _tuner(experiment, sweep, folder, options)
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


def require_sweep(experiment: Experiment) -> SweepConfig:
    """The section, checked against the experiment. Raises UserError."""
    if experiment.sweep is None:
        raise UserError("sweep: required, but missing; it says which keys are searched")
    check_search(experiment, experiment.sweep)
    where = experiment.evaluation.where
    if where == "none" or (where == "agents" and experiment.sweep.metric == "nominal"):
        raise UserError(
            f"sweep.metric {experiment.sweep.metric} is given by no evaluation: "
            f"evaluation.where is {where}"
        )
    _check_cadence(experiment, experiment.sweep)
    return experiment.sweep


def _check_cadence(experiment: Experiment, sweep: SweepConfig) -> None:
    """Schedulers act on evaluations: there must be some, at the same steps in every trial."""
    if isinstance(sweep.scheduler, Fifo):
        return
    name, every = sweep.scheduler.name, experiment.evaluation.every
    if every is None:
        raise UserError(f"evaluation.every must be a number under sweep.scheduler {name}, got null")
    searched = sweep.spaces().get("federation.sync_interval")
    unit = experiment.round_steps // experiment.federation.sync_interval
    for value in searched.ends() if searched else [experiment.federation.sync_interval]:
        if every % (value * unit):
            raise UserError(
                f"federation.sync_interval must divide evaluation.every ({every}) under "
                f"sweep.scheduler {name}, which compares trials at equal steps, got {value}"
            )
    if any(related(key, "federation.num_agents") for key in sweep.search):
        raise UserError(
            f"sweep.search.federation.num_agents: cannot be searched under sweep.scheduler {name}, "
            "whose time is agent steps"
        )


def folder_of(output: str) -> Path:
    """The directory of a sweep from what the user wrote. Raises UserError for a URI."""
    location = storage.parse(output)
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
    listed = _listed(experiment, sweep)
    Ledger(folder).put(*[Trial(name, v.point, v.seed) for name, v in listed.items()])
    return folder


def _listed(experiment: Experiment, sweep: SweepConfig) -> dict[str, Variant]:
    """The trials known beforehand; a searcher makes its own."""
    return {} if sweep.searcher == "optuna" else listed_names(experiment, sweep)


def _forget_failures(folder: Path) -> None:
    for trial in directory.read_trials(folder):
        (folder / "trials" / trial.name / directory.FAILURE).unlink(missing_ok=True)


def _import_tune() -> None:
    _quiet()
    from . import search, settings, trackers, trial, watch  # noqa: F401


def _tuner(experiment: Experiment, sweep: SweepConfig, folder: Path, options: SweepOptions) -> Any:
    """A new Tuner, or Tune's own state taken up where it has written any."""
    from ray import tune

    from .. import cluster
    from .search import num_samples, param_space, scheduler, searcher
    from .settings import TrialSettings, can_reuse, require_room, resources
    from .trackers import callbacks
    from .trial import FederationTrial
    from .watch import Watch, name_of, take_up

    settings = TrialSettings(
        directory=folder.absolute(),
        base=experiment.to_dict(),
        sweep=sweep,
        pool=_pool(sweep),
        nodes=cluster.capacity(),
    )
    listed = _listed(experiment, sweep)
    configs = [{"trial": {"point": v.point, "seed": v.seed}} for v in listed.values()]
    require_room(settings, configs or [{"trial": {"point": {}, "seed": experiment.seed}}])
    trainable = tune.with_resources(
        tune.with_parameters(FederationTrial, settings=settings),
        functools.partial(resources, settings),
    )
    state = folder.absolute() / directory.TUNE
    if options.resume and tune.Tuner.can_restore(state):
        take_up(folder.absolute(), sweep, show=options.show)
        return tune.Tuner.restore(str(state), trainable, resume_errored=options.retry_failed)
    names = list(listed)
    watch = Watch(
        folder.absolute(),
        sweep,
        expected=len(names) or num_samples(sweep),
        steps=experiment.federation.steps,
        show=options.show,
    )
    return tune.Tuner(
        trainable,
        param_space=param_space(experiment, sweep),
        tune_config=tune.TuneConfig(
            metric=sweep.metric,
            mode="max",
            scheduler=scheduler(experiment, sweep),
            search_alg=searcher(experiment, sweep),
            num_samples=num_samples(sweep),
            max_concurrent_trials=sweep.max_concurrent,
            reuse_actors=can_reuse(sweep),
            trial_name_creator=functools.partial(name_of, names),
            trial_dirname_creator=functools.partial(name_of, names),
        ),
        run_config=tune.RunConfig(
            name=directory.TUNE,
            storage_path=str(folder.absolute()),
            failure_config=tune.FailureConfig(max_failures=sweep.max_failures),
            callbacks=[watch, *callbacks(sweep, experiment, folder.absolute())],
            verbose=0,
        ),
    )


def _pool(sweep: SweepConfig) -> str:
    if sweep.pool != "auto":
        return sweep.pool
    from .. import cluster

    return "ray" if cluster.num_nodes() > 1 else "in_process"


def _quiet() -> None:
    """Set before Tune is imported: no chatter, and trials run where the user's files are."""
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # its tables go to stdout, whatever `verbose`
    os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")  # we name each with its reason
    os.environ.setdefault("RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS", "0")


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
    from .. import cluster, memory, packing

    pool, sizes = _pool(sweep), [experiment.federation.num_agents]
    if pool == "ray":
        sizes = [len(group) for group in packing.plan(experiment, cluster.capacity())[0]]
    where = packing.packing_words(sizes, pool)
    needed = memory.estimate(experiment, len(sizes) if pool == "ray" else 0)
    notes.print(f"a trial: {where}; {needed}", soft_wrap=True, highlight=False)


def _how_to_go_on(folder: Path, options: SweepOptions) -> str:
    command = [*options.command, "--output", str(folder), "--resume"]
    return f"to go on: {shlex.join(command)}"


def _as_interrupt(number: int, frame: Any) -> None:
    """SIGTERM ends a sweep as Ctrl-C does: Tune writes its state, trials their checkpoints."""
    os.kill(os.getpid(), signal.SIGINT)
