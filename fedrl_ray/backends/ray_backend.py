"""Local agents as Ray actors: which there are, what they are asked, what came of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import ray
from ray.exceptions import RayError, RayTaskError

from algorithms.types import Array, Params

from ..agents.local_agents import host_agents
from ..agents.messages import HostFailure, Place, RoundOrder, RoundReply
from ..ray_cluster import cluster
from ..ray_cluster.resources import Bundle, options, words
from ..storage.agent_shards import Shard
from .backend import Hosts
from .ray_worker import AgentHost, Build
from .ray_worker_handle import Question, RayHost, new_outbox

NODE_ID_LABEL = "ray.io/node-id"
"""A label that Ray gives every node."""
RELEASE_SECONDS = 3.0
"""How long Ray may take to notice that the CPUs of an actor just killed are free."""


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
        self._outbox = new_outbox()
        self._hosts: list[Any] = [None] * len(self.groups)  # RayHost; None before the first start
        self._start_all()

    def places(self, *, wait: bool = False) -> Sequence[Place | None]:
        if wait:
            self._await_started([h for h, host in enumerate(self._hosts) if host.place is None])
        return [host.place for host in self._hosts]

    def run_round(self, order: RoundOrder, hosts: Hosts) -> Iterator[RoundReply | HostFailure]:
        return self._ask(hosts, "call", "run_round", order)

    def evaluate(self, shared: Params, hosts: Hosts) -> list[Array | HostFailure]:
        return self.call(hosts, "evaluate", shared)

    def save(self, directory: str, hosts: Hosts) -> list[Shard | HostFailure]:
        return self.call(hosts, "save", directory)

    def load(self, directory: str, files: Mapping[int, str], hosts: Hosts) -> list[HostFailure]:
        results = self.call(hosts, "load", directory, dict(files))
        return [r for r in results if isinstance(r, HostFailure)]

    def rebuild(self, hosts: Hosts) -> None:
        for host in hosts:
            self._hosts[host].kill()
        places = [place for host in hosts if (place := self._hosts[host].place)]
        silent = cluster.silent({place.node for place in places if place.node})
        for host in hosts:
            request = self._affordable(self._requests[host], silent)
            self._hosts[host] = self._start(host, request, silent)

    def is_up(self, host: int) -> bool:
        call = self._hosts[host].starting
        return call is None or bool(ray.wait([call], timeout=0)[0])

    def await_up(self, hosts: Hosts) -> None:
        calls = [self._hosts[host].starting for host in hosts]
        if None not in calls:
            ray.wait(calls, num_returns=1, timeout=self._start_timeout)

    def reset(self, experiment: Mapping[str, Any]) -> None:
        self._experiment = experiment
        for host, result in enumerate(self.call(range(len(self._hosts)), "reset", experiment)):
            if result is not None:  # dead, hung, or its environment does not close
                self.rebuild([host])

    def close(self) -> None:
        for host in self._hosts:
            host.hang_up()
        closing = [host.actor.close.remote() for host in self._hosts]
        ray.wait(closing, num_returns=len(closing), timeout=5)
        for host in self._hosts:
            host.kill()
        self._hosts = []
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None

    def call(self, hosts: Hosts, method: str, *args: Any) -> list[Any]:
        """Call a method of the agents; a HostFailure where a host gives no answer."""
        return list(self._ask(hosts, "call", method, *args))

    def _start_all(self) -> None:
        """Those that only some nodes can host come first, before others take the CPUs there."""
        hosts = range(len(self.groups))
        picky = [host for host in hosts if self._requests[host].keys() - {"CPU"}]
        for some in (picky, [host for host in hosts if host not in picky]):
            for host in some:
                self._hosts[host] = self._start(host, self._requests[host])
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
        before = self._hosts[host]
        return RayHost(actor, self._outbox, before and before.place)

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
        hosts that are not up in time."""
        calls = {h.starting: i for i in hosts if (h := self._hosts[i]).starting is not None}
        if not calls:
            return []
        ready, late = ray.wait(list(calls), num_returns=len(calls), timeout=self._start_timeout)
        for call in ready:
            self._hosts[calls[call]].meet()
        return [calls[call] for call in late]

    def _ask(self, hosts: Hosts, verb: str, *args: Any) -> Iterator[Any]:
        """Answers in the order of the hosts, whatever order they come in. Each waits where it is
        until it is let go of here."""
        absent = self._await_started(hosts)
        self._settle()
        end = time.monotonic() + self._timeout
        question = Question(self._outbox, verb, *args)
        for host in hosts:
            if host not in absent:
                self._hosts[host].ask(question)
        return (
            self._failure(host, "timeout", self._absence(host))
            if host in absent
            else self._answer(host, end)
            for host in hosts
        )

    def _settle(self) -> None:
        """Nobody may still read, or answer, a question that was given up."""
        end = time.monotonic() + self._timeout
        for host in self._hosts:
            host.settle(max(0.0, end - time.monotonic()))

    def _answer(self, host: int, end: float) -> Any:
        """end: until when it is waited for, on the clock of `time.monotonic`."""
        try:
            value = self._hosts[host].answer(max(0.0, end - time.monotonic()))
        except RayTaskError as error:
            return self._failure(host, "exception", f"\n{error}")
        except RayError as error:
            return self._failure(host, "died", " ".join(str(error).split())[:300])
        except TimeoutError:
            reason = f"federation.round_timeout is {self._timeout:g} s"
            return self._failure(host, "timeout", reason)
        return replace(value, host=host) if isinstance(value, HostFailure) else value

    def _absence(self, host: int) -> str:
        return (
            f"it asks for {words(self._requests[host])} and is not up yet "
            f"(federation.start_timeout is {self._start_timeout:g} s)"
        )

    def _failure(self, host: int, kind: Any, reason: str) -> HostFailure:
        return HostFailure(host=host, agent_ids=self.groups[host], kind=kind, reason=reason)
