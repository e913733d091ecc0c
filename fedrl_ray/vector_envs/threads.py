"""Threads that step the rows of one vector environment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait


class StepThreads:
    """Threads that call a function for each row, with the rows split evenly between them.

    One of them is the caller's thread. The others start at the first call and then inherit how the
    caller's thread rounds and treats denormal numbers, two settings that would change bits.
    """

    def __init__(self, threads: int) -> None:
        self._others = threads - 1
        self._executor = ThreadPoolExecutor(self._others) if self._others else None

    def each(self, call: Callable[[int], None], rows: Sequence[int]) -> None:
        """Call `call` for all rows, and then raise the first error.

        The first error is that of the lowest row, which a single thread would have met first.
        """
        if self._executor is None:
            return _all(call, rows)
        size = max(1, -(-len(rows) // (self._others + 1)))
        own, *parts = [rows[i : i + size] for i in range(0, len(rows), size)] or [rows]
        others = [self._executor.submit(_all, call, part) for part in parts]
        try:
            _all(call, own)
        finally:
            wait(others)
        for other in others:
            other.result()

    def close(self) -> None:
        """End the threads."""
        if self._executor is not None:
            self._executor.shutdown()


def _all(call: Callable[[int], None], rows: Sequence[int]) -> None:
    for row in rows:
        call(row)
