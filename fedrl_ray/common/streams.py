"""Standard streams that outlast their reader, and results that are alone on standard output."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

STDOUT, STDERR = 1, 2
"""File descriptors."""


class LastingStream:
    """A text stream whose loss does not end the program; text after the loss is dropped.

    Streams are lost when the disk is full, when the reader of a pipe has gone, and when a terminal
    is closed. `loss` is the error. Characters that the encoding lacks are escaped.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.loss: Exception | None = None
        with suppress(AttributeError, OSError, ValueError):
            cast(Any, stream).reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        """Write text, if the stream is not lost; return its length."""
        if self.loss is None and self._stream is not None:
            try:
                self._stream.write(text)
            except (OSError, ValueError) as error:  # ValueError: the stream is closed
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, if it is not lost."""
        if self.loss is None and self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self._lose(error)

    def writable(self) -> bool:
        """Return True."""
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _lose(self, error: Exception) -> None:
        """Send what is left in the buffer nowhere: Python flushes it once more when it ends."""
        self.loss = error
        with suppress(OSError, ValueError, AttributeError):
            _redirect(cast(TextIO, self._stream).fileno(), os.devnull)


@contextmanager
def lasting_streams() -> Iterator[None]:
    """Make both standard streams of Python outlast their readers while the context lasts."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, LastingStream(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def open_standard_descriptors() -> None:
    """Open descriptors 0 to 2 that the caller has closed.

    The next file that is opened would take the number, and what C code prints would end up in it.
    """
    for descriptor in (0, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


@contextmanager
def stdout_for_results() -> Iterator[LastingStream]:
    """Yield a stream for results; whatever else is printed goes to standard error.

    That holds for prints of Python while the context lasts, and for C code and subprocesses up to
    the end of the program: some simulators print when the process ends.
    """
    before = sys.stdout
    if _is_descriptor(before):
        results = LastingStream(_kept_descriptor())
    else:  # a test's
        results = before if isinstance(before, LastingStream) else LastingStream(before)
    sys.stdout = sys.stderr
    try:
        yield results
    finally:
        results.flush()
        sys.stdout = before


def _is_descriptor(stream: TextIO) -> bool:
    """Return True if a stream is this process's standard output."""
    try:
        return stream.fileno() == STDOUT
    except (OSError, ValueError, AttributeError):
        return False


def _kept_descriptor() -> TextIO:
    """Return a stream to where descriptor 1 has led, and let 1 lead to standard error."""
    sys.stdout.flush()
    kept = os.fdopen(os.dup(STDOUT), "w", encoding=sys.stdout.encoding, errors="backslashreplace")
    os.dup2(STDERR, STDOUT)
    return kept


def _redirect(descriptor: int, path: str) -> None:
    opened = os.open(path, os.O_WRONLY)
    os.dup2(opened, descriptor)
    os.close(opened)
