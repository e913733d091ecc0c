"""Local agents that take their steps together, and their construction in a worker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from algorithms import prefixes
from algorithms.learner import Learner
from algorithms.types import AgentState, Array, Params
from algorithms.vector_env import VectorEnv

from ..config.build import build_family, learner_class
from ..config.schema import Experiment
from ..vector_envs.episode_seeds import EpisodeSeeds


class AgentBatch(ABC):
    """Local agents that step together, and so have taken the same number of local steps."""

    agent_ids: tuple[int, ...]

    @abstractmethod
    def learn(self, shared: Params, *, clock: int, steps: int) -> None:
        """Take the broadcast, then `steps` local steps; `clock` were taken before."""

    @abstractmethod
    def shared(self) -> Params:
        """Return the parameters that are averaged: each [N, ...]."""

    @abstractmethod
    def drain_metrics(self) -> dict[str, Array]:
        """Return means since the last call, each [N] float64; NaN where none was seen."""

    @abstractmethod
    def drain_episodes(self) -> tuple[Array, Array]:
        """Return sums of returns and numbers of the episodes that ended since the last call."""

    @abstractmethod
    def agent_state(self, row: int) -> AgentState:
        """Return everything of one agent, its environment included."""

    @abstractmethod
    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back the result of `agent_state`."""

    @abstractmethod
    def close(self) -> None:
        """Close the environments; a second call does nothing."""


class LockStepBatch(AgentBatch):
    """A learner and its vector environment."""

    def __init__(self, agent_ids: Sequence[int], learner: Learner, env: VectorEnv) -> None:
        self.agent_ids = tuple(agent_ids)
        self._learner, self._env = learner, env

    def learn(self, shared: Params, *, clock: int, steps: int) -> None:
        """Take the broadcast, then `steps` local steps; `clock` were taken before."""
        self._learner.clock = clock
        self._learner.load_shared(shared)
        for _ in range(steps):
            self._learner.step(self._env)

    def shared(self) -> Params:
        """Return the learner's parameters that are averaged: each [N, ...]."""
        return self._learner.shared()

    def drain_metrics(self) -> dict[str, Array]:
        """Return the learner's means since the last call, each [N]."""
        return self._learner.drain_metrics()

    def drain_episodes(self) -> tuple[Array, Array]:
        """Return the environments' sums of returns and numbers of episodes since the last call."""
        return self._env.drain_episodes()

    def agent_state(self, row: int) -> AgentState:
        """Return the states of an agent's learner and environment, under a prefix each."""
        learner, env = self._learner.agent_state(row), self._env.agent_state(row)
        return prefixes.join({"learner": learner, "environment": env})

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back the result of `agent_state`."""
        self._learner.load_agent_state(row, prefixes.select(state, "learner"))
        self._env.load_agent_state(row, prefixes.select(state, "environment"))

    def close(self) -> None:
        """Close the environments."""
        self._env.close()


class SelfHostedLearner(Learner):
    """A learner that steps its own environments (RLlib's algorithms).

    An instance of the class is only the policy, for evaluations; `host` builds the agents.
    """

    @classmethod
    @abstractmethod
    def host(cls, experiment: Experiment, agent_ids: Sequence[int]) -> AgentBatch:
        """Build the local agents of a worker."""

    def step(self, env: VectorEnv) -> None:
        """Raise TypeError, because the batch that `host` builds does the steps."""
        raise TypeError(f"{type(self).__name__} steps its own environments")


def build_batch(experiment: Experiment, agent_ids: Sequence[int]) -> AgentBatch:
    """Build some local agents at their initial state, to step together."""
    learner = learner_class(experiment)
    if issubclass(learner, SelfHostedLearner):
        return learner.host(experiment, agent_ids)
    family, e = build_family(experiment), experiment
    dynamics = family.draw(e.environment.settings.perturb, seed=e.seed, agent_ids=agent_ids)
    labels = [family.agent_label(agent) for agent in agent_ids]
    seeds = EpisodeSeeds.of_agents(e.seed, agent_ids, labels=labels)
    return LockStepBatch(
        agent_ids,
        learner(e.learner.settings, family.spec, agent_ids=agent_ids, seed=e.seed),
        family.make(dynamics, seeds, retire=False),
    )
