"""The Ray actor in which local agents live: a shell around `LocalAgents`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray

from ..agents.local_agents import LocalAgents
from ..agents.messages import Place
from ..common.exits import exits_as_errors
from ..common.modules import look_in_working_directory
from .backend import exception_failure, place_here
from .channel import Listener, SendBuffer
from .requests import AnyRequest, Reset

Build = Callable[[Mapping[str, Any], Sequence[int]], LocalAgents]
"""Function or class that builds local agents from an experiment (plain data) and agent ids."""


class RayWorker:
    """One actor; `build` makes its agents (`LocalAgents`, or another class in tests).

    Requests arrive as Ray's messages, or on a channel from a driver on the same node. An exception
    is returned as a WorkerFailure, so that it keeps its own words. `ray.method` gives the calls of
    an actor their types.
    """

    def __init__(self, build: Build, experiment: Mapping[str, Any], ids: Sequence[int]) -> None:
        look_in_working_directory()
        self._build, self._experiment, self._ids = build, experiment, tuple(ids)
        self._agents: LocalAgents | None = None
        self._send_buffer: SendBuffer | None = None
        self._listener: Listener | None = None

    @ray.method
    def start(self, driver_node: str | None) -> tuple[Place, str | None]:
        """Build the agents; return the worker's place and its channel address.

        The worker opens a channel address only if it runs on `driver_node`. Building takes place
        here because no request's timeout should count it.
        """
        with (
            contextlib.suppress(Exception),
            exits_as_errors(),
        ):  # the first request raises it again and reports it
            self._built()
        node = ray.get_runtime_context().get_node_id()
        if node == driver_node:
            with contextlib.suppress(OSError, AttributeError):  # no such socket; not Linux
                self._send_buffer, self._listener = SendBuffer(), Listener()
        address = self._listener.address if self._listener else None
        return place_here(node, self._experiment), address

    @ray.method
    def serve(self) -> None:
        """Accept the driver's channel and handle its requests until it closes the channel."""
        assert self._listener is not None
        assert self._send_buffer is not None
        with contextlib.closing(self._listener.accept(self._send_buffer)) as channel:
            while True:
                try:
                    request = channel.receive()
                except (EOFError, OSError):
                    return
                length = self._send_buffer.write(self._handle(request))
                with contextlib.suppress(OSError):  # the driver has closed it meanwhile
                    channel.notify(length)

    @ray.method
    def handle(self, request: AnyRequest) -> Any:
        """Do what a request says; return its result, or a WorkerFailure if it raises."""
        return self._handle(request)

    @ray.method
    def close(self) -> None:
        """Release the sockets, memory and environments before the process is ended."""
        for opened in (self._listener, self._send_buffer):
            if opened is not None:
                opened.close()
        if self._agents is not None:
            self._agents.close()

    def _handle(self, request: AnyRequest) -> Any:
        try:
            if isinstance(request, Reset):
                return self._reset(request.experiment)
            with exits_as_errors():
                return request.apply(self._built())
        except Exception as error:
            return exception_failure(0, self._ids, error)

    def _reset(self, experiment: Mapping[str, Any]) -> None:
        if self._agents is not None:
            self._agents.close()
        self._experiment, self._agents = experiment, None

    def _built(self) -> LocalAgents:
        if self._agents is None:
            self._agents = self._build(self._experiment, self._ids)
        return self._agents
