"""A proxy whose connections drop, as those over a long way do."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable


class DroppingProxy:
    """A proxy to a port that cuts the first two connections that tail a log after a while.

    then: called at the second one. Until then the job must not end, or nobody asks again.
    """

    def __init__(self, port: int, then: Callable[[], object]) -> None:
        self._to, self._lock, self.dropped, self._then = port, threading.Lock(), 0, then
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> DroppingProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        request = near.recv(65536)
        far = socket.create_connection(("127.0.0.1", self._to))
        far.sendall(request)
        left = 1 << 40
        with self._lock:
            if b"/logs/tail" in request and self.dropped < 2:
                left, self.dropped = 300 * (1 + self.dropped), self.dropped + 1
                if self.dropped == 2:
                    self._then()
        threading.Thread(target=self._pass, args=(near, far, 1 << 40), daemon=True).start()
        self._pass(far, near, left)

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket, left: int) -> None:
        with contextlib.suppress(OSError):
            while left > 0 and (data := source.recv(min(65536, left))):
                target.sendall(data)
                left -= len(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
