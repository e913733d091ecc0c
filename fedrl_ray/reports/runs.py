"""One run directory in the form that a report needs: small arrays, however long its logs are.

config.yaml is read as plain data. A report builds no environment, so it runs no code of a user and
needs none of the run's packages.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..common.errors import UserError
from ..config.renamed_keys import under_new_names
from ..config.yaml_files import read_yaml
from ..runs import run_directory
from ..runs.events import LOG
from ..runs.run_directory import CONFIG, EVALUATIONS, METRICS, SUMMARY, VIDEO_INDEX, VIDEOS
from .keys import Flat, flatten
from .logs import EvaluationLog, TrainingLog, evaluation_log, lineage_log, training_log
from .run_events import error_of
from .video_index import VideoIndex, read_index

LINEAGE = "lineage.jsonl"
"""Log of the states and keys that a trial of a population took over."""

Stamp = tuple[tuple[int, int], ...]
"""Time of the last change in nanoseconds and size in bytes of each file that is read."""

_REQUIRED: dict[str, type] = {
    "name": str,
    "seed": int,
    "federation.num_agents": int,
    "federation.steps": int,
    "federation.sync_interval": int,
    "learner.name": str,
    "environment.name": str,
}
"""Keys that a report needs, and their types."""


_SINCE_0_2 = (
    ("client_sampler", {"name": "all"}),
    ("server_optimizer", {"name": "sgd", "learning_rate": 1.0, "momentum": 0.0}),
)
"""Default sections that configurations of version 0.1 do not have: no difference to them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RunData:
    """One run: its experiment, its logs in brief, and its summary if it has ended."""

    path: Path
    label: str
    config: dict[str, Any]
    status: str
    """`completed`, `interrupted`, `failed` or `unfinished`; in a sweep the trial's status."""
    reason: str | None
    """Error of a failed run or trial."""
    evaluations: EvaluationLog
    training: TrainingLog
    summary: dict[str, Any]
    """Content of summary.json; empty until the run ends."""
    profile: dict[str, Any]
    """Execution profile of the newest checkpoint; empty without a checkpoint."""
    lineage: list[dict[str, Any]]
    """States and keys that a trial of population based training took over from others."""
    videos: VideoIndex | None
    """Facts of the videos recorded beside the run; None if there are none."""
    alone: bool
    """True for a trial of a population: its keys may change, so it repeats no method."""

    @cached_property
    def flat(self) -> Flat:
        """The experiment by dotted keys."""
        return flatten(self.config)

    @property
    def seed(self) -> int:
        """The experiment's seed."""
        return int(self.config["seed"])

    @property
    def name(self) -> str:
        """The experiment's name."""
        return str(self.config["name"])

    @property
    def complete(self) -> bool:
        """True if the run spent its whole budget; only then is it compared with others."""
        return self.status == "completed"

    @property
    def failed(self) -> bool:
        """True if the run failed, or completed with returns that are not all finite."""
        not_finite = len(self.evaluations.steps) > 0 and self.evaluations.final_returns is None
        return self.status == "failed" or (self.complete and not_finite)


_READ: dict[Path, tuple[Stamp, RunData]] = {}
"""Cache of the last reading of each run directory."""


def read_run(
    path: Path, label: str, *, status: str = "", reason: str | None = None, alone: bool = False
) -> RunData:
    """Read a run directory, or return the last reading if no file has changed.

    alone: the run is a trial of a population. Raises UserError if a file is unreadable.
    """
    stamp = _stamp(path)
    if path not in _READ or _READ[path][0] != stamp:
        _READ[path] = (stamp, _read(path))
    run = _READ[path][1]
    alone = alone or bool(run.lineage)
    status, reason = status or run.status, reason or run.reason
    return replace(run, label=label, status=status, reason=reason, alone=alone)


def _read(path: Path) -> RunData:
    run_directory.require_inside(path)
    config = _config(path / CONFIG)
    summary, error = run_directory.read_summary(path), error_of(path / LOG)
    unfinished = "unfinished" if error is None else "failed"
    return RunData(
        path=path,
        label=path.name,
        config=config,
        status=unfinished if summary is None else str(summary["status"]),
        reason=error,
        alone=False,
        evaluations=evaluation_log(path / EVALUATIONS),
        training=training_log(path / METRICS, flatten(config)),
        summary=summary or {},
        profile=run_directory.read_profile(path),
        lineage=lineage_log(path / LINEAGE),
        videos=read_index(path),
    )


def _config(path: Path) -> dict[str, Any]:
    config = under_new_names(read_yaml(path), source=str(path), hint=False)
    config = {key: value for key, value in config.items() if (key, value) not in _SINCE_0_2}
    flat = flatten(config)
    for key, kind in _REQUIRED.items():
        value: Any = flat.get(key)
        counts = key.startswith("federation.")
        fits = isinstance(value, kind) and not isinstance(value, bool)
        if not fits or (counts and not 0 < value < 2**53):
            raise UserError(f"{path}: {key}: must be {_rule(key)}; got {value!r}")
    return config


def _rule(key: str) -> str:
    if _REQUIRED[key] is str:
        return "a text"
    return "a count below 2**53" if key.startswith("federation.") else "a whole number"


def _stamp(path: Path) -> Stamp:
    """Return a stamp that changes if a file changes that a report reads."""
    names = (CONFIG, METRICS, EVALUATIONS, SUMMARY, LINEAGE, LOG, f"{VIDEOS}/{VIDEO_INDEX}")
    return tuple(_stamp_of(path / name) for name in names)


def _stamp_of(file: Path) -> tuple[int, int]:
    try:  # a resumed run may delete its summary between a look and a read
        found = file.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
