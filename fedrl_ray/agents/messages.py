"""What crosses between the driver and its local agents: small frozen records, no trajectories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from algorithms.types import Array, Params, Partial


@dataclass(frozen=True, kw_only=True)
class RoundOrder:
    """Do one round from these parameters. `attempt` tells a round repeated after a rewind."""

    round: int
    attempt: int
    shared: Params


@dataclass(frozen=True, kw_only=True)
class RoundReply:
    """What the agents of one host learnt in one round.

    partial: None once it has been merged. metrics: by name, a value per agent, [N] float64 (NaN:
    nothing seen). return_sum, episodes: of the training episodes that ended in the round, [N].
    seconds: spent inside the host.
    """

    round: int
    attempt: int
    agent_ids: tuple[int, ...]
    partial: Partial | None
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
    """A host that gave no answer. Data, until the driver's policy decides.

    kind: `died` (process or node lost), `timeout`, `exception` (user code raised; `reason`
    holds the traceback), or `checkpoint` (its shard is not as it was written).
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
    """Where a host runs. node: Ray's id of the node; None where it runs in the driver's process.
    profile: its execution profile."""

    node: str | None
    hostname: str
    pid: int
    profile: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a log: where, not on what."""
        return {"node": self.node, "hostname": self.hostname, "pid": self.pid}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Undiscounted returns of the global policy over test environments.

    average: mean over the grid; worst: minimum over the grid of the mean per environment;
    nominal: the unperturbed environment. Without a grid (`evaluation.where: agents`) the
    environments are the K training ones, `where` says so and nominal is NaN.
    returns: [M] means; episode_returns: [M, episodes]; dynamics: the parameters of the M
    environments.
    """

    where: Literal["driver", "agents"]
    nominal: float
    average: float
    worst: float
    returns: Array
    episode_returns: Array
    dynamics: dict[str, Array]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a log."""
        return {
            "where": self.where,
            "nominal": self.nominal,
            "average": self.average,
            "worst": self.worst,
            "returns": self.returns.tolist(),
            "episode_returns": self.episode_returns.tolist(),
            "dynamics": {name: values.tolist() for name, values in self.dynamics.items()},
        }


@dataclass(frozen=True, kw_only=True)
class RoundReport:
    """One completed round.

    round: rounds completed. steps: local steps per agent. agent_steps: summed over agents.
    metrics: by name, a value per agent, [K]; `episode_return` is the mean return of the training
    episodes that ended in the round. drift: root mean square over agents of the distance of their
    parameters to the mean, just before averaging. seconds: the round's wall time; learning: the
    longest time inside a host. bytes: broadcast plus replies. absent: agents that took no part.
    phases: seconds by name (`phases.PHASES`) since the last report. failures: since then, too.
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
    absent: tuple[int, ...] = ()
    failures: tuple[str, ...] = ()
    evaluation: Evaluation | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a log, the evaluation left out: it has a log of its own."""
        names = ("round", "steps", "agent_steps", "drift", "participants")
        timing = ("seconds", "learning", "bytes", "phases", "absent", "failures")
        row = {name: getattr(self, name) for name in names}
        row["agents"] = {name: values.tolist() for name, values in self.metrics.items()}
        row |= {name: getattr(self, name) for name in timing}
        return row | {"phases": {name: round(value, 6) for name, value in self.phases.items()}}
