"""Tabular federations with the loop of a driver, for the tests of FedRQ."""

from __future__ import annotations

from typing import Any

import numpy as np

from algorithms.aggregators.mean import Mean
from algorithms.learners.fedrq import FedRQ
from algorithms.tabular.federated_mdp import FederatedMDP
from algorithms.types import Array, Spec
from fedrl_ray.environments.random_mdp import RandomMDP
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds
from fedrl_ray.vector_envs.tabular import Tables, TabularVectorEnv
from tests.support.aggregation import aggregated


class Federation:
    """K agents, the mean, and the loop of a driver."""

    def __init__(self, env: TabularVectorEnv, config: FedRQ.Config) -> None:
        self.env = env
        agent_ids = range(len(env.kernel_NSAX))
        self.learner = FedRQ(config, env.spec, agent_ids=agent_ids, seed=0)
        self.mean = Mean(Mean.Config())
        self.shared = {"q": self.learner.shared()["q"][0]}

    def run(self, steps: int, *, interval: int) -> Array:
        """Take some more local steps and return the averaged Q: [S, A]."""
        for _ in range(steps // interval):
            self.learner.load_shared(self.shared)
            for _ in range(interval):
                self.learner.step(self.env)
            ids = np.arange(len(self.learner.agent_ids))
            self.shared = aggregated(self.mean, self.learner.shared(), [ids]).shared
        return self.shared["q"]

    @property
    def mdp(self) -> FederatedMDP:
        env = self.env
        return FederatedMDP(
            kernel_KSAX=env.kernel_NSAX,
            reward=env.reward_SAX,
            terminal_S=env.terminal_S,
            discount=self.learner.config.discount,
        )


def random_federation(*, environment: dict[str, Any] | None = None, **keys: Any) -> Federation:
    family = RandomMDP(RandomMDP.Config(heterogeneity=1.0, **(environment or {})))
    dynamics = family.draw({}, seed=0, agent_ids=range(4))
    env = family.make(dynamics, EpisodeSeeds.of_agents(0, range(4)), retire=False)
    return Federation(env, FedRQ.Config(**keys))


def unlike_visitors(**keys: Any) -> Federation:
    """Two states, one action: agent 0 spends 5/6 of its time in state 0, agent 1 only 5/14."""
    kernel = np.array([[[[p, 1 - p]], [[0.5, 0.5]]] for p in (0.9, 0.1)])
    tables = Tables(
        reward_SAX=np.array([1.0, 0.0])[:, None, None] * np.ones((2, 1, 2)),
        terminal_S=np.zeros(2, dtype=bool),
        start_S=np.full(2, 0.5),
    )
    spec = Spec(obs_size=1, num_states=2, num_actions=1, max_episode_steps=1000)
    env = TabularVectorEnv(spec, tables, kernel, EpisodeSeeds.of_agents(0, range(2)))
    return Federation(env, FedRQ.Config(discount=0.5, omega=0.2, **keys))


def distance(one: Array, two: Array) -> float:
    return float(np.abs(one - two).max())
