"""The Ray cluster that a run uses: the one that RAY_ADDRESS names, or a local one."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import socket
from collections.abc import Collection
from typing import Any

import ray
from ray.exceptions import AuthenticationError

from ..common.errors import UserError, first_line
from . import local_ray, tokens
from .autoscaler import addable_nodes
from .resources import Bundle

ADDRESS = "RAY_ADDRESS"
"""Variable with the cluster's address: Ray sets it in every job, a user elsewhere."""


def connect() -> None:
    """Start or join Ray unless this process already has.

    A local Ray has no dashboard, and its ports are open to this machine only. Raise UserError if
    it does not start, or if the cluster does not answer or must not be joined.
    """
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Ray 2.60 warns in every process that lacks this variable.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    quiet: Any = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = os.environ.get(ADDRESS) or "local"
    if address == "local":
        local_ray.start(**quiet)
        return
    _join(address, quiet)


def _join(address: str, quiet: Any) -> None:
    _require_reachable(address)
    tokens.check_cluster(address)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, AuthenticationError) as error:
        raise UserError(f"{ADDRESS} {address}: {first_line(error)}") from None
    try:
        tokens.check_joined(address, [node["NodeManagerAddress"] for node in nodes()])
    except UserError:
        ray.shutdown()
        raise


def _require_reachable(address: str) -> None:
    """Raise UserError if nothing answers within 5 s: Ray itself would try for minutes."""
    if "://" in address:
        raise UserError(
            f"{ADDRESS}: must be HOST:PORT of a cluster's head, or auto; got {address!r}; "
            "from outside a cluster use `fedrl-ray submit --address http://HEAD:8265`"
        )
    host, _, port = address.rpartition(":")
    if not port.isdecimal():  # `auto`: Ray finds the cluster of this machine
        return
    try:
        with contextlib.closing(socket.create_connection((host.strip("[]"), int(port)), 5.0)):
            pass
    except (OSError, OverflowError) as error:
        raise UserError(f"{ADDRESS} {address}: no cluster answers there: {error}") from None


def capacity() -> list[Bundle]:
    """Return the resources that local agents may use, node by node.

    The nodes are those that are alive. With an autoscaler they are the head and the nodes that the
    autoscaler may add.
    """
    alive: list[Bundle] = [node["Resources"] for node in nodes()]
    more = addable_nodes()
    if not more:
        return alive
    return [node for node in alive if "node:__internal_head__" in node] + more


def has_room(request: Bundle, *, without: Collection[str] = ()) -> bool:
    """Return True if a node outside `without` has this much free, as far as Ray knows now."""
    state: Any = ray._private.state
    free = state.available_resources_per_node()
    return any(
        all(free[node].get(name, 0.0) >= amount for name, amount in request.items())
        for node in free
        if node not in without
    )


def occupancy() -> str:
    """Return the free and the total resources of the cluster as a phrase."""
    free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    names = [n for n in total if not n.startswith(("node:", "object_store", "memory"))]
    parts = [f"{name} {free.get(name, 0.0):g} of {total[name]:g}" for name in sorted(names)]
    return f"free on the cluster are {', '.join(parts)}"


def memory() -> float | None:
    """Return the bytes of memory that all nodes together offer to actors.

    Return None for a single node: it is this machine, whose memory can be measured.
    """
    offered = capacity()
    return None if len(offered) == 1 else sum(b.get("memory", math.inf) for b in offered)


def num_nodes() -> int:
    """Return the number of nodes that are alive."""
    return len(nodes())


def nodes() -> list[dict[str, Any]]:
    """Return Ray's descriptions of the nodes that are alive."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def silent(node_ids: Collection[str]) -> list[str]:
    """Return those of these nodes that refuse a connection although Ray lists them as alive.

    Ray takes about 15 s to notice that a node has died, and places actors there meanwhile.
    """
    asked = [node for node in nodes() if node["NodeID"] in node_ids]
    return [node["NodeID"] for node in asked if not _accepts_connections(node)]


def _accepts_connections(node: dict[str, Any]) -> bool:
    address = (node["NodeManagerAddress"], node["NodeManagerPort"])
    try:
        socket.create_connection(address, timeout=1.0).close()
    except OSError:
        return False
    return True
