"""The two transports between the driver and a Ray worker: Ray's messages and the direct channel.

Ray's messages reach every worker. The direct channel is faster and reaches workers on the driver's
node. Both carry the same requests and replies, so the choice changes no result.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any, ClassVar, Protocol

import ray
from ray.actor import ActorProxy
from ray.exceptions import GetTimeoutError, RayError

from .channel import Channel, SendBuffer, connect
from .ray_worker import RayWorker
from .requests import AnyRequest

PATIENCE_SECONDS = 10.0
"""Longest wait for a worker to open its channel, and for Ray to notice that a process died."""


def new_send_buffer() -> SendBuffer | None:
    """Create the driver's shared memory; return None if the system has none (not Linux)."""
    try:
        return SendBuffer()
    except (OSError, AttributeError):
        return None


class OutgoingRequest:
    """A request to several workers, serialised once per transport."""

    def __init__(self, request: AnyRequest, send_buffer: SendBuffer | None) -> None:
        self._request, self._send_buffer = request, send_buffer

    @functools.cached_property
    def in_object_store(self) -> ray.ObjectRef[AnyRequest]:
        """Reference to the request in Ray's object store."""
        return ray.put(self._request)

    @functools.cached_property
    def in_send_buffer(self) -> int:
        """Length in bytes of the request in the driver's send buffer."""
        assert self._send_buffer is not None
        return self._send_buffer.write(self._request)


class Transport(Protocol):
    """A way to send requests to one worker and to receive its replies."""

    @property
    def must_drain(self) -> bool:
        """True while a reply is due without which no other request may be sent."""

    def send(self, request: OutgoingRequest) -> None:
        """Start a request. If the worker has died, `receive` reports it."""

    def receive(self, timeout: float) -> Any:
        """Return the reply. Raises TimeoutError after `timeout` seconds, or the RayError that tells
        why the worker was lost."""

    def close(self) -> None:
        """Close the transport and give up a reply that is still due."""


class RayMessages:
    """Transport by calls of the actor and Ray's object store."""

    must_drain: ClassVar[bool] = False  # every call has a request and a reply of its own

    def __init__(self, actor: ActorProxy[RayWorker]) -> None:
        self._actor = actor
        self._reply: ray.ObjectRef[Any] | None = None

    def send(self, request: OutgoingRequest) -> None:
        """Call the actor."""
        self._reply = self._actor.handle.remote(request.in_object_store)

    def receive(self, timeout: float) -> Any:
        """Return the result of the last call."""
        reply, self._reply = self._reply, None
        assert reply is not None
        if not ray.wait([reply], timeout=timeout)[0]:
            raise TimeoutError
        return ray.get(reply)

    def close(self) -> None:
        """Forget the last call."""
        self._reply = None


class DirectChannel:
    """Transport by a channel between two processes of one node.

    Ray still watches the worker: `serving` is a call of the actor that lasts as long as the
    channel, so its error tells why a worker was lost.
    """

    def __init__(self, channel: Channel, serving: ray.ObjectRef[None]) -> None:
        self._channel, self._serving = channel, serving
        self._is_reply_due = False

    @property
    def must_drain(self) -> bool:
        """True until the reply is received: the worker may still be reading the send buffer."""
        return self._is_reply_due

    def send(self, request: OutgoingRequest) -> None:
        """Write the request to the send buffer, once for all workers, and notify this one."""
        length, self._is_reply_due = request.in_send_buffer, True
        with contextlib.suppress(OSError):  # the worker has died: `receive` reports it
            self._channel.notify(length)

    def receive(self, timeout: float) -> Any:
        """Return the message that the worker sent."""
        self._is_reply_due = False
        try:
            return self._channel.receive(timeout)
        except TimeoutError:
            raise
        except (EOFError, OSError):
            self.close()  # ends the serving call if the worker is still alive
            raise self._cause_of_loss(max(1.0, min(timeout, PATIENCE_SECONDS))) from None

    def close(self) -> None:
        """Close the channel, which ends the serving call."""
        self._channel.close()

    def _cause_of_loss(self, patience: float) -> RayError:
        """Return Ray's error for the call that served the channel, waiting `patience` seconds."""
        try:
            ray.get(self._serving, timeout=patience)
        except GetTimeoutError:
            pass
        except RayError as error:
            return error
        return RayError("the worker closed its channel")


def open_channel(
    actor: ActorProxy[RayWorker], address: str, send_buffer: SendBuffer
) -> DirectChannel | None:
    """Open a channel to a worker; return None if its address cannot be reached."""
    try:
        connection = connect(address)
    except OSError:  # the worker runs in a container with a network of its own
        return None
    serving = actor.serve.remote()
    try:
        return DirectChannel(Channel(connection, send_buffer, PATIENCE_SECONDS), serving)
    except OSError:
        connection.close()
        return None
