"""The contract of a server optimizer: it moves the global parameters towards the aggregate.

With theta the global parameters and m the aggregate of a round, Delta = m - theta plays the role
of a negative gradient (Reddi et al., ICLR 2021, arXiv 2003.00295). A server optimizer applies it
to everything that is averaged, target networks included.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from .settings import Settings
from .types import Params


class ServerOptimizer(ABC):
    """Applies the aggregate of a round. Its state travels with the server's checkpoint."""

    Config: ClassVar[type[Settings]]
    exemptions: ClassVar[Mapping[str, str]] = {}
    """Laws of the project that do not hold for this plug-in, each with its reason."""

    def __init__(self, config: Any) -> None:
        self.config = config

    def initial_state(self, shared: Params) -> Params:
        """Return the state before the first round; empty for a rule without memory."""
        return {}

    @abstractmethod
    def apply(self, shared: Params, aggregate: Params, state: Params) -> tuple[Params, Params]:
        """Return the new parameters, of the types of `shared`, and the new state.

        shared: the global parameters theta. aggregate: m, in float64. state: arrays by name.
        """
