"""Learners and environments of a few agents, as the learner tests want them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from algorithms.types import Array, Params
from fedrl_ray.environments.cartpole import CartPole, PerturbedCartPoleVectorEnv
from fedrl_ray.vector_envs.episode_seeds import EpisodeSeeds
from tests.support.probes import PointMassVectorEnv

POLE_LENGTHS = (0.5, 1.0, 1.5, 0.75, 1.25)
MASSES = (0.5, 1.0, 2.0, 1.5, 0.7)


def cartpoles(
    agent_ids: Sequence[int], lengths: Sequence[float] = POLE_LENGTHS
) -> PerturbedCartPoleVectorEnv:
    """Return CartPoles whose poles differ in length from agent to agent."""
    family = CartPole(CartPole.Config())
    dynamics = {name: np.repeat(v, len(agent_ids)) for name, v in family.nominal().items()}
    dynamics["pole_length"] = np.array([lengths[agent] for agent in agent_ids])
    return family.make(dynamics, EpisodeSeeds.of_agents(0, agent_ids), retire=False)


def point_masses(agent_ids: Sequence[int], masses: Sequence[float] = MASSES) -> PointMassVectorEnv:
    """Return point masses that differ in mass from agent to agent."""
    return PointMassVectorEnv([masses[agent] for agent in agent_ids], agent_ids)


def run(learner: Any, env: Any, steps: int) -> None:
    """Take local steps without averaging."""
    for _ in range(steps):
        learner.step(env)


def row_of(shared: Params, row: int) -> Params:
    return {name: x[row] for name, x in shared.items()}


def same_bits(a: dict[str, Array], b: dict[str, Array]) -> bool:
    """Assert equal names, shapes, types and bits."""
    return a.keys() == b.keys() and all(
        a[k].dtype == b[k].dtype and a[k].shape == b[k].shape and a[k].tobytes() == b[k].tobytes()
        for k in a
    )
