"""The driver's end of one actor: asked on a line where both run on one node, else through Ray."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from ..agents.messages import Place
from . import channel
from .channel import Line, Outbox

PATIENCE_SECONDS = 10.0
"""How long an actor may take to answer its door, and Ray to notice that a process is gone."""


class Question:
    """What some hosts are asked: a verb of `RayWorker.answer` and its arguments. They are put once
    into each medium that carries them."""

    def __init__(self, outbox: Outbox | None, verb: str, *args: Any) -> None:
        self._outbox, self._message = outbox, (verb, *args)

    @functools.cached_property
    def stored(self) -> Any:
        """In Ray's object store."""
        return ray.put(self._message)

    @functools.cached_property
    def written(self) -> int:
        """In the memory that lines share: its bytes."""
        assert self._outbox is not None
        return self._outbox.write(self._message)


def new_outbox() -> Outbox | None:
    """The memory that questions to all hosts of this node lie in; None where there can be none."""
    try:
        return Outbox()
    except (OSError, AttributeError):  # refused; not Linux
        return None


class RayWorkerHandle:
    """One actor. `starting` is the call that tells when it is up, None once that was taken note of;
    `place` where it runs, or the one before it ran; None as long as that is not known."""

    def __init__(self, actor: Any, outbox: Outbox | None, place: Place | None = None) -> None:
        self.actor, self._outbox, self.place = actor, outbox, place
        self.starting: Any = actor.started.remote(ray.get_runtime_context().get_node_id())
        self._line: Line | None = None
        self._attending: Any = None
        self._coming: Any = None  # Ray's reference to the answer, or True: it comes on the line
        self._is_late = False

    def meet(self) -> None:
        """Take note of where it runs, now that it is up, and open a line if it has a door here. One
        that died on the way is found out by its next call."""
        call, self.starting = self.starting, None
        with contextlib.suppress(RayError):
            self.place, door = ray.get(call)
            if door is not None and self._outbox is not None:
                self._line = self._open(door, self._outbox)

    def _open(self, door: str, outbox: Outbox) -> Line | None:
        try:
            end = channel.call(door)
        except OSError:  # its file system is another, a container's: Ray carries everything
            return None
        self._attending = self.actor.attend.remote()
        try:
            return Line(end, outbox, PATIENCE_SECONDS)
        except OSError:
            end.close()
            return None

    def ask(self, question: Question) -> None:
        """Begin; `answer` waits for the end."""
        if self._is_late:
            return
        if self._line is None:
            self._coming = self.actor.answer.remote(question.stored)
            return
        length, self._coming = question.written, True
        with contextlib.suppress(OSError):  # nobody is there: found out by `answer`
            self._line.tell(length)

    def answer(self, timeout: float) -> Any:
        """What it was asked for. Raises TimeoutError, from then on at once: it must be replaced; or
        the error of Ray that says how it was lost."""
        call, self._coming = self._coming, None
        if self._is_late:
            raise TimeoutError
        try:
            return self._awaited(call, timeout)
        except TimeoutError:
            self._is_late = True
            self.hang_up()  # what it may still say is not the answer to anything
            raise

    def _awaited(self, call: Any, timeout: float) -> Any:
        if self._line is None:
            if not ray.wait([call], timeout=timeout)[0]:
                raise TimeoutError
            return ray.get(call)
        try:
            return self._line.receive(timeout)
        except TimeoutError:
            raise
        except (EOFError, OSError):
            self.hang_up()
            raise self._last_words(max(1.0, min(timeout, PATIENCE_SECONDS))) from None
        except BaseException:  # interrupted: the answer is still to come, and nobody waits for it
            self.hang_up()
            raise

    def settle(self, timeout: float) -> None:
        """Wait for an answer that nobody took on the line: until then, what it was asked must not
        be overwritten."""
        if self._line is not None and self._coming:
            with contextlib.suppress(TimeoutError, RayError):
                self.answer(timeout)

    def hang_up(self) -> None:
        """Close the line, which ends the actor's attending to it."""
        if self._line is not None:
            self._line.close()
            self._line = None

    def kill(self) -> None:
        """End the process."""
        self.hang_up()
        ray.kill(self.actor)

    def _last_words(self, patience: float) -> RayError:
        try:
            ray.get(self._attending, timeout=patience)
        except GetTimeoutError:
            pass
        except RayError as error:
            return error
        return RayError("it closed its line")
