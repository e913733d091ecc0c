"""The plain mean over agents (FedAvg with equal weights), as in the paper and Jin et al. 2022."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from ..settings import Settings
from ..types import Array, Params, Partial, ServerState

Pair = tuple[Array, Array]


class Mean:
    """The plain mean: theta <- (1/K) sum_k theta_k.

    Sums are kept as error-compensated pairs of float64 and rounded once to the parameters' own
    type, so that any split of the agents over actors, and any order, gives the same bits.
    """

    exemptions: ClassVar[dict[str, str]] = {}

    class Config(Settings):
        """Keys of `aggregator: {name: mean}`: none."""

    def __init__(self, config: Config) -> None:
        self.config = config

    def partial(self, shared: Params) -> Partial:
        """Sum of [N, ...] over agents: [...] as a pair."""
        sums = {name: _sum_rows(x) for name, x in shared.items()}
        num_agents = len(next(iter(shared.values())))
        high, low = {k: s[0] for k, s in sums.items()}, {k: s[1] for k, s in sums.items()}
        return Partial(high, low, num_agents)

    def merge(self, server: ServerState, partials: Iterable[Partial]) -> ServerState:
        """The mean over all agents behind the partials; the round number goes up by one."""
        shared, rest = server.shared, iter(partials)
        first = next(rest, None)
        if first is not None:
            total = functools.reduce(_add_partials, rest, first)
            shared = {name: _mean(total, name, old.dtype) for name, old in shared.items()}
        return ServerState(round=server.round + 1, shared=shared, memory=server.memory)


def _add_partials(a: Partial, b: Partial) -> Partial:
    sums = {k: _add((a.high[k], a.low[k]), (b.high[k], b.low[k])) for k in a.high}
    high, low = {k: s[0] for k, s in sums.items()}, {k: s[1] for k, s in sums.items()}
    return Partial(high, low, a.num_agents + b.num_agents)


def _mean(total: Partial, name: str, dtype: Any) -> Array:
    mean = (total.high[name] + total.low[name]) / total.num_agents
    return np.asarray(mean.astype(dtype))


def _sum_rows(x: Array) -> tuple[Array, Array]:
    total = x[0].astype(np.float64), np.zeros(x.shape[1:])
    for row in x[1:]:
        total = _add(total, (row.astype(np.float64), np.float64(0.0)))
    return total


def _add(a: Pair, b: tuple[Array, Array | np.float64]) -> Pair:
    """Sum of two pairs: Knuth's two-sum of the high parts, the errors added to the low parts."""
    high = a[0] + b[0]
    part = high - a[0]
    error = (a[0] - (high - part)) + (b[0] - part)
    return high, a[1] + b[1] + error
