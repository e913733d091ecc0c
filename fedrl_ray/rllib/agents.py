"""The local agents of one process where they are RLlib's: one after the other, each its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from algorithms.types import AgentState, Array, Params

from ..agents.local_agents import LocalAgents
from ..agents.messages import RoundOrder
from ..common.error_source import attribute_error
from ..config.schema import Experiment
from ..ray_cluster import cluster
from .agent import Agent
from .algorithm import iteration_steps


class RLlibAgents(LocalAgents):
    """`LocalAgents` whose learners own their environments."""

    _learner: Algorithms

    def _build(self) -> tuple[Any, Any]:
        cluster.connect()  # an Algorithm puts its configuration into the object store
        agents = Algorithms(self._experiment, self.agent_ids)
        return agents, Environments(agents)

    def _learn(self, order: RoundOrder) -> None:
        self._learner.clock = order.round * self._experiment.round_steps
        self._learner.load_shared(order.shared)
        self._learner.train()


class Algorithms:
    """N algorithms with the methods of a `Learner` that a round needs."""

    clock: int = 0

    def __init__(self, experiment: Experiment, agent_ids: Sequence[int]) -> None:
        settings, interval = experiment.learner.settings, experiment.federation.sync_interval
        self._ids = tuple(agent_ids)
        self._iterations = experiment.round_steps // iteration_steps(settings, interval)
        self._metrics: list[dict[str, float]] = []
        self.agents = [Agent(experiment, agent) for agent in agent_ids]

    def train(self) -> None:
        """One round of every agent."""
        self._metrics = []
        for agent, agent_id in zip(self.agents, self._ids, strict=True):
            try:
                self._metrics.append(agent.train(self.clock, self._iterations))
            except Exception as error:
                attribute_error(error, agent_id)
                raise

    def drain_metrics(self) -> dict[str, Array]:
        """By name, each [N] float64; NaN where an agent logged nothing."""
        names = dict.fromkeys(name for logged in self._metrics for name in logged)
        drained = {n: np.array([x.get(n, np.nan) for x in self._metrics]) for n in names}
        self._metrics = []
        return drained

    def shared(self) -> Params:
        """Weights of the modules: each [N, ...]."""
        all_weights = [agent.weights() for agent in self.agents]
        return {name: np.stack([w[name] for w in all_weights]) for name in all_weights[0]}

    def load_shared(self, shared: Params) -> None:
        """Take the broadcast (no agent axis) into all N agents."""
        for agent in self.agents:
            agent.load_weights(shared)

    def agent_state(self, row: int) -> AgentState:
        """Everything of one agent but its environment."""
        return self.agents[row].agent_state()

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back what `agent_state` gave."""
        self.agents[row].load_agent_state(state)


class Environments:
    """The environments of N algorithms, as `LocalAgents` saves and closes them."""

    def __init__(self, algorithms: Algorithms) -> None:
        self._agents = algorithms.agents

    def drain_episodes(self) -> tuple[Array, Array]:
        """Sum of returns and number of the episodes finished since the last call: [N], [N]."""
        drained = [agent.env.drain_episodes() for agent in self._agents]
        return np.array([s for s, _ in drained]), np.array([n for _, n in drained])

    def agent_state(self, row: int) -> AgentState:
        """All copies of one agent's environment."""
        return self._agents[row].env.agent_state()

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back what `agent_state` gave."""
        self._agents[row].env.load_agent_state(state)

    def close(self) -> None:
        """Stop the algorithms, which closes their environments."""
        for agent in self._agents:
            agent.close()
