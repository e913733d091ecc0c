"""Where local agents live: one protocol, in this process or as Ray actors (`ray_pool`)."""

from __future__ import annotations

import os
import platform
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from algorithms.types import Array, Params

from ..agents.execution_profile import execution_profile
from ..agents.messages import FailureKind, Place, RoundOrder, RoundReply, WorkerFailure
from ..common.error_source import agents_at_fault
from ..common.errors import CheckpointError, RunError, UserError
from ..storage.agent_shards import Shard

T = TypeVar("T")
Workers = Sequence[int]
"""Workers by their number in `groups`."""


class Backend(Protocol):
    """All K local agents, in groups called hosts. Results come in the order of the hosts asked.

    A call that fails on a host gives a WorkerFailure in its place; what to do is the driver's.
    """

    kind: ClassVar[Literal["ray", "in_process"]]
    """Its name in `federation.backend`."""

    @property
    def groups(self) -> Sequence[tuple[int, ...]]:
        """Agent ids of each host."""

    def places(self, *, wait: bool = False) -> Sequence[Place | None]:
        """Where each host runs, or ran last; None as long as that is not known. `wait` for those
        that come up for the first time."""

    def run_round(
        self, order: RoundOrder, workers: Workers
    ) -> Iterable[RoundReply | WorkerFailure]:
        """E local steps on these hosts. Each result is let go of before the next is asked for."""

    def evaluate(self, shared: Params, workers: Workers) -> list[Array | WorkerFailure]:
        """Returns on the agents' own environments: [N, episodes] per host."""

    def save(self, directory: str, workers: Workers) -> list[Shard | WorkerFailure]:
        """These hosts write their shards into the directory."""

    def load(
        self, directory: str, files: Mapping[int, str], workers: Workers
    ) -> list[WorkerFailure]:
        """Agent states back from shards; the failures only."""

    def rebuild(self, workers: Workers) -> None:
        """Replace hosts by fresh ones at the initial state. They may take time to come up."""

    def is_up(self, worker: int) -> bool:
        """Whether a host that was rebuilt answers by now, or has failed."""

    def await_up(self, workers: Workers) -> None:
        """Wait until one of these hosts is up, or `federation.start_timeout` is over."""

    def reset(self, experiment: Mapping[str, Any]) -> None:
        """Every host anew, at the initial state of another experiment of as many agents."""

    def close(self) -> None:
        """End the hosts."""


def exception_failure(worker: int, agent_ids: tuple[int, ...], error: Exception) -> WorkerFailure:
    """An exception of a host as data: our own errors in one line, others with their traceback."""
    if isinstance(error, RunError | UserError):
        reason = str(error)
    else:
        reason = "\n" + "".join(traceback.format_exception(error)).rstrip()
    kind: FailureKind = "checkpoint" if isinstance(error, CheckpointError) else "exception"
    return WorkerFailure(
        worker=worker, agent_ids=agents_at_fault(error, agent_ids), kind=kind, reason=reason
    )


def place_here(node: str | None, experiment: Mapping[str, Any]) -> Place:
    """This process, on a node of Ray or on none, as it runs an experiment."""
    profile = execution_profile(experiment)
    return Place(node=node, hostname=platform.node(), pid=os.getpid(), profile=profile)
