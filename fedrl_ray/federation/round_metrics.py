"""The report of a round, from the replies of all workers."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from algorithms.types import Array

from ..agents.messages import RoundReply, RoundReport
from ..config.schema import Experiment
from .replies import Replies
from .server_update import Update


def merge_metrics(replies: Sequence[RoundReply], num_agents: int) -> dict[str, Array]:
    """Return metrics by name, one value per agent, [K].

    The value is NaN for an agent that took no part or saw nothing. `episode_return` is the mean
    return of the agent's training episodes that ended.
    """
    names = list(dict.fromkeys(name for r in replies for name in r.metrics))
    merged = {name: np.full(num_agents, np.nan) for name in ["episode_return", *names]}
    for r in replies:
        ids = list(r.agent_ids)
        with np.errstate(invalid="ignore", divide="ignore"):
            merged["episode_return"][ids] = r.return_sum / r.episodes
        for name, values in r.metrics.items():
            merged[name][ids] = values
    return merged


def round_report(
    experiment: Experiment,
    update: Update,
    taken: Replies,
    *,
    absent: Collection[int],
    progress: dict[str, float],
    seconds: float,
    phases: dict[str, float],
    failures: Sequence[str],
) -> RoundReport:
    """Return the report of a completed round.

    absent: agents whose worker was away before the round. progress: counters, this round included.
    seconds: wall time of the round.
    """
    k, asked = experiment.federation.num_agents, set(taken.order.agent_ids.tolist())
    took_part = taken.agent_ids
    return RoundReport(
        round=update.server.round,
        steps=update.server.round * experiment.round_steps,
        agent_steps=int(progress["agent_steps"]),
        metrics=merge_metrics(taken.replies, k),
        drift=update.drift,
        participants=len(took_part),
        seconds=seconds,
        learning=taken.learning,
        bytes=taken.bytes,
        phases=phases,
        sampled=None if asked | set(absent) == set(range(k)) else tuple(sorted(asked)),
        absent=tuple(sorted(set(absent) | (asked - set(took_part)))),
        failures=tuple(failures),
    )
