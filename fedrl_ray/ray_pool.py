"""Local agents as Ray actors. The actors are shells around `LocalAgents`."""

from __future__ import annotations

import contextlib
import os
import platform
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from algorithms.types import Array, Dynamics, Params

from .blame import blamed
from .errors import RunError, UserError
from .local_agents import LocalAgents
from .messages import HostFailure, Place, RoundOrder, RoundReply, Shard

START_SECONDS = 120.0
"""How long a new actor may take to come up before calls to it begin to count."""


class AgentHost:
    """One actor. `host_class` is `LocalAgents`, or a subclass of it in tests of faults.

    Exceptions come back as values, so that they keep their own words: (True, result) or
    (False, (the agents to blame, reason)).
    """

    def __init__(
        self, host_class: type[LocalAgents], experiment: Mapping[str, Any], ids: Sequence[int]
    ) -> None:
        self._build = (host_class, experiment, tuple(ids))
        self._agents: LocalAgents | None = None

    def call(self, method: str, *args: Any) -> tuple[bool, Any]:
        """Call a method of the agents, which are built on the first call."""
        try:
            if self._agents is None:
                host_class, experiment, ids = self._build
                self._agents = host_class(experiment, ids)
            return True, getattr(self._agents, method)(*args)
        except (RunError, UserError) as error:
            return False, (blamed(error, self._build[2]), str(error))
        except Exception as error:
            words = "\n" + traceback.format_exc().rstrip()
            return False, (blamed(error, self._build[2]), words)

    def started(self) -> Place:
        """Where it runs: answered once the process is up and everything is imported."""
        node = ray.get_runtime_context().get_node_id()
        return Place(node=node, hostname=platform.node(), pid=os.getpid())

    def close(self) -> None:
        """Close what the agents opened, before the process is ended."""
        if self._agents is not None:
            self._agents.close()

    def reset(self, experiment: Mapping[str, Any]) -> None:
        """Forget the agents; those of another experiment are built on the next call."""
        self.close()
        host_class, _, ids = self._build
        self._build, self._agents = (host_class, experiment, ids), None

    def run_round(self, round_number: int, attempt: int, shared: Params) -> tuple[bool, Any]:
        """A round; `shared` arrives from the object store, put there once for all actors."""
        order = RoundOrder(round=round_number, attempt=attempt, shared=shared)
        return self.call("run_round", order)


class RayPool:
    """One actor per group of agents, in the order of the groups."""

    def __init__(
        self,
        experiment: Mapping[str, Any],
        groups: Sequence[Sequence[int]],
        *,
        cpus_per_actor: float,
        timeout: float,
        host_class: type[LocalAgents] = LocalAgents,
    ) -> None:
        self.groups: tuple[tuple[int, ...], ...] = tuple(tuple(g) for g in groups)
        self._experiment, self._timeout, self._host_class = experiment, timeout, host_class
        self._actor_class: Any = ray.remote(AgentHost).options(
            num_cpus=cpus_per_actor, max_restarts=0, max_task_retries=0
        )
        self._starting: dict[Any, int] = {}
        self._places: list[Place | None] = [None] * len(self.groups)
        self._actors = [self._start(host) for host in range(len(self.groups))]

    @property
    def places(self) -> Sequence[Place | None]:
        if self._starting:
            self._await_started()
        return self._places

    def run_round(self, order: RoundOrder) -> list[RoundReply | HostFailure]:
        shared = ray.put(order.shared)
        calls = [a.run_round.remote(order.round, order.attempt, shared) for a in self._actors]
        return self._gather(calls)

    def evaluate(self, shared: Params) -> list[Array | HostFailure]:
        return self._call_all("evaluate", ray.put(shared))

    def dynamics(self) -> list[Dynamics | HostFailure]:
        return self._call_all("dynamics")

    def save(self, directory: str) -> list[Shard | HostFailure]:
        return self._call_all("save", directory)

    def load(
        self, directory: str, files: Mapping[int, str], hosts: Sequence[int] | None = None
    ) -> list[HostFailure]:
        chosen = list(range(len(self.groups))) if hosts is None else list(hosts)
        calls = [self._actors[h].call.remote("load", directory, dict(files)) for h in chosen]
        return [r for r in self._gather(calls, chosen) if isinstance(r, HostFailure)]

    def rebuild(self, hosts: Sequence[int]) -> None:
        for host in hosts:
            ray.kill(self._actors[host])
            self._actors[host] = self._start(host)

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

    def _start(self, host: int) -> Any:
        actor = self._actor_class.remote(self._host_class, self._experiment, self.groups[host])
        self._starting[actor.started.remote()] = host
        return actor

    def _await_started(self) -> None:
        """Importing torch on a busy machine takes seconds, which no call's timeout counts. An
        actor that died on the way is found out by the call that follows."""
        calls = list(self._starting)
        ready, _ = ray.wait(calls, num_returns=len(calls), timeout=START_SECONDS)
        for call in ready:
            with contextlib.suppress(RayError):
                self._places[self._starting[call]] = ray.get(call)
        self._starting = {}

    def _call_all(self, method: str, *args: Any) -> list[Any]:
        return self._gather([actor.call.remote(method, *args) for actor in self._actors])

    def _gather(self, calls: Sequence[Any], hosts: Sequence[int] | None = None) -> list[Any]:
        """Results in the order of the hosts, whatever the order of the answers."""
        hosts = range(len(calls)) if hosts is None else hosts
        if self._starting:
            self._await_started()
        ready, _ = ray.wait(list(calls), num_returns=len(calls), timeout=self._timeout)
        arrived = set(ready)
        return [
            self._result(host, call) if call in arrived else self._late(host)
            for host, call in zip(hosts, calls, strict=True)
        ]

    def _result(self, host: int, call: Any) -> Any:
        try:
            fine, value = ray.get(call)
        except RayTaskError as error:
            return self._failure(host, "exception", f"\n{error}")
        except (RayActorError, RayError) as error:
            return self._failure(host, "died", " ".join(str(error).split())[:300])
        if fine:
            return value
        agents, reason = value
        return HostFailure(host=host, agent_ids=agents, kind="exception", reason=reason)

    def _late(self, host: int) -> HostFailure:
        return self._failure(host, "timeout", f"federation.round_timeout is {self._timeout:g} s")

    def _failure(self, host: int, kind: Any, reason: str) -> HostFailure:
        return HostFailure(host=host, agent_ids=self.groups[host], kind=kind, reason=reason)
