"""Which hosts take part in a round: under `continue` a host that was lost joins again late."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..backends.backend import Backend
from ..common.errors import RunError
from ..config.schema import FederationConfig


class Participation:
    """The hosts of a pool that are present, and those that were rebuilt and are not up yet."""

    def __init__(self, backend: Backend, federation: FederationConfig) -> None:
        self._backend, self._federation = backend, federation
        self._joining: set[int] = set()

    @property
    def present(self) -> list[int]:
        """The hosts that take part, in order."""
        return [
            worker for worker in range(len(self._backend.groups)) if worker not in self._joining
        ]

    @property
    def absent_agents(self) -> set[int]:
        """Agents of the hosts that do not."""
        return {agent for worker in self._joining for agent in self._backend.groups[worker]}

    @property
    def needs_more(self) -> bool:
        """Whether fewer than `min_agents` are present."""
        return self._num_present() < self._federation.min_agents

    def leave(self, workers: Sequence[int]) -> None:
        """These hosts were rebuilt; they are absent until they join."""
        self._joining |= set(workers)

    def admit(self, join: Callable[[int], None]) -> None:
        """`join` each host that is up by now; it may make hosts leave again."""
        for worker in [h for h in sorted(self._joining) if self._backend.is_up(h)]:
            self._joining.discard(worker)
            join(worker)

    def await_one(self) -> None:
        """Wait until a host that is absent is up. Raises RunError where none comes in time."""
        waiting = sorted(self._joining)
        self._backend.await_up(waiting)
        if not any(self._backend.is_up(worker) for worker in waiting):
            f = self._federation
            raise RunError(
                f"{self._num_present()} agents are left, federation.min_agents is {f.min_agents}, "
                f"and no other came up within federation.start_timeout ({f.start_timeout:g} s)"
            )

    def _num_present(self) -> int:
        return sum(len(self._backend.groups[worker]) for worker in self.present)
