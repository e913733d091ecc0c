"""Recovery from lost workers: one class per value of `federation.on_failure` (law 3)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from algorithms.types import ServerState

from ..agents.messages import WorkerFailure
from ..backends.backend import Backend
from ..common.errors import CheckpointError, RunError
from ..config.schema import FederationConfig
from ..storage.manifests import read_manifest
from .checkpoint_keeper import CheckpointKeeper
from .participation import Participation
from .replies import Replies, require_read
from .timing import PhaseClock

Tell = Callable[..., None]
"""Called with an event of `runs.events.EVENTS` and its fields."""


def to_nobody(event: str, **fields: Any) -> None:
    """Drop an event: a driver without a run has no log."""


class Federation(Protocol):
    """The parts of a driver that recovery works on."""

    backend: Backend
    participation: Participation
    checkpoints: CheckpointKeeper
    server: ServerState
    clock: PhaseClock
    failures: list[str]
    tell: Tell

    def restore_newest(self, *, any_profile: bool = False) -> None:
        """Load the newest sound checkpoint into the driver and all workers."""


class Recovery(ABC):
    """Decides if a round counts without some workers, and brings lost workers back."""

    def __init__(self, driver: Federation, federation: FederationConfig) -> None:
        self._driver, self._federation = driver, federation
        self.attempt = 0
        """Number of recoveries; a reply to an order of an earlier attempt is discarded."""
        self._setbacks, self._furthest = 0, 0

    @abstractmethod
    def accepts(self, taken: Replies) -> bool:
        """Return True if a round counts with the replies that came."""

    @abstractmethod
    def _bring_back(self, workers: Sequence[int]) -> bool:
        """Bring back rebuilt workers; return True if the driver stays at its round."""

    def admit(self) -> None:  # noqa: B027 - only some policies admit workers late
        """Let rebuilt workers take part again, before a round or an evaluation."""

    def completed(self, round_number: int) -> None:
        """Note a completed round: failures before it do not count any more."""
        if round_number > self._furthest:
            self._furthest, self._setbacks = round_number, 0

    def recover(self, lost: Sequence[WorkerFailure]) -> bool:
        """Rebuild lost workers; return True if the driver can repeat what was interrupted.

        False means that the driver went back to an earlier round. Raises RunError if user code
        raised, if there is nothing to go back to, or after `federation.max_rewinds` failures in a
        row.
        """
        self._driver.failures += [str(failure) for failure in lost]
        for failure in lost:
            self._driver.tell("worker_lost", **self._described(failure))
        self._require_recoverable(lost)
        self.attempt += 1
        with self._driver.clock.phase("recovery"):
            return self._rebuild(sorted({failure.worker for failure in lost}))

    def _rebuild(self, workers: Sequence[int]) -> bool:
        backend = self._driver.backend
        if self._driver.checkpoints.newest is None:  # lost while the first one was being written
            backend.rebuild(range(len(backend.groups)))
            return True
        backend.rebuild(workers)
        return self._bring_back(workers)

    def _require_recoverable(self, lost: Sequence[WorkerFailure]) -> None:
        for failure in lost:
            if failure.kind == "exception":
                raise RunError(str(failure))
        limit, keeper = self._federation.max_rewinds, self._driver.checkpoints
        self._setbacks += 1
        if self._setbacks > limit:
            raise RunError(
                f"{self._setbacks} failures without a new round completed "
                f"(federation.max_rewinds is {limit}); the last: {lost[-1]}"
            )
        if keeper.newest is None and (self._driver.server.round or not keeper.has_directory):
            raise RunError(f"{lost[-1]}; there is no checkpoint to go back to")

    def _described(self, failure: WorkerFailure) -> dict[str, Any]:
        """Return a failure as fields of a log."""
        place = self._driver.backend.places()[failure.worker]
        return {
            "agents": list(failure.agent_ids),
            "kind": failure.kind,
            "reason": failure.reason.strip(),
            "node": None if place is None else place.node,
            "pid": None if place is None else place.pid,
        }


class Rewind(Recovery):
    """All agents go back to the newest checkpoint, so a lost worker changes no bit."""

    def accepts(self, taken: Replies) -> bool:
        """Return True if no worker was lost."""
        return not taken.lost

    def _bring_back(self, workers: Sequence[int]) -> bool:
        before = self._driver.server.round
        self._driver.restore_newest(any_profile=True)
        self._driver.tell("rewind", from_round=before, to_round=self._driver.server.round)
        return False


class Continue(Recovery):
    """The others go on; a rebuilt worker joins at the next broadcast with its own last state."""

    def accepts(self, taken: Replies) -> bool:
        """Return True if at least `min_agents` took part, or all that were sampled if fewer."""
        needed = min(self._federation.min_agents, len(taken.order.agent_ids))
        return len(taken.agent_ids) >= needed

    def admit(self) -> None:
        """Let rebuilt workers join that are up, and wait for one while too few are left."""
        participation = self._driver.participation
        participation.admit(self._join)
        while participation.needs_more:
            with self._driver.clock.phase("recovery"):
                participation.await_one()
            participation.admit(self._join)

    def _bring_back(self, workers: Sequence[int]) -> bool:
        keeper = self._driver.checkpoints
        keeper.newest = keeper.newest_sound()  # the lost agents' states, now and later
        self._driver.participation.leave(workers)
        return True

    def _join(self, worker: int) -> None:
        driver, keeper = self._driver, self._driver.checkpoints
        path = keeper.newest = keeper.newest_sound()
        manifest = read_manifest(path)
        with driver.clock.phase("recovery"):
            again = driver.backend.load(str(path), manifest.agent_files, [worker])
        try:
            require_read(again)
        except CheckpointError as error:
            keeper.refuse(path, error)
            return self._join(worker)
        if again:
            self.recover(again)
        else:
            agents = list(driver.backend.groups[worker])
            driver.tell("rebuilt", agents=agents, from_round=manifest.round)


POLICIES: dict[str, type[Recovery]] = {"rewind": Rewind, "continue": Continue}
"""By the value of `federation.on_failure`."""
