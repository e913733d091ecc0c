"""Fixtures: one local Ray per test session, small experiments, float64 where a test asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fedrl_ray.config import Experiment
from fedrl_ray.experiments import from_dict

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
torch.set_num_threads(1)

SMALL: dict[str, Any] = {
    "name": "small",
    "seed": 3,
    "federation": {
        "num_agents": 5,
        "steps": 240,
        "sync_interval": 20,
        "pool": "in_process",
        "round_timeout": 60.0,
    },
    "learner": {
        "name": "fedrdqn",
        "omega": 0.3,
        "hidden_sizes": [16, 16],
        "learning_starts": 10,
        "batch_size": 8,
        "replay_capacity": 64,
    },
    "environment": {"name": "cartpole", "perturb": {"pole_length": 0.5}},
    "evaluation": {"every": 80, "grid": 3, "episodes": 2},
    "checkpoint": {"every": 80, "keep": 2},
}


def merged(base: Any, changes: Any) -> Any:
    """A nested mapping with another laid over it."""
    if not (isinstance(base, dict) and isinstance(changes, dict)):
        return changes
    return base | {key: merged(base.get(key), value) for key, value in changes.items()}


@pytest.fixture
def small() -> Callable[..., Experiment]:
    """Builds the small experiment with changes: small(federation={"agents_per_actor": 1})."""

    def build(**changes: Any) -> Experiment:
        return from_dict(merged(SMALL, changes))

    return build


@pytest.fixture
def small_yaml(tmp_path: Path) -> Callable[..., Path]:
    """Writes the small experiment, with changes, as a file."""
    import yaml

    def write(**changes: Any) -> Path:
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(merged(SMALL, changes), sort_keys=False))
        return path

    return write


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One Ray for the whole session: four logical CPUs, no dashboard, loopback only."""
    import ray

    ray.init(address="local", num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.fixture
def float64() -> Iterator[None]:
    """Learners built in this test compute in float64."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
