"""Which agents share an actor, and whether the machine has what is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from algorithms.replay import Replay

from . import plugins
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
        parts: Sequence[Any] = np.array_split(
            agents, num_actors(num_agents, agents_per_actor, cpus)
        )
    else:
        size = int(agents_per_actor)
        parts = [agents[i : i + size] for i in range(0, num_agents, size)]
    return [tuple(int(agent) for agent in part) for part in parts]


def agent_bytes(experiment: Experiment) -> int:
    """Memory of one agent: replay buffer, parameters, their gradients and moments, environment."""
    family = build_family(experiment)
    spec = family.spec
    cls = plugins.load("learners", experiment.learner.name)
    one = cls(experiment.learner.settings, spec, agent_ids=[0], seed=experiment.seed)
    parameters: int = sum(array.nbytes for array in one.shared().values())
    capacity = getattr(experiment.learner.settings, "replay_capacity", 0)
    replay = Replay.bytes_per_agent(
        capacity, obs_size=spec.obs_size, action_size=max(1, len(spec.action_low))
    )
    return replay + 4 * parameters + family.bytes_per_environment()


def check_memory(experiment: Experiment, actors: int) -> None:
    """Raises UserError when the agents and their actors need more memory than there is free."""
    agents = agent_bytes(experiment) * experiment.federation.num_agents
    needed, free = agents + actors * ACTOR_BYTES, psutil.virtual_memory().available
    if needed > free:
        raise UserError(
            f"not enough memory: {needed / 2**30:.1f} GiB needed ({agents / 2**30:.1f} for agents, "
            f"{actors} actors), {free / 2**30:.1f} GiB free; lower learner.replay_capacity, "
            "federation.num_agents or the number of actors (federation.agents_per_actor)"
        )


def num_actors(num_agents: int, agents_per_actor: int | str, cpus: int) -> int:
    """How many actors `groups` makes."""
    if agents_per_actor == "auto":
        return min(num_agents, max(1, cpus))
    return -(-num_agents // int(agents_per_actor))


def build_pool(experiment: Experiment) -> Pool:
    """The pool that `federation.pool` names, checked against the machine first."""
    f = experiment.federation
    if f.pool == "in_process":
        from .pool import InProcessPool

        check_memory(experiment, actors=0)
        packed = groups(f.num_agents, f.agents_per_actor, cpus=1)
        return InProcessPool(experiment.to_dict(), packed)

    from .cluster import connect, cpus
    from .ray_pool import RayPool

    connect()
    check_memory(experiment, num_actors(f.num_agents, f.agents_per_actor, int(cpus())))
    packed = groups(f.num_agents, f.agents_per_actor, int(cpus()))
    return RayPool(
        experiment.to_dict(),
        packed,
        cpus_per_actor=actor_cpus(len(packed), cpus()),
        timeout=f.round_timeout,
    )


def actor_cpus(actors: int, cpus: float) -> float:
    """CPUs that each of so many actors asks for: one, or an even share where there are fewer."""
    return min(1.0, int(1000 * cpus / actors) / 1000)
