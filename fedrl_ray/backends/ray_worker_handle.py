"""The driver's handle of one Ray worker: its start, its place and its transport."""

from __future__ import annotations

import contextlib
from typing import Any

import ray
from ray.actor import ActorHandle, ActorProxy
from ray.exceptions import RayError

from ..agents.messages import Place
from .channel import SendBuffer
from .ray_worker import RayWorker
from .transports import OutgoingRequest, RayMessages, Transport, open_channel


class RayWorkerHandle:
    """One Ray worker as its driver sees it.

    starting: the call that starts the worker; None once `connect` has taken its result. place: the
    worker's place, or that of the worker it replaces until then. Without a `send_buffer` all
    requests go by Ray's messages.
    """

    def __init__(
        self,
        actor: ActorProxy[RayWorker],
        send_buffer: SendBuffer | None,
        place: Place | None = None,
    ) -> None:
        self.actor, self.place = actor, place
        self._send_buffer = send_buffer
        self._transport: Transport = RayMessages(actor)
        self._is_late = False
        node = ray.get_runtime_context().get_node_id() if send_buffer is not None else None
        self.starting: ray.ObjectRef[tuple[Place, str | None]] | None = actor.start.remote(node)

    def connect(self) -> None:
        """Take the result of the start, and open a channel if the worker offers one.

        If the worker died meanwhile, the next request reports it.
        """
        starting, self.starting = self.starting, None
        assert starting is not None
        with contextlib.suppress(RayError):
            self.place, address = ray.get(starting)
            if address is not None and self._send_buffer is not None:
                self._transport = (
                    open_channel(self.actor, address, self._send_buffer) or self._transport
                )

    def send(self, request: OutgoingRequest) -> None:
        """Start a request; `receive` waits for its reply."""
        if not self._is_late:
            self._transport.send(request)

    def receive(self, timeout: float) -> Any:
        """Return the reply to the last request.

        Raises the RayError that tells why the worker was lost, or TimeoutError after `timeout`
        seconds. A worker that was late once must be replaced: every later call raises TimeoutError
        at once.
        """
        if self._is_late:
            raise TimeoutError
        try:
            return self._transport.receive(timeout)
        except BaseException as error:  # an interrupt too: a reply that comes later has no receiver
            self._is_late = isinstance(error, TimeoutError)
            self.disconnect()
            raise

    def drain(self, timeout: float) -> None:
        """Receive and discard a reply that must come before the next request."""
        if self._transport.must_drain:
            with contextlib.suppress(TimeoutError, RayError):
                self.receive(timeout)

    def disconnect(self) -> None:
        """Close the channel, if there is one; later requests go by Ray's messages."""
        self._transport.close()
        self._transport = RayMessages(self.actor)

    def kill(self) -> None:
        """End the worker's process."""
        self.disconnect()
        assert isinstance(self.actor, ActorHandle)  # for the type checker
        ray.kill(self.actor)
