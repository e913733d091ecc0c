"""What a run directory knows of its global policy: parameters, policy, last evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from algorithms.types import Params

from ..agents.evaluation import Act, GridEvaluator, LearntPolicy, initial_shared
from ..agents.messages import Evaluation
from ..common.errors import UserError
from ..config.checks import build_family
from ..config.schema import Experiment
from ..federation.resume_rules import require_fits
from ..reports.logs import evaluation_rows
from ..runs import run_directory
from ..runs.run_directory import EVALUATIONS
from ..storage import checkpoints
from ..storage.checkpoints import Manifest
from ..vector_envs.family import EnvFamily


@dataclass(frozen=True, kw_only=True)
class TrainedPolicy:
    """act: as the run itself evaluates it. module: the same to be exported."""

    experiment: Experiment
    family: EnvFamily
    manifest: Manifest
    shared: Params
    act: Act
    module: Any


def read_trained(run: Path, round_number: int | None) -> TrainedPolicy:
    """The policy of a checkpoint, the newest where no round is given. Raises UserError."""
    experiment = run_directory.read_experiment(run)
    path = _checkpoint(run, round_number)
    manifest = checkpoints.verify(path)
    shared = checkpoints.read_server(path, manifest).shared
    family = build_family(experiment)
    require_fits(path, shared, initial_shared(experiment, family))
    policy = LearntPolicy(experiment, family)
    act = policy.of(shared)
    if not hasattr(policy.learner, "greedy_policy"):
        raise UserError(
            f"{run}: the learner {experiment.learner.name} has no greedy_policy to be exported"
        )
    return TrainedPolicy(
        experiment=experiment,
        family=family,
        manifest=manifest,
        shared=shared,
        act=act,
        module=policy.learner.greedy_policy(),
    )


def _checkpoint(run: Path, round_number: int | None) -> Path:
    if round_number is None:
        return run_directory.newest_checkpoint(run)
    folder = run / "checkpoints"
    found = checkpoints.existing(folder)
    path = checkpoints.path_of(folder, round_number)
    if path not in found:
        rounds = ", ".join(str(int(p.name.removeprefix("round_"))) for p in found) or "none"
        raise UserError(
            f"--checkpoint must be a round that {run} has a checkpoint of ({rounds}), "
            f"got {round_number}"
        )
    return path


def last_evaluation(run: Path, trained: TrainedPolicy) -> Evaluation | None:
    """The logged evaluation of these parameters; where none is logged, one made now if the driver
    evaluates, else None. Raises UserError for a log that does not read."""
    path = run / EVALUATIONS
    rows = [r for r in evaluation_rows(path) if r["round"] == trained.manifest.round]
    if rows:
        return _evaluation(path, rows[-1])
    if trained.experiment.evaluation.where != "driver":
        return None
    return GridEvaluator(trained.experiment, trained.family)(trained.shared)


def _evaluation(path: Path, row: dict[str, Any]) -> Evaluation:
    try:
        returns = np.array(row["episode_returns"], dtype=np.float64)
        dynamics = {name: np.array(values) for name, values in row["dynamics"].items()}
        if returns.ndim != 2 or not returns.size or row["where"] not in ("driver", "agents"):
            raise ValueError
        if any(len(values) != len(returns) for values in dynamics.values()):
            raise ValueError
    except (ValueError, TypeError):
        raise UserError(f"{path}: episode_returns are not [M, R] numbers") from None
    figures = {name: row.get(name) for name in ("nominal", "average", "worst")}
    numbers = {name: np.nan if value is None else value for name, value in figures.items()}
    return Evaluation(
        where=row["where"],
        returns=returns.mean(1),
        episode_returns=returns,
        dynamics=dynamics,
        **numbers,
    )
