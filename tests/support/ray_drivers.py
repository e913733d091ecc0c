"""A request that tells a worker's process, and helpers for drivers over Ray workers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from fedrl_ray.agents.local_agents import LocalAgents
from fedrl_ray.backends.ray_backend import RayBackend
from fedrl_ray.backends.requests import Request
from fedrl_ray.federation.driver import Driver


@dataclass(frozen=True)
class ProcessId(Request[int]):
    """Request for the id of a worker's process, so that a test can kill it."""

    def apply(self, agents: LocalAgents) -> int:
        """Return the id."""
        return os.getpid()


def ray_backend(driver: Driver) -> RayBackend:
    """Return the driver's backend, which is Ray's."""
    assert isinstance(driver.backend, RayBackend)
    return driver.backend


def process_ids(driver: Driver) -> list[Any]:
    """Return the process id of each worker, or its failure."""
    return ray_backend(driver).call(range(len(driver.groups)), ProcessId())
