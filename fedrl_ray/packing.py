"""Which agents share an actor, and whether the machine has what is asked of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import psutil

from algorithms.replay import Replay

from . import plugins
from .config import Experiment
from .config_checks import build_family
from .errors import UserError
from .resources import Bundle, bundle, require_capacity

if TYPE_CHECKING:
    from .pool import Pool

ACTOR_BYTES = 350 * 2**20
"""Memory of an actor's process before it holds any agent: torch and Ray, measured."""


def groups(
    num_agents: int, agents_per_actor: int | str, cpus: int, kinds: Sequence[str] | None = None
) -> list[tuple[int, ...]]:
    """Agent ids of each actor, in order. auto: as many actors as CPUs, agents spread evenly.
    Agents that share an actor are neighbours of one kind."""
    kinds = [""] * num_agents if kinds is None else kinds
    packed = []
    for _, same in itertools.groupby(range(num_agents), key=kinds.__getitem__):
        agents = list(same)
        actors = _num_actors(len(agents), agents_per_actor, cpus * len(agents) // num_agents)
        packed += _split(agents, agents_per_actor, actors)
    return packed


def _num_actors(num_agents: int, agents_per_actor: int | str, cpus: int) -> int:
    if agents_per_actor == "auto":
        return min(num_agents, max(1, cpus))
    return -(-num_agents // int(agents_per_actor))


def _split(agents: list[int], agents_per_actor: int | str, actors: int) -> list[tuple[int, ...]]:
    if agents_per_actor == "auto":
        return [tuple(int(a) for a in part) for part in np.array_split(agents, actors)]
    size = int(agents_per_actor)
    return [tuple(agents[i : i + size]) for i in range(0, len(agents), size)]


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


def check_memory(experiment: Experiment, actors: int, free: float | None = None) -> None:
    """Raises UserError when the agents and their actors need more memory than there is free: on
    this machine, where no number is given."""
    agents = agent_bytes(experiment) * experiment.federation.num_agents
    needed = agents + actors * ACTOR_BYTES
    free = psutil.virtual_memory().available if free is None else free
    if needed > free:
        raise UserError(
            f"not enough memory: {needed / 2**30:.1f} GiB needed ({agents / 2**30:.1f} for agents, "
            f"{actors} actors), {free / 2**30:.1f} GiB free; lower learner.replay_capacity, "
            "federation.num_agents or the number of actors (federation.agents_per_actor)"
        )


def plan(
    experiment: Experiment, nodes: Sequence[Bundle]
) -> tuple[list[tuple[int, ...]], list[Bundle]]:
    """Agent ids of each actor, and what each actor asks of Ray, on such nodes."""
    f, resources = experiment.federation, experiment.resources
    room = actors_of(resources.cpu or 1.0, nodes)
    packed = groups(f.num_agents, f.agents_per_actor, room, resources.kinds(f.num_agents))
    share = actor_cpus(len(packed), nodes)
    return packed, [bundle(resources, group, share) for group in packed]


def actors_of(cpu: float, nodes: Sequence[Bundle]) -> int:
    """How many actors of so many CPUs find room: none lies across two nodes."""
    return sum(int(node.get("CPU", 0.0) / cpu + 1e-9) for node in nodes)


def actor_cpus(actors: int, nodes: Sequence[Bundle]) -> float:
    """CPUs that each of so many actors asks for: one, or the largest share at which all find
    room where there are fewer."""
    cpus = [node["CPU"] for node in nodes if node.get("CPU")]
    shares = {min(1.0, cpu / n) for cpu in cpus for n in range(1, actors + 1)}
    fitting = (s for s in sorted(shares, reverse=True) if actors_of(s, nodes) >= actors)
    return int(1000 * next(fitting, 1.0)) / 1000


def plan_on_cluster(experiment: Experiment) -> tuple[list[tuple[int, ...]], list[Bundle]]:
    """`plan` for the cluster that this process has joined. Raises UserError where that has not
    what is asked for."""
    from . import cluster

    nodes = cluster.capacity()
    packed, requests = plan(experiment, nodes)
    require_capacity(packed, requests, nodes)
    return packed, requests


def build_pool(experiment: Experiment, nodes: Sequence[Bundle] | None = None) -> Pool:
    """The pool that `federation.pool` names, checked against the machine or the cluster first;
    against the cluster as it was where `nodes` tells that, and room is held for it already.
    Raises UserError."""
    f = experiment.federation
    if f.pool == "in_process":
        from .pool import InProcessPool

        check_memory(experiment, actors=0)
        return InProcessPool(experiment.to_dict(), groups(f.num_agents, f.agents_per_actor, cpus=1))

    from . import cluster
    from .ray_pool import RayPool

    cluster.connect()
    packed, requests = plan_on_cluster(experiment) if nodes is None else plan(experiment, nodes)
    check_memory(experiment, len(packed), cluster.memory())
    return RayPool(
        experiment.to_dict(),
        packed,
        requests=requests,
        keep_cpu=experiment.resources.cpu is not None,
        timeout=f.round_timeout,
        start_timeout=f.start_timeout,
    )
