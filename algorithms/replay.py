"""Replay buffers of N local agents, as one ring buffer: [N, capacity, width].

A transition is one row of float32 (obs, action, reward, next_obs, terminated), so storing it is
one write and sampling is one gather. Each agent has its own position, because an agent that missed
a round has a shorter history than the others.
"""

from __future__ import annotations

import itertools

import numpy as np

from .arrays import Home, to_numpy
from .types import AgentState, Array, Transition


class Replay:
    """The last `capacity` transitions of each agent. Actions are stored as float32."""

    def __init__(
        self,
        num_agents: int,
        capacity: int,
        *,
        obs_size: int,
        action_size: int,
        home: Home,
    ) -> None:
        self.capacity, self._home = capacity, home
        ends = list(itertools.accumulate([obs_size, action_size, 1, obs_size, 1], initial=0))
        self._parts = [slice(*ends) for ends in itertools.pairwise(ends)]
        self._rows = home.zeros(num_agents, capacity, ends[-1])
        self._all_rows = self._rows.reshape(num_agents * capacity, -1)
        self._new_NW = np.zeros((num_agents, ends[-1]), np.float32)
        self._agents_N = np.arange(num_agents)
        self._added_N = np.zeros(num_agents, dtype=np.int64)

    def clear(self) -> None:
        """Forget every stored transition."""
        self._added_N[:] = 0

    def add(self, t: Transition) -> None:
        """Store one transition per agent; a full buffer overwrites its oldest one."""
        for part, values in zip(self._parts, t, strict=True):
            self._new_NW[:, part] = values.reshape(len(self._new_NW), part.stop - part.start)
        place_N = self._agents_N * self.capacity + self._added_N % self.capacity
        self._home.put(self._all_rows, place_N, self._new_NW)
        self._added_N += 1

    def sample(self, uniform_NB: Array) -> Transition:
        """Return a minibatch per agent, drawn with replacement by uniform numbers in [0, 1)."""
        size_N1 = np.minimum(self._added_N, self.capacity)[:, None]
        index_NB = (uniform_NB * size_N1).astype(np.int64)
        index_NB += self._agents_N[:, None] * self.capacity
        rows_NBW = self._home.rows(self._all_rows, index_NB)
        obs, action, reward, next_obs, terminated = (rows_NBW[..., part] for part in self._parts)
        return Transition(obs, action, reward[..., 0], next_obs, terminated[..., 0])

    def agent_state(self, row: int) -> AgentState:
        """Return the filled part of one agent's buffer, and the count of stored transitions."""
        size = min(int(self._added_N[row]), self.capacity)
        return {
            "rows": to_numpy(self._rows[row, :size]).copy(),
            "added": np.array(self._added_N[row]),
        }

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back the result of `agent_state`, into a buffer of the same capacity."""
        stored = state["rows"]
        self._rows[row, : len(stored)] = self._home.asarray(np.array(stored))
        self._added_N[row] = int(state["added"])

    @staticmethod
    def bytes_per_agent(capacity: int, *, obs_size: int, action_size: int) -> int:
        """Return the memory of one agent's buffer, in bytes."""
        return 4 * capacity * (2 * obs_size + action_size + 2)
