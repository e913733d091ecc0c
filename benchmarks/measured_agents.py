"""Local agents that tell how long each of their rounds took, where the time went, and the memory
of their process."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psutil

from fedrl_ray.agents.local_agents import LocalAgents
from fedrl_ray.agents.messages import RoundOrder, RoundReply

PHASES = ("acting", "environment", "replay", "update")


class MeasuredAgents(LocalAgents):
    """Measures nothing inside a round until `watch` is called: clocks cost time too."""

    def __init__(self, experiment: Mapping[str, Any], agent_ids: Sequence[int]) -> None:
        super().__init__(experiment, agent_ids)
        self._rounds: list[float] = []
        self._spent: Counter[str] = Counter()

    def run_round(self, order: RoundOrder) -> RoundReply:
        reply = super().run_round(order)
        self._rounds.append(reply.seconds)
        return reply

    def take_rounds(self) -> list[float]:
        """Seconds of each round since the last call."""
        rounds, self._rounds = self._rounds, []
        return rounds

    def resident_bytes(self) -> int:
        """Of this process."""
        return int(psutil.Process(os.getpid()).memory_info().rss)

    def watch(self) -> None:
        """From now on time is taken phase by phase."""
        learner, env = self._learner, self._env
        self._time(learner, "explore", "acting")
        self._time(env, "step", "environment")
        self._time(learner.replay, "add", "replay")
        self._time(learner.replay, "sample", "replay")
        self._time(learner, "update", "update")

    def phases(self) -> dict[str, float]:
        """Seconds by phase since `watch`."""
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
