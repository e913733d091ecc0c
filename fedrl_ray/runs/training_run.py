"""The contract of a run: what a command does with one, wherever its driver lives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from ..agents.messages import RoundReport
from ..config.schema import Experiment
from ..storage.locations import Location


class TrainingRun(ABC):
    """An experiment that trains into a directory, one round at a time."""

    experiment: Experiment
    location: Location
    done: bool
    """True once the budget is spent."""
    exemptions: dict[str, str]
    """Laws that do not hold in this run, each with its reason."""

    @abstractmethod
    def advance(self) -> RoundReport | None:
        """Complete one round; return None if the budget was spent already."""

    @abstractmethod
    def finish(self) -> dict[str, Any]:
        """Write a checkpoint of this round and summary.json; return its content."""

    @abstractmethod
    def close(self, *, at_once: bool = False) -> None:
        """Let go of the directory and of the local agents.

        at_once: do not wait for a round that is under way.
        """
