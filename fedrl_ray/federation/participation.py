"""Participation: which agents take part in a round, and which workers host them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from algorithms.client_sampler import ClientSampler

from ..backends.backend import Backend
from ..common.errors import RunError
from ..config.schema import FederationConfig


class Participation:
    """The workers that can be asked, and the agents of theirs that take part in a round.

    Under `on_failure: continue` a lost worker is rebuilt beside the rounds. Until it joins, it is
    absent, and the client sampler chooses among the agents of the others.
    """

    def __init__(
        self, backend: Backend, federation: FederationConfig, sampler: ClientSampler
    ) -> None:
        self._backend, self._federation, self._sampler = backend, federation, sampler
        self._joining: set[int] = set()

    @property
    def present(self) -> list[int]:
        """Workers that can be asked, in order."""
        workers = range(len(self._backend.groups))
        return [worker for worker in workers if worker not in self._joining]

    @property
    def present_agents(self) -> list[int]:
        """Agents of the present workers, ascending."""
        return sorted(agent for w in self.present for agent in self._backend.groups[w])

    @property
    def absent_agents(self) -> set[int]:
        """Agents of the absent workers."""
        return {agent for worker in self._joining for agent in self._backend.groups[worker]}

    def sample(self, round_number: int) -> tuple[int, ...]:
        """Return the ids of the agents that take part in a round, ascending."""
        return self._sampler.sample(round_number, self.present_agents)

    def workers_of(self, agent_ids: Sequence[int]) -> list[int]:
        """Return the present workers that host any of these agents, in order."""
        wanted = set(agent_ids)
        return [w for w in self.present if not wanted.isdisjoint(self._backend.groups[w])]

    @property
    def needs_more(self) -> bool:
        """True if fewer than `federation.min_agents` agents are present."""
        return len(self.present_agents) < self._federation.min_agents

    def leave(self, workers: Sequence[int]) -> None:
        """Mark rebuilt workers as absent until they join."""
        self._joining |= set(workers)

    def admit(self, join: Callable[[int], None]) -> None:
        """Call `join` for each absent worker that is up; it may make workers leave again."""
        for worker in [w for w in sorted(self._joining) if self._backend.is_up(w)]:
            self._joining.discard(worker)
            join(worker)

    def await_one(self) -> None:
        """Wait until an absent worker is up. Raises RunError if none comes up in time."""
        waiting = sorted(self._joining)
        self._backend.await_up(waiting)
        if not any(self._backend.is_up(worker) for worker in waiting):
            f = self._federation
            raise RunError(
                f"{len(self.present_agents)} agents are left, federation.min_agents is "
                f"{f.min_agents}, and no other came up within federation.start_timeout "
                f"({f.start_timeout:g} s)"
            )
