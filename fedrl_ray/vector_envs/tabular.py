"""N Markov chains with known kernels in lock-step: the base of tabular families."""

# ruff: noqa: N802, N815 (shape suffixes are capitals)
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from algorithms.draws import Role, philox
from algorithms.types import AgentState, Array, Dynamics, Spec
from algorithms.vector_env import KnownDynamicsEnv

from .episode_seeds import EpisodeSeeds
from .episodes import EpisodicVectorEnv
from .family import EnvFamily

_BLOCK = 1024
"""Steps whose uniforms are held at a time: a multiple of 4, as one Philox count yields 4."""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """Tables that all environments of a family share.

    reward_SAX: r(s,a,x), rounded to float32 as in transitions. terminal_S: bool.
    start_S: distribution of the first state.
    """

    reward_SAX: Array
    terminal_S: Array
    start_S: Array

    def __post_init__(self) -> None:
        # a learner and a solver must see the same rewards
        rounded = self.reward_SAX.astype(np.float32).astype(np.float64)
        object.__setattr__(self, "reward_SAX", rounded)


class TabularVectorEnv(EpisodicVectorEnv, KnownDynamicsEnv):
    """N finite Markov chains; observations and actions are indices.

    kernel_USAX: the U distinct kernels; row i has kernel_USAX[kernel_of_row[i]]. Exact learners
    read `kernel_NSAX`, `reward_SAX` and `terminal_S`.

    An episode takes one uniform number for its first state and one per step. They depend on the
    episode's seed and the elapsed steps alone, so they are drawn in blocks and never saved.
    """

    def __init__(
        self,
        spec: Spec,
        tables: Tables,
        kernel_USAX: Array,
        seeds: EpisodeSeeds,
        *,
        kernel_of_row: Array | None = None,
        retire: bool = False,
    ) -> None:
        super().__init__(spec, seeds, retire=retire)
        n = len(seeds)
        self._tables, self._kernels = tables, kernel_USAX
        self._kernel_of_row = np.arange(n) if kernel_of_row is None else kernel_of_row
        self._cumulative_USAX = _cumulative(kernel_USAX)
        self._cumulative_start_S = _cumulative(tables.start_S)
        self._uniform_NT = np.zeros((n, min(_BLOCK, spec.max_episode_steps + 1)))
        self._rows = np.arange(n)
        self._never = np.zeros(n, dtype=bool)
        self.start()

    @cached_property
    def kernel_NSAX(self) -> Array:
        """P_k(x|s,a) of each row: [N, S, A, X]."""
        return np.asarray(self._kernels[self._kernel_of_row])

    @property
    def reward_SAX(self) -> Array:
        """r(s,a,x), the same for every row: [S, A, X]."""
        return self._tables.reward_SAX

    @property
    def terminal_S(self) -> Array:
        """Mask of the states that end an episode: [S] bool."""
        return self._tables.terminal_S

    def advance(self, action: Array) -> tuple[Array, Array, Array, Array]:
        """Draw the next state of every row by inverting its cumulative distribution."""
        # retired rows keep counting, and any number is good enough for them
        step_N = np.minimum(self._elapsed + 1, self.spec.max_episode_steps)
        self._draw_blocks(step_N)
        uniform_N1 = self._uniform_NT[self._rows, step_N % _BLOCK][:, None]
        cumulative_NX = self._cumulative_USAX[self._kernel_of_row, self._obs, action]
        next_obs = (cumulative_NX <= uniform_N1).sum(-1)
        reward = self._tables.reward_SAX[self._obs, action, next_obs]
        return next_obs, reward, self._tables.terminal_S[next_obs], self._never

    def reset_row(self, row: int, seed: int) -> Array:
        """Draw the first state of an episode."""
        self._uniform_NT[row] = self._uniforms(seed, 0)
        return np.asarray((self._cumulative_start_S <= self._uniform_NT[row, 0]).sum())

    def physics_state(self, row: int) -> AgentState:
        """Return an empty state: observation, seed and elapsed steps are all there is."""
        return {}

    def load_physics_state(self, row: int, state: AgentState) -> None:
        """Draw the block of uniforms that the row is in."""
        self._draw_block(row, int(self._elapsed[row]) // _BLOCK)

    def _draw_blocks(self, step_N: Array) -> None:
        """Draw the next block for the rows that have used up theirs."""
        if self.spec.max_episode_steps < _BLOCK:
            return
        for row in np.flatnonzero((step_N % _BLOCK == 0) & self.alive):
            self._draw_block(int(row), int(step_N[row]) // _BLOCK)

    def _draw_block(self, row: int, block: int) -> None:
        seed = self.seeds.seed(row, int(self._episode[row]))
        self._uniform_NT[row] = self._uniforms(seed, block)

    def _uniforms(self, seed: int, block: int) -> Array:
        first_count = block * _BLOCK // 4
        return philox(seed, Role.TRANSITION, 0, first_count).random(self._uniform_NT.shape[1])


class TabularFamily(EnvFamily):
    """A family with known kernels; a subclass sets `spec` and supplies `tables` and `kernel`."""

    @property
    @abstractmethod
    def tables(self) -> Tables:
        """Tables that all environments share, built on first use because they may be large."""

    @abstractmethod
    def kernel(self, values: Mapping[str, float]) -> Array:
        """Return P(x|s,a) of one environment, given its parameters: [S, A, X] float64."""

    def kernels(self, dynamics: Dynamics) -> Array:
        """Return P_k(x|s,a) of N environments: [N, S, A, X]."""
        rows = np.stack([dynamics[name] for name in self.parameters], axis=1)
        return np.stack([self.kernel(dict(zip(self.parameters, row, strict=True))) for row in rows])

    def bytes_per_environment(self) -> int:
        """Return the bytes of a kernel, its sums, a temporary copy, rewards and uniforms."""
        s, a = self.spec.num_states, self.spec.num_actions
        return super().bytes_per_environment() + 8 * (4 * s * a * s + _BLOCK)

    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> TabularVectorEnv:
        """Return a vector environment in which rows of equal dynamics share a kernel."""
        points = np.stack([dynamics[name] for name in self.parameters])
        distinct, kernel_of_row = np.unique(points, axis=1, return_inverse=True)
        kernels = self.kernels(dict(zip(self.parameters, distinct, strict=True)))
        return TabularVectorEnv(
            self.spec,
            self.tables,
            kernels,
            seeds,
            kernel_of_row=kernel_of_row.reshape(-1),
            retire=retire,
        )


def _cumulative(probability: Array) -> Array:
    """Return cumulative sums that end in exactly 1, so that no impossible outcome is drawn."""
    sums = probability.cumsum(-1)
    return np.asarray(sums / sums[..., -1:])
