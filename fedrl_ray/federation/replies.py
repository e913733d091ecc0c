"""What came back from the hosts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from algorithms.types import Array, Partial

from ..agents.messages import RoundOrder, RoundReply, WorkerFailure
from ..common.errors import CheckpointError


class Replies:
    """The replies to one order, taken in one after the other while their partial sums pass on to
    the aggregation rule: however many hosts there are, one sum at a time is in memory.

    replies: those to this order, without their sums. lost: hosts that failed, or answered an old
    order. bytes: parameters sent to every host that replied, and sums sent back. waited: seconds
    until the last had come, merging not counted.
    """

    def __init__(self, order: RoundOrder) -> None:
        self.order = order
        self._sent = _bytes(order.shared.values())
        self.replies: list[RoundReply] = []
        self.lost: list[WorkerFailure] = []
        self.bytes, self.waited = 0, 0.0

    def partials(
        self, run: Callable[[], Iterable[RoundReply | WorkerFailure]], workers: Sequence[int]
    ) -> Iterator[Partial]:
        """The sums of a round that `run` begins, in the order of the hosts, which is that of the
        agents."""
        started = time.perf_counter()
        for worker, result in zip(workers, run(), strict=True):
            partial = self._take(worker, result)
            self.waited += time.perf_counter() - started
            if partial is not None:
                yield partial
            started = time.perf_counter()

    def _take(self, worker: int, result: RoundReply | WorkerFailure) -> Partial | None:
        if isinstance(result, WorkerFailure):
            self.lost.append(result)
            return None
        if (result.round, result.attempt) != (self.order.round, self.order.attempt):
            self.lost.append(_old(worker, result))
            return None
        partial = result.partial
        assert partial is not None
        self.bytes += self._sent + _bytes(partial.high.values()) + _bytes(partial.low.values())
        self.replies.append(replace(result, partial=None))
        return partial


def require_read(lost: Sequence[WorkerFailure]) -> None:
    """Raises CheckpointError where a host found its shard not as it was written."""
    for failure in lost:
        if failure.kind == "checkpoint":
            raise CheckpointError(failure.reason)


def _old(worker: int, reply: RoundReply) -> WorkerFailure:
    reason = f"answered round {reply.round}, attempt {reply.attempt}"
    return WorkerFailure(worker=worker, agent_ids=reply.agent_ids, kind="timeout", reason=reason)


def _bytes(arrays: Iterable[Array]) -> int:
    return sum(array.nbytes for array in arrays)
