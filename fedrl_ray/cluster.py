"""The Ray cluster a run uses: the one it finds itself in, or a local one of its own."""

from __future__ import annotations

import logging
import os

import ray


def connect(address: str = "local") -> None:
    """Start or join Ray unless this process already has. A local Ray has no dashboard and opens
    ports on this machine only."""
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Set now or not at all: Ray 2.60 would warn about it in every process.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address == "local":
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    else:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


def cpus() -> float:
    """CPUs for local agents: of the placement group this process is in, else of the cluster."""
    group = ray.util.get_current_placement_group()
    if group is not None:
        return float(sum(bundle.get("CPU", 0.0) for bundle in group.bundle_specs))
    return cluster_cpus()


def cluster_cpus() -> float:
    """CPUs of the whole cluster."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return resources.get("CPU", 1.0)


def num_nodes() -> int:
    """Nodes that are alive."""
    return sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]
