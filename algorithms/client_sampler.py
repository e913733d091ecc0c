"""The contract of a client sampler: which agents take part in a round."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .settings import Settings


class ClientSampler(ABC):
    """Chooses the participating agents of each round.

    A choice depends on (seed, round) and on the agents that can be asked, and on nothing else. It
    is therefore the same under any packing and after any resume, and there is no state to store.
    An agent that is not chosen does not step.
    """

    Config: ClassVar[type[Settings]]
    exemptions: ClassVar[Mapping[str, str]] = {}
    """Laws of the project that do not hold for this plug-in, each with its reason."""

    def __init__(self, config: Any, *, num_agents: int, seed: int) -> None:
        self.config, self.num_agents, self.seed = config, num_agents, seed

    @classmethod  # noqa: B027 - a default
    def check(cls, config: Any, num_agents: int) -> None:
        """Raise ValueError if these keys do not fit so many agents."""

    @abstractmethod
    def sample(self, round_number: int, available: Sequence[int]) -> tuple[int, ...]:
        """Return the ids of the participating agents, in ascending order, at least one.

        available: ids of the agents that can be asked, ascending: all K of them, or under
        `on_failure: continue` those whose worker is up.
        """
