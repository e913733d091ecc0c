"""Waiting for something that becomes true later: wait for exactly what is then asserted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], *, within: float = 30.0, every: float = 0.1) -> T:
    """Call a function of assertions until none fails, and return its result.

    After `within` seconds the last AssertionError is raised. A test that waits for one signal and
    then reads another is a race; here the wait and the assertions are the same.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            return check()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(every)
