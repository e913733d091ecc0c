"""The contract of an environment family.

A family knows its physical parameters by name. From a perturbation it draws the dynamics of K
local agents and lays out a test grid. From dynamics it makes a vector environment.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

import gymnasium
import numpy as np

from algorithms.draws import Role, philox
from algorithms.types import Dynamics, Spec

from ..common.errors import UserError
from .actions import ActionEncoding, encoding_of_spec
from .episode_seeds import EpisodeSeeds
from .episodes import EpisodicVectorEnv
from .grids import grid_points, require_size
from .parameters import TRAINING, EnvironmentConfig, Parameter, Perturbation, UniformRange
from .sites import ENVIRONMENT, Site, column

SITES = "evaluation.environments"
"""Key that lists the test environments by name."""


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
    has_nominal: bool = True
    """False if no environment is the unperturbed one, because the agents differ by category."""
    max_open: int | None = None
    """Most test environments that an evaluation opens at once; None: all, in one batch."""

    def __init__(self, config: EnvironmentConfig) -> None:
        self.config = config

    @abstractmethod
    def make(self, dynamics: Dynamics, seeds: EpisodeSeeds, *, retire: bool) -> EpisodicVectorEnv:
        """Return a vector environment whose row i has `dynamics[name][i]` for every parameter.

        retire: stop a row after its first episode, as an evaluation does.
        """

    @cached_property
    def actions(self) -> ActionEncoding:
        """The border between the learner's actions and those of the environments."""
        return encoding_of_spec(self.spec)

    def agent_label(self, agent: int) -> str:
        """Return the name of an agent in errors and reports."""
        return f"agent {agent}"

    def render_env(self, dynamics: Dynamics) -> gymnasium.Env[Any, Any]:
        """Return one environment in render mode `rgb_array`, for `fedrl-ray video`.

        dynamics: each parameter [1]. `reset(seed=)` and `step` give the bits of a row of `make`.
        Raises UserError: the family draws no pictures, or what it draws with is missing.
        """
        name = type(self).__module__.rpartition(".")[2]
        raise UserError(f"environment.name: {name} draws no pictures, so there is no video of it")

    def bytes_per_environment(self) -> int:
        """Return the memory of one environment in bytes, estimated rather too high than too low."""
        return 2**14

    def bytes_per_process(self) -> int:
        """Return the memory that each process needs beside its environments, in bytes."""
        return 0

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

        A perturbed parameter is uniform in its range, or among the whole numbers of its range. Its
        draw is keyed by (seed, agent, parameter), so no other parameter or agent changes it.
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
            draws = [philox(seed, Role.DYNAMICS, agent, index) for agent in agent_ids]
            low, high = ranges[name]
            if self.parameters[name].is_whole:
                whole = [draw.integers(int(low), int(high), endpoint=True) for draw in draws]
                dynamics[name] = np.array(whole, dtype=np.float64)
            else:
                dynamics[name] = np.array([draw.uniform(low, high) for draw in draws])
        return dynamics

    def grid(
        self, perturb: Mapping[str, Perturbation], *, size: int, seed: int, key: str = TRAINING
    ) -> Dynamics:
        """Return the test grid over a perturbation: each parameter [M]. See `grids.grid_points`."""
        ranges = self.ranges(perturb, key=key)
        whole = [name for name, p in self.parameters.items() if p.is_whole]
        points = grid_points(ranges, self.nominal(), size=size, seed=seed, whole=whole)
        m = len(next(iter(points.values()))) if points else 1
        return {n: points.get(n, np.repeat(v, m)) for n, v in self.nominal().items()}

    def named_grid(self, environments: Mapping[str, Mapping[str, Any]]) -> Dynamics:
        """Return test environments that are listed by name: each parameter [M].

        A parameter that an environment does not name has its nominal value. The column
        `sites.ENVIRONMENT` holds a `Site` with the name. Raises UserError: a parameter does not
        exist, or a value lies outside its legal range.
        """
        points = [self._point(name, values) for name, values in environments.items()]
        dynamics = {n: np.array([p[n] for p in points]) for n in self.parameters}
        return dynamics | {ENVIRONMENT: column([Site(name) for name in environments])}

    def _point(self, name: str, values: Mapping[str, Any]) -> dict[str, float]:
        """Return one value per parameter, with those of a named test environment."""
        for parameter, value in values.items():
            key = f"{SITES}.{name}.{parameter}"
            if parameter not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                raise UserError(f"{key}: no such parameter; known: {known}")
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise UserError(f"{key}: must be a number; got {value!r}")
            self._range(parameter, (float(value),), key)
        return {n: float(values.get(n, p.nominal)) for n, p in self.parameters.items()}

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
        if p.is_whole and not all(float(x).is_integer() for x in _values(value, low, high)):
            raise UserError(
                f"{key}: must lead to whole numbers, because {name} is one; got "
                f"[{low:g}, {high:g}] ({p.nominal:.1f} as nominal value allows fractions)"
            )
        return low, high


def _values(value: Perturbation, low: float, high: float) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (low, high)
