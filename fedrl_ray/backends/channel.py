"""A direct channel between two processes of one machine, through shared memory and a socket.

The sender pickles a message into memory that both processes map, then sends its length as one
socket packet, which wakes the receiver. Ray would pass the message between threads and copy its
arrays into the object store, which costs milliseconds per round (docs/performance.md).
Linux only.
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


class _GrowingMemory(mmap.mmap):
    """Shared memory that grows when a write does not fit."""

    def write(self, data: Any) -> int:
        end = self.tell() + memoryview(data).nbytes
        if end > len(self):
            self.resize(max(end, 2 * len(self)))
        return super().write(data)


class SendBuffer:
    """Memory for one message at a time: this process writes it, the other ends of its channels
    read it. It has no name, so the kernel frees it with the last process that maps it."""

    def __init__(self) -> None:
        self.file = os.memfd_create("fedrl-ray")
        os.ftruncate(self.file, mmap.PAGESIZE)
        self._memory = _GrowingMemory(self.file, mmap.PAGESIZE)

    def write(self, message: object) -> int:
        """Replace the previous message; return the new one's length in bytes."""
        self._memory.seek(0)
        pickle.dump(message, self._memory, protocol=5)
        return self._memory.tell()

    def close(self) -> None:
        """Unmap the memory in this process."""
        self._memory.close()
        os.close(self.file)


class Channel:
    """One end of a channel. A received message is a copy that the receiver owns.

    Several channels may share one `send_buffer`. Its message may be replaced only after each of
    them has received a reply to the previous message. The constructor raises OSError if the other
    process does not open its end within `timeout` seconds.
    """

    def __init__(
        self, connection: socket.socket, send_buffer: SendBuffer, timeout: float | None = None
    ) -> None:
        self._socket, self._send_buffer = connection, send_buffer
        connection.settimeout(timeout)
        socket.send_fds(connection, [b"buffer"], [send_buffer.file])
        _, files, _, _ = socket.recv_fds(connection, 16, 1)
        if not files:
            raise ConnectionResetError("the other end is closed")
        (self._file,) = files
        os.set_inheritable(self._file, False)
        self._received = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ)

    def send(self, message: object) -> None:
        """Write a message to the send buffer and notify the other end."""
        self.notify(self._send_buffer.write(message))

    def notify(self, length: int) -> None:
        """Tell the other end that the first `length` bytes of the send buffer are for it."""
        self._socket.settimeout(None)
        self._socket.sendall(_LENGTH.pack(length))

    def receive(self, timeout: float | None = None) -> Any:
        """Return the next message.

        Raises TimeoutError after `timeout` seconds, and EOFError if the other end is closed or its
        process has died.
        """
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
        if length > len(self._received):
            self._received.close()
            self._received = mmap.mmap(self._file, 0, access=mmap.ACCESS_READ)
        with memoryview(self._received) as written:
            return pickle.loads(written[:length])

    def close(self) -> None:
        """Close this end, if it is still open; the send buffer stays open.

        The shutdown reaches the other end even if a forked process still holds this socket.
        """
        if self._socket.fileno() == -1:
            return
        with contextlib.suppress(OSError):  # the other end is closed already
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._received.close()
        os.close(self._file)


class Listener:
    """The address at which one other process of the same user can connect to this process.

    The address lies in Linux's abstract namespace, so no file is left behind. The constructor
    raises OSError if the system allows no such socket.
    """

    def __init__(self) -> None:
        self.address = f"\0fedrl-ray-{secrets.token_hex(16)}"
        self._socket = _new_socket()
        try:
            self._socket.bind(self.address)
            self._socket.listen(1)
        except OSError:
            self.close()
            raise

    def accept(self, send_buffer: SendBuffer) -> Channel:
        """Wait for a process of this user to connect, then stop listening.

        Connections from other users are closed.
        """
        with self._socket:
            connection, _ = self._socket.accept()
            while not _is_same_user(connection):
                connection.close()
                connection, _ = self._socket.accept()
        return Channel(connection, send_buffer)

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


def connect(address: str) -> socket.socket:
    """Connect to a listener; the result is one end of a channel that is still to be opened.

    Raises OSError if no listener of this user has the address.
    """
    connection = _new_socket()
    try:
        connection.connect(address)
        if not _is_same_user(connection):
            raise PermissionError("the listener belongs to another user")
    except OSError:
        connection.close()
        raise
    return connection


def _is_same_user(connection: socket.socket) -> bool:
    """Tell if the other process runs as this user; the kernel supplies the credentials."""
    _, user, _ = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    return bool(user == os.geteuid())


def _new_socket() -> socket.socket:
    """Unix socket that keeps packets apart: one packet announces one message."""
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
