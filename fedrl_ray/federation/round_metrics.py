"""Putting the replies of a round together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from algorithms.types import Array, Params

from ..agents.messages import RoundReply


def merge_metrics(replies: Sequence[RoundReply], num_agents: int) -> dict[str, Array]:
    """Metrics by name, a value per agent [K]; NaN for an agent that took no part or saw nothing.

    `episode_return` is the mean return of the agent's training episodes that ended.
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


def spread(update_norm: Array, before: Params, after: Params) -> float:
    """Root mean square over agents of their distance to the mean of all.

    From mean ||theta_k - b||^2 = mean ||theta_k - m||^2 + ||m - b||^2 with broadcast b and mean m,
    so that no agent's parameters have to be seen.
    """
    moved = sum(
        float(np.square(after[name].astype(np.float64) - before[name]).sum())
        for name in sorted(before)  # a checkpoint gives the names back in another order
    )
    square = float(np.nanmean(np.square(update_norm))) - moved
    return float(np.sqrt(max(0.0, square)))
