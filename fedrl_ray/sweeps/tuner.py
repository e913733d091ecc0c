"""The Tuner of a sweep, new or restored from Ray Tune's own state."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import Any

from ..config.schema import Experiment
from ..config.sweep import SweepConfig
from . import directory
from .points import Variant, listed_names


def listed_variants(experiment: Experiment, sweep: SweepConfig) -> dict[str, Variant]:
    """Return the trials that are known beforehand; none with a searcher, which makes its own."""
    return {} if sweep.searcher == "optuna" else listed_names(experiment, sweep)


def import_tune() -> None:
    """Import Tune, so that a thread can do it while Ray starts."""
    _quiet()
    from . import search, settings, trackers, trial, watch  # noqa: F401


def build_tuner(
    experiment: Experiment,
    sweep: SweepConfig,
    folder: Path,
    *,
    resume: bool,
    retry_failed: bool,
    show: bool,
) -> Any:
    """Return a new Tuner; with `resume` one that goes on from Tune's own state, if there is any."""
    from ray import tune

    from ..ray_cluster import cluster
    from .search import num_samples, param_space, scheduler, searcher
    from .settings import TrialSettings, can_reuse, require_room, resources
    from .trackers import callbacks
    from .trial import FederationTrial
    from .watch import Watch, name_of, take_up

    settings = TrialSettings(
        directory=folder.absolute(),
        base=experiment.to_dict(),
        sweep=sweep,
        backend=backend_of_trials(sweep),
        nodes=cluster.capacity(),
    )
    listed = listed_variants(experiment, sweep)
    configs = [{"trial": {"point": v.point, "seed": v.seed}} for v in listed.values()]
    require_room(settings, configs or [{"trial": {"point": {}, "seed": experiment.seed}}])
    trainable = tune.with_resources(
        tune.with_parameters(FederationTrial, settings=settings),
        functools.partial(resources, settings),
    )
    state = folder.absolute() / directory.TUNE
    if resume and tune.Tuner.can_restore(state):
        take_up(folder.absolute(), sweep, show=show)
        return tune.Tuner.restore(str(state), trainable, resume_errored=retry_failed)
    names = list(listed)
    watch = Watch(
        folder.absolute(),
        sweep,
        expected=len(names) or num_samples(sweep),
        steps=experiment.federation.steps,
        show=show,
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
