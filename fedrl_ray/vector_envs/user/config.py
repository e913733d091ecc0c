"""Keys of the `gymnasium` family."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, model_validator

from algorithms.settings import Settings

from ...common.json_values import require_json
from ..parameters import EnvironmentConfig, EpisodeSteps


class UserParameter(Settings):
    """A physical parameter of your environment."""

    target: str
    """Name of a constructor argument (`length`), or dotted path of an attribute that starts at the
    environment (`unwrapped.model.gravity`)."""
    nominal: float | None = None
    """Unperturbed value; null: the argument's default, or the attribute's value."""
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


class GymnasiumConfig(EnvironmentConfig):
    """Keys of `environment: {name: gymnasium}`, a Gymnasium environment of your own."""

    id: str | None = None
    """Id registered with Gymnasium, or name registered with `ray.tune.register_env`: `CartPole-v1`,
    or `package.module:MyEnv-v0` to import the module first."""
    factory: str | None = None
    """`package.module:callable` that returns an environment, in place of `id`."""
    kwargs: dict[str, Annotated[Any, AfterValidator(require_json)]] = {}
    """Arguments of the constructor or of the factory."""
    parameters: dict[str, UserParameter] = {}
    """Physical parameters, by the names that `perturb` uses."""
    max_episode_steps: EpisodeSteps | None = None
    """Time limit in steps; null: the registered limit."""

    @model_validator(mode="after")
    def _one_source(self) -> GymnasiumConfig:
        if (self.id is None) == (self.factory is None):
            raise ValueError("must have exactly one of id and factory")
        return self
