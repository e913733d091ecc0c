"""Metrics of RLlib's learner, under the names of our metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ray.rllib.core import DEFAULT_MODULE_ID
from ray.rllib.utils.metrics import LEARNER_RESULTS

NAMES = {
    "total_loss": "loss",
    "policy_loss": "policy_loss",
    "vf_loss": "value_loss",
    "vf_loss_unclipped": "value_loss_unclipped",
    "qf_loss": "td_loss",
    "entropy": "entropy",
    "mean_kl_loss": "kl",
    "alpha_value": "temperature",
    "degree_loss": "degree_loss",
    "degree_gap": "degree_gap",
}
"""RLlib's name of a metric -> our name."""


def of_result(result: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of one training iteration; NaN for a metric that has no value."""
    logged = result.get(LEARNER_RESULTS, {}).get(DEFAULT_MODULE_ID, {})
    return {ours: float(logged[name]) for name, ours in NAMES.items() if name in logged}


def mean(iterations: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each metric over the iterations that logged it."""
    names = dict.fromkeys(name for logged in iterations for name in logged)
    return {name: _mean([x[name] for x in iterations if name in x]) for name in names}


def _mean(values: Sequence[float]) -> float:
    finite = [x for x in values if np.isfinite(x)]
    return float(np.mean(finite)) if finite else float("nan")
