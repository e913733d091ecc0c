"""The learners of one process and their environments.

Agents in lock-step share every operation of a local step, which is what makes few of them fast; but
a step goes through the parameters and moments of all. Where the processor's cache does not hold
those, a round is quicker block after block. No bit depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from algorithms import prefixes
from algorithms.types import AgentState, Array, Params

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
LEAST_CACHE = 2**23
"""Bytes. Blocks that fit into less are too small: calls that agents share cost more than they gain
(docs/performance.md)."""


class Agents(Protocol):
    """N local agents, as what hosts them sees them."""

    def learn(self, shared: Params, *, clock: int, steps: int) -> None:
        """Local steps from the broadcast parameters; `clock` were done before."""

    def shared(self) -> Params:
        """What is averaged: each [N, ...]."""

    def drain_metrics(self) -> dict[str, Array]:
        """Means per agent since the last call, each [N]."""

    def drain_episodes(self) -> tuple[Array, Array]:
        """Sum of returns and number of the episodes finished since the last call: [N], [N]."""

    def agent_state(self, row: int) -> AgentState:
        """Everything of one agent."""

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back what `agent_state` gave."""

    def close(self) -> None:
        """Release what the environments hold."""


class LockStep:
    """A learner of N agents and their environments."""

    def __init__(self, learner: Any, env: Any) -> None:
        self.learner, self.env = learner, env

    def learn(self, shared: Params, *, clock: int, steps: int) -> None:
        self.learner.clock = clock
        self.learner.load_shared(shared)
        for _ in range(steps):
            self.learner.step(self.env)

    def shared(self) -> Params:
        shared: Params = self.learner.shared()
        return shared

    def drain_metrics(self) -> dict[str, Array]:
        metrics: dict[str, Array] = self.learner.drain_metrics()
        return metrics

    def drain_episodes(self) -> tuple[Array, Array]:
        drained: tuple[Array, Array] = self.env.drain_episodes()
        return drained

    def agent_state(self, row: int) -> AgentState:
        parts = {"learner": self.learner, "environment": self.env}
        return prefixes.join({name: part.agent_state(row) for name, part in parts.items()})

    def load_agent_state(self, row: int, state: AgentState) -> None:
        self.learner.load_agent_state(row, prefixes.select(state, "learner"))
        self.env.load_agent_state(row, prefixes.select(state, "environment"))

    def close(self) -> None:
        self.env.close()


class Blocks:
    """Agents in lock-step with those of their block alone, one block after the other."""

    def __init__(self, blocks: Sequence[LockStep], sizes: Sequence[int]) -> None:
        self.blocks = blocks
        self._places = [
            (block, row) for block, n in zip(blocks, sizes, strict=True) for row in range(n)
        ]

    def learn(self, shared: Params, *, clock: int, steps: int) -> None:
        for block in self.blocks:
            block.learn(shared, clock=clock, steps=steps)

    def shared(self) -> Params:
        return _together([block.shared() for block in self.blocks])

    def drain_metrics(self) -> dict[str, Array]:
        return _together([block.drain_metrics() for block in self.blocks])

    def drain_episodes(self) -> tuple[Array, Array]:
        returns, episodes = zip(*(block.drain_episodes() for block in self.blocks), strict=True)
        return np.concatenate(returns), np.concatenate(episodes)

    def agent_state(self, row: int) -> AgentState:
        block, own_row = self._places[row]
        return block.agent_state(own_row)

    def load_agent_state(self, row: int, state: AgentState) -> None:
        block, own_row = self._places[row]
        block.load_agent_state(own_row, state)

    def close(self) -> None:
        for block in self.blocks:
            block.close()


def in_blocks(
    build: Callable[[Sequence[int]], LockStep],
    agent_ids: Sequence[int],
    bytes_per_agent: int | None,
) -> LockStep | Blocks:
    """Agents as `build` makes them, in blocks of equal size, or one less, that the cache holds.

    bytes_per_agent: what a local step goes through; None where no block is wanted.
    """
    cache = cache_share()
    if bytes_per_agent is None or cache < LEAST_CACHE:
        return build(agent_ids)
    count = -(-len(agent_ids) // max(1, cache // bytes_per_agent))
    parts = [part.tolist() for part in np.array_split(np.array(agent_ids), count)]
    if count == 1:
        return build(agent_ids)
    return Blocks([build(part) for part in parts], [len(part) for part in parts])


def cache_share() -> int:
    """Bytes of the last cache of this processor for each CPU that shares it; 0 if it does not
    tell."""
    try:
        last = max(CACHES.glob("index*"), key=lambda folder: int((folder / "level").read_text()))
        kibibytes = int((last / "size").read_text().strip().removesuffix("K"))
        sharing = (last / "shared_cpu_map").read_text().replace(",", "")
        return 1024 * kibibytes // int(sharing, 16).bit_count()
    except (OSError, ValueError, ZeroDivisionError):
        return 0


def _together(parts: Sequence[dict[str, Array]]) -> dict[str, Array]:
    """By name, of all agents."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
