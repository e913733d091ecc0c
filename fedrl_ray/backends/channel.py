"""A direct line between two processes of one machine: messages lie in shared memory, and a socket
wakes who is to read them.

Ray hands a message from thread to thread and copies arrays into its object store, milliseconds a
round; here it is the other process itself that waits (docs/performance.md). Linux only.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import secrets
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("q")
_CREDENTIALS = struct.Struct("3i")  # process, user, group


class _Growing(mmap.mmap):
    """Becomes larger where what is written does not fit."""

    def write(self, data: Any) -> int:
        end = self.tell() + memoryview(data).nbytes
        if end > len(self):
            self.resize(max(end, 2 * len(self)))
        return super().write(data)


class Outbox:
    """Memory for one message at a time, written by this process and read by those at the other ends
    of its lines. It has no name: it goes when the last process that maps it does."""

    def __init__(self) -> None:
        self.file = os.memfd_create("fedrl-ray")
        os.ftruncate(self.file, mmap.PAGESIZE)
        self._memory = _Growing(self.file, mmap.PAGESIZE)

    def write(self, message: Any) -> int:
        """Put a message in the place of the last one; its bytes."""
        self._memory.seek(0)
        pickle.dump(message, self._memory, protocol=5)
        return self._memory.tell()

    def close(self) -> None:
        """Let go of the memory."""
        self._memory.close()
        os.close(self.file)


class Line:
    """One end of a line. What arrives is the receiver's own: nothing of it is shared.

    outbox: where this end's messages lie; several lines may have one. A message may be written once
    the last one has been answered on each of them. Raises OSError where the other end is not taken
    up within `timeout` seconds.
    """

    def __init__(self, end: socket.socket, outbox: Outbox, timeout: float | None = None) -> None:
        self._socket, self._outbox = end, outbox
        end.settimeout(timeout)
        socket.send_fds(end, [b"outbox"], [outbox.file])
        _, files, _, _ = socket.recv_fds(end, 16, 1)
        if not files:
            raise ConnectionResetError("the other end is closed")
        (self._file,) = files
        os.set_inheritable(self._file, False)
        self._inbox = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ)

    def send(self, message: Any) -> None:
        """Write a message and tell the other end."""
        self.tell(self._outbox.write(message))

    def tell(self, length: int) -> None:
        """Tell the other end that so many bytes in the outbox are for it."""
        self._socket.settimeout(None)
        self._socket.sendall(_LENGTH.pack(length))

    def receive(self, timeout: float | None = None) -> Any:
        """The next message. Raises TimeoutError after so many seconds, EOFError once the other end
        is closed or its process gone."""
        self._socket.settimeout(timeout)
        try:
            packet = self._socket.recv(_LENGTH.size)
        except BlockingIOError:
            raise TimeoutError from None
        except ConnectionResetError:
            packet = b""
        if not packet:
            raise EOFError("the other end is closed")
        (length,) = _LENGTH.unpack(packet)
        if length > len(self._inbox):
            self._inbox.close()
            self._inbox = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ)
        with memoryview(self._inbox) as written:
            return pickle.loads(written[:length])

    def close(self) -> None:
        """The other end sees that it is closed, even where a forked process holds this one too. The
        outbox stays."""
        with contextlib.suppress(OSError):  # the other end has gone
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._inbox.close()
        os.close(self._file)


class Door:
    """Where another process of the same user can call this one, by `name`: in Linux's abstract
    namespace, so that nothing of it is left. Raises OSError where there can be none."""

    def __init__(self) -> None:
        self.name = f"\0fedrl-ray-{secrets.token_hex(16)}"
        self._socket = _new_socket()
        try:
            self._socket.bind(self.name)
            self._socket.listen(1)
        except OSError:
            self.close()
            raise

    def accept(self, outbox: Outbox) -> Line:
        """The line of who called, or will; strangers are sent away. The door is closed after it."""
        with self._socket:
            end, _ = self._socket.accept()
            while not _is_of_this_user(end):
                end.close()
                end, _ = self._socket.accept()
        return Line(end, outbox)

    def close(self) -> None:
        """Nobody can call any more."""
        self._socket.close()


def call(name: str) -> socket.socket:
    """A door's other side: the end of a line to be. Raises OSError where no door of this user's
    is."""
    end = _new_socket()
    try:
        end.connect(name)
        if not _is_of_this_user(end):
            raise PermissionError("the door is another user's")
    except OSError:
        end.close()
        raise
    return end


def _is_of_this_user(end: socket.socket) -> bool:
    """Whose process is at the other end, as the kernel tells."""
    _, user, _ = _CREDENTIALS.unpack(
        end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return bool(user == os.geteuid())


def _new_socket() -> socket.socket:
    """Packets, not bytes in a stream: one is one message."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
