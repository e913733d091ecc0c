"""Facts of a run as plain data: the fields of its first event, and summary.json."""

from __future__ import annotations

from typing import Any

from ..backends.memory_estimate import MemoryEstimate, estimate
from ..config.schema import Experiment
from ..federation.driver import Driver


def packing_of(driver: Driver) -> list[int]:
    """Return the number of agents of each worker."""
    return [len(group) for group in driver.groups]


def memory_of(driver: Driver) -> MemoryEstimate:
    """Return the memory that a run needs with the workers that it has."""
    actors = len(driver.groups) if driver.backend.kind == "ray" else 0
    return estimate(driver.experiment, actors)


def start_fields(driver: Driver, memory: MemoryEstimate) -> dict[str, Any]:
    """Return the fields of the events `started` and `resumed`; wait until every worker is up."""
    places = zip(driver.groups, driver.backend.places(wait=True), strict=True)
    return {
        "rounds": driver.experiment.rounds,
        "backend": driver.backend.kind,
        "packing": packing_of(driver),
        "memory": memory._asdict(),
        "workers": [{"agents": g} | ({} if p is None else p.to_dict()) for g, p in places],
    }


def summary_of(
    experiment: Experiment,
    driver: Driver,
    *,
    status: str,
    state_digest: str,
    evaluation: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return the content of summary.json; state_digest: of the last checkpoint."""
    progress = driver.progress
    return {
        "status": status,
        "name": experiment.name,
        "rounds": driver.server.round,
        "steps": driver.server.round * experiment.round_steps,
        "agent_steps": int(progress["agent_steps"]),
        "seconds": round(progress["seconds"], 3),
        "digest": driver.digest(),
        "state_digest": state_digest,
        "backend": driver.backend.kind,
        "packing": packing_of(driver),
        "niceness": max((p.niceness for p in driver.backend.places() if p), default=None),
        "exemptions": driver.exemptions,
        "evaluation": evaluation,
    }
