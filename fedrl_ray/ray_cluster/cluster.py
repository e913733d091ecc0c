"""The Ray cluster a run uses: the one that RAY_ADDRESS names, or a local one of its own."""

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

from ..common.errors import UserError
from . import tokens
from .autoscaler import addable_nodes
from .resources import Bundle

ADDRESS = "RAY_ADDRESS"
"""Set inside every Ray job, and by a user who wants a cluster of their own to be used."""


def connect() -> None:
    """Start or join Ray unless this process already has. A local Ray has no dashboard and opens
    ports on this machine only. Raises UserError where the cluster does not answer."""
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Set now or not at all: Ray 2.60 would warn about it in every process.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    quiet: Any = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = os.environ.get(ADDRESS) or "local"
    if address == "local":
        ray.init(address="local", include_dashboard=False, **quiet)
        tokens.protect_token_file()  # Ray may just have written it, for all to read
        return
    _join(address, quiet)


def _join(address: str, quiet: Any) -> None:
    _require_reachable(address)
    tokens.check_cluster(address)
    try:
        ray.init(address=address, **quiet)
    except (ConnectionError, RuntimeError, ValueError, AuthenticationError) as error:
        raise UserError(f"{ADDRESS} {address}: {_first_line(error)}") from None
    try:
        tokens.check_joined(address, [node["NodeManagerAddress"] for node in nodes()])
    except UserError:
        ray.shutdown()
        raise


def _require_reachable(address: str) -> None:
    """In seconds: Ray itself would try for minutes. Raises UserError."""
    if "://" in address:
        raise UserError(
            f"{ADDRESS} must be HOST:PORT of a cluster's head, or auto, got {address!r}; "
            "from outside a cluster use `fedrl-ray submit --address http://HEAD:8265`"
        )
    host, _, port = address.rpartition(":")
    if not port.isdecimal():  # "auto": Ray finds the cluster on this machine
        return
    try:
        with contextlib.closing(socket.create_connection((host.strip("[]"), int(port)), 5.0)):
            pass
    except (OSError, OverflowError) as error:
        raise UserError(f"{ADDRESS} {address}: no cluster answers there: {error}") from None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def capacity() -> list[Bundle]:
    """What there is for local agents, node by node: every node that is alive, or the head and what
    an autoscaler may add."""
    alive: list[Bundle] = [node["Resources"] for node in nodes()]
    more = addable_nodes()
    if not more:
        return alive
    return [node for node in alive if "node:__internal_head__" in node] + more


def has_room(request: Bundle, *, without: Collection[str] = ()) -> bool:
    """Whether some node has this much that no actor holds, as Ray knows it at the moment; `without`
    some nodes."""
    state: Any = ray._private.state
    free = state.available_resources_per_node()
    return any(
        all(free[node].get(name, 0.0) >= amount for name, amount in request.items())
        for node in free
        if node not in without
    )


def occupancy() -> str:
    """What is free on the cluster, in words."""
    free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
    total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    names = [n for n in total if not n.startswith(("node:", "object_store", "memory"))]
    parts = [f"{name} {free.get(name, 0.0):g} of {total[name]:g}" for name in sorted(names)]
    return f"free on the cluster are {', '.join(parts)}"


def memory() -> float | None:
    """Bytes of memory that the nodes offer to actors together; None where there is but this
    machine, which can be asked itself."""
    offered = capacity()
    return None if len(offered) == 1 else sum(b.get("memory", math.inf) for b in offered)


def num_nodes() -> int:
    """Nodes that are alive."""
    return len(nodes())


def nodes() -> list[dict[str, Any]]:
    """The nodes that are alive, as Ray describes them."""
    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def silent(node_ids: Collection[str]) -> list[str]:
    """Those of some nodes that refuse to talk though they pass for alive: Ray takes a quarter of a
    minute to find out that a node has died, and places actors there meanwhile."""
    asked = [node for node in nodes() if node["NodeID"] in node_ids]
    return [node["NodeID"] for node in asked if not _talks(node)]


def _talks(node: dict[str, Any]) -> bool:
    address = (node["NodeManagerAddress"], node["NodeManagerPort"])
    try:
        socket.create_connection(address, timeout=1.0).close()
    except OSError:
        return False
    return True
