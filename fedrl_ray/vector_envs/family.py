"""The contract of an environment family.

A family knows its physical parameters by name. From a perturbation it draws the dynamics of K
local agents and lays out a test grid. From dynamics it makes a vector environment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from algorithms.draws import Role, philox
from algorithms.types import Dynamics, Spec

from ..common.errors import UserError
from .episodes import EpisodeSeeds, EpisodicVectorEnv
from .grids import grid_points, require_size
from .parameters import TRAINING, EnvironmentConfig, Parameter, Perturbation, UniformRange


class EnvFamily(ABC):
    """A family of environments that differ in their physical parameters."""

    Config: ClassVar[type[EnvironmentConfig]] = EnvironmentConfig
    exemptions: Mapping[str, str] = {}
    """Laws of the project that do not hold for this plug-in, each with its reason.

    A class attribute, or set in __init__ if it depends on the configuration.
    """
    parameters: Mapping[str, Parameter] = {}
    """Physical parameters by name.

    A class attribute, or set in __init__ if it depends on the configuration.
    """
    spec: Spec
    """Observations, actions and time limit of every environment of the family."""

    def __init__(self, config: EnvironmentConfig) -> None:
        self.config = config

    @abstractmethod
    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> EpisodicVectorEnv:
        """Return a vector environment whose row i has dynamics[name][i] for every parameter.

        retire: stop a row after its first episode, as an evaluation does.
        """

    def bytes_per_environment(self) -> int:
        """Return the memory of one environment in bytes, estimated rather too high than too low."""
        return 2**14

    def nominal(self) -> Dynamics:
        """Return the dynamics of the unperturbed environment: each parameter [1]."""
        return {name: np.array([p.nominal]) for name, p in self.parameters.items()}

    def draw(
        self,
        perturb: Mapping[str, Perturbation],
        *,
        seed: int,
        agent_ids: Sequence[int],
        key: str = TRAINING,
    ) -> Dynamics:
        """Return the dynamics of some agents: each parameter [N].

        A perturbed parameter is uniform in its range. Its draw is keyed by (seed, agent,
        parameter), so no other parameter or agent changes it.
        """
        dynamics = {n: np.repeat(v, len(agent_ids)) for n, v in self.nominal().items()}
        ranges = self.ranges(perturb, key=key)
        for index, name in enumerate(self.parameters):
            if name not in perturb:
                continue
            value = perturb[name]
            if isinstance(value, tuple):
                dynamics[name] = np.array([value[agent] for agent in agent_ids])
                continue
            low, high = ranges[name]
            dynamics[name] = np.array(
                [philox(seed, Role.DYNAMICS, a, index).uniform(low, high) for a in agent_ids]
            )
        return dynamics

    def grid(
        self, perturb: Mapping[str, Perturbation], *, size: int, seed: int, key: str = TRAINING
    ) -> Dynamics:
        """Return the test grid over a perturbation: each parameter [M]. See `grids.grid_points`."""
        ranges = self.ranges(perturb, key=key)
        points = grid_points(ranges, self.nominal(), size=size, seed=seed)
        m = len(next(iter(points.values()))) if points else 1
        return {n: points.get(n, np.repeat(v, m)) for n, v in self.nominal().items()}

    def check_grid(
        self, perturb: Mapping[str, Perturbation], *, size: int, key: str = TRAINING
    ) -> None:
        """Raise UserError if `grid` cannot be laid out. The grid itself is not made."""
        require_size(self.ranges(perturb, key=key), size)

    def ranges(
        self, perturb: Mapping[str, Perturbation], *, key: str = TRAINING
    ) -> dict[str, tuple[float, float]]:
        """Return the low and high end of each perturbed parameter, in the order of `parameters`.

        Raises UserError: a parameter does not exist, or a value lies outside its legal range.
        Errors name the configuration key `key`.
        """
        for name in perturb:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise UserError(f"{key}.{name}: no such parameter; known: {known}")
        present = [name for name in self.parameters if name in perturb]
        return {name: self._range(name, perturb[name], f"{key}.{name}") for name in present}

    def _range(self, name: str, value: Perturbation, key: str) -> tuple[float, float]:
        p = self.parameters[name]
        if isinstance(value, UniformRange):
            low, high = value.low, value.high
        elif isinstance(value, tuple):
            if not value:
                raise UserError(f"{key}: must hold one value per agent; got an empty list")
            low, high = min(value), max(value)
        else:
            low, high = sorted((p.nominal * (1 - value), p.nominal * (1 + value)))
            if low == high:
                raise UserError(
                    f"{key}: must be {{low:, high:}}, because nominal is 0; got {value!r}"
                )
        if not p.low <= low <= high <= p.high:
            raise UserError(
                f"{key}: must stay within [{p.low:g}, {p.high:g}] {p.unit}".rstrip()
                + f"; got [{low:g}, {high:g}]"
            )
        return low, high
