"""The actor that local agents live in: a shell around `LocalAgents`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray

from ..agents.local_agents import LocalAgents
from ..agents.messages import Place
from .backend import exception_failure, place_here
from .channel import Door, Outbox

Build = Callable[[Mapping[str, Any], Sequence[int]], LocalAgents]
"""From an experiment (plain data) and agent ids."""


class RayWorker:
    """One actor. `build` makes its agents: `build_local_agents`, or in tests of faults another.

    It is asked by messages of Ray, or on a line to a driver on the same node. Exceptions come back
    as values, a WorkerFailure each, so that they keep their own words.
    """

    def __init__(self, build: Build, experiment: Mapping[str, Any], ids: Sequence[int]) -> None:
        self._to_build = (build, experiment, tuple(ids))
        self._agents: LocalAgents | None = None
        self._outbox: Outbox | None = None
        self._door: Door | None = None

    def started(self, driver_node: str) -> tuple[Place, str | None]:
        """Where it runs, and its door for a driver on this node: answered once the process is up
        and its agents are built, which no call's timeout is to count."""
        with contextlib.suppress(Exception):  # the first call will raise it again, and be asked
            self._built()
        node = ray.get_runtime_context().get_node_id()
        if node == driver_node:
            with contextlib.suppress(OSError, AttributeError):  # no room; not Linux
                self._outbox, self._door = Outbox(), Door()
        return place_here(node, self._to_build[1]), self._door.name if self._door else None

    def attend(self) -> None:
        """Answer on the line of who has called until it is closed."""
        assert self._door is not None
        assert self._outbox is not None
        with contextlib.closing(self._door.accept(self._outbox)) as line:
            while True:
                try:
                    question = line.receive()
                except (EOFError, OSError):
                    return
                length = self._outbox.write(self.answer(question))
                with contextlib.suppress(OSError):  # closed meanwhile
                    line.tell(length)

    def answer(self, question: tuple[Any, ...]) -> Any:
        """Do what is asked: `call` or `reset`, and its arguments. A WorkerFailure in place of what
        that raises."""
        verb, *args = question
        try:
            return self._call(*args) if verb == "call" else self._reset(*args)
        except Exception as error:
            return exception_failure(0, self._to_build[2], error)

    def close(self) -> None:
        """Close what is open, before the process is ended."""
        for opened in (self._door, self._outbox):
            if opened is not None:
                opened.close()
        if self._agents is not None:
            self._agents.close()

    def _call(self, method: str, *args: Any) -> Any:
        """Call a method of the agents."""
        return getattr(self._built(), method)(*args)

    def _reset(self, experiment: Mapping[str, Any]) -> None:
        """Forget the agents; those of another experiment are built on the next call."""
        if self._agents is not None:
            self._agents.close()
        build, _, ids = self._to_build
        self._to_build, self._agents = (build, experiment, ids), None

    def _built(self) -> LocalAgents:
        if self._agents is None:
            build, experiment, ids = self._to_build
            self._agents = build(experiment, ids)
        return self._agents
