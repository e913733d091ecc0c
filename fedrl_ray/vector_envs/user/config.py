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
    """What holds it: an argument of the constructor (`length`), or the dotted path of an
    attribute, starting at the environment (`unwrapped.model.gravity`)."""
    nominal: float | None = None
    """Unperturbed value; null: read from the constructor's default or from the attribute."""
    low: float | None = None
    """Smallest legal value; null: no limit."""
    high: float | None = None
    """Largest legal value; null: no limit."""
    unit: str = ""
    """Unit, for messages and reports."""
    meaning: str = ""
    """What it is, for reports."""
    verify: bool = True
    """Refuse to start where a perturbed value changes nothing in a short trial."""


class GymnasiumConfig(EnvironmentConfig):
    """Your own Gymnasium environment, by id or by factory."""

    id: str | None = None
    """Id registered with Gymnasium, or name with `ray.tune.register_env`: `CartPole-v1` or
    `package.module:MyEnv-v0` (imports the module first)."""
    factory: str | None = None
    """`package.module:callable` that returns an environment; instead of `id`."""
    kwargs: dict[str, Annotated[Any, AfterValidator(require_json)]] = {}
    """Arguments of the constructor or factory."""
    parameters: dict[str, UserParameter] = {}
    """Physical parameters by the names that `perturb` uses."""
    max_episode_steps: EpisodeSteps | None = None
    """Time limit; null: as registered."""

    @model_validator(mode="after")
    def _one_source(self) -> GymnasiumConfig:
        if (self.id is None) == (self.factory is None):
            raise ValueError("give exactly one of id and factory")
        return self
