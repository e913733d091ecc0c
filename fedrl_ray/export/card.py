"""The model card of an exported policy as plain data, for model_card.json and README.md."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from algorithms.types import Spec

from ..agents.evaluation import find_row
from ..agents.execution_profile import PACKAGES, versions
from ..agents.messages import Evaluation
from ..analysis.statistics import Interval, interval, scope
from ..config.schema import Experiment
from ..storage.manifests import Manifest
from ..vector_envs.actions import ActionEncoding
from ..vector_envs.family import EnvFamily
from .agreement import Agreement
from .formats import FORMATS

FORMAT = "fedrl-ray model card 1"
LEVEL = 0.95
_SAID_OF_LEARNER = ("algorithm", "interval_unit", "omega", "expectile", "discount")
_SAID_OF_ENVIRONMENT = ("name", "id", "factory", "perturb")
"""Keys without `kwargs`, because arguments of a user's environment may hold secrets or paths."""


def model_card(
    experiment: Experiment,
    family: EnvFamily,
    manifest: Manifest,
    *,
    to: str,
    evaluation: Evaluation | None,
    agreement: Agreement,
    native: bool,
) -> dict[str, Any]:
    """Return the model card.

    evaluation: the evaluation of the exported parameters. native: true if RLlib made the module.
    """
    steps = manifest.round * experiment.round_steps
    data = experiment.to_dict()
    learner = {"name": experiment.learner.name} | _chosen(data["learner"], _SAID_OF_LEARNER)
    federation = _chosen(data["federation"], ("num_agents", "sync_interval"))
    return {
        "format": FORMAT,
        "name": experiment.name,
        "to": to,
        "file": FORMATS[to].file or None,
        "native": native,
        "digest": manifest.digest,
        "seed": experiment.seed,
        "environment": _chosen(data["environment"], _SAID_OF_ENVIRONMENT)
        | describe_spaces(family.spec, family.actions),
        "learner": learner,
        "federation": federation | {"steps": steps, "of_steps": experiment.federation.steps},
        "returns": None if evaluation is None else _returns(experiment, family, evaluation),
        "agreement": asdict(agreement),
        "trained_with": _chosen(manifest.profile, ("python", *PACKAGES)),
        "exported_with": versions("fedrl-ray", "torch", "numpy", *FORMATS[to].packages),
    }


def describe_spaces(spec: Spec, actions: ActionEncoding) -> dict[str, Any]:
    """Return the types and shapes of observations and actions that a program must handle.

    Actions are those of the environment's own space, in its own numbering.
    """
    obs: dict[str, Any] = {"dtype": "float32", "shape": ["batch", spec.obs_size]}
    if spec.kind == "tabular":
        obs = {"dtype": "int64", "shape": ["batch"], "count": spec.num_states}
    action = {"dtype": str(actions.dtype), "shape": ["batch", *actions.shape]} | actions.describe()
    limit = {"max_episode_steps": spec.max_episode_steps}
    return {"kind": spec.kind, "observation": obs, "action": action} | limit


def _returns(
    experiment: Experiment, family: EnvFamily, evaluation: Evaluation
) -> dict[str, Any] | None:
    """Return statistics of the returns, with intervals over the episodes of an evaluation.

    The nominal environment has an interval if it lies on the grid. Absent agents do not count.
    """
    present = np.isfinite(evaluation.episode_returns).all(1)
    if not present.any():
        return None
    episodes_SMR = evaluation.episode_returns[None, present].astype(np.float64)
    intervals = {s: interval(episodes_SMR, s, level=LEVEL) for s in ("average", "worst")}
    return {
        "where": evaluation.where,
        "perturb": experiment.to_dict()["evaluation"]["perturb"],
        "environments": episodes_SMR.shape[1],
        "episodes": episodes_SMR.shape[2],
        "level": LEVEL,
        "scope": scope(episodes_SMR),
        "nominal": _nominal(family, evaluation)._asdict(),
    } | {name: found._asdict() for name, found in intervals.items()}


def _nominal(family: EnvFamily, evaluation: Evaluation) -> Interval:
    on_grid = evaluation.where == "driver" and family.has_nominal
    row = find_row(evaluation.dynamics, family.nominal()) if on_grid else None
    if row is None:
        return Interval(evaluation.nominal, math.nan, math.nan)
    return interval(evaluation.episode_returns[None, row : row + 1], "average", level=LEVEL)


def _chosen(data: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: data[key] for key in keys if data.get(key) is not None}
