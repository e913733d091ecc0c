"""Calls of an aggregation rule, as a round makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from algorithms.aggregator import Aggregate, Aggregator, Contribution
from algorithms.types import Array, Params, ServerState


def server_of(shared: Params, num_agents: int, **state: Any) -> ServerState:
    """Return a server whose agents have not stepped yet."""
    clocks = np.zeros(num_agents, dtype=np.int64)
    return ServerState(round=4, shared=shared, clocks=clocks, **state)


def contribution(shared: Params, ids: Array, server: ServerState) -> Contribution:
    """Return the contribution of some of the agents; `shared` has the parameters of all K."""
    own = {name: x[ids] for name, x in shared.items()}
    squares = [
        np.square(own[name].astype(np.float64) - x).reshape(len(ids), -1).sum(1)
        for name, x in server.shared.items()
    ]
    return Contribution(
        agent_ids=tuple(int(agent) for agent in ids),
        shared=own,
        update_norm=np.sqrt(np.sum(squares, axis=0)),
        steps=np.full(len(ids), 20),
        episodes=np.ones(len(ids)),
    )


def aggregated(
    rule: Aggregator, shared: Params, groups: Sequence[Array], server: ServerState | None = None
) -> Aggregate:
    """Return the aggregate of agents in groups whose messages come in the given order."""
    first = {name: x[0] for name, x in shared.items()}
    server = server or server_of(first, len(next(iter(shared.values()))))
    messages = [rule.contribute(contribution(shared, ids, server)) for ids in groups]
    found = rule.aggregate(server, messages)
    assert found is not None
    return found
