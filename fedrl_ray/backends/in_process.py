"""Every local agent in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from algorithms.types import Array, Params

from ..agents.local_agents import LocalAgents, host_agents
from ..agents.messages import HostFailure, Place, RoundOrder, RoundReply
from ..storage.agent_shards import Shard
from .backend import Hosts, exception_failure, place_here

T = TypeVar("T")


class InProcessPool:
    """Every agent in this process, in the same groups as the actors would have."""

    kind: ClassVar[Literal["ray", "in_process"]] = "in_process"

    def __init__(self, experiment: Mapping[str, Any], groups: Sequence[Sequence[int]]) -> None:
        self.groups: tuple[tuple[int, ...], ...] = tuple(tuple(g) for g in groups)
        self._experiment = experiment
        self._hosts = [host_agents(experiment, group) for group in self.groups]

    def places(self, *, wait: bool = False) -> Sequence[Place | None]:
        return [place_here(None, self._experiment)] * len(self.groups)

    def run_round(self, order: RoundOrder, hosts: Hosts) -> Iterator[RoundReply | HostFailure]:
        return (self._try(index, lambda host: host.run_round(order)) for index in hosts)

    def evaluate(self, shared: Params, hosts: Hosts) -> list[Array | HostFailure]:
        return self._map(lambda host: host.evaluate(shared), hosts)

    def save(self, directory: str, hosts: Hosts) -> list[Shard | HostFailure]:
        return self._map(lambda host: host.save(directory), hosts)

    def load(self, directory: str, files: Mapping[int, str], hosts: Hosts) -> list[HostFailure]:
        results = self._map(lambda host: host.load(directory, files), hosts)
        return [r for r in results if isinstance(r, HostFailure)]

    def is_up(self, host: int) -> bool:
        return True

    def await_up(self, hosts: Hosts) -> None:
        return None

    def rebuild(self, hosts: Hosts) -> None:
        for host in hosts:
            self._hosts[host].close()
            self._hosts[host] = host_agents(self._experiment, self.groups[host])

    def reset(self, experiment: Mapping[str, Any]) -> None:
        self._experiment = experiment
        self.rebuild(range(len(self.groups)))

    def close(self) -> None:
        for host in self._hosts:
            host.close()
        self._hosts = []

    def _map(self, call: Callable[[LocalAgents], T], hosts: Hosts) -> list[T | HostFailure]:
        return [self._try(index, call) for index in hosts]

    def _try(self, index: int, call: Callable[[LocalAgents], T]) -> T | HostFailure:
        try:
            return call(self._hosts[index])
        except Exception as error:
            return exception_failure(index, self.groups[index], error)
