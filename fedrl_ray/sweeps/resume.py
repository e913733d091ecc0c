"""The trials that a sweep has left to run, from our own records: trials.json and run directories.

Ray Tune's own state is never read: a full disk or a crash may have torn it, and it is pickled.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from ..config.schema import Experiment
from ..config.sweep import Pbt, SweepConfig
from .directory import FAILURE, TUNE, Trial, read_trials
from .pbt_exploit import values_of
from .points import Variant, listed_names


def listed_variants(experiment: Experiment, sweep: SweepConfig) -> dict[str, Variant]:
    """Return the trials that are known beforehand; none with a searcher, which makes its own."""
    return {} if sweep.searcher == "optuna" else listed_names(experiment, sweep)


def is_done(
    experiment: Experiment, sweep: SweepConfig, folder: Path, *, retry_failed: bool
) -> bool:
    """Return True if every trial of a sweep has ended, and none is to be tried again."""
    if sweep.searcher == "optuna":
        return len(_ended(folder, retry_failed=retry_failed)) == sweep.samples * sweep.seeds
    return not left_variants(experiment, sweep, folder, retry_failed=retry_failed)


def left_variants(
    experiment: Experiment, sweep: SweepConfig, folder: Path, *, retry_failed: bool
) -> dict[str, Variant]:
    """Return the listed trials that have not ended; those of a population with their present keys.

    A trial that failed because of the disk has not ended. retry_failed: nor has any other failed
    trial. Raise UserError if trials.json is damaged.
    """
    ended = _ended(folder, retry_failed=retry_failed)
    listed = listed_variants(experiment, sweep).items()
    left = {name: variant for name, variant in listed if name not in ended}
    if not isinstance(sweep.scheduler, Pbt):
        return left
    return {
        name: Variant(values_of(folder / "trials" / name, v.point) or v.point, v.seed)
        for name, v in left.items()
    }


def forget_failures(folder: Path, *, retry_failed: bool) -> None:
    """Delete failure.json of the trials that have not ended: they would fail at once.

    Such a file may be left because the disk was full when the failure was to be recorded.
    """
    ended = _ended(folder, retry_failed=retry_failed)
    for trial in read_trials(folder):
        if trial.name not in ended:
            (folder / "trials" / trial.name / FAILURE).unlink(missing_ok=True)


def _ended(folder: Path, *, retry_failed: bool) -> set[str]:
    return {
        trial.name
        for trial in read_trials(folder)
        if trial.status in ("completed", "stopped")
        or (trial.status == "failed" and not retry_failed and not _failed_by_disk(trial))
    }


DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
"""Errors of a disk, which say nothing about a trial."""


def _failed_by_disk(trial: Trial) -> bool:
    return any(os.strerror(number) in (trial.reason or "") for number in DISK)


def clear_tunes_state(sweep: SweepConfig, folder: Path, left: Collection[str]) -> None:
    """Delete what an earlier Tuner left in `tune/`, except the results of trials that have ended.

    The trials that are left report their results again. Those of a population report only the
    newest one, so their results stay; their checkpoints go, because a new Tuner numbers its own
    from 0.
    """
    state = folder / TUNE
    state.mkdir(mode=0o700, exist_ok=True)
    for path in state.iterdir():
        if not path.is_dir():
            path.unlink()
        elif isinstance(sweep.scheduler, Pbt):
            for checkpoint in path.glob("checkpoint_*"):
                shutil.rmtree(checkpoint)
        elif path.name in left or sweep.searcher == "optuna":
            shutil.rmtree(path)
