"""The local agents of one process, as few at a time in lock-step as fit into a processor's cache.

Agents of a block share every operation, which is what makes them fast; but all their parameters,
gradients and moments are touched in every local step. Where those of all agents are more than the
cache holds, a round is quicker block after block. No bit depends on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from algorithms.types import AgentState, Array, Params

from . import experiments, plugins, storage
from .agent_shards import write_shard
from .config import Experiment
from .config_checks import build_family
from .local_agents import host_agents
from .messages import RoundOrder, RoundReply, Shard

CACHE_BYTES = 12 * 2**20
LEAST_AGENTS = 4
"""Of which the shared operations are worth more than the cache."""


class AgentBlocks:
    """`LocalAgents` of a few agents each, with the methods of one `LocalAgents` of them all."""

    def __init__(self, experiment: Mapping[str, Any], agent_ids: Sequence[int]) -> None:
        self.agent_ids = tuple(agent_ids)
        parsed = experiments.from_dict(experiment)
        self._aggregator = plugins.load("aggregators", parsed.aggregator.name)(
            parsed.aggregator.settings
        )
        size = block_size(parsed, len(self.agent_ids))
        count = -(-len(self.agent_ids) // size)
        self._blocks = [
            host_agents(experiment, block.tolist())
            for block in np.array_split(np.array(self.agent_ids), count)
        ]

    def run_round(self, order: RoundOrder) -> RoundReply:
        """E local steps of every block. Raises RunError if parameters diverge."""
        return self._joined([block.run_round(order) for block in self._blocks])

    def evaluate(self, shared: Params) -> Array:
        """Score the global policy on each agent's own environment: [N, episodes]."""
        return np.concatenate([block.evaluate(shared) for block in self._blocks])

    def save(self, directory: str) -> Shard:
        """Write everything these agents remember as one shard file, into a folder or a URI."""
        states: dict[int, AgentState] = {}
        for block in self._blocks:
            states |= block.states()
        with storage.writing(storage.parse(directory)) as folder:
            return write_shard(folder, states)

    def load(self, directory: str, files: Mapping[int, str]) -> None:
        """Take the agents' states back; `files` names the shard of each agent."""
        for block in self._blocks:
            block.load(directory, files)

    def close(self) -> None:
        """Close the environments."""
        for block in self._blocks:
            block.close()

    def _joined(self, replies: Sequence[RoundReply]) -> RoundReply:
        first = replies[0]
        return replace(
            first,
            agent_ids=self.agent_ids,
            partial=self._aggregator.join(r.partial for r in replies),
            metrics={
                name: np.concatenate([r.metrics[name] for r in replies]) for name in first.metrics
            },
            return_sum=np.concatenate([r.return_sum for r in replies]),
            episodes=np.concatenate([r.episodes for r in replies]),
            seconds=sum(r.seconds for r in replies),
        )


def block_size(experiment: Experiment, num_agents: int) -> int:
    """Agents of a block: all, or as many as the cache holds of what a learner's local step
    touches."""
    cls = plugins.load("learners", experiment.learner.name)
    hot_bytes = getattr(cls, "hot_bytes", None)
    if hot_bytes is None or experiment.learner.settings.device != "cpu":
        return num_agents
    touched = hot_bytes(experiment.learner.settings, build_family(experiment).spec)
    return max(LEAST_AGENTS, CACHE_BYTES // int(touched))
