"""N environments in lock-step, and their episodes."""

from __future__ import annotations

import math
from abc import abstractmethod

import numpy as np

from algorithms.types import AgentState, Array, Spec, Transition
from algorithms.vector_env import VectorEnv

from ..common.errors import RunError
from .data_faults import DIVERGED, fault_in
from .episode_seeds import EpisodeSeeds

_LARGEST_SQUARE = 1e76
"""A number of which the root fits float32."""


def _square(array: Array) -> float:
    """Return the sum of squares, which is finite only if every element is.

    It takes a third of the time of `np.isfinite(array).all()`, which counts where a step takes
    30 us. A sum that overflows is no fault yet.
    """
    return float(np.vdot(array, array))


class EpisodicVectorEnv(VectorEnv):
    """N environments in lock-step: subclasses supply the physics, this class keeps the episodes.

    A row whose episode ends is reset in the same step, from its own next seed, so no
    pseudo-transition exists. With `retire`, as in an evaluation, the row stops after its episodes.

    Continuous actions are clipped to the bounds of the spec. A reward or an observation that is not
    finite in float32 stops the run.
    """

    def __init__(self, spec: Spec, seeds: EpisodeSeeds, *, retire: bool = False) -> None:
        n = len(seeds)
        self.spec, self.seeds, self._retire = spec, seeds, retire
        self.alive = np.ones(n, dtype=bool)
        """Rows that have not retired: [N]."""
        self.finished = np.zeros(n, dtype=bool)
        """Rows whose episode ended in the last step: [N]."""
        self.returns = np.zeros((n, seeds.per_row))
        """Returns of the episodes that each row played until it retired: [N, seeds.per_row]."""
        self._low = np.array(spec.action_low, dtype=np.float32)
        self._high = np.array(spec.action_high, dtype=np.float32)
        self.reward = np.zeros(n)
        """Rewards of the last step, which transitions round to float32: [N] float64."""
        self._episode = seeds.first.copy()
        self._elapsed = np.zeros(n, dtype=np.int64)
        self._return = np.zeros(n)
        self._sum = np.zeros(n)
        self._count = np.zeros(n, dtype=np.int64)
        self._obs = np.zeros((n,) if spec.kind == "tabular" else (n, spec.obs_size),
                             np.int64 if spec.kind == "tabular" else np.float32)  # fmt: skip

    def start(self) -> None:
        """Reset every row. The subclass calls this once, at the end of its __init__."""
        for row in range(len(self.seeds)):
            self._begin_episode(row)

    @property
    def obs(self) -> Array:
        """Observations to act on next, after any reset: [N, S] float32 ([N] int64 if tabular)."""
        return self._obs

    @property
    def episode(self) -> Array:
        """Number of the episode that each row plays: [N]."""
        return self._episode

    @abstractmethod
    def advance(self, action: Array) -> tuple[Array, Array, Array, Array]:
        """Advance the physics by one step.

        Returns next_obs [N, S], reward [N], terminated [N] and truncated [N]. The caller applies
        the time limit of the spec, so `truncated` is for other reasons of the environment. Rows
        that are not `alive` may hold anything.
        """

    @abstractmethod
    def reset_row(self, row: int, seed: int) -> Array:
        """Start an episode from a seed and return its first observation: [S]."""

    @abstractmethod
    def physics_state(self, row: int) -> AgentState:
        """Return the state that `advance` needs, beside the seed and the elapsed steps."""

    @abstractmethod
    def load_physics_state(self, row: int, state: AgentState) -> None:
        """Restore a state from `physics_state`."""

    def close(self) -> None:
        """Release the resources of the environments; a second call does nothing."""

    def step(self, action: Array) -> Transition:
        """Step all N rows; `Transition` gives the shapes.

        Raises RunError: an observation, a reward or an action is not finite in float32.
        """
        obs = self._obs
        next_obs, reward, terminated, truncated = self.advance(self._legal(action))
        self._require_finite(next_obs, reward)
        self._elapsed += 1
        self.reward = reward
        self._return += np.where(self.alive, reward, 0.0) if self._retire else reward
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
        """Return the sum of returns and the number of episodes since the last call: [N], [N]."""
        drained = self._sum, self._count
        self._sum, self._count = np.zeros_like(self._sum), np.zeros_like(self._count)
        return drained

    def restart(self) -> None:
        """Drop the unfinished episodes without counting them, and start the next ones."""
        for row in np.flatnonzero(self._elapsed):
            self._episode[row] += 1
            self._begin_episode(int(row))

    def agent_state(self, row: int) -> AgentState:
        """Return the complete state of one row: its unfinished episode and its physics."""
        counters = {
            "episode": self._episode[row],
            "elapsed": self._elapsed[row],
            "return": self._return[row],
            "obs": self._obs[row],
        }
        state = {name: np.array(value) for name, value in counters.items()}
        return state | {f"physics/{k}": v for k, v in self.physics_state(row).items()}

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Restore a state from `agent_state`."""
        self._episode[row], self._elapsed[row] = state["episode"], state["elapsed"]
        self._return[row] = state["return"]
        self._obs = self._obs.copy()
        self._obs[row] = state["obs"]
        prefix = "physics/"
        physics = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        self.load_physics_state(row, physics)

    def fault(self, row: int, text: str) -> RunError:
        """Return the error of a row, with its agent, its episode (from 0) and its step (from 1)."""
        label, episode = self.seeds.label(row), self._episode[row]
        error = RunError(f"{label}, episode {episode}, step {self._elapsed[row] + 1}: {text}")
        self.seeds.attribute_error(error, row)
        return error

    def _legal(self, action: Array) -> Array:
        """Return actions within the bounds.

        Raises RunError: one is not finite. Then the environment is not to blame for what follows.
        """
        if not self._low.size:
            return action
        if not math.isfinite(_square(action)):
            for row in np.flatnonzero(~np.isfinite(action).all(-1) & self.alive).tolist():
                raise self.fault(row, DIVERGED)
        return np.minimum(np.maximum(action, self._low), self._high)  # faster than clip

    def _require_finite(self, obs: Array, reward: Array) -> None:
        if math.isfinite(_square(obs)) and _square(reward) < _LARGEST_SQUARE:
            return
        for row in np.flatnonzero(self.alive).tolist():
            text = fault_in(obs[row], float(reward[row]))
            if text is not None:
                raise self.fault(row, text)

    def _begin_episode(self, row: int) -> None:
        seed = self.seeds.seed(row, int(self._episode[row]))
        self._elapsed[row], self._return[row] = 0, 0.0
        self._obs[row] = self.reset_row(row, seed)

    def _end_episode(self, row: int) -> None:
        self._sum[row] += self._return[row]
        self._count[row] += 1
        played = int(self._episode[row] - self.seeds.first[row])
        self._episode[row] += 1
        if self._retire:
            self.returns[row, played] = self._return[row]
        if self._retire and played + 1 == self.seeds.per_row:
            self.alive[row] = False
        else:
            self._begin_episode(row)
