"""Fixtures: one local Ray per test session, small experiments, float64 where a test asks for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from fedrl_ray.config.loading import from_dict
from fedrl_ray.config.schema import Experiment
from tests.support.small import SMALL, merged

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
torch.set_num_threads(1)


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
