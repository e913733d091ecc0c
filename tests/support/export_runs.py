"""Tiny trained runs of every kind, and their exports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from algorithms.types import Array
from fedrl_ray.config.loading import from_dict
from fedrl_ray.export.trained import read_trained
from tests.support.runs import train
from tests.support.small import SMALL, merged

KINDS: dict[str, dict[str, Any]] = {
    "discrete": {},
    "continuous": {
        "learner": SMALL["learner"] | {"name": "fedrddpg"},
        "environment": {"name": "pendulum", "perturb": {"mass": 0.3}},
    },
    "tabular": {"learner": {"name": "fedrq"}, "environment": {"name": "frozen_lake"}},
}
FORMATS = ("onnx", "torch", "rllib")


def experiment(kind: str, **changes: Any) -> Any:
    """Return the small experiment of a kind: two agents, four rounds."""
    data = SMALL | KINDS[kind]
    return from_dict(merged(merged(data, {"federation": {"num_agents": 2, "steps": 80}}), changes))


def trained_run(path: Path, kind: str, **changes: Any) -> Path:
    """Return a finished run of a kind."""
    train(experiment(kind, **changes), path)
    return path


def observations(kind: str, rows: int) -> Array:
    """Return random observations: a policy acts on any of them."""
    rng = np.random.default_rng(1)
    if kind == "tabular":
        return rng.integers(16, size=rows)
    return rng.normal(size=(rows, 4 if kind == "discrete" else 3)).astype(np.float32)


def require_same_actions(run: Path, kind: str, obs: Array, actions: Array) -> None:
    """Assert that a policy acts as the run's own learner, up to actions with equal Q values."""
    trained = read_trained(run, None)
    wanted = trained.act(obs)
    assert actions.shape == wanted.shape
    if kind == "continuous":
        np.testing.assert_allclose(actions, wanted, atol=1e-5)
        return
    q_MA = q_values(trained.shared, kind, obs)
    rows = np.arange(len(obs))
    assert (actions == wanted).mean() > 0.95
    np.testing.assert_allclose(q_MA[rows, actions], q_MA.max(-1), atol=1e-5)


def q_values(shared: dict[str, Array], kind: str, obs: Array) -> Array:
    """Return the outputs, computed by plain numpy in float64."""
    if kind == "tabular":
        return np.asarray(shared["q"][obs])
    x = obs.astype(np.float64)
    for layer in range(3):
        x = x @ shared[f"q/{layer}.weight"] + shared[f"q/{layer}.bias"]
        x = x if layer == 2 else np.maximum(x, 0)
    return np.asarray(x)
