"""The local agents of one process where they are RLlib's: one after the other, each its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from algorithms import prefixes
from algorithms.types import AgentState, Array, Params

from .. import cluster
from ..blame import blame
from ..config import Experiment
from ..local_agents import LocalAgents
from .agent import Agent
from .algorithm import iteration_steps


class RLlibAgents(LocalAgents):
    """`LocalAgents` whose learners own their environments."""

    def _build(self) -> Algorithms:
        cluster.connect()  # an Algorithm puts its configuration into the object store
        return Algorithms(self._experiment, self.agent_ids)


class Algorithms:
    """N algorithms, each with its own environments; see `lock_step.Agents`."""

    def __init__(self, experiment: Experiment, agent_ids: Sequence[int]) -> None:
        settings, interval = experiment.learner.settings, experiment.federation.sync_interval
        self._ids = tuple(agent_ids)
        self._iterations = experiment.round_steps // iteration_steps(settings, interval)
        self._metrics: list[dict[str, float]] = []
        self.agents = [Agent(experiment, agent) for agent in agent_ids]

    def learn(self, shared: Params, *, clock: int, steps: int) -> None:
        """One round of every agent: as many iterations as make `steps`."""
        self._metrics = []
        for agent in self.agents:
            agent.load_weights(shared)
        for agent, agent_id in zip(self.agents, self._ids, strict=True):
            try:
                self._metrics.append(agent.train(clock, self._iterations))
            except Exception as error:
                blame(error, agent_id)
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

    def drain_episodes(self) -> tuple[Array, Array]:
        """Sum of returns and number of the episodes finished since the last call: [N], [N]."""
        drained = [agent.env.drain_episodes() for agent in self.agents]
        return np.array([s for s, _ in drained]), np.array([n for _, n in drained])

    def agent_state(self, row: int) -> AgentState:
        """Everything of one agent, all copies of its environment among it."""
        agent = self.agents[row]
        parts = {"learner": agent.agent_state(), "environment": agent.env.agent_state()}
        return prefixes.join(parts)

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back what `agent_state` gave."""
        agent = self.agents[row]
        agent.load_agent_state(prefixes.select(state, "learner"))
        agent.env.load_agent_state(prefixes.select(state, "environment"))

    def close(self) -> None:
        """Stop the algorithms, which closes their environments."""
        for agent in self.agents:
            agent.close()
