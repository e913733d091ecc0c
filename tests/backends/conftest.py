"""Fixtures of the tests with Ray workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fedrl_ray.agents.local_agents import LocalAgents
from fedrl_ray.backends.placement import groups
from fedrl_ray.backends.ray_backend import RayBackend
from fedrl_ray.config.loading import from_dict
from fedrl_ray.config.schema import Experiment
from fedrl_ray.federation.driver import Driver
from tests.support.runs import train
from tests.support.small import SMALL


@pytest.fixture
def ray_driver(tmp_path: Path) -> Iterator[Callable[..., Driver]]:
    """Function that builds a driver over Ray workers; the workers end with the test."""
    drivers: list[Driver] = []

    def build(experiment: Experiment, agents_class: type[LocalAgents] = LocalAgents) -> Driver:
        f = experiment.federation
        packed = groups(f.num_agents, f.agents_per_actor, cpus=2)
        backend = RayBackend(
            experiment.to_dict(),
            packed,
            requests=[{"CPU": 0.1}] * len(packed),
            timeout=f.round_timeout,
            channel=f.channel,
            build=agents_class,
        )
        drivers.append(Driver(experiment, directory=tmp_path / "run", backend=backend))
        return drivers[-1]

    yield build
    for driver in drivers:
        driver.close()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> dict[str, Any]:
    """Summary of the small experiment in one process, which every disturbed run must equal."""
    return train(from_dict(SMALL), tmp_path_factory.mktemp("undisturbed") / "run")
