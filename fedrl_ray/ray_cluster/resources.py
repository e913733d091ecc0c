"""What local agents ask of a cluster, and whether it has that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, field_validator

from algorithms.settings import Settings

from ..common.errors import UserError

Bundle = dict[str, float]
"""Amounts by Ray's names: CPU, GPU, memory (bytes) and the custom ones."""

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_RESERVED = ("CPU", "GPU", "memory", "object_store_memory")


class AgentResources(Settings):
    """What one agent needs; null: what `resources` says for all."""

    cpu: Annotated[float, Field(ge=0)] | None = None
    """CPUs of the actor, which works in one thread; null: one, or an even share of the cluster's
    where there are more actors than CPUs."""
    gpu: Annotated[float, Field(ge=0)] | None = None
    """GPUs of the actor: agents that share it share them."""
    memory: int | str | None = None
    """Memory of each agent, in bytes or as 500MiB, 2GiB: summed over those that share an actor."""
    custom: dict[str, Annotated[float, Field(gt=0)]] | None = None
    """Custom resources of each agent, as Ray's nodes declare them (a licence, a robot, the node
    itself): summed over those that share an actor."""

    @field_validator("memory")
    @classmethod
    def _bytes(cls, value: int | str | None) -> int | None:
        if value is None or (isinstance(value, int) and value >= 0):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)i?B?", str(value))
        if found is None:
            raise ValueError("must be a number of bytes, or one with KiB, MiB, GiB or TiB")
        return int(float(found[1]) * _UNITS[found[2]])

    @field_validator("custom")
    @classmethod
    def _not_reserved(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        for name in value or {}:
            if name in _RESERVED or not re.fullmatch(r"[\w.:-]{1,100}", name):
                raise ValueError(f"{name!r} is no name of a custom resource")
        return value


class ResourcesConfig(AgentResources):
    """Keys of `resources`: what the actors of local agents ask of Ray."""

    agents: dict[str, AgentResources] = {}
    """Other needs of single agents: by agent id, only the keys that differ."""

    @field_validator("agents", mode="before")
    @classmethod
    def _ids(cls, value: Any) -> Any:
        """YAML reads ids as numbers, and JSON as words."""
        if not isinstance(value, Mapping):
            return value
        return {str(key): inner for key, inner in value.items()}

    def of(self, agent: int) -> AgentResources:
        """What one agent asks for, everything said."""
        own = self.agents.get(str(agent), AgentResources())
        names = AgentResources.model_fields
        keys = {n: getattr(self if getattr(own, n) is None else own, n) for n in names}
        return AgentResources(**keys)

    def kinds(self, num_agents: int) -> list[str]:
        """Agents of the same kind ask for the same, and may share an actor."""
        return [self.of(agent).model_dump_json() for agent in range(num_agents)]


def bundle(resources: ResourcesConfig, group: Sequence[int], cpus: float) -> Bundle:
    """What the actor of a group of equal agents asks for; `cpus` where `cpu` is null."""
    one, n = resources.of(group[0]), len(group)
    found: Bundle = {"CPU": cpus if one.cpu is None else one.cpu}
    if one.gpu:
        found["GPU"] = one.gpu
    if one.memory:
        found["memory"] = float(int(one.memory) * n)
    return found | {name: amount * n for name, amount in (one.custom or {}).items()}


def together(resources: ResourcesConfig, agents: Sequence[int]) -> Bundle:
    """What one process asks for that hosts all agents: the most of CPU and GPU, the sum of what
    each agent has for itself."""
    alone = [bundle(resources, [agent], 1.0) for agent in agents]
    found = {name: max(b.get(name, 0.0) for b in alone) for b in alone for name in b}
    shared = ("CPU", "GPU")
    return {n: a if n in shared else sum(b.get(n, 0.0) for b in alone) for n, a in found.items()}


def options(request: Bundle) -> dict[str, Any]:
    """A bundle as the options of a Ray actor."""
    custom = {name: amount for name, amount in request.items() if name not in _RESERVED}
    return {
        "num_cpus": request.get("CPU", 0.0),
        "num_gpus": request.get("GPU", 0.0),
        "memory": request.get("memory"),
        "resources": custom,
    }


def require_capacity(
    groups: Sequence[Sequence[int]], requests: Sequence[Bundle], nodes: Sequence[Bundle]
) -> None:
    """Whether the nodes of a cluster, those its autoscaler may add among them, have what is asked
    for: each actor on one node, and all together. Raises UserError."""
    for group, request in zip(groups, requests, strict=True):
        if not any(_fits(request, node) for node in nodes):
            raise UserError(
                f"resources: the actor of {_agents(group)} asks for {words(request)}, which no "
                f"node of the cluster has; its nodes: {_nodes(nodes)}"
            )
    for name in sorted({name for request in requests for name in request}):
        asked = sum(request.get(name, 0.0) for request in requests)
        there = sum(node.get(name, 0.0) for node in nodes)
        if asked > there + 1e-6:
            raise UserError(
                f"resources: {len(requests)} actors ask for {words({name: asked})} in all, the "
                f"cluster has {words({name: there})}; more agents in an actor "
                "(federation.agents_per_actor) or smaller resources would fit"
            )
    lonely = _left_over(requests, nodes)
    if lonely is not None:
        raise UserError(
            f"resources: {len(requests)} actors fit the cluster together, but not node by node: "
            f"there is no room for one that asks for {words(lonely)} beside the others; its "
            f"nodes: {_nodes(nodes)}"
        )


def _left_over(requests: Sequence[Bundle], nodes: Sequence[Bundle]) -> Bundle | None:
    """The first request without room where each, the largest first, takes the first node that has
    some: exact for equal requests."""
    free = [dict(node) for node in nodes]
    for request in sorted(requests, key=lambda r: sorted(r.values()), reverse=True):
        node = next((node for node in free if _fits(request, node)), None)
        if node is None:
            return request
        for name, amount in request.items():
            node[name] = node.get(name, 0.0) - amount
    return None


def _fits(request: Bundle, node: Bundle) -> bool:
    return all(amount <= node.get(name, 0.0) + 1e-9 for name, amount in request.items())


def _nodes(nodes: Sequence[Bundle]) -> str:
    distinct = list(dict.fromkeys(words(node) for node in nodes))
    more = f" and {len(distinct) - 3} other kinds" if len(distinct) > 3 else ""
    return "; ".join(distinct[:3]) + more


def _agents(group: Sequence[int]) -> str:
    return f"agent {group[0]}" if len(group) == 1 else f"agents {group[0]}-{group[-1]}"


def words(request: Bundle) -> str:
    """`CPU 4, memory 8.0 GiB`; what Ray adds to a node of its own accord is left out."""
    shown = {n: a for n, a in request.items() if not n.startswith(("node:", "object_store"))}
    return ", ".join(
        f"{name} {amount / 2**30:.2f} GiB" if name == "memory" else f"{name} {amount:g}"
        for name, amount in shown.items()
    )
