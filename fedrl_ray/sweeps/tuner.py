"""The Tuner of a sweep. A resumed sweep has a new one too, for the trials that are left."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.schema import Experiment
from ..config.sweep import SweepConfig
from . import directory
from .points import Variant

if TYPE_CHECKING:
    from ray import tune

    from .directory import Trial


def import_tune() -> None:
    """Import Tune, so that a thread can do it while Ray starts."""
    _quiet()
    from . import search, settings, suggestions, trackers, trial, watch  # noqa: F401


def build_tuner(
    experiment: Experiment,
    sweep: SweepConfig,
    folder: Path,
    listed: Mapping[str, Variant],
    *,
    show: bool,
) -> tune.Tuner:
    """Return a new Tuner of the listed trials by name; none are listed with a searcher."""
    from ray import tune

    from .search import param_space

    folder, names = folder.absolute(), list(listed)
    trainable = _trainable(experiment, sweep, folder, list(listed.values()))
    recorded = directory.read_trials(folder)
    return tune.Tuner(
        trainable,
        param_space=param_space(experiment, sweep, listed.values()),
        tune_config=_tune_config(experiment, sweep, names, recorded),
        run_config=_run_config(experiment, sweep, folder, len(names), show=show),
    )


def _trainable(
    experiment: Experiment, sweep: SweepConfig, folder: Path, listed: Sequence[Variant]
) -> Any:
    """Return the trainable with its resources. Raises UserError if a trial fits on no node."""
    from ray import tune

    from ..ray_cluster import cluster
    from .settings import TrialSettings, require_room, resources
    from .trial import FederationTrial

    settings = TrialSettings(
        directory=folder,
        base=experiment.to_dict(),
        sweep=sweep,
        backend=backend_of_trials(sweep),
        nodes=cluster.capacity(),
    )
    configs = [{"trial": {"point": v.point, "seed": v.seed}} for v in listed]
    require_room(settings, configs or [{"trial": {"point": {}, "seed": experiment.seed}}])
    return tune.with_resources(
        tune.with_parameters(FederationTrial, settings=settings),
        functools.partial(resources, settings),
    )


def _tune_config(
    experiment: Experiment, sweep: SweepConfig, names: list[str], recorded: Sequence[Trial]
) -> tune.TuneConfig:
    """Return the search of a sweep.

    names: of the trials that are listed. recorded: the trials of trials.json.
    """
    from ray import tune

    from .search import num_samples, scheduler
    from .settings import can_reuse
    from .suggestions import searcher
    from .watch import name_of

    return tune.TuneConfig(
        metric=sweep.metric,
        mode="max",
        scheduler=scheduler(experiment, sweep),
        search_alg=searcher(experiment, sweep, recorded),
        num_samples=num_samples(sweep),
        max_concurrent_trials=sweep.max_concurrent,
        reuse_actors=can_reuse(sweep),
        trial_name_creator=functools.partial(name_of, names),
        trial_dirname_creator=functools.partial(name_of, names),
    )


def _run_config(
    experiment: Experiment, sweep: SweepConfig, folder: Path, num_listed: int, *, show: bool
) -> tune.RunConfig:
    """Return storage, failures and callbacks of a sweep."""
    from ray import tune

    from .search import num_samples
    from .trackers import callbacks
    from .watch import Watch

    watch = Watch(
        folder,
        sweep,
        expected=num_listed or num_samples(sweep),
        steps=experiment.federation.steps,
        show=show,
    )
    return tune.RunConfig(
        name=directory.TUNE,
        storage_path=str(folder),
        failure_config=tune.FailureConfig(max_failures=sweep.max_failures),
        callbacks=[watch, *callbacks(experiment, folder)],
        verbose=0,
    )


def backend_of_trials(sweep: SweepConfig) -> str:
    """Return the backend of all trials; `auto` means `ray` on a cluster of several nodes."""
    if sweep.backend != "auto":
        return sweep.backend
    from ..ray_cluster import cluster

    return "ray" if cluster.num_nodes() > 1 else "in_process"


def _quiet() -> None:
    """Set Tune's variables, which it reads when it is imported: no chatter, no change of folder."""
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # relative paths of the user stay valid
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")  # or tables go to stdout for any `verbose`
    os.environ.setdefault("TUNE_PRINT_ALL_TRIAL_ERRORS", "0")  # we print each with its reason
    os.environ.setdefault("RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS", "0")
