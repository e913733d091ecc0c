"""The keys of `learner: {name: rllib}`, as far as this package uses them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from ..config.schema import Experiment


class RLlibSettings(Protocol):
    """Keys that `fedrl_ray.learners.rllib` documents."""

    @property
    def algorithm(self) -> str:
        """Name of the algorithm in RLlib's registry."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Arguments of AlgorithmConfig's methods."""

    @property
    def interval_unit(self) -> str:
        """Unit of `federation.sync_interval`: steps or iterations."""

    @property
    def iteration_steps(self) -> int | None:
        """Environment steps of one training iteration; None: the whole interval."""

    @property
    def omega(self) -> float:
        """Robustness level of the target."""

    @property
    def expectile(self) -> float:
        """Expectile level of the degree network."""


def settings_of(experiment: Experiment) -> RLlibSettings:
    """Return the learner's keys of an experiment whose learner is rllib."""
    return cast(RLlibSettings, experiment.learner.settings)
