"""Ring buffer of N local agents: [N, capacity, width].

A transition is one row of float32 (obs, action, reward, next_obs, terminated), so that storing is
one write and sampling is one gather. Positions are per agent: an agent that missed a round
(policy `continue`) has a shorter history than its neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .on_use import torch
from .types import AgentState, Array, Transition

if TYPE_CHECKING:
    from torch import Tensor


class Replay:
    """The last `capacity` transitions of each agent. Actions are stored as float32."""

    def __init__(
        self,
        num_agents: int,
        capacity: int,
        *,
        obs_size: int,
        action_size: int,
        device: str = "cpu",
    ) -> None:
        self.capacity, self._device = capacity, device
        self._splits = [obs_size, action_size, 1, obs_size, 1]
        self._rows = torch.zeros(num_agents, capacity, sum(self._splits), device=device)
        self._all_rows = self._rows.view(num_agents * capacity, -1)
        self._agents_N = np.arange(num_agents)
        self._added_N = np.zeros(num_agents, dtype=np.int64)

    def clear(self) -> None:
        """Forget everything stored."""
        self._added_N[:] = 0

    def add(self, t: Transition) -> None:
        """Store one transition per agent, over the oldest when full."""
        n = len(self._agents_N)
        row = np.concatenate(
            [np.reshape(x, (n, -1)) for x in t], axis=1, dtype=np.float32, casting="unsafe"
        )
        place_N = self._agents_N * self.capacity + self._added_N % self.capacity
        self._all_rows.index_copy_(0, self._there(place_N), self._there(row).to(self._rows.dtype))
        self._added_N += 1

    def sample(self, uniform_NB: Array) -> Transition:
        """A minibatch per agent, with replacement, from uniform numbers in [0, 1)."""
        size_N1 = np.minimum(self._added_N, self.capacity)[:, None]
        index_NB = (uniform_NB * size_N1).astype(np.int64)
        index_NB += self._agents_N[:, None] * self.capacity
        rows_NBW = self._all_rows.index_select(0, self._there(index_NB.reshape(-1)))
        rows_NBW = rows_NBW.view(*index_NB.shape, -1)
        obs, action, reward, next_obs, terminated = torch.split(rows_NBW, self._splits, dim=-1)
        return Transition(obs, action, reward.squeeze(-1), next_obs, terminated.squeeze(-1))

    def _there(self, array: Array) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def agent_state(self, row: int) -> AgentState:
        """Only the part that is filled."""
        size = min(int(self._added_N[row]), self.capacity)
        return {
            "rows": self._rows[row, :size].cpu().numpy().copy(),
            "added": np.array(self._added_N[row]),
        }

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back what `agent_state` gave, into a buffer of the same capacity."""
        stored = state["rows"]
        self._rows[row, : len(stored)] = torch.from_numpy(np.array(stored))
        self._added_N[row] = int(state["added"])

    @staticmethod
    def bytes_per_agent(capacity: int, *, obs_size: int, action_size: int) -> int:
        """Memory of one agent's buffer."""
        return 4 * capacity * (2 * obs_size + action_size + 2)


def action_rows(action_NB1: Tensor) -> Tensor:
    """Stored discrete actions back to indices: [N, B, 1] float32 -> [N, B, 1] int64."""
    return action_NB1.to(torch.int64)
