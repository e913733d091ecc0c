"""N environments in lock-step: the seeds of their episodes, and the episodes themselves."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from algorithms.draws import Role, episode_seed
from algorithms.types import AgentState, Array, Spec, Transition

from ..common.error_source import attribute_error


class EpisodeSeeds:
    """Seeds of the resets of N rows, keyed by (seed, role, index of the row, episode)."""

    def __init__(self, seed: int, role: Role, index: Sequence[int], first: Sequence[int]) -> None:
        self._seed, self._role, self._index = seed, role, tuple(index)
        self.first = np.array(first, dtype=np.int64)
        """Number of the first episode of each row: [N]."""

    @classmethod
    def of_agents(cls, seed: int, agent_ids: Sequence[int]) -> EpisodeSeeds:
        """Training: every agent counts its own episodes from 0."""
        return cls(seed, Role.EPISODE, agent_ids, [0] * len(agent_ids))

    @classmethod
    def of_grid(cls, seed: int, index: Sequence[int], episodes: int) -> EpisodeSeeds:
        """Evaluation: `episodes` rows per environment, row-major, one episode each. Two policies
        are therefore compared on the same episodes."""
        rows, first = np.repeat(index, episodes), np.tile(np.arange(episodes), len(index))
        return cls(seed, Role.EVALUATION, rows.tolist(), first.tolist())

    def __len__(self) -> int:
        return len(self._index)

    def seed(self, row: int, episode: int) -> int:
        """The seed of one episode of one row."""
        return episode_seed(self._seed, self._role, self._index[row], episode)

    def attribute_error(self, error: Exception, row: int) -> None:
        """What one row raised is that agent's; of a test environment it is nobody's."""
        if self._role is Role.EPISODE:
            attribute_error(error, self._index[row])


class EpisodicVectorEnv(ABC):
    """N environments in lock-step. Subclasses supply physics; this class keeps the episodes.

    A row whose episode ends is reset in the same step from its own next seed, so no
    pseudo-transition exists; with `retire` (evaluation) it stops instead.
    """

    def __init__(self, spec: Spec, seeds: EpisodeSeeds, *, retire: bool = False) -> None:
        n = len(seeds)
        self.spec, self.seeds, self._retire = spec, seeds, retire
        self.alive = np.ones(n, dtype=bool)
        self.finished = np.zeros(n, dtype=bool)
        """Rows whose episode ended in the last step: [N]."""
        self.finished_return = np.zeros(n)
        """Return of the last episode that ended, per row: [N]."""
        self._episode = seeds.first.copy()
        self._elapsed = np.zeros(n, dtype=np.int64)
        self._return = np.zeros(n)
        self._sum = np.zeros(n)
        self._count = np.zeros(n, dtype=np.int64)
        self._obs = np.zeros((n,) if spec.kind == "tabular" else (n, spec.obs_size),
                             np.int64 if spec.kind == "tabular" else np.float32)  # fmt: skip

    def start(self) -> None:
        """Reset every row; called once, when the subclass is ready."""
        for row in range(len(self.seeds)):
            self._begin_episode(row)

    @property
    def obs(self) -> Array:
        """What to act on next, after any reset: [N, S] float32 ([N] int64 when tabular)."""
        return self._obs

    @abstractmethod
    def advance(self, action: Array) -> tuple[Array, Array, Array, Array]:
        """Physics of one step: next_obs [N, S], reward [N], terminated [N], truncated [N].

        The time limit of the spec is applied by the caller; `truncated` is for an environment's
        own further reasons. Rows that are not `alive` may hold anything.
        """

    @abstractmethod
    def reset_row(self, row: int, seed: int) -> Array:
        """Start an episode from a seed; returns its first observation [S]."""

    @abstractmethod
    def physics_state(self, row: int) -> AgentState:
        """What `advance` needs to go on exactly, besides seed and elapsed steps."""

    @abstractmethod
    def load_physics_state(self, row: int, state: AgentState) -> None:
        """Take back what `physics_state` gave."""

    def close(self) -> None:  # noqa: B027 - most environments hold nothing
        """Release what the environments hold; a second call does nothing."""

    def step(self, action: Array) -> Transition:
        """Step all N rows. See `Transition` for shapes."""
        obs = self._obs
        next_obs, reward, terminated, truncated = self.advance(action)
        self._elapsed += 1
        self._return += np.where(self.alive, reward, 0.0)
        done = terminated | truncated | (self._elapsed >= self.spec.max_episode_steps)
        self.finished = done & self.alive
        self._obs = next_obs
        if self.finished.any():
            self._obs = next_obs.copy()
            for row in np.flatnonzero(self.finished):
                self._end_episode(int(row))
        return Transition(obs, action, reward.astype(np.float32), next_obs,
                          terminated.astype(np.float32))  # fmt: skip

    def drain_episodes(self) -> tuple[Array, Array]:
        """Sum of returns and number of the episodes finished since the last call: [N], [N]."""
        drained = self._sum, self._count
        self._sum, self._count = np.zeros_like(self._sum), np.zeros_like(self._count)
        return drained

    def restart(self) -> None:
        """Rows within an episode give it up, uncounted, and start their next one."""
        for row in np.flatnonzero(self._elapsed):
            self._episode[row] += 1
            self._begin_episode(int(row))

    def agent_state(self, row: int) -> AgentState:
        """Everything of one row: its episode so far and its physics."""
        counters = {
            "episode": self._episode[row],
            "elapsed": self._elapsed[row],
            "return": self._return[row],
            "obs": self._obs[row],
        }
        state = {name: np.array(value) for name, value in counters.items()}
        return state | {f"physics/{k}": v for k, v in self.physics_state(row).items()}

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back what `agent_state` gave."""
        self._episode[row], self._elapsed[row] = state["episode"], state["elapsed"]
        self._return[row] = state["return"]
        self._obs = self._obs.copy()
        self._obs[row] = state["obs"]
        prefix = "physics/"
        physics = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        self.load_physics_state(row, physics)

    def _begin_episode(self, row: int) -> None:
        seed = self.seeds.seed(row, int(self._episode[row]))
        self._elapsed[row], self._return[row] = 0, 0.0
        self._obs[row] = self.reset_row(row, seed)

    def _end_episode(self, row: int) -> None:
        self.finished_return[row] = self._return[row]
        self._sum[row] += self._return[row]
        self._count[row] += 1
        self._episode[row] += 1
        if self._retire:
            self.alive[row] = False
        else:
            self._begin_episode(row)
