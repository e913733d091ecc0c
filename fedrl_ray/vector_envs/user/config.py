"""Keys of the `gymnasium` family."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from algorithms.settings import Settings

from ...common.json_values import require_json, tuples_as_lists
from ..parameters import EnvironmentConfig, EpisodeSteps
from . import paths

# `Settings` makes tuples of the lists inside a mapping, and the user's code expects lists.
Arguments = dict[
    str, Annotated[Any, BeforeValidator(tuples_as_lists), AfterValidator(require_json)]
]
"""Keyword arguments of any type that YAML has."""


class UserParameter(Settings):
    """A physical parameter of your environment."""

    target: str | tuple[str, ...]
    """One place, or a list of places, that hold the value: a constructor argument (`length`,
    `config[density]`), or a path from the environment to an attribute, an element or a method
    (`unwrapped.mass`, `unwrapped.model.body_mass[2]`, `unwrapped.set_mass`). A method is called
    with the value."""
    nominal: int | float | None = None
    """Unperturbed value; null: the argument's default, or the attribute's value. A parameter whose
    value is a whole number stays whole; 3.0 allows fractions where the default is 3."""
    low: float | None = None
    """Smallest legal value; null: no limit."""
    high: float | None = None
    """Largest legal value; null: no limit."""
    unit: str = ""
    """Unit, shown in messages and reports."""
    meaning: str = ""
    """Meaning, shown in reports."""
    verify: bool = True
    """true: refuse to start if a perturbed value changes nothing in a short trial."""

    @property
    def targets(self) -> tuple[paths.Path, ...]:
        """Every place that holds the value."""
        texts = (self.target,) if isinstance(self.target, str) else self.target
        return tuple(map(paths.parse, texts))

    @field_validator("target")
    @classmethod
    def _are_paths(cls, target: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if not target:
            raise ValueError("must name at least one place")
        for text in (target,) if isinstance(target, str) else target:
            paths.parse(text)
        return target


class Wrapper(Settings):
    """A wrapper around your environment."""

    wrapper: str
    """`package.module:Class`, called with the environment as its first argument."""
    kwargs: Arguments = {}
    """Its other arguments."""


class GymnasiumConfig(EnvironmentConfig):
    """Keys of `environment: {name: gymnasium}`, a Gymnasium environment of your own."""

    id: str | None = None
    """Id registered with Gymnasium, or name registered with `ray.tune.register_env`: `CartPole-v1`,
    or `package.module:MyEnv-v0` to import the module first."""
    factory: str | None = None
    """`package.module:callable` that returns an environment, in place of `id`."""
    kwargs: Arguments = {}
    """Arguments of the constructor or of the factory."""
    agents: tuple[Arguments, ...] | dict[str, Arguments] | None = None
    """Further constructor arguments of each agent's environment, of any YAML type: a list, or a
    mapping from names to arguments. The number of agents follows from it."""
    wrappers: tuple[Wrapper | str, ...] = ()
    """Wrappers to apply in order, each `package.module:Class` or {wrapper:, kwargs:}."""
    flatten: bool = False
    """true: flatten observations of a Dict, Tuple, Discrete or other space, and images, to a vector
    (gymnasium.wrappers.FlattenObservation)."""
    parameters: dict[str, UserParameter] = {}
    """Physical parameters, by the names that `perturb` uses."""
    max_episode_steps: EpisodeSteps | None = None
    """Time limit in steps; null: the registered limit."""
    max_open: Annotated[int, Field(ge=1, le=100_000)] = 4
    """Most test environments that an evaluation holds open at once, beside those of the agents.
    More of them act in one batch, which is faster; fewer take less memory."""

    def num_agents(self) -> int | None:
        """Return the number of agents that `agents` lists."""
        return None if self.agents is None else len(self.agents)

    @model_validator(mode="after")
    def _one_source(self) -> GymnasiumConfig:
        if (self.id is None) == (self.factory is None):
            raise ValueError("must have exactly one of id and factory")
        return self

    @field_validator("agents")
    @classmethod
    def _are_some(cls, agents: Any) -> Any:
        if agents is not None and not agents:
            raise ValueError("must hold at least one agent's arguments")
        return agents
