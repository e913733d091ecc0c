"""Cost of a round on Ray alone: actors learn nothing, but exchange as many bytes.

They are busy for as long as learning would take.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import ray

ROUNDS, WARM_UP = 20, 3


class _Busy:
    def __init__(self, size: int) -> None:
        self._answer = np.zeros(size, dtype=np.uint8)

    def round(self, parameters: Any, seconds: float) -> tuple[float, Any]:
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            pass
        return time.perf_counter() - started, self._answer


def exchange_seconds(actors: int, *, sent: int, answered: int, busy: float) -> float:
    """Return the median time of a round beyond that of its busiest actor.

    sent, answered: bytes to and from each actor. busy: seconds that each actor computes.
    """
    handles = [ray.remote(_Busy).options(num_cpus=0).remote(answered) for _ in range(actors)]
    beyond = [_round(handles, sent, busy) for _ in range(WARM_UP + ROUNDS)][WARM_UP:]
    for handle in handles:
        ray.kill(handle)
    return float(np.median(beyond))


def _round(handles: list[Any], sent: int, busy: float) -> float:
    started = time.perf_counter()
    parameters = ray.put(np.zeros(sent, dtype=np.uint8))
    calls = [handle.round.remote(parameters, busy) for handle in handles]
    longest = max(ray.get(call)[0] for call in calls)
    return time.perf_counter() - started - longest
