"""Which agents share an actor, and whether the machine has what is asked of it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..common.errors import UserError
from ..config import plugins
from ..config.schema import Experiment
from ..ray_cluster.resources import Bundle, ResourcesConfig, bundle, require_capacity
from . import memory_estimate

if TYPE_CHECKING:
    from .backend import Backend


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


def backend_of(experiment: Experiment) -> Literal["ray", "in_process"]:
    """Where agents live. auto: in this process where tables are learnt, a step of which costs less
    than a message, and where one actor would hold all agents; else, and wherever something is
    asked of Ray, as Ray actors."""
    f = experiment.federation
    if f.backend != "auto":
        return f.backend
    asks = (
        os.environ.get("RAY_ADDRESS", "local") != "local"
        or experiment.resources != ResourcesConfig()
    )
    tabular = plugins.load("learners", experiment.learner.name).spec_kinds == ("tabular",)
    packed = f.agents_per_actor if f.agents_per_actor != "auto" else 1
    return "in_process" if not asks and (tabular or packed >= f.num_agents) else "ray"


def settled(experiment: Experiment) -> Experiment:
    """The same with `federation.backend` decided, as config.yaml records it."""
    federation = experiment.federation.model_copy(update={"backend": backend_of(experiment)})
    return experiment.model_copy(update={"federation": federation})


def packing_words(packing: Sequence[int], backend: str) -> str:
    """`1,000 agents in 2 Ray actors of 500`; packing: agents of each actor."""
    actors = f"{len(packing):,} Ray actor{'s' if len(packing) > 1 else ''}"
    sizes = "-".join(f"{size:,}" for size in sorted({min(packing), max(packing)}))
    where = f"{actors} of {sizes}" if backend == "ray" else "this process"
    return f"{sum(packing):,} agent{'s' if sum(packing) > 1 else ''} in {where}"


def check_memory(experiment: Experiment, actors: int, free: float | None = None) -> None:
    """Raises UserError when the agents and their actors need more memory than there is free: on
    this machine, where no number is given."""
    needed = memory_estimate.estimate(experiment, actors)
    free = memory_estimate.available() if free is None else free
    if needed.total > free:
        raise UserError(
            f"not enough memory: {needed}; {free / 2**30:.1f} GiB are free; lower "
            "learner.replay_capacity, federation.num_agents or the number of actors "
            "(federation.agents_per_actor)"
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
    from ..ray_cluster import cluster

    nodes = cluster.capacity()
    packed, requests = plan(experiment, nodes)
    require_capacity(packed, requests, nodes)
    return packed, requests


def build_backend(experiment: Experiment, nodes: Sequence[Bundle] | None = None) -> Backend:
    """The pool that `federation.backend` names, checked against the machine or the cluster first;
    against the cluster as it was where `nodes` tells that, and room is held for it already.
    Raises UserError."""
    f = experiment.federation
    if backend_of(experiment) == "in_process":
        from .in_process import InProcessBackend

        check_memory(experiment, actors=0)
        return InProcessBackend(
            experiment.to_dict(), groups(f.num_agents, f.agents_per_actor, cpus=1)
        )

    from ..ray_cluster import cluster
    from .ray_backend import RayBackend

    cluster.connect()
    packed, requests = plan_on_cluster(experiment) if nodes is None else plan(experiment, nodes)
    check_memory(experiment, len(packed), cluster.memory())
    return RayBackend(
        experiment.to_dict(),
        packed,
        requests=requests,
        keep_cpu=experiment.resources.cpu is not None,
        timeout=f.round_timeout,
        start_timeout=f.start_timeout,
    )
