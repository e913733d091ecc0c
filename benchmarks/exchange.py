"""The exchange of one round without any learning, over three transports.

The driver sends parameters to every worker. Each worker copies them, as a learner does, and replies
with two float64 arrays per parameter, the size of a partial sum. The driver adds up the replies.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import ray
from ray.dag import InputNode, MultiOutputNode
from ray.exceptions import RayError

from algorithms.types import Params
from fedrl_ray.agents.local_agents import LocalAgents
from fedrl_ray.agents.messages import WorkerFailure
from fedrl_ray.backends.backend import place_here
from fedrl_ray.backends.ray_backend import RayBackend
from fedrl_ray.backends.requests import Request
from fedrl_ray.config.loading import from_dict

ARRAYS = 6
"""Arrays that the parameters consist of: weights and biases of three layers."""
EXPERIMENT = {"learner": {"name": "fedrdqn"}, "environment": {"name": "cartpole"}}


def parameters(size: int) -> Params:
    """Return `size` float32 parameters in all."""
    return {f"q/{i}": np.ones(size // ARRAYS, dtype=np.float32) for i in range(ARRAYS)}


@dataclass(frozen=True)
class Message:
    """Parameters for every worker.

    delays: seconds that some workers wait before they reply.
    """

    shared: Params
    delays: Mapping[int, float] = field(default_factory=dict)


class Replier:
    """The worker's part of an exchange, the same for every transport."""

    def __init__(self, worker: int) -> None:
        self._worker, self._reply = worker, Params()

    def reply(self, message: Message) -> Params:
        """Return ones, two float64 arrays per array of parameters."""
        time.sleep(message.delays.get(self._worker, 0.0))
        own = {name: x.copy() for name, x in message.shared.items()}
        if len(self._reply) != 2 * len(own):
            self._reply = {f"{part}/{name}": np.ones(x.shape)
                           for part in ("high", "low") for name, x in own.items()}  # fmt: skip
        return self._reply


class ExchangeAgents(LocalAgents):
    """Local agents that learn nothing."""

    def __init__(self, experiment: Mapping[str, Any], agent_ids: Sequence[int]) -> None:
        self.agent_ids = tuple(agent_ids)
        self.replier = Replier(self.agent_ids[0])

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Exchange(Request[Params]):
    """Request for one exchange."""

    message: Message

    def apply(self, agents: LocalAgents) -> Params:
        """Reply to the message."""
        assert isinstance(agents, ExchangeAgents)
        return agents.replier.reply(self.message)


class Transport(Protocol):
    """K workers and a way to reach them."""

    def replies(self, message: Message, workers: Sequence[int]) -> Iterable[Any]:
        """Exchange with these workers; yield a reply or a failure from each."""

    def prepare(self, workers: Sequence[int]) -> None:
        """Get ready to exchange with these workers."""

    def kill(self, worker: int) -> None:
        """Kill a worker's process."""

    def repair(self, worker: int) -> None:
        """Replace a worker that has died."""

    def close(self) -> None:
        """End the workers."""


class BackendTransport:
    """The project's own backend, with its direct channel or with Ray's messages."""

    def __init__(self, workers: int, channel: Literal["auto", "ray"]) -> None:
        self._backend = RayBackend(
            from_dict(EXPERIMENT).to_dict(),
            [(worker,) for worker in range(workers)],
            requests=[{"CPU": 0.01}] * workers,
            timeout=60.0,
            channel=channel,
            build=ExchangeAgents,
        )
        self._backend.places(wait=True)

    def replies(self, message: Message, workers: Sequence[int]) -> Iterator[Params | WorkerFailure]:
        """Send the request; yield the replies in the order of the workers."""
        return self._backend.send(workers, Exchange(message))

    def prepare(self, workers: Sequence[int]) -> None:
        """Do nothing: a request goes to any workers."""

    def kill(self, worker: int) -> None:
        """Kill a worker's process."""
        place = self._backend.places()[worker]
        assert place is not None
        os.kill(place.pid, signal.SIGKILL)

    def repair(self, worker: int) -> None:
        """Rebuild the worker."""
        self._backend.rebuild([worker])

    def close(self) -> None:
        """End the workers."""
        self._backend.close()


class GraphWorker:
    """An actor of a compiled graph, with the imports of a worker of the project."""

    def __init__(self, worker: int) -> None:
        self._replier = Replier(worker)
        place_here(None, EXPERIMENT)

    def exchange(self, message: Message) -> Params:
        """Reply to the message."""
        return self._replier.reply(message)

    def process_id(self) -> int:
        """Return the id of the actor's process."""
        return os.getpid()


class GraphTransport:
    """Compiled graphs of Ray, one for each set of workers that exchange.

    In each graph all actors read one input, and each has an output. buffer: bytes that each of a
    graph's channels holds at first.
    """

    def __init__(self, workers: int, buffer: int) -> None:
        self._buffer = buffer
        self._actors = [self._actor(worker) for worker in range(workers)]
        self._processes = ray.get([actor.process_id.remote() for actor in self._actors])
        self._graphs: dict[tuple[int, ...], Any] = {}
        self.prepare(range(workers))

    def _actor(self, worker: int) -> Any:
        return ray.remote(GraphWorker).options(num_cpus=0).remote(worker)

    def prepare(self, workers: Sequence[int]) -> None:
        """Compile the graph of these workers."""
        with InputNode() as message:
            replies = [self._actors[worker].exchange.bind(message) for worker in workers]
        graph = MultiOutputNode(replies).experimental_compile(_buffer_size_bytes=self._buffer)
        self._graphs[tuple(workers)] = graph

    def replies(self, message: Message, workers: Sequence[int]) -> Iterator[Params | RayError]:
        """Execute the graph of these workers."""
        if tuple(workers) not in self._graphs:
            self.prepare(workers)
        return map(self._reply, self._graphs[tuple(workers)].execute(message))

    def _reply(self, reference: Any) -> Params | RayError:
        try:
            reply: Params = ray.get(reference)
        except RayError as error:
            return error
        return reply

    def kill(self, worker: int) -> None:
        """Kill an actor's process."""
        os.kill(self._processes[worker], signal.SIGKILL)

    def repair(self, worker: int) -> None:
        """Replace an actor and compile the graph of all workers again."""
        self._tear_down()
        self._actors[worker] = self._actor(worker)
        self.prepare(range(len(self._actors)))

    def close(self) -> None:
        """Tear down the graphs and end the actors."""
        self._tear_down()
        for actor in self._actors:
            ray.kill(actor)

    def _tear_down(self) -> None:
        for graph in self._graphs.values():
            graph.teardown()
        self._graphs = {}


def started(name: str, workers: int, size: int) -> Transport:
    """Start a transport by its name in the table."""
    if name == "compiled graph":
        return GraphTransport(workers, buffer=2**20 + 20 * size)
    return BackendTransport(workers, channel="auto" if name == "channel" else "ray")


def exchange(transport: Transport, message: Message, workers: int) -> float:
    """Exchange with all workers and add up their replies, as a round does; return the seconds."""
    began = time.perf_counter()
    total: Params = {}
    for reply in transport.replies(message, range(workers)):
        if isinstance(reply, WorkerFailure | RayError):
            raise RuntimeError(str(reply))
        for name, x in reply.items():
            total[name] = x.copy() if name not in total else np.add(total[name], x, total[name])
        del reply, x  # a compiled graph writes its next reply into the same memory
    seconds = time.perf_counter() - began
    assert all(x[0] == workers for x in total.values())
    return seconds
