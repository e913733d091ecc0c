"""The contract of a backend: all K local agents, in groups called workers."""

from __future__ import annotations

import os
import platform
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from algorithms.types import Array, Params

from ..agents.execution_profile import execution_profile
from ..agents.messages import FailureKind, Place, RoundOrder, RoundReply, WorkerFailure
from ..common.error_source import agents_at_fault
from ..common.errors import CheckpointError, RunError, UserError
from ..storage.agent_shards import Shard

Workers = Sequence[int]
"""Workers by their index in `Backend.groups`."""


class Backend(ABC):
    """Workers that host the local agents. Results come in the order of the workers asked.

    A call that fails in a worker gives a WorkerFailure in the place of its result; the driver's
    recovery decides what happens then.
    """

    kind: ClassVar[Literal["ray", "in_process"]]
    """Name in `federation.backend`."""
    groups: tuple[tuple[int, ...], ...]
    """Agent ids of each worker."""

    @abstractmethod
    def places(self, *, wait: bool = False) -> Sequence[Place | None]:
        """Return the place of each worker, or its last one; None while that is not known.

        wait: wait for workers that come up for the first time.
        """

    @abstractmethod
    def run_round(
        self, order: RoundOrder, workers: Workers
    ) -> Iterable[RoundReply | WorkerFailure]:
        """Do a round on these workers; a result is released before the next is taken."""

    @abstractmethod
    def evaluate(self, shared: Params, workers: Workers) -> list[Array | WorkerFailure]:
        """Return the returns on the agents' own environments: [N, episodes] per worker."""

    @abstractmethod
    def save(self, directory: str, workers: Workers) -> list[Shard | WorkerFailure]:
        """Let these workers write their shards into the directory."""

    @abstractmethod
    def load(
        self, directory: str, files: Mapping[int, str], workers: Workers
    ) -> list[WorkerFailure]:
        """Restore agents from shards; `files` names the shard of each. Returns the failures."""

    @abstractmethod
    def rebuild(self, workers: Workers) -> None:
        """Replace workers by fresh ones at the initial state; they may take time to come up."""

    @abstractmethod
    def reset(self, experiment: Mapping[str, Any]) -> None:
        """Bring every worker to the initial state of another experiment with as many agents."""

    @abstractmethod
    def close(self) -> None:
        """End the workers."""

    def is_up(self, worker: int) -> bool:
        """Return True if a rebuilt worker answers by now, or has failed."""
        return True

    def await_up(self, workers: Workers) -> None:  # noqa: B027 - an optional hook
        """Wait until one of these workers is up, or until `federation.start_timeout` is over."""


def exception_failure(worker: int, agent_ids: tuple[int, ...], error: Exception) -> WorkerFailure:
    """Return a worker's exception as data: our own errors in one line, others with a traceback."""
    if isinstance(error, RunError | UserError):
        reason = str(error)
    else:
        reason = "\n" + "".join(traceback.format_exception(error)).rstrip()
    kind: FailureKind = "checkpoint" if isinstance(error, CheckpointError) else "exception"
    return WorkerFailure(
        worker=worker, agent_ids=agents_at_fault(error, agent_ids), kind=kind, reason=reason
    )


def place_here(node: str | None, experiment: Mapping[str, Any]) -> Place:
    """Return the place of this process, on a node of Ray or on none."""
    profile = execution_profile(experiment)
    return Place(
        node=node,
        hostname=platform.node(),
        pid=os.getpid(),
        niceness=os.getpriority(os.PRIO_PROCESS, 0),
        profile=profile,
    )
