"""Time of a federation: seconds per phase."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

PHASES = (
    "learning",
    "communication",
    "aggregation",
    "evaluation",
    "checkpoint",
    "recovery",
)
"""Names of the phases.

learning: the longest time inside a worker. communication: the rest of a round's call to all
workers. aggregation: merging the replies. recovery: rounds that were lost, and going back.
"""


class PhaseClock:
    """Seconds per phase since they were last taken.

    A phase that begins inside another interrupts it, so no second counts twice.
    """

    def __init__(self) -> None:
        self._spent = dict.fromkeys(PHASES, 0.0)
        self._running: list[str] = []
        self._since = 0.0

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Charge the time inside the block to this phase."""
        self._charge()
        self._running.append(name)
        try:
            yield
        finally:
            self._charge()
            self._running.pop()

    def add(self, name: str, seconds: float) -> None:
        """Add seconds that were measured elsewhere."""
        self._spent[name] += max(0.0, seconds)

    def add_call(self, waited: float, learning: float, *, lost: bool) -> None:
        """Add a call to all workers that took `waited` seconds, `learning` of them in a worker.

        The time of a call that gave no round (learning 0), or that waited for a lost worker, is
        recovery.
        """
        self.add("learning", learning)
        self.add("recovery" if lost else "communication", waited - learning)

    def take(self) -> dict[str, float]:
        """Return the seconds by phase, and count from 0 again."""
        self._charge()
        spent, self._spent = self._spent, dict.fromkeys(PHASES, 0.0)
        return spent

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._running:
            self._spent[self._running[-1]] += now - self._since
        self._since = now
