"""Replies are merged as they come: the driver's memory does not grow with the workers."""

from __future__ import annotations

import weakref
from dataclasses import replace

import numpy as np

from algorithms.aggregator import Partial
from algorithms.aggregators.mean import Mean
from fedrl_ray.agents.messages import RoundOrder, RoundReply, WorkerFailure
from fedrl_ray.federation.replies import Replies
from tests.support.aggregation import contribution, server_of

SHARED = {"w": np.zeros((3, 2), dtype=np.float32)}


def reply(worker: int, *, attempt: int = 0) -> RoundReply:
    rows = {"w": np.full((worker + 1, 3, 2), worker, dtype=np.float32)}
    own = contribution(rows, np.array([worker]), server_of(SHARED, 1))
    return RoundReply(
        round=0,
        attempt=attempt,
        agent_ids=(worker,),
        message=Mean(Mean.Config()).contribute(own),
        metrics={},
        return_sum=np.zeros(1),
        episodes=np.zeros(1),
        seconds=0.0,
    )


def test_a_sum_is_let_go_of_when_it_has_been_merged():
    workers, sums, most = range(20), [], 0

    def come():
        nonlocal most
        for worker in workers:
            one = reply(worker)
            assert isinstance(one.message, Partial)
            sums.append(weakref.ref(one.message.sums.high["w"]))
            most = max(most, sum(ref() is not None for ref in sums))
            yield one
            del one

    taken = Replies(RoundOrder.to(workers, SHARED))
    messages = taken.messages(come, workers)
    merged = Mean(Mean.Config()).aggregate(server_of(SHARED, 20), messages)
    assert merged is not None
    assert merged.shared["w"][0, 0] == np.float32(np.mean(workers))
    assert [r.agent_ids for r in taken.replies] == [(worker,) for worker in workers]
    assert taken.bytes == 20 * (24 + 2 * 48)
    assert most <= 4  # the sum so far, the one before, the next


def test_failures_and_old_replies_are_lost_workers_and_merge_nothing():
    failure = WorkerFailure(worker=1, agent_ids=(1,), kind="died", reason="gone")
    taken = Replies(replace(RoundOrder.to([0, 1, 2], SHARED), attempt=1))
    results = [reply(0, attempt=0), failure, reply(2, attempt=1)]
    messages = list(taken.messages(lambda: results, [0, 1, 2]))
    assert len(messages) == 1 and taken.agent_ids == [2]
    assert [(f.worker, f.kind) for f in taken.lost] == [(0, "timeout"), (1, "died")]
