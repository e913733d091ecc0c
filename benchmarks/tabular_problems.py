"""Federations with known kernels and the training loop, for the tabular figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from algorithms.exact_sums import divided, weighted_sums
from algorithms.learners.fedrq import FedRQ
from algorithms.tabular.federated_mdp import FederatedMDP
from algorithms.types import Array, Spec
from fedrl_ray.environments.random_mdp import RandomMDP
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds
from fedrl_ray.vector_envs.tabular import Tables, TabularFamily, TabularVectorEnv

NUM_AGENTS, DISCOUNT, OMEGA = 4, 0.9, 0.3

Federation = tuple[FederatedMDP, Callable[[int], TabularVectorEnv]]
"""A problem to solve exactly, and its environments for a seed."""


def federation(family: TabularFamily, perturb: dict[str, Any], discount: float) -> Federation:
    """Return the K training environments of a family: as a problem, and for a seed to train in."""
    agents = range(NUM_AGENTS)
    dynamics = family.draw(perturb, seed=0, agent_ids=agents)
    mdp = FederatedMDP(
        kernel_KSAX=family.kernels(dynamics),
        reward=family.tables.reward_SAX,
        terminal_S=family.tables.terminal_S,
        discount=discount,
    )
    return mdp, lambda seed: family.make(
        dynamics, EpisodeSeeds.of_agents(seed, agents), retire=False
    )


def unlike_visitors() -> Federation:
    """Return a problem of two states and one action, in which the agents' visits differ.

    Agent 0 spends 5/6 of its time in state 0, agent 1 only 5/14.
    """
    kernel = np.array([[[[p, 1 - p]], [[0.5, 0.5]]] for p in (0.9, 0.1)])
    tables = Tables(
        reward_SAX=np.array([1.0, 0.0])[:, None, None] * np.ones((2, 1, 2)),
        terminal_S=np.zeros(2, dtype=bool),
        start_S=np.full(2, 0.5),
    )
    mdp = FederatedMDP(
        kernel_KSAX=kernel,
        reward=tables.reward_SAX,
        terminal_S=tables.terminal_S,
        discount=DISCOUNT,
    )
    spec = Spec(obs_size=1, num_states=2, num_actions=1, max_episode_steps=1000)
    return mdp, lambda seed: TabularVectorEnv(
        spec, tables, kernel, EpisodeSeeds.of_agents(seed, range(2))
    )


def train(
    group: TabularVectorEnv, config: FedRQ.Config, *, steps: int, interval: int, seed: int = 0
) -> tuple[list[int], list[Array], FedRQ]:
    """Train FedRQ; return step counts, evenly spaced in their logarithm, Q at them, the learner."""
    learner = FedRQ(config, group.spec, agent_ids=range(len(group.obs)), seed=seed)
    weights, marks = np.ones(len(group.obs)), log_spaced(steps // interval)
    shared, tables = {"q": learner.shared()["q"][0]}, []
    for number in range(1, steps // interval + 1):
        learner.load_shared(shared)
        for _ in range(interval):
            learner.step(group)
        shared = divided(weighted_sums(learner.shared(), weights), len(weights))
        if number in marks:
            tables.append(shared["q"])
    return [interval * mark for mark in marks], tables, learner


def curve(steps: Sequence[int], tables: Sequence[Array], goal: Array) -> dict[str, Any]:
    """Return the distance of the tables from a goal in the sup norm, over local steps."""
    return {"steps": list(steps), "distance": [distance(q, goal) for q in tables]}


def random_mdp(**keys: Any) -> RandomMDP:
    """Return a family of 6 states and 3 actions, with kernels independent of each other."""
    return RandomMDP(RandomMDP.Config(num_states=6, num_actions=3, heterogeneity=1.0, **keys))


def fedrq_config(**keys: Any) -> FedRQ.Config:
    """Return FedRQ's keys, with the figure's omega and discount by default."""
    return FedRQ.Config(**({"omega": OMEGA, "discount": DISCOUNT} | keys))


def distance(one: Array, two: Array) -> float:
    """Return the distance in the sup norm."""
    return float(np.abs(one - two).max())


def log_spaced(rounds: int) -> list[int]:
    """Return round numbers from 1 to `rounds`, evenly spaced in their logarithm."""
    return [int(mark) for mark in np.unique(np.geomspace(1, rounds, 60).round())]
