"""Signals that ask a command to end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from .exits import stop_at_once


def ending() -> list[signal.Signals]:
    """Return SIGTERM, and SIGHUP unless it is ignored: `nohup` asks to outlive the terminal."""
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers


@contextmanager
def handled(
    handler: Callable[[int, FrameType | None], Any], numbers: Sequence[signal.Signals]
) -> Iterator[None]:
    """Handle signals by a function while the context lasts."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """Let the signals of `ending` raise StopAtOnce, so that what was started is ended too."""
    with handled(stop_at_once, ending()):
        yield
