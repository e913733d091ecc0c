"""The server's part of a round: aggregate the messages, apply the server optimizer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from algorithms.aggregator import Message
from algorithms.types import Params, ServerState

from ..config.build import build_aggregator, build_server_optimizer
from ..config.schema import Experiment
from .replies import Replies


class Update(NamedTuple):
    """The server's state after a round, and the drift of the agents before the aggregation."""

    server: ServerState
    drift: float


class ServerUpdate:
    """The aggregation rule and the server optimizer of an experiment."""

    def __init__(self, experiment: Experiment) -> None:
        self._steps, self._num_agents = experiment.round_steps, experiment.federation.num_agents
        self.aggregator = build_aggregator(experiment)
        self.optimizer = build_server_optimizer(experiment)

    def initial_state(self, shared: Params) -> ServerState:
        """Return the server's state before the first round."""
        clocks = np.zeros(self._num_agents, dtype=np.int64)
        state = self.optimizer.initial_state(shared)
        return ServerState(round=0, shared=shared, clocks=clocks, optimizer=state)

    def merge(
        self, server: ServerState, messages: Iterable[Message], taken: Replies
    ) -> Update | None:
        """Merge messages as they come; return None if none came.

        The clocks of the agents that took part (`taken`, complete once all messages have come)
        advance by the local steps of a round.
        """
        aggregate = self.aggregator.aggregate(server, messages)
        if aggregate is None:
            return None
        shared, state = self.optimizer.apply(server.shared, aggregate.shared, server.optimizer)
        clocks = server.clocks.copy()
        clocks[taken.agent_ids] += self._steps
        following = replace(
            server,
            round=server.round + 1,
            shared=shared,
            clocks=clocks,
            aggregator=aggregate.state,
            optimizer=state,
        )
        return Update(following, aggregate.drift)
