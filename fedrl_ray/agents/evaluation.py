"""Evaluation of the global policy on all test environments in one batched rollout."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from algorithms.learner import Learner
from algorithms.types import Array, Dynamics, Params

from ..config.build import learner_class
from ..config.schema import Experiment
from ..vector_envs.episodes import EpisodeSeeds
from ..vector_envs.family import EnvFamily
from .messages import Evaluation

NOMINAL_INDEX = 1_000_000
"""Index that keys the nominal environment's episode seeds, if it is not part of the grid."""


def one_agent(experiment: Experiment, family: EnvFamily) -> Learner:
    """Return a learner of one agent that only acts, on the CPU."""
    settings = experiment.learner.settings.for_acting()
    return learner_class(experiment)(settings, family.spec, agent_ids=[0], seed=experiment.seed)


def initial_shared(experiment: Experiment, family: EnvFamily) -> Params:
    """Return the averaged parameters before any learning; no agent axis."""
    shared = one_agent(experiment, family).shared()
    return {name: x[0] for name, x in shared.items()}


Act = Callable[[Array], Array]
"""Greedy actions of M rows: [M, S] float32 or [M] int64 -> [M] int64 or [M, A] float32."""


class Rollouts:
    """M environments and `evaluation.episodes` episodes in each, for any policy.

    Episode seeds are keyed by (evaluation.seed, index of the environment, episode), so any two
    policies meet the same episodes.
    """

    def __init__(
        self,
        experiment: Experiment,
        family: EnvFamily,
        dynamics: Dynamics,
        *,
        index: Sequence[int],
    ) -> None:
        self._episodes = experiment.evaluation.episodes
        self._family, self._dynamics, self._index = family, dynamics, list(index)
        self._seed = experiment.evaluation.seed

    def returns(self, act: Act) -> Array:
        """Return undiscounted returns: [M, episodes]."""
        seeds = EpisodeSeeds.of_grid(self._seed, self._index, self._episodes)
        rows = {name: np.repeat(x, self._episodes) for name, x in self._dynamics.items()}
        env = self._family.make(rows, seeds, retire=True)
        try:
            while env.alive.any():
                env.step(act(env.obs))
        finally:
            env.close()
        return env.finished_return.reshape(len(self._index), self._episodes)


class LearntPolicy:
    """The greedy policy of an experiment's learner, for any parameters."""

    def __init__(self, experiment: Experiment, family: EnvFamily) -> None:
        self.learner = one_agent(experiment, family)

    def of(self, shared: Params) -> Act:
        """Load the parameters (no agent axis) and return the policy."""
        self.learner.load_shared(shared)
        return lambda obs: np.asarray(self.learner.act(obs[None])[0])


class EvaluationGrid:
    """The test grid for any policy, with the nominal environment added if the grid lacks it."""

    def __init__(self, experiment: Experiment, family: EnvFamily) -> None:
        grid = family.grid(
            experiment.test_perturb,
            size=experiment.evaluation.grid,
            seed=experiment.evaluation.seed,
        )
        self._grid, nominal = grid, family.nominal()
        self._size = len(next(iter(grid.values()), [0]))  # without parameters: one environment
        self._nominal_row = find_row(grid, nominal)
        dynamics, index = grid, list(range(self._size))
        if self._nominal_row is None:
            dynamics = {n: np.concatenate([x, nominal[n]]) for n, x in grid.items()}
            index.append(NOMINAL_INDEX)
        self.nominal_index = NOMINAL_INDEX if self._nominal_row is None else self._nominal_row
        """Index that keys the nominal environment's episode seeds."""
        self._rollouts = Rollouts(experiment, family, dynamics, index=index)

    def evaluate(self, act: Act) -> Evaluation:
        """Score a policy."""
        scores = self._rollouts.returns(act)
        means = scores.mean(1)
        row = self._size if self._nominal_row is None else self._nominal_row
        return Evaluation(
            where="driver",
            nominal=float(means[row]),
            average=float(means[: self._size].mean()),
            worst=float(means[: self._size].min()),
            returns=means[: self._size],
            episode_returns=scores[: self._size],
            dynamics=self._grid,
        )


class GridEvaluator(EvaluationGrid):
    """The driver's evaluation: an experiment's greedy policy on its test grid."""

    def __init__(self, experiment: Experiment, family: EnvFamily) -> None:
        super().__init__(experiment, family)
        self._policy = LearntPolicy(experiment, family)

    def __call__(self, shared: Params) -> Evaluation:
        """Score the parameters (no agent axis)."""
        return self.evaluate(self._policy.of(shared))


def evaluation_of_agents(
    experiment: Experiment,
    family: EnvFamily,
    groups: Sequence[Sequence[int]],
    scores: Sequence[Array],
) -> Evaluation:
    """Return the evaluation that agents measured on their own environments.

    groups: agent ids of each worker that answered. scores: returns, [N, episodes] per worker.
    Agents of absent workers have NaN, and do not count in the average and the worst return.
    """
    k = experiment.federation.num_agents
    dynamics = family.draw(
        experiment.environment.settings.perturb, seed=experiment.seed, agent_ids=range(k)
    )
    returns = np.full((k, experiment.evaluation.episodes), np.nan)
    for group, own in zip(groups, scores, strict=True):
        returns[list(group)] = own
    means = returns.mean(1)
    return Evaluation(
        where="agents",
        nominal=float("nan"),
        average=float(np.nanmean(means)),
        worst=float(np.nanmin(means)),
        returns=means,
        episode_returns=returns,
        dynamics=dynamics,
    )


def find_row(grid: Dynamics, point: Dynamics) -> int | None:
    """Return the row of a grid that equals a given point, or None."""
    if not grid:
        return 0
    close = [np.isclose(x, point[name][0], rtol=1e-12, atol=0) for name, x in grid.items()]
    rows = np.flatnonzero(np.logical_and.reduce(close))
    return int(rows[0]) if len(rows) else None
