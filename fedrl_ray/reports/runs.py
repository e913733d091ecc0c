"""One run directory as a report needs it: small arrays, however long its logs are.

config.yaml is read as plain data: a report builds no environment, so it runs none of a user's code
and needs none of the packages that the run needed.
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
from ..runs.run_directory import CONFIG, EVALUATIONS, METRICS, SUMMARY
from ..storage import checkpoints
from .keys import Flat, flatten
from .logs import EvaluationLog, TrainingLog, evaluation_log, lineage_log, training_log

LINEAGE = "lineage.jsonl"

Stamp = tuple[tuple[int, int], ...]

_REQUIRED: dict[str, type] = {
    "name": str,
    "seed": int,
    "federation.num_agents": int,
    "federation.steps": int,
    "federation.sync_interval": int,
    "learner.name": str,
    "environment.name": str,
}


@dataclass(frozen=True, kw_only=True, eq=False)
class RunData:
    """One run: its experiment, its logs in brief, its summary if it has ended."""

    path: Path
    label: str
    config: dict[str, Any]
    status: str
    """`completed`, `interrupted` or `not ended`; in a sweep what it says of the trial."""
    reason: str | None
    """Why a trial failed."""
    evaluations: EvaluationLog
    training: TrainingLog
    summary: dict[str, Any]
    """Empty while a run has not ended."""
    profile: dict[str, Any]
    """The execution profile that made the newest checkpoint; empty without one."""
    lineage: list[dict[str, Any]]
    """What a trial of population based training took over from others."""
    alone: bool
    """Whether it is no repetition of a method: its keys changed, or may change, on the way."""

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
        """Whether the whole budget was spent: only then is a run compared with others."""
        return self.status == "completed"

    @property
    def failed(self) -> bool:
        """Whether it failed, or ended with returns that are not all finite numbers."""
        not_finite = len(self.evaluations.steps) > 0 and self.evaluations.final_returns is None
        return self.status == "failed" or (self.complete and not_finite)


_READ: dict[Path, tuple[Stamp, RunData]] = {}
"""The last reading of each run directory: a live page keeps no older ones."""


def read_run(
    path: Path, label: str, *, status: str = "", reason: str | None = None, alone: bool = False
) -> RunData:
    """Read a run directory; what has not changed since the last time is not read again.

    alone: of a population. Raises UserError where it does not read.
    """
    stamp = _stamp(path)
    if path not in _READ or _READ[path][0] != stamp:
        _READ[path] = (stamp, _read(path))
    run = _READ[path][1]
    alone = alone or bool(run.lineage)
    return replace(run, label=label, status=status or run.status, reason=reason, alone=alone)


def _read(path: Path) -> RunData:
    run_directory.require_inside(path)
    config = _config(path / CONFIG)
    summary = run_directory.read_summary(path)
    return RunData(
        path=path,
        label=path.name,
        config=config,
        status="not ended" if summary is None else str(summary["status"]),
        reason=None,
        alone=False,
        evaluations=evaluation_log(path / EVALUATIONS),
        training=training_log(path / METRICS, flatten(config)),
        summary=summary or {},
        profile=_profile(path),
        lineage=lineage_log(path / LINEAGE),
    )


def _config(path: Path) -> dict[str, Any]:
    config = under_new_names(read_yaml(path), source=str(path), hint=False)
    flat = flatten(config)
    for key, kind in _REQUIRED.items():
        value: Any = flat.get(key)
        counts = key.startswith("federation.")
        fits = isinstance(value, kind) and not isinstance(value, bool)
        if not fits or (counts and not 0 < value < 2**53):
            raise UserError(f"{path}: not the experiment of a run: {key} is {value!r}")
    return config


def _stamp(path: Path) -> Stamp:
    """Changes when one of the files does that a report reads."""
    files = (path / name for name in (CONFIG, METRICS, EVALUATIONS, SUMMARY, LINEAGE))
    stats = [file.stat() if file.exists() else None for file in files]
    return tuple((s.st_mtime_ns, s.st_size) if s else (0, 0) for s in stats)


def _profile(path: Path) -> dict[str, Any]:
    """Of the newest checkpoint; a run that is under way may be replacing it just now."""
    found = checkpoints.existing(path / "checkpoints")
    try:
        return checkpoints.read_manifest(found[-1]).profile if found else {}
    except UserError:
        return {}
