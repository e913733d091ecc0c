"""Local agents as Ray actors: which there are, what they are asked, what came of it."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

import ray
from ray.exceptions import RayError, RayTaskError

from algorithms.types import Array, Params

from ..agents.local_agents import build_local_agents
from ..agents.messages import Place, RoundOrder, RoundReply, WorkerFailure
from ..ray_cluster import cluster
from ..ray_cluster.resources import Bundle, options, words
from ..storage.agent_shards import Shard
from .backend import Workers
from .ray_worker import Build, RayWorker
from .ray_worker_handle import Question, RayWorkerHandle, new_outbox

NODE_ID_LABEL = "ray.io/node-id"
"""A label that Ray gives every node."""
RELEASE_SECONDS = 3.0
"""How long Ray may take to notice that the CPUs of an actor just killed are free."""


class RayBackend:
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
        build: Build = build_local_agents,
    ) -> None:
        self.groups: tuple[tuple[int, ...], ...] = tuple(tuple(g) for g in groups)
        self._experiment, self._build = experiment, build
        self._requests, self._keep_cpu = list(requests), keep_cpu
        self._timeout, self._start_timeout = timeout, start_timeout
        self._outbox = new_outbox()
        self._workers: list[Any] = [None] * len(
            self.groups
        )  # RayWorkerHandle; None before the first start
        self._start_all()

    def places(self, *, wait: bool = False) -> Sequence[Place | None]:
        if wait:
            self._await_started(
                [h for h, worker in enumerate(self._workers) if worker.place is None]
            )
        return [worker.place for worker in self._workers]

    def run_round(
        self, order: RoundOrder, workers: Workers
    ) -> Iterator[RoundReply | WorkerFailure]:
        return self._ask(workers, "call", "run_round", order)

    def evaluate(self, shared: Params, workers: Workers) -> list[Array | WorkerFailure]:
        return self.call(workers, "evaluate", shared)

    def save(self, directory: str, workers: Workers) -> list[Shard | WorkerFailure]:
        return self.call(workers, "save", directory)

    def load(
        self, directory: str, files: Mapping[int, str], workers: Workers
    ) -> list[WorkerFailure]:
        results = self.call(workers, "load", directory, dict(files))
        return [r for r in results if isinstance(r, WorkerFailure)]

    def rebuild(self, workers: Workers) -> None:
        for worker in workers:
            self._workers[worker].kill()
        places = [place for worker in workers if (place := self._workers[worker].place)]
        silent = cluster.silent({place.node for place in places if place.node})
        for worker in workers:
            request = self._affordable(self._requests[worker], silent)
            self._workers[worker] = self._start(worker, request, silent)

    def is_up(self, worker: int) -> bool:
        call = self._workers[worker].starting
        return call is None or bool(ray.wait([call], timeout=0)[0])

    def await_up(self, workers: Workers) -> None:
        calls = [self._workers[worker].starting for worker in workers]
        if None not in calls:
            ray.wait(calls, num_returns=1, timeout=self._start_timeout)

    def reset(self, experiment: Mapping[str, Any]) -> None:
        self._experiment = experiment
        for worker, result in enumerate(self.call(range(len(self._workers)), "reset", experiment)):
            if result is not None:  # dead, hung, or its environment does not close
                self.rebuild([worker])

    def close(self) -> None:
        for worker in self._workers:
            worker.hang_up()
        closing = [worker.actor.close.remote() for worker in self._workers]
        ray.wait(closing, num_returns=len(closing), timeout=5)
        for worker in self._workers:
            worker.kill()
        self._workers = []
        if self._outbox is not None:
            self._outbox.close()
            self._outbox = None

    def call(self, workers: Workers, method: str, *args: Any) -> list[Any]:
        """Call a method of the agents; a WorkerFailure where a host gives no answer."""
        return list(self._ask(workers, "call", method, *args))

    def _start_all(self) -> None:
        """Those that only some nodes can host come first, before others take the CPUs there."""
        workers = range(len(self.groups))
        picky = [worker for worker in workers if self._requests[worker].keys() - {"CPU"}]
        for some in (picky, [worker for worker in workers if worker not in picky]):
            for worker in some:
                self._workers[worker] = self._start(worker, self._requests[worker])
            if len(picky) < len(workers):
                self._await_started(picky)

    def _start(self, worker: int, request: Bundle, avoid: Sequence[str] = ()) -> Any:
        """avoid: ids of nodes."""
        in_group = ray.util.get_current_placement_group() is not None
        elsewhere = {NODE_ID_LABEL: f"!in({','.join(avoid)})"}
        actor_class: Any = ray.remote(RayWorker).options(
            max_restarts=0,
            max_task_retries=0,
            scheduling_strategy=None if in_group else "SPREAD",
            label_selector=elsewhere if avoid and not in_group else None,
            **options(request),
        )
        actor = actor_class.remote(self._build, self._experiment, self.groups[worker])
        before = self._workers[worker]
        return RayWorkerHandle(actor, self._outbox, before and before.place)

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

    def _await_started(self, workers: Workers) -> list[int]:
        """Importing torch on a busy machine takes seconds, which no call's timeout counts. The
        hosts that are not up in time."""
        calls = {h.starting: i for i in workers if (h := self._workers[i]).starting is not None}
        if not calls:
            return []
        ready, late = ray.wait(list(calls), num_returns=len(calls), timeout=self._start_timeout)
        for call in ready:
            self._workers[calls[call]].meet()
        return [calls[call] for call in late]

    def _ask(self, workers: Workers, verb: str, *args: Any) -> Iterator[Any]:
        """Answers in the order of the hosts, whatever order they come in. Each waits where it is
        until it is let go of here."""
        absent = self._await_started(workers)
        self._settle()
        end = time.monotonic() + self._timeout
        question = Question(self._outbox, verb, *args)
        for worker in workers:
            if worker not in absent:
                self._workers[worker].ask(question)
        return (
            self._failure(worker, "timeout", self._absence(worker))
            if worker in absent
            else self._answer(worker, end)
            for worker in workers
        )

    def _settle(self) -> None:
        """Nobody may still read, or answer, a question that was given up."""
        end = time.monotonic() + self._timeout
        for worker in self._workers:
            worker.settle(max(0.0, end - time.monotonic()))

    def _answer(self, worker: int, end: float) -> Any:
        """end: until when it is waited for, on the clock of `time.monotonic`."""
        try:
            value = self._workers[worker].answer(max(0.0, end - time.monotonic()))
        except RayTaskError as error:
            return self._failure(worker, "exception", f"\n{error}")
        except RayError as error:
            return self._failure(worker, "died", " ".join(str(error).split())[:300])
        except TimeoutError:
            reason = f"federation.round_timeout is {self._timeout:g} s"
            return self._failure(worker, "timeout", reason)
        return replace(value, worker=worker) if isinstance(value, WorkerFailure) else value

    def _absence(self, worker: int) -> str:
        return (
            f"it asks for {words(self._requests[worker])} and is not up yet "
            f"(federation.start_timeout is {self._start_timeout:g} s)"
        )

    def _failure(self, worker: int, kind: Any, reason: str) -> WorkerFailure:
        return WorkerFailure(worker=worker, agent_ids=self.groups[worker], kind=kind, reason=reason)
