"""Local agents that measure their rounds, and the requests for what they measured."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from algorithms.offpolicy import OffPolicyLearner
from fedrl_ray.agents.agent_batch import LockStepBatch
from fedrl_ray.agents.local_agents import LocalAgents
from fedrl_ray.agents.messages import RoundOrder, RoundReply
from fedrl_ray.backends.requests import Request

PHASES = ("acting", "environment", "replay", "update")


class MeasuredAgents(LocalAgents):
    """Local agents that time their rounds.

    Clocks inside a round run only after `watch`, because they cost time too.
    """

    def __init__(self, experiment: Mapping[str, Any], agent_ids: Sequence[int]) -> None:
        super().__init__(experiment, agent_ids)
        self._rounds: list[float] = []
        self._spent: Counter[str] = Counter()

    def run_round(self, order: RoundOrder) -> RoundReply:
        """Run a round and note its seconds."""
        reply = super().run_round(order)
        self._rounds.append(reply.seconds)
        return reply

    def take_rounds(self) -> list[float]:
        """Return the seconds of each round since the last call."""
        rounds, self._rounds = self._rounds, []
        return rounds

    def watch(self) -> None:
        """Time every phase of a round from now on."""
        for batch in self._batches:
            assert isinstance(batch, LockStepBatch)
            learner, env = batch._learner, batch._env
            assert isinstance(learner, OffPolicyLearner)
            self._time(learner, "explore", "acting")
            self._time(env, "step", "environment")
            self._time(learner.replay, "add", "replay")
            self._time(learner.replay, "sample", "replay")
            self._time(learner, "update", "update")

    def phases(self) -> dict[str, float]:
        """Return the seconds by phase since `watch`."""
        return {name: self._spent[name] for name in PHASES}

    def _time(self, owner: Any, name: str, phase: str) -> None:
        setattr(owner, name, self._timed(getattr(owner, name), phase))

    def _timed(self, call: Callable[..., Any], phase: str) -> Callable[..., Any]:
        def timed(*args: Any) -> Any:
            started = time.perf_counter()
            result = call(*args)
            self._spent[phase] += time.perf_counter() - started
            return result

        return timed


@dataclass(frozen=True)
class TakeRounds(Request[list[float]]):
    """Request for the seconds of each round since the last such request."""

    def apply(self, agents: LocalAgents) -> list[float]:
        """Return the seconds."""
        return _measured(agents).take_rounds()


@dataclass(frozen=True)
class Watch(Request[None]):
    """Request to time every phase of a round from now on."""

    def apply(self, agents: LocalAgents) -> None:
        """Start the clocks."""
        _measured(agents).watch()


@dataclass(frozen=True)
class Phases(Request[dict[str, float]]):
    """Request for the seconds by phase since `Watch`."""

    def apply(self, agents: LocalAgents) -> dict[str, float]:
        """Return the seconds."""
        return _measured(agents).phases()


@dataclass(frozen=True)
class ResidentBytes(Request[int]):
    """Request for the resident memory of a worker's process."""

    def apply(self, agents: LocalAgents) -> int:
        """Return the bytes."""
        return int(psutil.Process(os.getpid()).memory_info().rss)


def _measured(agents: LocalAgents) -> MeasuredAgents:
    assert isinstance(agents, MeasuredAgents)
    return agents
