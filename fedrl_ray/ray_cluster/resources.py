"""Resources that local agents request from Ray, and the check that a cluster has them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field, field_validator

from algorithms.settings import Settings

from ..common.errors import UserError

Bundle = dict[str, float]
"""Amounts by Ray's names: CPU, GPU, memory (bytes) and custom resources."""

_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_RESERVED = ("CPU", "GPU", "memory", "object_store_memory")


class AgentResources(Settings):
    """Resources of one agent. A key that is null takes its value from `resources`."""

    cpu: Annotated[float, Field(ge=0)] | None = None
    """CPUs of the actor that runs the agent; an actor works in one thread. Null: one CPU, or an
    even share of the cluster's CPUs if there are more actors than CPUs."""
    gpu: Annotated[float, Field(ge=0)] | None = None
    """GPUs of the actor that runs the agent; all agents of an actor share them. Null: none."""
    memory: int | str | None = None
    """Memory of each agent, in bytes or with a unit (500MiB, 2GiB). An actor requests the sum over
    its agents. Null: Ray reserves none."""
    custom: dict[str, Annotated[float, Field(gt=0)]] | None = None
    """Custom resources of each agent, by the names that Ray's nodes declare (a licence, a robot,
    one particular node). An actor requests the sum over its agents. Null: none."""

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
                raise ValueError(f"must hold custom resources only; {name!r} does not name one")
        return value


class ResourcesConfig(AgentResources):
    """Keys of `resources`: the resources that the actors of local agents request from Ray."""

    agents: dict[str, AgentResources] = {}
    """Resources of single agents, by agent id. A key that is left out keeps the value that
    `resources` has for all agents."""

    @field_validator("agents", mode="before")
    @classmethod
    def _ids(cls, value: Any) -> Any:
        """Turn ids into text: YAML reads them as numbers, JSON as text."""
        if not isinstance(value, Mapping):
            return value
        return {str(key): inner for key, inner in value.items()}

    def of(self, agent: int) -> AgentResources:
        """Return the resources of one agent: its own keys, then those of all agents."""
        own = self.agents.get(str(agent), AgentResources())
        names = AgentResources.model_fields
        keys = {n: getattr(self if getattr(own, n) is None else own, n) for n in names}
        return AgentResources(**keys)

    def kinds(self, num_agents: int) -> list[str]:
        """Return a text per agent. Agents with equal texts may share an actor."""
        return [self.of(agent).model_dump_json() for agent in range(num_agents)]


def bundle(resources: ResourcesConfig, group: Sequence[int], cpus: float) -> Bundle:
    """Return the request of the actor of a group of equal agents; `cpus` applies if cpu is null."""
    one, n = resources.of(group[0]), len(group)
    found: Bundle = {"CPU": cpus if one.cpu is None else one.cpu}
    if one.gpu:
        found["GPU"] = one.gpu
    if one.memory:
        found["memory"] = float(int(one.memory) * n)
    return found | {name: amount * n for name, amount in (one.custom or {}).items()}


def together(resources: ResourcesConfig, agents: Sequence[int]) -> Bundle:
    """Return the request of one process that runs all agents.

    It has the largest CPU and GPU of any agent, and the sums of memory and custom resources.
    """
    alone = [bundle(resources, [agent], 1.0) for agent in agents]
    found = {name: max(b.get(name, 0.0) for b in alone) for b in alone for name in b}
    shared = ("CPU", "GPU")
    return {n: a if n in shared else sum(b.get(n, 0.0) for b in alone) for n, a in found.items()}


def options(request: Bundle) -> dict[str, Any]:
    """Return a bundle as options of a Ray actor."""
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
    """Raise UserError unless each actor fits on one node, and all actors fit on the nodes together.

    `nodes` includes the nodes that an autoscaler may add.
    """
    for group, request in zip(groups, requests, strict=True):
        if not any(_fits(request, node) for node in nodes):
            raise UserError(
                f"resources: the actor of {_agents(group)} asks for {words(request)}, which no "
                f"node of the cluster has; the nodes have: {_nodes(nodes)}"
            )
    for name in sorted({name for request in requests for name in request}):
        asked = sum(request.get(name, 0.0) for request in requests)
        there = sum(node.get(name, 0.0) for node in nodes)
        if asked > there + 1e-6:
            raise UserError(
                f"resources: {len(requests)} actors ask for {words({name: asked})} in all, but the "
                f"cluster has {words({name: there})}; put more agents into one actor "
                "(federation.agents_per_actor), or ask for less"
            )
    lonely = _left_over(requests, nodes)
    if lonely is not None:
        raise UserError(
            f"resources: {len(requests)} actors fit the cluster together, but not node by node: "
            f"no node has room for one that asks for {words(lonely)} beside the others; the nodes "
            f"have: {_nodes(nodes)}"
        )


def _left_over(requests: Sequence[Bundle], nodes: Sequence[Bundle]) -> Bundle | None:
    """Return the first request that finds no room; None if all requests fit.

    The largest request comes first, and each takes the first node that has room. The answer is
    exact for equal requests.
    """
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
    """Return `CPU 4, memory 8.00 GiB`, without the resources that Ray itself adds to a node."""
    shown = {n: a for n, a in request.items() if not n.startswith(("node:", "object_store"))}
    return ", ".join(
        f"{name} {amount / 2**30:.2f} GiB" if name == "memory" else f"{name} {amount:g}"
        for name, amount in shown.items()
    )
