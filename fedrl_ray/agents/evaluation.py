"""Evaluation of the global policy on all test environments in one batched rollout."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from algorithms.learner import Learner
from algorithms.types import Array, Dynamics, Params

from ..config.build import learner_class
from ..config.schema import Experiment
from ..vector_envs.episode_seeds import EpisodeSeeds
from ..vector_envs.family import EnvFamily
from ..vector_envs.sites import ENVIRONMENT, Site, column
from .execution_profile import require_compiler
from .messages import Evaluation

NOMINAL_INDEX = 1_000_000
"""Index that keys the nominal environment's episode seeds, if it is not part of the grid."""


def one_agent(experiment: Experiment, family: EnvFamily) -> Learner:
    """Return a learner of one agent that only acts, on the CPU."""
    require_compiler(experiment.to_dict())
    settings = experiment.learner.settings.for_acting()
    return learner_class(experiment)(settings, family.spec, agent_ids=[0], seed=experiment.seed)


def initial_shared(experiment: Experiment, family: EnvFamily) -> Params:
    """Return the averaged parameters before any learning; no agent axis."""
    shared = one_agent(experiment, family).shared()
    return {name: x[0] for name, x in shared.items()}


Act = Callable[[Array], Array]
"""Greedy actions of M rows: [M, S] float32 or [M] int64 -> [M] int64 or [M, A] float32."""


Noted = dict[tuple[int, int], list[Array]]
"""Actions of some episodes, by the position of the environment and the number of the episode."""


class Rollouts:
    """M environments and `evaluation.episodes` episodes in each, for any policy.

    Episode seeds are keyed by (evaluation.seed, index of the environment, episode), so any two
    policies meet the same episodes. All episodes are played at once, in one batch. If the family
    limits the number of open environments, each of them plays its own episodes in turn.

    labels: names of the environments in errors.
    """

    def __init__(
        self,
        experiment: Experiment,
        family: EnvFamily,
        dynamics: Dynamics,
        *,
        index: Sequence[int],
        labels: Sequence[str],
    ) -> None:
        self._episodes = experiment.evaluation.episodes
        self._family, self._dynamics, self._index = family, dynamics, list(index)
        self._seed, self._labels = experiment.evaluation.seed, list(labels)

    def returns(self, act: Act, noted: Noted | None = None) -> Array:
        """Return undiscounted returns: [M, episodes].

        noted: the actions of its episodes are appended to it. Raises RunError: an environment
        returns numbers that are not finite.
        """
        most, m = self._family.max_open, len(self._index)
        if most is None:
            return self._at_once(act, noted or {})
        parts = [
            self._in_turn(act, range(i, min(i + most, m)), noted or {}) for i in range(0, m, most)
        ]
        return np.concatenate(parts)

    def _at_once(self, act: Act, noted: Noted) -> Array:
        positions = np.repeat(range(len(self._index)), self._episodes)
        seeds = EpisodeSeeds.of_grid(self._seed, self._index, self._episodes, labels=self._labels)
        returns = self._played(act, positions.tolist(), seeds, noted)
        return returns.reshape(len(self._index), self._episodes)

    def _in_turn(self, act: Act, positions: range, noted: Noted) -> Array:
        index, labels = [self._index[p] for p in positions], [self._labels[p] for p in positions]
        seeds = EpisodeSeeds.in_turn(self._seed, index, self._episodes, labels=labels)
        return self._played(act, positions, seeds, noted)

    def _played(
        self, act: Act, positions: Sequence[int], seeds: EpisodeSeeds, noted: Noted
    ) -> Array:
        rows = {name: x[list(positions)] for name, x in self._dynamics.items()}
        wanted = [row for row, p in enumerate(positions) if any(p == shown for shown, _ in noted)]
        env = self._family.make(rows, seeds, retire=True)
        try:
            while env.alive.any():
                action = act(env.obs)
                for row in wanted:
                    episode = positions[row], int(env.episode[row])
                    if env.alive[row] and episode in noted:
                        noted[episode].append(np.array(action[row]))
                env.step(action)
        finally:
            env.close()
        return env.returns


class LearntPolicy:
    """The greedy policy of an experiment's learner, for any parameters."""

    def __init__(self, experiment: Experiment, family: EnvFamily) -> None:
        self.learner = one_agent(experiment, family)

    def of(self, shared: Params) -> Act:
        """Load the parameters (no agent axis) and return the policy."""
        self.learner.load_shared(shared)
        return lambda obs: np.asarray(self.learner.act(obs[None])[0])


def grid_of(experiment: Experiment, family: EnvFamily) -> Dynamics:
    """Return the test grid of an experiment, without the nominal environment: each column [M]."""
    e = experiment.evaluation
    if e.environments is not None:
        return family.named_grid(e.environments)
    return family.grid(experiment.test_perturb, size=e.grid, seed=e.seed)


class EvaluationGrid:
    """The test grid for any policy, with the nominal environment added if the grid lacks it.

    A family whose environments differ by category has no nominal environment.
    """

    def __init__(self, experiment: Experiment, family: EnvFamily) -> None:
        self._grid = grid = grid_of(experiment, family)
        self._size = len(next(iter(grid.values()), [0]))  # without parameters: one environment
        row = find_row(grid, family.nominal()) if family.has_nominal else None
        dynamics, index = grid, list(range(self._size))
        labels = [environment_name(grid, i) for i in index]
        if family.has_nominal and row is None:
            row = self._size
            index.append(NOMINAL_INDEX)
            labels.append("the nominal environment")
            dynamics = _with_row(grid, family.nominal())
        self.dynamics, self.index = dynamics, index
        """Parameters of every environment played, each [M] or [M + 1], and the index that keys its
        episode seeds. A nominal environment that the grid lacks comes last."""
        self.nominal_position = row
        """Position of the nominal environment among them; None if there is none."""
        self.nominal_index = None if row is None else index[row]
        """Index that keys the nominal environment's episode seeds; None if there is none."""
        self._rollouts = Rollouts(experiment, family, dynamics, index=index, labels=labels)

    def scores(self, act: Act, noted: Noted | None = None) -> Array:
        """Return the return of every episode played: [M, episodes] or [M + 1, episodes]."""
        return self._rollouts.returns(act, noted)

    def evaluate(self, act: Act) -> Evaluation:
        """Score a policy."""
        scores = self.scores(act)
        means, row = scores.mean(1), self.nominal_position
        return Evaluation(
            where="driver",
            nominal=float("nan") if row is None else float(means[row]),
            average=float(means[: self._size].mean()),
            worst=float(means[: self._size].min()),
            returns=means[: self._size],
            episode_returns=scores[: self._size],
            dynamics=self._grid,
        )


def environment_name(dynamics: Dynamics, row: int) -> str:
    """Return the name of a test environment in errors, with the parameters that vary."""
    varied = [f"{n} {x[row]:g}" for n, x in dynamics.items()
              if n != ENVIRONMENT and len(set(x.tolist())) > 1]  # fmt: skip
    site = str(dynamics[ENVIRONMENT][row]) if ENVIRONMENT in dynamics else str(row)
    return f"test environment {site}" + (f" ({', '.join(varied)})" if varied else "")


def _with_row(grid: Dynamics, point: Dynamics) -> Dynamics:
    """Return a grid with one more environment at its end."""
    more = point | {ENVIRONMENT: column([Site("nominal")])} if ENVIRONMENT in grid else point
    return {name: np.concatenate([x, more[name]]) for name, x in grid.items()}


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
    """Return the row of a grid that equals a given point, or None.

    A site with arguments of its own equals no point of physical parameters.
    """
    if not grid:
        return 0
    close = [np.isclose(x, point[n][0], rtol=1e-12, atol=0) for n, x in grid.items() if n in point]
    if ENVIRONMENT in grid:
        named = grid[ENVIRONMENT]  # texts, if the grid was read from a log
        close.append(np.array([isinstance(x, Site) and not x.arguments for x in named]))
    rows = np.flatnonzero(np.logical_and.reduce(close))
    return int(rows[0]) if len(rows) else None
