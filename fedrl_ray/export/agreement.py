"""Whether an exported policy acts as the trained one, on observations of the run's environments."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from algorithms.types import Array, Spec

from ..agents.evaluation import Act
from ..common.errors import RunError
from ..config.schema import Experiment
from ..vector_envs.episodes import EpisodeSeeds
from ..vector_envs.family import EnvFamily

OBSERVATIONS = 1000
MOST_ENVIRONMENTS = 10
"""Roll-outs are of so many agents, so that each is long."""
TOLERANCE = 1e-5
"""Two programs round differently. Continuous: of half the action range. Discrete: where the
actions differ, their scores must lie so close together, relative to the best."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """On how many observations the exported policy acts as the trained one.

    equal: of them, with the same action or one within `TOLERANCE`; near_ties: the others, whose
    two actions score the same within `TOLERANCE`. largest_difference: of continuous actions, in
    units of half the action range.
    """

    observations: int
    equal: int
    near_ties: int
    largest_difference: float


def observe(experiment: Experiment, family: EnvFamily, act: Act) -> Array:
    """What the policy meets in the agents' environments, keyed by the run's seed: [1000, S], or
    [1000] states and every state once more."""
    agents = range(min(experiment.federation.num_agents, MOST_ENVIRONMENTS))
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
    trained: Act, exported: Act, policy: Any, observations: Array, spec: Spec
) -> Agreement:
    """Raises RunError where the exported policy acts otherwise. policy: what was exported, a
    module; one of a discrete environment has `scores`."""
    wanted, got = trained(observations), exported(observations)
    if spec.kind == "continuous":
        half = (np.array(spec.action_high) - np.array(spec.action_low)) / 2
        apart = np.abs(wanted.astype(np.float64) - got) / np.where(half > 0, half, 1)
        same, tied = (apart <= TOLERANCE).all(-1), np.zeros(len(wanted), dtype=bool)
        largest = float(apart.max())
    else:
        same, largest = wanted == got, 0.0
        tied = ~same & _tied(policy, observations, wanted, got)
    if not (same | tied).all():
        raise RunError(
            f"the exported policy acts otherwise than the trained one on {(~(same | tied)).sum()} "
            f"of {len(wanted)} observations; nothing was written"
        )
    return Agreement(
        observations=len(wanted),
        equal=int(same.sum()),
        near_ties=int(tied.sum()),
        largest_difference=largest,
    )


def _tied(policy: Any, observations: Array, first: Array, second: Array) -> Array:
    """Where both actions score as the best within the tolerance, in float64; never in a table,
    which nobody rounds."""
    obs = torch.from_numpy(observations)
    if not obs.is_floating_point():
        return np.zeros(len(first), dtype=bool)
    with torch.no_grad():
        scores = copy.deepcopy(policy).double().scores(obs.double()).numpy()
    best, rows = scores.max(-1), np.arange(len(first))
    worse = np.minimum(scores[rows, first], scores[rows, second])
    return np.asarray(best - worse <= TOLERANCE * np.maximum(1.0, np.abs(best)))
