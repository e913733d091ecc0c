"""Local agents as Ray actors. The actors are shells around `LocalAgents`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from algorithms.types import Array, Params

from . import cluster
from .local_agents import LocalAgents, host_agents
from .messages import HostFailure, Place, RoundOrder, RoundReply, Shard
from .pool import Hosts, exception_failure, place_here
from .resources import Bundle, options, words

NODE_ID_LABEL = "ray.io/node-id"
"""A label that Ray gives every node."""
Build = Callable[[Mapping[str, Any], Sequence[int]], LocalAgents]
"""From an experiment (plain data) and agent ids."""
RELEASE_SECONDS = 3.0
"""How long Ray may take to notice that the CPUs of an actor just killed are free."""


class AgentHost:
    """One actor. `build` makes its agents: `host_agents`, or in tests of faults a subclass of
    `LocalAgents`.

    Exceptions come back as values, a HostFailure each, so that they keep their own words.
    """

    def __init__(
        self,
        build: Build,
        experiment: Mapping[str, Any],
        ids: Sequence[int],
    ) -> None:
        self._to_build = (build, experiment, tuple(ids))
        self._agents: LocalAgents | None = None

    def call(self, method: str, *args: Any) -> Any:
        """Call a method of the agents."""
        try:
            return getattr(self._built(), method)(*args)
        except Exception as error:
            return exception_failure(0, self._to_build[2], error)

    def started(self) -> Place:
        """Where it runs: answered once the process is up and its agents are built, which no call's
        timeout is to count."""
        with contextlib.suppress(Exception):  # the first call will raise it again, and be asked
            self._built()
        node = ray.get_runtime_context().get_node_id()
        return place_here(node, self._to_build[1])

    def _built(self) -> LocalAgents:
        if self._agents is None:
            build, experiment, ids = self._to_build
            self._agents = build(experiment, ids)
        return self._agents

    def close(self) -> None:
        """Close what the agents opened, before the process is ended."""
        if self._agents is not None:
            self._agents.close()

    def reset(self, experiment: Mapping[str, Any]) -> None:
        """Forget the agents; those of another experiment are built on the next call."""
        self.close()
        build, _, ids = self._to_build
        self._to_build, self._agents = (build, experiment, ids), None

    def run_round(self, round_number: int, attempt: int, shared: Params) -> Any:
        """A round; `shared` arrives from the object store, put there once for all actors."""
        order = RoundOrder(round=round_number, attempt=attempt, shared=shared)
        return self.call("run_round", order)


class RayPool:
    """One actor per group of agents, in the order of the groups.

    requests: what each actor asks of Ray. keep_cpu: whether one that is rebuilt insists on its
    CPUs; else it shares those of others where its own went with their node. timeout,
    start_timeout: seconds, `federation.round_timeout` and `federation.start_timeout`.
    """

    kind: ClassVar[Literal["ray", "in_process"]] = "ray"

    def __init__(
        self,
        experiment: Mapping[str, Any],
        groups: Sequence[Sequence[int]],
        *,
        requests: Sequence[Bundle],
        timeout: float,
        start_timeout: float = 120.0,
        keep_cpu: bool = False,
        build: Build = host_agents,
    ) -> None:
        self.groups: tuple[tuple[int, ...], ...] = tuple(tuple(g) for g in groups)
        self._experiment, self._build = experiment, build
        self._requests, self._keep_cpu = list(requests), keep_cpu
        self._timeout, self._start_timeout = timeout, start_timeout
        self._starting: dict[int, Any] = {}
        self._places: list[Place | None] = [None] * len(self.groups)
        self._actors: list[Any] = [None] * len(self.groups)
        self._start_all()

    def places(self, *, wait: bool = False) -> Sequence[Place | None]:
        if wait:
            self._await_started([h for h, place in enumerate(self._places) if place is None])
        return self._places

    def run_round(self, order: RoundOrder, hosts: Hosts) -> Iterator[RoundReply | HostFailure]:
        shared = ray.put(order.shared)
        actors = [self._actors[host] for host in hosts]
        return self._results(
            [a.run_round.remote(order.round, order.attempt, shared) for a in actors], hosts
        )

    def evaluate(self, shared: Params, hosts: Hosts) -> list[Array | HostFailure]:
        return self._call(hosts, "evaluate", ray.put(shared))

    def save(self, directory: str, hosts: Hosts) -> list[Shard | HostFailure]:
        return self._call(hosts, "save", directory)

    def load(self, directory: str, files: Mapping[int, str], hosts: Hosts) -> list[HostFailure]:
        results = self._call(hosts, "load", directory, dict(files))
        return [r for r in results if isinstance(r, HostFailure)]

    def rebuild(self, hosts: Hosts) -> None:
        for host in hosts:
            ray.kill(self._actors[host])
        places = [place for host in hosts if (place := self._places[host])]
        silent = cluster.silent({place.node for place in places if place.node})
        for host in hosts:
            request = self._affordable(self._requests[host], silent)
            self._actors[host] = self._start(host, request, silent)

    def is_up(self, host: int) -> bool:
        call = self._starting.get(host)
        return call is None or bool(ray.wait([call], timeout=0)[0])

    def await_up(self, hosts: Hosts) -> None:
        calls = [self._starting[host] for host in hosts if host in self._starting]
        if len(calls) == len(hosts):
            ray.wait(calls, num_returns=1, timeout=self._start_timeout)

    def reset(self, experiment: Mapping[str, Any]) -> None:
        self._experiment = experiment
        resets = [actor.reset.remote(experiment) for actor in self._actors]
        done, _ = ray.wait(resets, num_returns=len(resets), timeout=self._timeout)
        for host, reset in enumerate(resets):
            try:
                ray.get(reset, timeout=0 if reset not in done else None)
            except RayError:  # dead, hung, or its environment does not close: a fresh process
                self.rebuild([host])

    def close(self) -> None:
        ray.wait([a.close.remote() for a in self._actors], num_returns=len(self._actors), timeout=5)
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []

    def actors(self) -> list[Any]:
        """The actor handles, one per host."""
        return list(self._actors)

    def _start_all(self) -> None:
        """Those that only some nodes can host come first, before others take the CPUs there."""
        hosts = range(len(self.groups))
        picky = [host for host in hosts if self._requests[host].keys() - {"CPU"}]
        for some in (picky, [host for host in hosts if host not in picky]):
            for host in some:
                self._actors[host] = self._start(host, self._requests[host])
            if len(picky) < len(hosts):
                self._await_started(picky)

    def _start(self, host: int, request: Bundle, avoid: Sequence[str] = ()) -> Any:
        """avoid: ids of nodes."""
        in_group = ray.util.get_current_placement_group() is not None
        elsewhere = {NODE_ID_LABEL: f"!in({','.join(avoid)})"}
        actor_class: Any = ray.remote(AgentHost).options(
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=None if in_group else "SPREAD",
            label_selector=elsewhere if avoid and not in_group else None,
            **options(request),
        )
        actor = actor_class.remote(self._build, self._experiment, self.groups[host])
        self._starting[host] = actor.started.remote()
        return actor

    def _affordable(self, request: Bundle, silent: Collection[str]) -> Bundle:
        """What an actor asks for that replaces another, where some nodes are silent. Its CPUs may
        be gone with their node; everything else it needs to work at all."""
        if self._keep_cpu or ray.util.get_current_placement_group() is not None:
            return request
        deadline = time.monotonic() + RELEASE_SECONDS
        while time.monotonic() < deadline:
            if cluster.has_room(request, without=silent):
                return request
            time.sleep(0.05)
        return request | {"CPU": 0.0}

    def _await_started(self, hosts: Hosts) -> list[int]:
        """Importing torch on a busy machine takes seconds, which no call's timeout counts. The
        hosts that are not up in time; one that died on the way is found out by its next call."""
        calls = {self._starting[host]: host for host in hosts if host in self._starting}
        if not calls:
            return []
        ready, late = ray.wait(list(calls), num_returns=len(calls), timeout=self._start_timeout)
        for call in ready:
            with contextlib.suppress(RayError):
                self._places[calls[call]] = ray.get(call)
            del self._starting[calls[call]]
        return [calls[call] for call in late]

    def _call(self, hosts: Hosts, method: str, *args: Any) -> list[Any]:
        calls = [self._actors[host].call.remote(method, *args) for host in hosts]
        return list(self._results(calls, hosts))

    def _results(self, calls: list[Any], hosts: Hosts) -> Iterator[Any]:
        """Results in the order of the hosts, whatever the order of the answers. They wait in the
        object store, and are let go of one by one: `calls` is emptied."""
        absent = self._await_started(hosts)
        end = time.monotonic() + self._timeout
        calls.reverse()
        for host in hosts:
            call = calls.pop()
            left = max(0.0, end - time.monotonic())
            if host not in absent and ray.wait([call], timeout=left)[0]:
                yield self._result(host, call)
            else:
                yield self._late(host, host in absent)

    def _result(self, host: int, call: Any) -> Any:
        try:
            value = ray.get(call)
        except RayTaskError as error:
            return self._failure(host, "exception", f"\n{error}")
        except (RayActorError, RayError) as error:
            return self._failure(host, "died", " ".join(str(error).split())[:300])
        return replace(value, host=host) if isinstance(value, HostFailure) else value

    def _late(self, host: int, absent: bool) -> HostFailure:
        if not absent:
            reason = f"federation.round_timeout is {self._timeout:g} s"
        else:
            reason = (
                f"it asks for {words(self._requests[host])} and is not up yet "
                f"(federation.start_timeout is {self._start_timeout:g} s)"
            )
        return self._failure(host, "timeout", reason)

    def _failure(self, host: int, kind: Any, reason: str) -> HostFailure:
        return HostFailure(host=host, agent_ids=self.groups[host], kind=kind, reason=reason)
