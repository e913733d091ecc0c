"""A backend in this process whose workers are lost on purpose."""

from __future__ import annotations

from typing import Any

from fedrl_ray.agents.messages import RoundReply, WorkerFailure
from fedrl_ray.backends.in_process import InProcessBackend
from fedrl_ray.backends.placement import groups


class FaultyBackend(InProcessBackend):
    """A backend that loses workers, as Ray reports it, at given calls of `run_round` from 0 on."""

    def __init__(self, experiment: Any, lose: dict[int, list[int]], kind: str = "died") -> None:
        e = experiment.federation
        packed = groups(e.num_agents, e.agents_per_actor, cpus=1)
        super().__init__(experiment.to_dict(), packed)
        self._lose, self._kind, self._calls = lose, kind, -1

    def run_round(self, order: Any, workers: Any) -> list[RoundReply | WorkerFailure]:
        self._calls += 1
        results = list(super().run_round(order, workers))
        for worker in self._lose.get(self._calls, []):
            if worker in workers:
                results[list(workers).index(worker)] = WorkerFailure(
                    worker=worker,
                    agent_ids=self.groups[worker],
                    kind=self._kind,
                    reason="for the test",
                )
        return results
