"""What tabular families share: N Markov chains with known kernels, stepped in lock-step."""

# ruff: noqa: N802, N815 (shape suffixes are capitals)
from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from algorithms.draws import Role, philox
from algorithms.types import AgentState, Array, Dynamics, Spec

from .episodes import EpisodeSeeds, EpisodicVectorEnv
from .family import EnvFamily

_BLOCK = 1024
"""Steps whose uniforms are kept at a time; a multiple of the 4 numbers of a Philox count."""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """What the environments of a family have in common.

    reward_SAX: r(s,a,x), rounded to float32 as transitions carry it. terminal_S: bool.
    start_S: distribution of the first state.
    """

    reward_SAX: Array
    terminal_S: Array
    start_S: Array

    def __post_init__(self) -> None:
        # What a learner samples and what a solver is given must be the same number.
        rounded = self.reward_SAX.astype(np.float32).astype(np.float64)
        object.__setattr__(self, "reward_SAX", rounded)


class TabularVectorEnv(EpisodicVectorEnv):
    """N rows of finite chains; observations and actions are indices.

    kernel_USAX: the distinct kernels; row i follows kernel_USAX[kernel_of_row[i]]. Exact learners
    read `kernel_NSAX`, `reward_SAX` and `terminal_S`.

    An episode has one uniform for its first state and one per step, a function of the episode's
    seed and the elapsed steps alone: they are drawn in blocks, and there is nothing to save.
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
        """Which states end an episode: [S] bool."""
        return self._tables.terminal_S

    def advance(self, action: Array) -> tuple[Array, Array, Array, Array]:
        # Rows that have retired keep counting; any number will do for them.
        step_N = np.minimum(self._elapsed + 1, self.spec.max_episode_steps)
        self._draw_blocks(step_N)
        uniform_N1 = self._uniform_NT[self._rows, step_N % _BLOCK][:, None]
        cumulative_NX = self._cumulative_USAX[self._kernel_of_row, self._obs, action]
        next_obs = (cumulative_NX <= uniform_N1).sum(-1)
        reward = self._tables.reward_SAX[self._obs, action, next_obs]
        return next_obs, reward, self._tables.terminal_S[next_obs], self._never

    def reset_row(self, row: int, seed: int) -> Array:
        self._uniform_NT[row] = self._uniforms(seed, 0)
        return np.asarray((self._cumulative_start_S <= self._uniform_NT[row, 0]).sum())

    def physics_state(self, row: int) -> AgentState:
        return {}

    def load_physics_state(self, row: int, state: AgentState) -> None:
        self._draw_block(row, int(self._elapsed[row]) // _BLOCK)

    def _draw_blocks(self, step_N: Array) -> None:
        """The next block of the rows that have used theirs up."""
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
    """A family with known kernels: subclasses set `spec` and supply `tables` and `kernel`."""

    @property
    @abstractmethod
    def tables(self) -> Tables:
        """What its environments have in common. Made on first use: it may be large."""

    @abstractmethod
    def kernel(self, values: Mapping[str, float]) -> Array:
        """P(x|s,a) of one environment, a value per parameter: [S, A, X] float64."""

    def kernels(self, dynamics: Dynamics) -> Array:
        """P_k(x|s,a) of some environments: [N, S, A, X]."""
        rows = np.stack([dynamics[name] for name in self.parameters], axis=1)
        return np.stack([self.kernel(dict(zip(self.parameters, row, strict=True))) for row in rows])

    def bytes_per_environment(self) -> int:
        """A kernel, its cumulative sums and a working copy, the rewards, a block of uniforms."""
        s, a = self.spec.num_states, self.spec.num_actions
        return super().bytes_per_environment() + 8 * (4 * s * a * s + _BLOCK)

    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> TabularVectorEnv:
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
    """Cumulative sums that end in exactly 1, so that no impossible outcome is ever drawn."""
    sums = probability.cumsum(-1)
    return np.asarray(sums / sums[..., -1:])
