"""A run directory: config.yaml, metrics.jsonl, evaluations.jsonl, TensorBoard events,
checkpoints/, summary.json. Everything in it is text or safetensors."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from . import checkpoints, config
from .config import Experiment
from .errors import UserError

CONFIG, SUMMARY, METRICS, EVALUATIONS = (
    "config.yaml",
    "summary.json",
    "metrics.jsonl",
    "evaluations.jsonl",
)


class RoundLog:
    """A JSON Lines file with a row per round, in order.

    Appending a row drops rows of the same and later rounds: after a rewind or a resume the log
    tells one history, with no round twice.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        rows = list(read_rows(path))
        self._last = rows[-1]["round"] if rows else -1

    def append(self, row: dict[str, Any]) -> None:
        if row["round"] <= self._last:
            self.cut(row["round"] - 1)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(plain(row)) + "\n")
        self._last = row["round"]

    def cut(self, last_round: int) -> None:
        """Drop every row after `last_round`."""
        kept = [row for row in read_rows(self._path) if row["round"] <= last_round]
        write_text(self._path, "".join(json.dumps(row) + "\n" for row in kept))
        self._last = kept[-1]["round"] if kept else -1


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a log; a last line cut short by a crash is passed over."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                return


def plain(value: Any) -> Any:
    """JSON has no NaN: null in its place."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def write_text(path: Path, text: str) -> None:
    """Written aside, then renamed: never half a file."""
    aside = path.with_name(f".{path.name}.partial")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)


def require_free(path: Path) -> None:
    """Raises UserError when something is there already."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        what = describe_occupant(path)
        raise UserError(f"--output {path} already holds {what}; choose another, or --resume it")


def write_config(path: Path, experiment: Experiment) -> None:
    """The experiment, every key with its value, in a folder made for it. Raises UserError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_text(path / CONFIG, yaml.safe_dump(experiment.to_dict(), sort_keys=False))
    except OSError as error:
        raise UserError(f"--output {path}: {error.strerror}") from None


def describe_occupant(path: Path) -> str:
    """What a path holds, in words."""
    if not path.is_dir():
        return "a file"
    if not (path / CONFIG).exists():
        return "files of something else"
    return f"the experiment {read_experiment(path).name!r}"


def read_experiment(path: Path) -> Experiment:
    """The experiment of a run directory. Raises UserError."""
    if not (path / CONFIG).is_file():
        raise UserError(f"{path}: not a run directory, {CONFIG} is missing")
    return config.load(path / CONFIG)


def newest_checkpoint(path: Path) -> Path:
    """Raises UserError where there is none."""
    found = checkpoints.existing(path / "checkpoints")
    if not found:
        raise UserError(f"{path}: no checkpoint to resume from")
    return found[-1]


def read_summary(path: Path) -> dict[str, Any] | None:
    """What summary.json holds; None while a run has not ended. Raises UserError if it is torn."""
    try:
        summary: dict[str, Any] = json.loads((path / SUMMARY).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (ValueError, OSError) as error:
        raise UserError(f"{path / SUMMARY}: does not read: {error}") from None
    return summary


def free_output(name: str, base: Path = Path("runs")) -> Path:
    """runs/NAME, or runs/NAME-2, -3 ... where that is taken."""
    taken = {p.name for p in base.glob(f"{name}*")}
    number = 2
    while (candidate := name if number == 2 and name not in taken else f"{name}-{number}") in taken:
        number += 1
    return base / candidate


def latest_output(name: str, base: Path = Path("runs")) -> Path:
    """The last of runs/NAME, runs/NAME-2, ... Raises UserError where there is none."""
    found = [p for p in base.glob(f"{name}*") if p.name == name or _number(p.name, name)]
    if not found:
        raise UserError(f"--resume: there is no run of {name!r} under {base}/; give --output")
    return max(found, key=lambda p: _number(p.name, name) or 1)


def _number(folder: str, name: str) -> int | None:
    suffix = folder.removeprefix(f"{name}-")
    return int(suffix) if suffix.isdigit() else None
