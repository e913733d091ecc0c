"""Which agents share an actor, and whether the machine has what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from algorithms.replay import Replay
from algorithms.types import Spec

from .config import Experiment
from .config_checks import build_family
from .errors import UserError

if TYPE_CHECKING:
    from .pool import Pool

ACTOR_BYTES = 350 * 2**20
"""Memory of an actor's process before it holds any agent: torch and Ray, measured."""


def groups(num_agents: int, agents_per_actor: int | str, cpus: int) -> list[tuple[int, ...]]:
    """Agent ids of each actor, in order. auto: as many actors as CPUs, agents spread evenly."""
    agents = np.arange(num_agents)
    if agents_per_actor == "auto":
        parts: Sequence[Any] = np.array_split(agents, min(num_agents, max(1, cpus)))
    else:
        size = int(agents_per_actor)
        parts = [agents[i : i + size] for i in range(0, num_agents, size)]
    return [tuple(int(agent) for agent in part) for part in parts]


def replay_bytes(experiment: Experiment, spec: Spec) -> int:
    """Memory of all replay buffers, the one large thing an agent holds; 0 without replay."""
    capacity = getattr(experiment.learner.settings, "replay_capacity", 0)
    per_agent = Replay.bytes_per_agent(
        capacity, obs_size=spec.obs_size, action_size=max(1, len(spec.action_low))
    )
    return per_agent * experiment.federation.num_agents


def check_memory(experiment: Experiment, actors: int) -> None:
    """Raises UserError when replay and actors need more memory than there is free."""
    replay = replay_bytes(experiment, build_family(experiment).spec)
    needed, free = replay + actors * ACTOR_BYTES, psutil.virtual_memory().available
    if needed > free:
        raise UserError(
            f"not enough memory: {needed / 2**30:.1f} GiB needed ({replay / 2**30:.1f} for replay, "
            f"{actors} actors), {free / 2**30:.1f} GiB free; lower learner.replay_capacity, "
            "federation.num_agents or the number of actors (federation.agents_per_actor)"
        )


def build_pool(experiment: Experiment) -> Pool:
    """The pool that `federation.pool` names, checked against the machine first."""
    f = experiment.federation
    if f.pool == "in_process":
        from .pool import InProcessPool

        packed = groups(f.num_agents, f.agents_per_actor, cpus=1)
        check_memory(experiment, actors=0)
        return InProcessPool(experiment.to_dict(), packed)

    from .cluster import connect, cpus
    from .ray_pool import RayPool

    connect()
    packed = groups(f.num_agents, f.agents_per_actor, int(cpus()))
    check_memory(experiment, len(packed))
    return RayPool(
        experiment.to_dict(),
        packed,
        cpus_per_actor=min(1.0, int(1000 * cpus() / len(packed)) / 1000),
        timeout=f.round_timeout,
    )
