"""The local agents of one worker if they are RLlib's: each steps its own environment."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from algorithms import prefixes
from algorithms.types import AgentState, Array, Params

from ..agents.agent_batch import AgentBatch
from ..common.error_source import attribute_error
from ..config.schema import Experiment
from ..ray_cluster import cluster
from .agent import Agent
from .algorithm import iteration_steps
from .settings import settings_of


class AlgorithmBatch(AgentBatch):
    """N algorithms of RLlib, trained one after the other."""

    def __init__(self, experiment: Experiment, agent_ids: Sequence[int]) -> None:
        cluster.connect()  # an Algorithm puts its configuration into Ray's object store
        self.agent_ids = tuple(agent_ids)
        interval = experiment.federation.sync_interval
        self._iteration_steps = iteration_steps(settings_of(experiment), interval)
        self._metrics: list[dict[str, float]] = []
        self._agents = [Agent(experiment, agent) for agent in agent_ids]

    def learn(self, shared: Params, *, clock: int, steps: int) -> None:
        """Train every agent for as many iterations as the steps make."""
        self._metrics = []
        for agent in self._agents:
            agent.load_weights(shared)
        for agent, agent_id in zip(self._agents, self.agent_ids, strict=True):
            try:
                self._metrics.append(agent.train(clock, steps // self._iteration_steps))
            except Exception as error:
                attribute_error(error, agent_id)
                raise

    def drain_metrics(self) -> dict[str, Array]:
        """Return metrics by name, each [N] float64; NaN where an agent logged nothing."""
        names = dict.fromkeys(name for logged in self._metrics for name in logged)
        drained = {n: np.array([x.get(n, np.nan) for x in self._metrics]) for n in names}
        self._metrics = []
        return drained

    def shared(self) -> Params:
        """Return the weights of the modules: each [N, ...]."""
        all_weights = [agent.weights() for agent in self._agents]
        return {name: np.stack([w[name] for w in all_weights]) for name in all_weights[0]}

    def drain_episodes(self) -> tuple[Array, Array]:
        """Return sums of returns and numbers of the episodes that ended since the last call."""
        drained = [agent.env.drain_episodes() for agent in self._agents]
        return np.array([s for s, _ in drained]), np.array([n for _, n in drained])

    def agent_state(self, row: int) -> AgentState:
        """Return everything of one agent, with all copies of its environment."""
        agent = self._agents[row]
        return prefixes.join(
            {"learner": agent.agent_state(), "environment": agent.env.agent_state()}
        )

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back the result of `agent_state`."""
        agent = self._agents[row]
        agent.load_agent_state(prefixes.select(state, "learner"))
        agent.env.load_agent_state(prefixes.select(state, "environment"))

    def close(self) -> None:
        """Stop the algorithms, which closes their environments."""
        for agent in self._agents:
            agent.close()
