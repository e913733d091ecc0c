"""What a report shows, read from run directories only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from algorithms.types import Array

from .. import checkpoints, run_directory
from ..config import Experiment
from ..errors import UserError
from ..run_directory import CONFIG, EVALUATIONS, METRICS


@dataclass(frozen=True, kw_only=True)
class RunData:
    """One run directory as read: rows of its logs, its experiment, its summary if it has ended."""

    path: Path
    label: str
    experiment: Experiment
    rounds: list[dict[str, Any]]
    evaluations: list[dict[str, Any]]
    summary: dict[str, Any] | None
    profile: dict[str, Any]
    """The execution profile that made the newest checkpoint; empty without one."""

    @property
    def status(self) -> str:
        """`completed`, `interrupted` or `not ended`."""
        return "not ended" if self.summary is None else str(self.summary["status"])

    def over_evaluations(self, name: str) -> tuple[Array, Array]:
        """Steps [T] and a figure of every evaluation [T]; NaN where it is missing."""
        return _series(self.evaluations, name)

    def over_rounds(self, name: str) -> tuple[Array, Array]:
        """Steps [T] and a figure of every round, as logged [T]."""
        return _series(self.rounds, name)

    def over_agents(self, name: str) -> tuple[Array, Array]:
        """Steps [T] and a metric per agent [T, K]; NaN where an agent saw nothing."""
        rows = [row for row in self.rounds if name in row["agents"]]
        k = self.experiment.federation.num_agents
        if any(len(row["agents"][name]) != k for row in rows):
            raise UserError(f"{self.path}: {METRICS} is not of {k} agents, as {CONFIG} says")
        values = np.array([row["agents"][name] for row in rows], dtype=np.float64)
        return np.array([row["steps"] for row in rows]), values.reshape(len(rows), k)


def read_runs(paths: list[Path]) -> list[RunData]:
    """Runs at the paths, or in the folders below them. Raises UserError where there is none."""
    found = [run for path in paths for run in _runs_below(path)]
    labels = _labels(found)
    return [_read(path, label) for path, label in zip(found, labels, strict=True)]


def _runs_below(path: Path) -> list[Path]:
    if (path / run_directory.CONFIG).is_file():
        return [path]
    below = sorted(p.parent for p in path.glob(f"*/{run_directory.CONFIG}"))
    if not below:
        raise UserError(f"{path}: neither a run directory nor a folder of them")
    return below


def _read(path: Path, label: str) -> RunData:
    return RunData(
        path=path,
        label=label,
        experiment=run_directory.read_experiment(path),
        rounds=_rows(path / METRICS, ("agents", "drift")),
        evaluations=_rows(path / EVALUATIONS, ("where", "average", "worst", "returns", "dynamics")),
        summary=run_directory.read_summary(path),
        profile=_profile(path),
    )


def _rows(path: Path, keys: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows of a log that must have these keys. Raises UserError."""
    rows = run_directory.read_rows(path)
    for number, row in enumerate(rows, start=1):
        for key in keys:
            if key not in row:
                raise UserError(f"{path}: line {number} has no {key!r}")
    return rows


def _series(rows: list[dict[str, Any]], name: str) -> tuple[Array, Array]:
    steps = np.array([row["steps"] for row in rows])
    return steps, np.array([row.get(name) for row in rows], dtype=np.float64)


def _profile(path: Path) -> dict[str, Any]:
    found = checkpoints.existing(path / "checkpoints")
    return checkpoints.read_manifest(found[-1]).profile if found else {}


def _labels(paths: list[Path]) -> list[str]:
    """Folder names; whole paths where two are the same."""
    names = [path.resolve().name for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]
