"""Faults of a transport: a slow worker, an exchange with some workers only, a killed worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from exchange import Message, Transport, exchange, parameters, started
from ray.exceptions import RayError

from fedrl_ray.agents.messages import WorkerFailure

WORKERS, SIZE, DELAY = 3, 20_000, 2.0
MESSAGE = Message(parameters(SIZE))
SLOW = Message(MESSAGE.shared, {WORKERS - 1: DELAY})
"""The last worker waits `DELAY` seconds."""


def slow(name: str) -> dict[str, Any]:
    """Return the seconds until the first and the last reply while the last worker is slow."""
    transport = warm(name)
    began = time.perf_counter()
    arrived = [time.perf_counter() - began for _ in transport.replies(SLOW, range(WORKERS))]
    return {"first_reply_s": arrived[0], "last_reply_s": arrived[-1]}


def some(name: str) -> dict[str, Any]:
    """Return the replies, errors and seconds of an exchange with all workers but the last."""
    transport = warm(name)
    began = time.perf_counter()
    replies, errors = outcome(transport.replies(MESSAGE, range(WORKERS - 1)))
    return {"replies": replies, "errors": errors, "seconds": time.perf_counter() - began}


def killed(name: str) -> dict[str, Any]:
    """Kill the last worker during an exchange; see `kill_last`."""
    return kill_last(warm(name))


def killed_after_some(name: str) -> dict[str, Any]:
    """Prepare an exchange with all workers but the first, then kill the last; see `kill_last`."""
    transport = warm(name)
    transport.prepare(range(1, WORKERS))
    return kill_last(transport)


def kill_last(transport: Transport) -> dict[str, Any]:
    """Kill the last worker during an exchange; return what followed.

    The result counts the replies and gives two times: the seconds until all replies and errors are
    in, and the seconds from then until the worker is replaced and the next exchange is done.
    """
    arriving = transport.replies(SLOW, range(WORKERS))
    time.sleep(DELAY / 4)
    began = time.perf_counter()
    transport.kill(WORKERS - 1)
    replies, errors = outcome(arriving)
    known = time.perf_counter() - began
    transport.repair(WORKERS - 1)
    exchange(transport, MESSAGE, WORKERS)
    repaired = time.perf_counter() - began - known
    return {"replies": replies, "errors": errors, "seconds": known, "repair_s": repaired}


FAULTS: dict[str, Callable[[str], dict[str, Any]]] = {
    "slow": slow,
    "some": some,
    "killed": killed,
    "killed_after_some": killed_after_some,
}


def warm(name: str) -> Transport:
    """Start a transport and exchange three times."""
    transport = started(name, WORKERS, SIZE)
    for _ in range(3):
        exchange(transport, MESSAGE, WORKERS)
    return transport


def outcome(results: Iterable[Any]) -> tuple[int, list[str]]:
    """Return the number of replies among the results, and the class or kind of each error."""
    replies, errors = 0, []
    for result in results:
        if isinstance(result, WorkerFailure):
            errors.append(result.kind)
        elif isinstance(result, RayError):
            errors.append(type(result).__name__)
        else:
            replies += 1
    return replies, errors
