"""Replies are merged as they come: the driver's memory does not grow with the number of hosts."""

from __future__ import annotations

import weakref

import numpy as np

from algorithms.aggregators.mean import Mean
from algorithms.types import ServerState
from fedrl_ray.agents.messages import RoundOrder, RoundReply, WorkerFailure
from fedrl_ray.federation.replies import Replies

SHARED = {"w": np.zeros((3, 2), dtype=np.float32)}


def reply(worker: int, *, attempt: int = 0) -> RoundReply:
    row = np.full((1, 3, 2), worker, dtype=np.float32)
    return RoundReply(
        round=0,
        attempt=attempt,
        agent_ids=(worker,),
        partial=Mean(Mean.Config()).partial({"w": row}),
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
            sums.append(weakref.ref(one.partial.high["w"]))
            most = max(most, sum(ref() is not None for ref in sums))
            yield one
            del one

    taken = Replies(RoundOrder(round=0, attempt=0, shared=SHARED))
    server = ServerState(round=0, shared=SHARED)
    merged = Mean(Mean.Config()).merge(server, taken.partials(come, workers))
    assert merged.shared["w"][0, 0] == np.float32(np.mean(workers))
    assert [r.agent_ids for r in taken.replies] == [(worker,) for worker in workers]
    assert taken.bytes == 20 * (24 + 2 * 48)
    assert most <= 4  # the sum so far, the one before, the next


def test_failures_and_old_replies_are_lost_hosts_and_merge_nothing():
    failure = WorkerFailure(worker=1, agent_ids=(1,), kind="died", reason="gone")
    taken = Replies(RoundOrder(round=0, attempt=1, shared=SHARED))
    results = [reply(0, attempt=0), failure, reply(2, attempt=1)]
    partials = list(taken.partials(lambda: results, [0, 1, 2]))
    assert [p.num_agents for p in partials] == [1]
    assert [(f.worker, f.kind) for f in taken.lost] == [(0, "timeout"), (1, "died")]
