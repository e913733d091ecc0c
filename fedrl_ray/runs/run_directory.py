"""A run directory, whose files are all text or safetensors.

It holds config.yaml, metrics.jsonl, evaluations.jsonl, log.jsonl, TensorBoard events, checkpoints/
and summary.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from algorithms.types import Params

from ..common.errors import RunError, UserError
from ..common.json_values import nan_as_null
from ..common.text_files import write_text
from ..config import loading, yaml_files
from ..config.schema import Experiment
from ..storage import checkpoints
from ..storage.live_checkpoints import read_live
from ..storage.locations import Location
from ..storage.locks import MORE_PATIENCE, PATIENCE, DirectoryLock
from ..storage.manifests import Manifest, read_manifest

CONFIG, SUMMARY, METRICS, EVALUATIONS = (
    "config.yaml",
    "summary.json",
    "metrics.jsonl",
    "evaluations.jsonl",
)


WANDB = "wandb"
"""Folder of a run in which Weights & Biases keeps its files."""
VIDEOS = "videos"
"""Folder of a run with the videos that `fedrl-ray video` recorded."""
VIDEO_INDEX = "videos.json"
"""Facts about the videos, beside them."""


class RoundLog:
    """A JSON Lines file with one row per round, in order.

    Appending a row drops rows of the same and of later rounds. After a rewind or a resume the log
    therefore tells one history, with no round twice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        rows = read_rows(path)
        self._last = rows[-1]["round"] if rows else -1

    def append(self, row: dict[str, Any]) -> None:
        """Add the row of a round."""
        if row["round"] <= self._last:
            self.cut(row["round"] - 1)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(nan_as_null(row)) + "\n")
        self._last = row["round"]

    def cut(self, last_round: int) -> None:
        """Drop every row after `last_round`, and a last line that is incomplete."""
        kept = [row for row in read_rows(self._path) if row["round"] <= last_round]
        write_text(self._path, "".join(json.dumps(row) + "\n" for row in kept))
        self._last = kept[-1]["round"] if kept else -1


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a log without a last line that a crash has cut short.

    Raises UserError for any other line that is not a row of ours.
    """
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    rows = []
    for number, line in enumerate(lines, start=1):
        if number == len(lines) and not line.endswith(b"\n"):
            break
        rows.append(_row(path, number, line))
    return rows


def _row(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise UserError(f"{path}: line {number} must be JSON") from None
    if not isinstance(row, dict) or not {"round", "steps"} <= row.keys():
        raise UserError(f"{path}: line {number} must be a row of a log, with round and steps")
    for key in ("round", "steps"):
        if type(row[key]) is not int or not 0 <= row[key] < 2**53:
            shown = str(row[key])[:60]
            raise UserError(f"{path}: line {number}: {key} must be a count; got {shown!r}")
    return row


def require_inside(directory: Path) -> None:
    """Raise UserError if a link in a run directory leaves it.

    We would otherwise read or write somebody else's files. W&B's own folder may hold such links,
    because we neither read nor write there.
    """
    root = os.path.realpath(directory)
    for folder, folders, files in os.walk(directory):
        for path in (Path(folder, name) for name in (*folders, *files)):
            inside = Path(os.path.realpath(path)).is_relative_to(root)
            if path.is_symlink() and not inside:
                raise UserError(f"{path}: is a link that leaves the run directory")
        if Path(folder) == directory:
            folders[:] = [name for name in folders if name != WANDB]


BEGINNINGS = (".lock", f".{CONFIG}.partial", ".fedrl-ray-*")
"""Files that a program may leave if it is killed before its run has begun."""


def require_free(
    path: Path, *, shown: Path | str | None = None, besides: Sequence[str] = ()
) -> None:
    """Raise UserError if a path is taken.

    shown: the user's name for the path. besides: patterns of names that do not count, in addition
    to `BEGINNINGS`.
    """
    if path.exists() and (not path.is_dir() or any(_foreign(path, besides))):
        what = describe_occupant(path)
        raise UserError(
            f"--output {shown or path} already holds {what}; choose another, or --resume it"
        )


def only_beginnings(path: Path) -> bool:
    """Return True if a folder holds nothing but what a start may leave before its run has begun."""
    return path.is_dir() and not any(_foreign(path, ()))


def claim(location: Location, *, patient: bool) -> AbstractContextManager[object]:
    """Return the lock of a run's folder for this program; behind a URI there are no locks.

    patient: wait longer for a program that wrote there and is ending.
    """
    if not isinstance(location, Path):
        return nullcontext()
    patience = MORE_PATIENCE if patient else PATIENCE
    return DirectoryLock(location, shown=str(location), doing="writing there", patience=patience)


def _foreign(path: Path, besides: Sequence[str]) -> Iterator[Path]:
    harmless = (*BEGINNINGS, *besides)
    return (p for p in path.iterdir() if not any(fnmatchcase(p.name, h) for h in harmless))


def write_config(path: Path, experiment: Experiment) -> None:
    """Write the experiment with all keys into a folder, which is made if needed.

    Raises UserError if that fails.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_text(path / CONFIG, yaml.safe_dump(experiment.to_dict(), sort_keys=False))
    except OSError as error:
        raise UserError(f"--output {path}: {error.strerror}") from None


def describe_occupant(path: Path) -> str:
    """Describe the content of a path."""
    if not path.is_dir():
        return "a file"
    if not (path / CONFIG).exists():
        return "files of something else"
    return f"the experiment {read_experiment(path).name!r}"


def read_experiment(path: Path) -> Experiment:
    """Return the experiment of a run directory. Raises UserError."""
    if not (path / CONFIG).is_file():
        raise UserError(f"{path}: not a run directory, {CONFIG} is missing")
    require_inside(path)
    return loading.load(path / CONFIG, hint_at_old_keys=False)


def modules_of(path: Path) -> str | None:
    """Return the folder of the user's modules that a run has recorded, if there is a run."""
    try:
        folder = yaml_files.read_yaml(path / CONFIG).get("modules")
    except UserError:
        return None
    return folder if isinstance(folder, str) else None


def newest_checkpoint(path: Path) -> Path:
    """Return the newest checkpoint of a run directory. Raises UserError if there is none."""
    found = checkpoints.existing(path / "checkpoints")
    if not found:
        raise UserError(f"{path}: no checkpoint to resume from")
    return found[-1]


def read_policy(choose: Callable[[], Path]) -> tuple[Path, Manifest, Params]:
    """Return a checkpoint that is as it was written, its manifest and its global parameters.

    choose: returns the checkpoint. It is called again if a run that is training deletes the
    checkpoint meanwhile. Raises UserError if there is none, or if it is torn or edited.
    """

    def read(path: Path) -> tuple[Path, Manifest, Params]:
        manifest = checkpoints.verify(path)
        return path, manifest, checkpoints.read_shared(path, manifest)

    return read_live(choose, read)


def read_profile(path: Path) -> dict[str, Any]:
    """Return the execution profile of the newest checkpoint; an empty one if none can be read."""
    try:
        return read_live(lambda: newest_checkpoint(path), read_manifest).profile
    except (UserError, RunError):
        return {}


def read_summary(path: Path) -> dict[str, Any] | None:
    """Return the content of summary.json, or None while a run has not ended.

    Raises UserError if the file is torn.
    """
    try:
        summary = json.loads((path / SUMMARY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError, OSError) as error:
        raise UserError(f"{path / SUMMARY}: cannot be read: {error}") from None
    if not isinstance(summary, dict) or not {"status", "digest"} <= summary.keys():
        raise UserError(f"{path / SUMMARY}: must be a summary, with status and digest")
    return summary
