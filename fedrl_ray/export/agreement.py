"""A check that an exported policy acts as the trained one, on the run's observations."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from algorithms.types import Array, Spec

from ..agents.evaluation import Act
from ..common.errors import RunError
from ..config.schema import Experiment
from ..vector_envs.episode_seeds import EpisodeSeeds
from ..vector_envs.family import EnvFamily

OBSERVATIONS = 1000
MOST_ENVIRONMENTS = 10
"""Agents in whose environments the policy acts; few, so that each rollout is long."""
TOLERANCE = 1e-5
"""Largest difference that the rounding of two programs may cause.

Continuous actions: relative to half the action range. Discrete actions that differ: difference of
their scores, relative to the best score.
"""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Numbers of observations on which the exported policy acts as the trained one.

    equal: observations with equal actions, or continuous ones within `TOLERANCE`. near_ties: the
    other observations, whose two actions score the same within `TOLERANCE`. largest_difference:
    between continuous actions, in units of half the action range.
    """

    observations: int
    equal: int
    near_ties: int
    largest_difference: float


class ScoringPolicy(Protocol):
    """A policy of a discrete environment, which scores every action."""

    def scores(self, obs: Tensor) -> Tensor:
        """Return a score per action: [M, A]."""


def observe(experiment: Experiment, family: EnvFamily, act: Act) -> Array:
    """Return the observations of a rollout in the agents' environments: [1000, S].

    The run's seed keys the rollout. A tabular environment gives [1000] states, followed by every
    state once.
    """
    most = min(MOST_ENVIRONMENTS, family.max_open or MOST_ENVIRONMENTS)
    agents = range(min(experiment.federation.num_agents, most))
    perturb = experiment.environment.settings.perturb
    dynamics = family.draw(perturb, seed=experiment.seed, agent_ids=agents)
    seeds = EpisodeSeeds.of_grid(experiment.seed, agents, 1)
    env = family.make(dynamics, seeds, retire=False)
    seen = []
    try:
        for _ in range(-(-OBSERVATIONS // len(agents))):
            seen.append(env.obs.copy())
            env.step(act(env.obs))
    finally:
        env.close()
    states = [np.arange(family.spec.num_states)] if family.spec.kind == "tabular" else []
    return np.concatenate([np.concatenate(seen)[:OBSERVATIONS], *states])


def require_agreement(
    trained: Act,
    exported: Act,
    policy: nn.Module,
    observations: Array,
    spec: Spec,
    resolution: float = 0.0,
) -> Agreement:
    """Compare the exported policy with the trained one. Raises RunError: they act differently.

    policy: the exported module, a `ScoringPolicy` if the environment is discrete. resolution:
    distance within which two continuous actions are the same setting of the environment.
    """
    wanted, got = trained(observations), exported(observations)
    if spec.kind == "continuous":
        half = (np.array(spec.action_high) - np.array(spec.action_low)) / 2
        distance = np.maximum(np.abs(wanted.astype(np.float64) - got) - resolution, 0)
        apart = distance / np.where(half > 0, half, 1)
        same, tied = (apart <= TOLERANCE).all(-1), np.zeros(len(wanted), dtype=bool)
        largest = float(apart.max())
    else:
        same, largest = wanted == got, 0.0
        tied = ~same & _tied(policy, observations, wanted, got)
    if not (same | tied).all():
        raise RunError(
            f"the exported policy differs from the trained one on {(~(same | tied)).sum()} "
            f"of {len(wanted)} observations; nothing was written"
        )
    return Agreement(
        observations=len(wanted),
        equal=int(same.sum()),
        near_ties=int(tied.sum()),
        largest_difference=largest,
    )


def _tied(policy: nn.Module, observations: Array, first: Array, second: Array) -> Array:
    """Return a mask of the rows in which both actions score like the best one: [M] bool.

    Scores are compared in float64, within the tolerance. A table is not rounded, so it has no ties.
    """
    obs = torch.from_numpy(observations)
    if not obs.is_floating_point():
        return np.zeros(len(first), dtype=bool)
    with torch.no_grad():
        exact = cast(ScoringPolicy, copy.deepcopy(policy).double())
        scores = exact.scores(obs.double()).numpy()
    best, rows = scores.max(-1), np.arange(len(first))
    worse = np.minimum(scores[rows, first], scores[rows, second])
    return np.asarray(best - worse <= TOLERANCE * np.maximum(1.0, np.abs(best)))
