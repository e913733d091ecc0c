"""Requests of the driver to a worker: frozen records that call its local agents.

A request travels to the worker pickled, so its class must be importable there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from algorithms.types import Array, Params

from ..agents.local_agents import LocalAgents
from ..agents.messages import RoundOrder, RoundReply
from ..storage.agent_shards import Shard

Result = TypeVar("Result", covariant=True)


class Request(ABC, Generic[Result]):
    """One call of a worker's local agents."""

    @abstractmethod
    def apply(self, agents: LocalAgents) -> Result:
        """Call the agents and return the worker's reply."""


@dataclass(frozen=True)
class RunRound(Request[RoundReply]):
    """Request for one round of local steps."""

    order: RoundOrder

    def apply(self, agents: LocalAgents) -> RoundReply:
        """Run the round."""
        return agents.run_round(self.order)


@dataclass(frozen=True)
class Evaluate(Request[Array]):
    """Request to score global parameters on each agent's own environment."""

    shared: Params

    def apply(self, agents: LocalAgents) -> Array:
        """Return the undiscounted returns, [N, episodes]."""
        return agents.evaluate(self.shared)


@dataclass(frozen=True)
class Save(Request[Shard]):
    """Request to write the agents' states as one shard into a directory or URI."""

    directory: str

    def apply(self, agents: LocalAgents) -> Shard:
        """Write the shard."""
        return agents.save(self.directory)


@dataclass(frozen=True)
class Load(Request[None]):
    """Request to restore the agents' states; `files` maps each agent id to its shard."""

    directory: str
    files: Mapping[int, str]

    def apply(self, agents: LocalAgents) -> None:
        """Restore the states."""
        agents.load(self.directory, self.files)


@dataclass(frozen=True)
class Reset:
    """Request to drop the agents; the worker builds those of `experiment` for its next request.

    It replaces the agents, so the worker handles it and it has no `apply`.
    """

    experiment: Mapping[str, Any]


AnyRequest = Request[Any] | Reset
"""Everything that a worker handles."""
