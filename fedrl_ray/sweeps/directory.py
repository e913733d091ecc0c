"""A sweep directory: sweep.yaml, trials.json, trials/NAME (run directories), tune/.

`tune/` holds Ray Tune's results, and its pickled state, which nothing reads. All other files are
text or safetensors.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import yaml

from ..common.errors import UserError
from ..common.text_files import write_text
from ..config.loading import load
from ..config.schema import Experiment
from ..config.sweep import SweepConfig
from ..federation.resume_rules import changed_keys
from ..runs import run_directory
from ..storage.locks import MORE_PATIENCE, PATIENCE, DirectoryLock
from .points import Point

SWEEP, TRIALS, TUNE = "sweep.yaml", "trials.json", "tune"
FAILURE = "failure.json"
"""File in the run directory of a failed trial: `reason`, and `traceback` if there is one."""

Status = Literal["pending", "running", "completed", "stopped", "failed"]


class Trial(NamedTuple):
    """A trial and its status; `stopped` means by the scheduler, before the budget was spent."""

    name: str
    point: Point
    seed: int
    status: Status = "pending"
    reason: str | None = None


class Ledger:
    """trials.json: every trial with its status. Each change rewrites the file."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / TRIALS
        self.trials: dict[str, Trial] = {t.name: t for t in read_trials(directory)}

    def put(self, *trials: Trial) -> None:
        """Add trials, or replace trials of the same names."""
        self.trials |= {trial.name: trial for trial in trials}
        rows = [trial._asdict() for _, trial in sorted(self.trials.items())]
        write_text(self._path, json.dumps({"trials": rows}, indent=1))


def read_trials(directory: Path) -> list[Trial]:
    """Return the trials of a sweep; none if it has not begun.

    Raise UserError if trials.json is damaged.
    """
    path = directory / TRIALS
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["trials"]
        return [_trial(row) for row in rows]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None


def _trial(row: Any) -> Trial:
    """Return a trial of the file. Raise ValueError unless its fields have the right types.

    A name must be one folder inside the sweep, so that it never leads out of it.
    """
    trial = Trial(**row)
    fine = (
        isinstance(trial.name, str)
        and trial.name not in ("", ".", "..")
        and Path(trial.name).name == trial.name
        and isinstance(trial.point, dict)
        and type(trial.seed) is int
        and trial.status in get_args(Status)
        and isinstance(trial.reason, str | None)
    )
    if not fine:
        raise ValueError(f"{trial.name!r} is not a trial of a sweep")
    return trial


def is_sweep(directory: Path) -> bool:
    """Return True if the directory holds a sweep."""
    return (directory / SWEEP).is_file()


def require_free(directory: Path) -> None:
    """Raise UserError if the directory holds more than the beginning of a sweep."""
    empty = [d for d in ("trials", TUNE) if _is_empty(directory / d)]
    run_directory.require_free(directory, besides=[*empty, f".{SWEEP}.partial"])


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def write_sweep(directory: Path, experiment: Experiment, sweep: SweepConfig) -> None:
    """Make the directory, with `tune/` closed to other users: it holds pickles.

    Raise UserError if that fails.
    """
    data = experiment.to_dict() | {"sweep": sweep.model_dump(mode="json")}
    try:
        (directory / "trials").mkdir(parents=True, exist_ok=True)
        (directory / TUNE).mkdir(mode=0o700, exist_ok=True)
        write_text(directory / SWEEP, yaml.safe_dump(data, sort_keys=False))
    except OSError as error:
        raise UserError(f"--output {directory}: {error.strerror}") from None


def read_sweep(directory: Path) -> tuple[Experiment, SweepConfig]:
    """Return the experiment and its sweep. Raise UserError if sweep.yaml is not one."""
    experiment = load(directory / SWEEP, hint_at_old_keys=False)
    if experiment.sweep is None:
        raise UserError(f"{directory / SWEEP}: sweep: required, but missing")
    return experiment, experiment.sweep


def require_same_sweep(directory: Path, experiment: Experiment, sweep: SweepConfig) -> None:
    """Raise UserError with the keys that differ unless the directory holds this sweep."""
    if not is_sweep(directory):
        raise UserError(f"--resume: {directory} holds no sweep ({SWEEP} is missing)")
    there, its_sweep = read_sweep(directory)
    keys = changed_keys(
        experiment.to_dict() | {"sweep": sweep.identity(), "modules": None, "trackers": None},
        there.to_dict() | {"sweep": its_sweep.identity(), "modules": None, "trackers": None},
    )
    if keys:
        raise UserError(
            f"--output {directory} already holds another sweep; keys that differ: "
            + ", ".join(keys)
        )


def require_no_links(directory: Path) -> None:
    """Raise UserError if a part of the sweep is a link: the sweep would write elsewhere."""
    parts = (*directory.iterdir(), *(directory / "trials").glob("*"), *(directory / TUNE).glob("*"))
    for path in parts:
        if path.is_symlink():
            raise UserError(f"--resume: {path} is a link; a sweep must lie in its own directory")


def locked(directory: Path, *, patient: bool = False) -> DirectoryLock:
    """Return the lock that lets only one program run a sweep. Raises UserError: it is held.

    A `patient` lock waits longer for a program that is about to end.
    """
    return DirectoryLock(
        directory,
        shown=str(directory),
        doing="running this sweep",
        patience=MORE_PATIENCE if patient else PATIENCE,
    )


def read_failure(run: Path) -> dict[str, Any] | None:
    """Return `reason` and `traceback` of a failed trial; None if it has not failed."""
    try:
        failure = json.loads((run / FAILURE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return failure if isinstance(failure, dict) else None
