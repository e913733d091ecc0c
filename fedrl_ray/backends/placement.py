"""Placement: which agents share a worker, and which share of the CPUs each worker asks for."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from ..ray_cluster.resources import Bundle


def groups(
    num_agents: int, agents_per_actor: int | str, cpus: int, kinds: Sequence[str] | None = None
) -> list[tuple[int, ...]]:
    """Return the agent ids of each worker, in order.

    auto: as many workers as CPUs, with the agents spread evenly. Agents share a worker only with
    neighbours of their own kind.
    """
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


def packing_words(packing: Sequence[int], backend: str) -> str:
    """Return `1,000 agents in 2 Ray actors of 500`; packing: the number of agents per worker."""
    actors = f"{len(packing):,} Ray actor{'s' if len(packing) > 1 else ''}"
    sizes = "-".join(f"{size:,}" for size in sorted({min(packing), max(packing)}))
    where = f"{actors} of {sizes}" if backend == "ray" else "this process"
    return f"{sum(packing):,} agent{'s' if sum(packing) > 1 else ''} in {where}"


def actors_of(cpu: float, nodes: Sequence[Bundle]) -> int:
    """Return the number of actors of so many CPUs that find room; none spans two nodes."""
    return sum(int(node.get("CPU", 0.0) / cpu + 1e-9) for node in nodes)


def actor_cpus(actors: int, nodes: Sequence[Bundle]) -> float:
    """Return the CPUs that each of so many actors asks for: one, or the largest fitting share."""
    cpus = [node["CPU"] for node in nodes if node.get("CPU")]
    shares = {min(1.0, cpu / n) for cpu in cpus for n in range(1, actors + 1)}
    fitting = (s for s in sorted(shares, reverse=True) if actors_of(s, nodes) >= actors)
    return int(1000 * next(fitting, 1.0)) / 1000
