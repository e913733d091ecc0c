"""Closing of users' environments, some of which raise or never return."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

from ...common.errors import UserError, one_line

_LOG = logging.getLogger(__name__)
SECONDS = 10.0
"""Seconds that `close` may take."""


class Closable(Protocol):
    """An environment, or an adapter of one."""

    def close(self) -> None:
        """Release its resources."""


class _TakesTooLongError(BaseException):
    """Raised inside `close`; no Exception, so that the user's own handlers let it pass."""


@contextmanager
def trying(env: Closable, key: str) -> Iterator[None]:
    """Close an environment after the block.

    Raises UserError, which names the configuration key: the block succeeded, and `close` raises or
    does not return.
    """
    try:
        yield
    except BaseException:
        close_and_log(env)
        raise
    fault = _close(env)
    if fault is not None:
        raise UserError(f"{key}: close must return; {fault}")


def close_and_log(env: Closable) -> None:
    """Close an environment, and log the fault if `close` raises or does not return."""
    fault = _close(env)
    if fault is not None:
        _LOG.warning("environment: close must return; %s", fault)


def _close(env: Closable) -> str | None:
    """Close an environment and return what is wrong with its `close`, or None."""
    try:
        with _limited():
            env.close()
    except _TakesTooLongError:
        return f"it had not after {SECONDS:g} s"
    except (Exception, SystemExit) as error:  # to end the program is as wrong as to raise
        return f"it raised {type(error).__name__}: {one_line(error)}"
    return None


@contextmanager
def _limited() -> Iterator[None]:
    """Raise _TakesTooLongError in the block after SECONDS.

    A timer interrupts Python code in the main thread alone. In other threads, and where another
    program's timer would ring earlier, the block runs without a limit.
    """
    is_main = threading.current_thread() is threading.main_thread()
    others = signal.getitimer(signal.ITIMER_REAL)[0]
    if not is_main or 0 < others <= SECONDS:
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _TakesTooLongError

    started, before = time.monotonic(), signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        rest = others - (time.monotonic() - started) if others else 0.0
        signal.setitimer(signal.ITIMER_REAL, rest)
        signal.signal(signal.SIGALRM, before)
