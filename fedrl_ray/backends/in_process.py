"""Every local agent in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from algorithms.types import Array, Params

from ..agents.local_agents import LocalAgents
from ..agents.messages import Place, RoundOrder, RoundReply, WorkerFailure
from ..common.exits import exits_as_errors
from ..storage.agent_shards import Shard
from .backend import Backend, Workers, exception_failure, place_here

T = TypeVar("T")


class InProcessBackend(Backend):
    """Every agent in this process, in the same groups as Ray workers would have."""

    kind: ClassVar[Literal["ray", "in_process"]] = "in_process"

    def __init__(self, experiment: Mapping[str, Any], groups: Sequence[Sequence[int]]) -> None:
        self.groups: tuple[tuple[int, ...], ...] = tuple(tuple(g) for g in groups)
        self._experiment = experiment
        self._workers = [self._build(group) for group in self.groups]

    def places(self, *, wait: bool = False) -> Sequence[Place | None]:
        """Return this process for every worker."""
        return [place_here(None, self._experiment)] * len(self.groups)

    def run_round(
        self, order: RoundOrder, workers: Workers
    ) -> Iterator[RoundReply | WorkerFailure]:
        """Yield the reply of each worker once it has done its round; the next one then starts."""
        return (self._try(index, lambda worker: worker.run_round(order)) for index in workers)

    def evaluate(self, shared: Params, workers: Workers) -> list[Array | WorkerFailure]:
        """Return the returns on the agents' own environments: [N, episodes] per worker."""
        return self._map(lambda worker: worker.evaluate(shared), workers)

    def save(self, directory: str, workers: Workers) -> list[Shard | WorkerFailure]:
        """Write the shards of these workers, one after the other."""
        return self._map(lambda worker: worker.save(directory), workers)

    def load(
        self, directory: str, files: Mapping[int, str], workers: Workers
    ) -> list[WorkerFailure]:
        """Restore agents from shards; `files` names the shard of each. Returns the failures."""
        results = self._map(lambda worker: worker.load(directory, files), workers)
        return [r for r in results if isinstance(r, WorkerFailure)]

    def rebuild(self, workers: Workers) -> None:
        """Replace workers by fresh ones at the initial state, which are up at once."""
        for worker in workers:
            self._workers[worker].close()
            self._workers[worker] = self._build(self.groups[worker])

    def reset(self, experiment: Mapping[str, Any]) -> None:
        """Bring every worker to the initial state of another experiment with as many agents."""
        self._experiment = experiment
        self.rebuild(range(len(self.groups)))

    def close(self) -> None:
        """Close the environments of all workers; a second call does nothing."""
        for worker in self._workers:
            worker.close()
        self._workers = []

    def _build(self, group: tuple[int, ...]) -> LocalAgents:
        with exits_as_errors():
            return LocalAgents(self._experiment, group)

    def _map(self, call: Callable[[LocalAgents], T], workers: Workers) -> list[T | WorkerFailure]:
        return [self._try(index, call) for index in workers]

    def _try(self, index: int, call: Callable[[LocalAgents], T]) -> T | WorkerFailure:
        try:
            with exits_as_errors():
                return call(self._workers[index])
        except Exception as error:
            return exception_failure(index, self.groups[index], error)
