"""The replies of the workers to one order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from algorithms.aggregator import Message

from ..agents.messages import RoundOrder, RoundReply, WorkerFailure
from ..common.errors import CheckpointError


class Replies:
    """Takes the replies to one order one after the other and passes their messages on.

    The aggregation rule merges a message before the next is taken, so the driver holds one sum at
    a time, however many workers there are.

    replies: valid replies, without their messages. lost: workers that failed, or that answered an
    old order. bytes: parameters sent to every worker that replied, and messages sent back. waited:
    seconds until the last reply had come, merging not counted.
    """

    def __init__(self, order: RoundOrder) -> None:
        self.order = order
        self._sent = sum(array.nbytes for array in order.shared.values())
        self.replies: list[RoundReply] = []
        self.lost: list[WorkerFailure] = []
        self.bytes, self.waited = 0, 0.0

    @property
    def agent_ids(self) -> list[int]:
        """Agents that took part, in the order of the replies."""
        return [agent for reply in self.replies for agent in reply.agent_ids]

    @property
    def learning(self) -> float:
        """Longest time inside a worker, in seconds."""
        return max((reply.seconds for reply in self.replies), default=0.0)

    def messages(
        self, run: Callable[[], Iterable[RoundReply | WorkerFailure]], workers: Sequence[int]
    ) -> Iterator[Message]:
        """Start a round by `run` and yield the messages in the order of the workers."""
        started = time.perf_counter()
        for worker, result in zip(workers, run(), strict=True):
            message = self._take(worker, result)
            self.waited += time.perf_counter() - started
            if message is not None:
                yield message
            started = time.perf_counter()

    def _take(self, worker: int, result: RoundReply | WorkerFailure) -> Message | None:
        if isinstance(result, WorkerFailure):
            self.lost.append(result)
            return None
        if (result.round, result.attempt) != (self.order.round, self.order.attempt):
            self.lost.append(_old(worker, result))
            return None
        message = result.message
        assert message is not None
        self.bytes += self._sent + message.nbytes
        self.replies.append(replace(result, message=None))
        return message


def require_read(lost: Sequence[WorkerFailure]) -> None:
    """Raise CheckpointError if a worker found its shard other than it was written."""
    for failure in lost:
        if failure.kind == "checkpoint":
            raise CheckpointError(failure.reason)


def _old(worker: int, reply: RoundReply) -> WorkerFailure:
    reason = f"answered round {reply.round}, attempt {reply.attempt}"
    return WorkerFailure(worker=worker, agent_ids=reply.agent_ids, kind="timeout", reason=reason)
