"""Messages between the driver and its workers: small frozen records without trajectories."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from algorithms.aggregator import Message
from algorithms.types import Array, Params


@dataclass(frozen=True, kw_only=True)
class RoundOrder:
    """An order to do one round from the global parameters.

    attempt: distinguishes a round that is repeated after a rewind. agent_ids: the participating
    agents, [P] int64, ascending. clocks: local steps that each of them has taken, [P] int64.
    """

    round: int
    attempt: int
    shared: Params
    agent_ids: Array
    clocks: Array

    @classmethod
    def to(
        cls, agent_ids: Sequence[int], shared: Params, *, clock: int = 0, round: int = 0
    ) -> RoundOrder:
        """Return a first attempt to agents that have all taken `clock` local steps."""
        ids = np.array(agent_ids, dtype=np.int64)
        clocks = np.full(len(ids), clock, dtype=np.int64)
        return cls(round=round, attempt=0, shared=shared, agent_ids=ids, clocks=clocks)

    def clocks_of(self, agent_ids: Iterable[int]) -> dict[int, int]:
        """Return the clocks of those of some agents that take part, by agent id."""
        at = np.searchsorted(self.agent_ids, ids := np.array(tuple(agent_ids), dtype=np.int64))
        at = np.minimum(at, len(self.agent_ids) - 1)
        taking_part = self.agent_ids[at] == ids
        return dict(
            zip(ids[taking_part].tolist(), self.clocks[at[taking_part]].tolist(), strict=True)
        )


@dataclass(frozen=True, kw_only=True)
class RoundReply:
    """Results of the participating agents of one worker after one round.

    message: for the aggregation rule; None once the driver has merged it. metrics: by name, one
    value per agent, [N] float64; NaN where nothing was seen. return_sum, episodes: of the training
    episodes that ended in the round, [N]. seconds: time spent inside the worker.
    """

    round: int
    attempt: int
    agent_ids: tuple[int, ...]
    message: Message | None
    metrics: dict[str, Array]
    return_sum: Array
    episodes: Array
    seconds: float


FailureKind = Literal["died", "timeout", "exception", "checkpoint"]
_VERBS: dict[FailureKind, str] = {
    "died": "died",
    "timeout": "did not answer in time",
    "exception": "raised",
    "checkpoint": "found no state",
}


@dataclass(frozen=True, kw_only=True)
class WorkerFailure:
    """A worker that gave no answer. It is data until the driver's recovery decides.

    kind: `died` (the process or its node was lost), `timeout`, `exception` (user code raised, and
    `reason` holds the traceback), or `checkpoint` (its shard is not as it was written).
    """

    worker: int
    agent_ids: tuple[int, ...]
    kind: FailureKind
    reason: str

    def __str__(self) -> str:
        ids = self.agent_ids
        agents = f"agent {ids[0]}" if len(ids) == 1 else f"agents {ids[0]}-{ids[-1]}"
        return f"{agents} {_VERBS[self.kind]}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """The place of a worker.

    node: Ray's id of its node; None if it runs in the driver's process. niceness: of its process;
    the higher, the later the processor serves it. profile: its execution profile.
    """

    node: str | None
    hostname: str
    pid: int
    niceness: int
    profile: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for a log; the profile is left out."""
        return {
            "node": self.node,
            "hostname": self.hostname,
            "pid": self.pid,
            "niceness": self.niceness,
        }


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Undiscounted returns of the global policy over test environments.

    average: mean over the grid; worst: minimum over the grid of the mean per environment;
    nominal: the unperturbed environment. Without a grid (`evaluation.where: agents`) the
    environments are the K training ones, `where` says so and nominal is NaN.
    returns: [M] means; episode_returns: [M, episodes]; dynamics: the parameters of the M
    environments, and their names if the configuration names them.
    """

    where: Literal["driver", "agents"]
    nominal: float
    average: float
    worst: float
    returns: Array
    episode_returns: Array
    dynamics: dict[str, Array]

    def figures(self) -> dict[str, float]:
        """Return the three returns by name."""
        return {"nominal": self.nominal, "average": self.average, "worst": self.worst}

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for a log."""
        return {
            "where": self.where,
            **self.figures(),
            "returns": self.returns.tolist(),
            "episode_returns": self.episode_returns.tolist(),
            "dynamics": {name: _listed(values) for name, values in self.dynamics.items()},
        }


def _listed(values: Array) -> list[float] | list[str]:
    """Return a column of `Dynamics` for a log; sites by their names."""
    return [str(site) for site in values] if values.dtype == object else values.tolist()


class Outlier(NamedTuple):
    """An agent whose metric is far above that of the other participants of a round.

    measure: name of the metric. value: its value. times: the value as a multiple of the others'
    median, NaN if there is none. rounds: rounds so far in which the agent was an outlier.
    """

    agent: int
    measure: str
    value: float
    times: float
    rounds: int

    @property
    def is_told(self) -> bool:
        """True in rounds 1, 2, 4, 8, ... of an agent, so that telling does not flood a log."""
        return self.rounds & (self.rounds - 1) == 0

    def __str__(self) -> str:
        if not math.isfinite(self.value):
            return f"agent {self.agent} is an outlier: its {self.measure} is not finite"
        times = f"{self.times:,.0f} times the median of the others"
        return f"agent {self.agent} is an outlier: its {self.measure} is {times}"


@dataclass(frozen=True, kw_only=True)
class RoundReport:
    """One completed round.

    round: rounds completed. steps: rounds times local steps per round. agent_steps: local steps
    summed over agents. metrics: by name, one value per agent, [K]; `episode_return` is the mean
    return of the training episodes that ended. drift: root mean square over the participating
    agents of the distance of their parameters to the aggregate. participants: number of agents
    that took part. seconds: wall time of the round; learning: the longest time inside a worker.
    bytes: broadcast plus replies. sampled: ids of the agents that the client sampler chose, None
    if it chose all. absent: ids of sampled agents whose worker was lost. phases: seconds by name
    (`timing.PHASES`) since the last report. failures: texts since the last report. outliers:
    agents far from the others, found by the `Run` (`outliers.OutlierWatch`).
    """

    round: int
    steps: int
    agent_steps: int
    metrics: dict[str, Array]
    drift: float
    participants: int
    seconds: float
    learning: float
    bytes: int
    phases: dict[str, float]
    sampled: tuple[int, ...] | None = None
    absent: tuple[int, ...] = ()
    failures: tuple[str, ...] = ()
    evaluation: Evaluation | None = None
    outliers: tuple[Outlier, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for a log without the evaluation, which has a log of its own."""
        return {
            "round": self.round,
            "steps": self.steps,
            "agent_steps": self.agent_steps,
            "drift": self.drift,
            "participants": self.participants,
            "agents": {name: values.tolist() for name, values in self.metrics.items()},
            "seconds": self.seconds,
            "learning": self.learning,
            "bytes": self.bytes,
            "phases": {name: round(value, 6) for name, value in self.phases.items()},
            "sampled": None if self.sampled is None else list(self.sampled),
            "absent": self.absent,
            "failures": self.failures,
            "outliers": [outlier._asdict() for outlier in self.outliers],
        }
