"""The contract of an aggregation rule: from the agents' parameters to one set of parameters.

A rule declares what it needs. `SumAggregator` needs sums over agents: they are merged as replies
arrive, so the driver holds one sum at a time. `RowAggregator` needs every participating agent's
own parameters. Either returns an `Aggregate`; a server optimizer then applies it.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .exact_sums import Sums, add_sums, divided, weighted_sums
from .settings import Settings
from .types import Array, Params, ServerState


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """N agents of one worker after their round.

    shared: their parameters, each [N, ...]. update_norm: distance of each agent's parameters to
    the broadcast, [N] float64. steps: local steps of this round, [N]. episodes: training episodes
    that ended in it, [N].
    """

    agent_ids: tuple[int, ...]
    shared: Params
    update_norm: Array
    steps: Array
    episodes: Array


class Partial(NamedTuple):
    """The weighted sum over some agents, and what the drift needs of each.

    weights, update_norm: [N] float64, in the order of the agents.
    """

    sums: Sums
    weights: Array
    update_norm: Array

    @property
    def nbytes(self) -> int:
        """Bytes of the sums."""
        return sum(x.nbytes for x in (*self.sums.high.values(), *self.sums.low.values()))


class Rows(NamedTuple):
    """Parameters of participating agents: `shared` each [N, ...], `weights` [N] float64."""

    agent_ids: tuple[int, ...]
    shared: Params
    weights: Array

    @property
    def nbytes(self) -> int:
        """Bytes of the parameters."""
        return sum(x.nbytes for x in self.shared.values())


Message = Partial | Rows
"""An answer of one worker to the aggregation rule."""


class Aggregate(NamedTuple):
    """The result of a rule.

    shared: parameters by name, float64, no agent axis. drift: root mean square over agents
    (weighted as the rule weights them) of the distance of their parameters to `shared`.
    state: what the rule keeps for the next round.
    """

    shared: Params
    drift: float
    state: Params


class Aggregator(ABC):
    """A rule that knows parameters and weights, and neither messages nor client sampling."""

    Config: ClassVar[type[Settings]]
    exemptions: ClassVar[Mapping[str, str]] = {}
    """Laws of the project that do not hold for this plug-in, each with its reason."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def weights(self, contribution: Contribution) -> Array:
        """Return the weight of each agent: [N] float64, at least 0. By default all weigh 1."""
        return np.ones(len(contribution.agent_ids))

    @classmethod
    def driver_bytes(cls, num_agents: int, parameter_bytes: int) -> int:
        """Return the memory that the rule takes in the driver, beside one set of parameters."""
        return 0

    @abstractmethod
    def contribute(self, contribution: Contribution) -> Message:
        """Make a worker's message from its agents' parameters; runs inside the worker."""

    @abstractmethod
    def aggregate(self, server: ServerState, messages: Iterable[Message]) -> Aggregate | None:
        """Combine the messages as they arrive, in the order of the agents; runs in the driver.

        Returns None if no message comes: the driver then discards the round.
        """


class SumAggregator(Aggregator):
    """A weighted mean, theta = sum_k w_k theta_k / sum_k w_k. A subclass chooses the weights.

    The sums are exact enough to be rounded once (`exact_sums`), so any split of the agents over
    workers, and any order of their replies, gives the same bits.
    """

    def contribute(self, contribution: Contribution) -> Partial:
        """Return the weighted sum over the agents: [N, ...] -> [...]."""
        weights = self.weights(contribution)
        sums = weighted_sums(contribution.shared, weights)
        return Partial(sums, weights, contribution.update_norm)

    def aggregate(self, server: ServerState, messages: Iterable[Message]) -> Aggregate | None:
        """Return the weighted mean over all agents behind the messages."""
        partials = (message for message in messages if isinstance(message, Partial))
        first = next(partials, None)
        if first is None:
            return None
        total = functools.reduce(_add_partials, partials, first)
        mean = divided(total.sums, float(total.weights.sum()))
        return Aggregate(mean, _drift_from_norms(total, server.shared, mean), server.aggregator)


class RowAggregator(Aggregator):
    """A rule that sees every participating agent's own parameters (median, trimmed mean, Krum).

    A subclass writes `combine`. The driver holds the parameters of all participating agents.
    """

    @classmethod
    def driver_bytes(cls, num_agents: int, parameter_bytes: int) -> int:
        """Return the memory of all rows: as they arrive, and once more in float64."""
        return 3 * num_agents * parameter_bytes

    def contribute(self, contribution: Contribution) -> Rows:
        """Return the agents' parameters as they are, with their weights."""
        weights = self.weights(contribution)
        return Rows(contribution.agent_ids, contribution.shared, weights)

    def aggregate(self, server: ServerState, messages: Iterable[Message]) -> Aggregate | None:
        """Combine the rows of all agents, in the order of their ids."""
        rows = [message for message in messages if isinstance(message, Rows)]
        if not rows:
            return None
        together = _stacked(rows)
        shared = self.combine(together, server)
        return Aggregate(shared, _drift_of_rows(together, shared), server.aggregator)

    @abstractmethod
    def combine(self, rows: Rows, server: ServerState) -> Params:
        """Return the aggregate of the rows, each [K, ...] -> [...], in float64."""


def _add_partials(a: Partial, b: Partial) -> Partial:
    return Partial(
        add_sums(a.sums, b.sums),
        np.concatenate([a.weights, b.weights]),
        np.concatenate([a.update_norm, b.update_norm]),
    )


def _stacked(parts: list[Rows]) -> Rows:
    """All rows in the order of the agent ids, in float64: the order of replies does not show."""
    ids = np.array([agent for part in parts for agent in part.agent_ids])
    order = np.argsort(ids)
    shared = {
        name: np.concatenate([part.shared[name] for part in parts])[order].astype(np.float64)
        for name in parts[0].shared
    }
    weights = np.concatenate([part.weights for part in parts])[order]
    return Rows(tuple(int(agent) for agent in ids[order]), shared, weights)


def _drift_from_norms(total: Partial, broadcast: Params, mean: Params) -> float:
    """Return the drift without seeing any agent's parameters.

    For a weighted mean m of theta_k and broadcast b:
    sum_k w_k ||theta_k - b||^2 / W = sum_k w_k ||theta_k - m||^2 / W + ||m - b||^2.
    """
    moved = sum(
        float(np.square(mean[name] - broadcast[name].astype(np.float64)).sum())
        for name in sorted(broadcast)  # a checkpoint returns the names in another order
    )
    weights, squares = total.weights, np.square(total.update_norm)
    equal = bool((weights == weights[0]).all())
    spread = float(squares.mean() if equal else np.average(squares, weights=weights))
    return float(np.sqrt(max(0.0, spread - moved)))


def _drift_of_rows(rows: Rows, shared: Params) -> float:
    squares = sum(
        np.square(rows.shared[name] - shared[name]).reshape(len(rows.weights), -1).sum(1)
        for name in sorted(shared)
    )
    return float(np.sqrt(np.average(np.asarray(squares), weights=rows.weights)))
