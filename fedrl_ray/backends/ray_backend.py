"""The backend whose workers are Ray actors: it starts, calls, replaces and ends them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal, TypeVar

import ray
from ray.exceptions import RayError, RayTaskError

from algorithms.types import Array, Params

from ..agents.local_agents import LocalAgents
from ..agents.messages import FailureKind, Place, RoundOrder, RoundReply, WorkerFailure
from ..ray_cluster import cluster
from ..ray_cluster.resources import Bundle, options, words
from ..storage.agent_shards import Shard
from .backend import Backend, Workers
from .ray_worker import Build, RayWorker
from .ray_worker_handle import RayWorkerHandle
from .requests import Evaluate, Load, Request, Reset, RunRound, Save
from .transports import OutgoingRequest, new_send_buffer

T = TypeVar("T")
NODE_ID_LABEL = "ray.io/node-id"
"""A label that Ray gives every node."""
RELEASE_SECONDS = 3.0
"""Longest wait for Ray to release the CPUs of an actor that was just killed."""


class RayBackend(Backend):
    """One worker per group of agents, in the order of the groups.

    requests: the resources that each worker asks of Ray. keep_cpu: a replacement of a lost worker
    insists on its CPUs; otherwise it shares those of others if its node is lost. timeout,
    start_timeout: seconds, `federation.round_timeout` and `federation.start_timeout`. channel:
    `federation.channel`. build: the class or function that builds the agents in a worker.
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
        channel: Literal["auto", "ray"] = "auto",
        build: Build = LocalAgents,
    ) -> None:
        self.groups: tuple[tuple[int, ...], ...] = tuple(tuple(g) for g in groups)
        self._experiment, self._build = experiment, build
        self._bundles, self._keep_cpu = list(requests), keep_cpu
        self.timeout, self._start_timeout = timeout, start_timeout
        self._send_buffer = new_send_buffer() if channel == "auto" else None
        self._workers: dict[int, RayWorkerHandle] = {}
        self._start_all()

    def places(self, *, wait: bool = False) -> Sequence[Place | None]:
        """Place of each worker; None if it has not come up yet."""
        if wait:
            self._await_started([w for w, handle in self._workers.items() if handle.place is None])
        return [self._workers[worker].place for worker in sorted(self._workers)]

    def run_round(
        self, order: RoundOrder, workers: Workers
    ) -> Iterator[RoundReply | WorkerFailure]:
        """Start a round on these workers; yield their replies in the order of the workers."""
        return self.send(workers, RunRound(order))

    def evaluate(self, shared: Params, workers: Workers) -> list[Array | WorkerFailure]:
        """Return the returns on the agents' own environments, [N, episodes] per worker."""
        return self.call(workers, Evaluate(shared))

    def save(self, directory: str, workers: Workers) -> list[Shard | WorkerFailure]:
        """Let each worker write its shard into the directory."""
        return self.call(workers, Save(directory))

    def load(
        self, directory: str, files: Mapping[int, str], workers: Workers
    ) -> list[WorkerFailure]:
        """Let each worker restore its agents from shards; return the failures."""
        results = self.call(workers, Load(directory, dict(files)))
        return [r for r in results if isinstance(r, WorkerFailure)]

    def call(self, workers: Workers, request: Request[T]) -> list[T | WorkerFailure]:
        """Send a request to these workers; return each one's result, or its failure."""
        return list(self.send(workers, request))

    def send(self, workers: Workers, request: Request[T] | Reset) -> Iterator[T | WorkerFailure]:
        """Send a request to these workers now; yield the replies in the order of the workers.

        A reply that comes early waits in its worker, or in Ray's object store, so the driver holds
        one reply at a time.
        """
        absent = self._await_started(workers)
        self._drain()
        deadline = time.monotonic() + self.timeout
        outgoing = OutgoingRequest(request, self._send_buffer)
        for worker in workers:
            if worker not in absent:
                self._workers[worker].send(outgoing)
        return (
            self._failure(worker, "timeout", self._absence(worker))
            if worker in absent
            else self._receive(worker, deadline)
            for worker in workers
        )

    def rebuild(self, workers: Workers) -> None:
        """Kill these workers and start new ones, away from nodes that no longer respond."""
        for worker in workers:
            self._workers[worker].kill()
        places = [place for worker in workers if (place := self._workers[worker].place)]
        silent = cluster.silent({place.node for place in places if place.node})
        for worker in workers:
            bundle = self._affordable(self._bundles[worker], silent)
            self._workers[worker] = self._start(worker, bundle, silent)

    def is_up(self, worker: int) -> bool:
        """Tell if a worker has started, or has failed to."""
        starting = self._workers[worker].starting
        return starting is None or bool(ray.wait([starting], timeout=0)[0])

    def await_up(self, workers: Workers) -> None:
        """Wait until one of these workers has started, for `start_timeout` seconds at most."""
        if not any(self._workers[worker].starting is None for worker in workers):
            starting = [self._workers[worker].starting for worker in workers]
            ray.wait(starting, num_returns=1, timeout=self._start_timeout)

    def reset(self, experiment: Mapping[str, Any]) -> None:
        """Give every worker the initial state of another experiment with as many agents."""
        self._experiment = experiment
        results: Iterator[WorkerFailure | None]
        results = self.send(range(len(self.groups)), Reset(experiment))
        for worker, result in enumerate(list(results)):
            if result is not None:  # dead, hung, or its environment does not close
                self.rebuild([worker])

    def close(self) -> None:
        """End the workers, after 5 s at most for closing their environments."""
        for worker in self._workers.values():
            worker.disconnect()
        closing = [worker.actor.close.remote() for worker in self._workers.values()]
        ray.wait(closing, num_returns=len(closing), timeout=5)
        for worker in self._workers.values():
            worker.kill()
        self._workers = {}
        if self._send_buffer is not None:
            self._send_buffer.close()
            self._send_buffer = None

    def _start_all(self) -> None:
        """Start workers with special resources first, before others take their nodes' CPUs."""
        workers = range(len(self.groups))
        special = [worker for worker in workers if self._bundles[worker].keys() - {"CPU"}]
        others = [worker for worker in workers if worker not in special]
        for worker in special:
            self._workers[worker] = self._start(worker, self._bundles[worker])
        if others:
            self._await_started(special)
        for worker in others:
            self._workers[worker] = self._start(worker, self._bundles[worker])

    def _start(self, worker: int, bundle: Bundle, avoid: Sequence[str] = ()) -> RayWorkerHandle:
        """Start a worker with these resources, but not on the nodes whose ids are in `avoid`."""
        in_group = ray.util.get_current_placement_group() is not None
        elsewhere = {NODE_ID_LABEL: f"!in({','.join(avoid)})"}
        actor_class = ray.remote(RayWorker).options(
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=None if in_group else "SPREAD",
            label_selector=elsewhere if avoid and not in_group else None,
            **options(bundle),
        )
        actor = actor_class.remote(self._build, self._experiment, self.groups[worker])
        before = self._workers.get(worker)
        return RayWorkerHandle(actor, self._send_buffer, before.place if before else None)

    def _affordable(self, bundle: Bundle, silent: Collection[str]) -> Bundle:
        """Return the resources that a replacement asks for while some nodes are silent.

        The lost worker's CPUs may have gone with its node, so the replacement does without CPUs of
        its own if none are free. It cannot work without the other resources.
        """
        if self._keep_cpu or ray.util.get_current_placement_group() is not None:
            return bundle
        deadline = time.monotonic() + RELEASE_SECONDS
        while time.monotonic() < deadline:
            if cluster.has_room(bundle, without=silent):
                return bundle
            time.sleep(0.05)
        return bundle | {"CPU": 0.0}

    def _await_started(self, workers: Workers) -> list[int]:
        """Wait for workers to start and connect to them; return those that are not up in time.

        Starting is not part of a request's timeout, because importing torch on a busy machine
        takes seconds.
        """
        calls = {call: w for w in workers if (call := self._workers[w].starting) is not None}
        if not calls:
            return []
        ready, late = ray.wait(list(calls), num_returns=len(calls), timeout=self._start_timeout)
        for call in ready:
            self._workers[calls[call]].connect()
        return [calls[call] for call in late]

    def _drain(self) -> None:
        """Discard replies to a request that was given up, before its memory is written again."""
        deadline = time.monotonic() + self.timeout
        for worker in self._workers.values():
            worker.drain(max(0.0, deadline - time.monotonic()))

    def _receive(self, worker: int, deadline: float) -> Any:
        """Return a worker's reply, or its failure; `deadline` is a time of `time.monotonic`."""
        try:
            value = self._workers[worker].receive(max(0.0, deadline - time.monotonic()))
        except RayTaskError as error:
            return self._failure(worker, "exception", f"\n{error}")
        except RayError as error:
            return self._failure(worker, "died", " ".join(str(error).split())[:300])
        except TimeoutError:
            reason = f"federation.round_timeout is {self.timeout:g} s"
            return self._failure(worker, "timeout", reason)
        return replace(value, worker=worker) if isinstance(value, WorkerFailure) else value

    def _absence(self, worker: int) -> str:
        return (
            f"it asks for {words(self._bundles[worker])} and is not up yet "
            f"(federation.start_timeout is {self._start_timeout:g} s)"
        )

    def _failure(self, worker: int, kind: FailureKind, reason: str) -> WorkerFailure:
        return WorkerFailure(worker=worker, agent_ids=self.groups[worker], kind=kind, reason=reason)
