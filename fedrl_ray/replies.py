"""What came back from the hosts, sorted."""

from __future__ import annotations

from collections.abc import Sequence

from .errors import CheckpointError
from .messages import HostFailure, RoundOrder, RoundReply


def require_read(lost: Sequence[HostFailure]) -> None:
    """Raises CheckpointError where a host found its shard not as it was written."""
    for failure in lost:
        if failure.kind == "checkpoint":
            raise CheckpointError(failure.reason)


def sort_results(
    results: Sequence[RoundReply | HostFailure], order: RoundOrder, hosts: Sequence[int]
) -> tuple[list[RoundReply], list[HostFailure]]:
    """Replies to this order, and hosts lost; one that answers an old order is lost too."""
    replies: list[RoundReply] = []
    lost: list[HostFailure] = []
    for host, result in zip(hosts, results, strict=True):
        if isinstance(result, HostFailure):
            lost.append(result)
        elif (result.round, result.attempt) == (order.round, order.attempt):
            replies.append(result)
        else:
            reason = f"answered round {result.round}, attempt {result.attempt}"
            lost.append(
                HostFailure(host=host, agent_ids=result.agent_ids, kind="timeout", reason=reason)
            )
    return replies, lost
