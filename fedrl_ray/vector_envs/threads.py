"""Threads that step the environments of one stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait


class StepThreads:
    """Calls a function for each of some rows, the rows split evenly over threads.

    One thread is the caller's own. The others begin at the first call, and so inherit how the
    caller's rounds and takes denormal numbers: a setting of each thread that would change bits.
    """

    def __init__(self, threads: int) -> None:
        self._others = threads - 1
        self._backend = ThreadPoolExecutor(self._others) if self._others else None

    def each(self, call: Callable[[int], None], rows: Sequence[int]) -> None:
        """Returns when all rows are done. What a row raised is raised again; of several, that of
        the lowest row, as one thread would have met it first."""
        if self._backend is None:
            return _all(call, rows)
        size = max(1, -(-len(rows) // (self._others + 1)))
        own, *parts = [rows[i : i + size] for i in range(0, len(rows), size)] or [rows]
        others = [self._backend.submit(_all, call, part) for part in parts]
        try:
            _all(call, own)
        finally:
            wait(others)
        for other in others:
            other.result()

    def close(self) -> None:
        """End the threads."""
        if self._backend is not None:
            self._backend.shutdown()


def _all(call: Callable[[int], None], rows: Sequence[int]) -> None:
    for row in rows:
        call(row)
