"""The global policy in a run directory: its parameters, its module and its last evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from algorithms.policies import GreedyPolicy
from algorithms.types import Params

from ..agents.evaluation import Act, GridEvaluator, LearntPolicy, initial_shared
from ..agents.messages import Evaluation
from ..common.errors import UserError
from ..config.build import build_family
from ..config.schema import Experiment
from ..federation.resume_rules import require_fits
from ..reports.logs import evaluation_rows
from ..runs import run_directory
from ..runs.run_directory import EVALUATIONS
from ..storage import checkpoints
from ..storage.manifests import Manifest
from ..vector_envs.family import EnvFamily


@dataclass(frozen=True, kw_only=True)
class TrainedPolicy:
    """The global policy of a checkpoint.

    act: the policy as the run evaluates it. module: the same policy for export.
    """

    experiment: Experiment
    family: EnvFamily
    manifest: Manifest
    shared: Params
    act: Act
    module: nn.Module

    @property
    def is_native(self) -> bool:
        """True if RLlib made the module."""
        if isinstance(self.module, GreedyPolicy):  # saves the seconds that importing RLlib takes
            return False
        from ..rllib.exported import ExportedModule

        return isinstance(self.module, ExportedModule)


def read_trained(run: Path, round_number: int | None) -> TrainedPolicy:
    """Return the policy of a round's checkpoint; None: the newest.

    Raises UserError: there is no such checkpoint, it does not fit, or it cannot be exported.
    """
    experiment = run_directory.read_experiment(run)
    path, manifest, shared = run_directory.read_policy(lambda: checkpoint_of(run, round_number))
    family = build_family(experiment)
    require_fits(path, shared, initial_shared(experiment, family))
    policy = LearntPolicy(experiment, family)
    act = policy.of(shared)
    try:
        module = policy.learner.greedy_policy()
    except NotImplementedError:
        raise UserError(
            f"{run}: the learner {experiment.learner.name} cannot be exported, because it has no "
            "greedy_policy"
        ) from None
    return TrainedPolicy(
        experiment=experiment,
        family=family,
        manifest=manifest,
        shared=shared,
        act=act,
        module=module,
    )


def checkpoint_of(run: Path, round_number: int | None) -> Path:
    """Return the checkpoint of a round; None: the newest. Raises UserError if there is none."""
    if round_number is None:
        return run_directory.newest_checkpoint(run)
    folder = run / "checkpoints"
    found = checkpoints.existing(folder)
    path = checkpoints.path_of(folder, round_number)
    if path not in found:
        rounds = ", ".join(str(int(p.name.removeprefix("round_"))) for p in found) or "none"
        raise UserError(
            f"--checkpoint: must be a round with a checkpoint in {run} ({rounds}); "
            f"got {round_number}"
        )
    return path


def last_evaluation(run: Path, trained: TrainedPolicy) -> Evaluation | None:
    """Return the logged evaluation of these parameters.

    If none is logged, evaluate them now if the driver of the run evaluates, else return None.
    Raises UserError: the log cannot be read.
    """
    logged = logged_evaluation(run, trained.manifest.round)
    if logged is not None:
        return logged
    if trained.experiment.evaluation.where != "driver":
        return None
    return GridEvaluator(trained.experiment, trained.family)(trained.shared)


def logged_evaluation(run: Path, round_number: int) -> Evaluation | None:
    """Return the logged evaluation of a round, or None. Raises UserError: it cannot be read."""
    path = run / EVALUATIONS
    rows = [r for r in evaluation_rows(path) if r["round"] == round_number]
    return _evaluation(path, rows[-1]) if rows else None


def _evaluation(path: Path, row: dict[str, Any]) -> Evaluation:
    try:
        returns = np.array(row["episode_returns"], dtype=np.float64)
        dynamics = {name: np.array(values) for name, values in row["dynamics"].items()}
        if returns.ndim != 2 or not returns.size or row["where"] not in ("driver", "agents"):
            raise ValueError
        if any(len(values) != len(returns) for values in dynamics.values()):
            raise ValueError
    except (ValueError, TypeError):
        raise UserError(f"{path}: episode_returns must be [M, R] numbers") from None
    logged = {name: row.get(name) for name in ("nominal", "average", "worst")}
    statistics = {name: np.nan if value is None else value for name, value in logged.items()}
    return Evaluation(
        where=row["where"],
        returns=returns.mean(1),
        episode_returns=returns,
        dynamics=dynamics,
        **statistics,
    )
