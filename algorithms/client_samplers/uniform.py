"""Uniform client sampling without replacement (McMahan et al. 2017, arXiv 1602.05629)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, model_validator

from ..client_sampler import ClientSampler
from ..draws import Role, philox
from ..settings import Settings


class Uniform(ClientSampler):
    """A fraction or a fixed number of the agents, all equally likely, drawn anew each round."""

    class Config(Settings):
        """Keys of `client_sampler: {name: uniform}`: one of the two."""

        fraction: Annotated[float, Field(gt=0, le=1)] | None = None
        """Share of the agents that take part, rounded to a whole number of at least one."""
        count: Annotated[int, Field(ge=1)] | None = None
        """Number of agents that take part."""

        @model_validator(mode="after")
        def _one_of_two(self) -> Self:
            if (self.fraction is None) == (self.count is None):
                raise ValueError("give fraction or count, one of the two")
            return self

    config: Config

    @classmethod
    def check(cls, config: Config, num_agents: int) -> None:
        """Raise ValueError if `count` exceeds the number of agents."""
        if config.count is not None and config.count > num_agents:
            raise ValueError(
                f"count: must be at most federation.num_agents ({num_agents}); got {config.count}"
            )

    def sample(self, round_number: int, available: Sequence[int]) -> tuple[int, ...]:
        """Return that many of the available agents, or all where there are fewer."""
        count = self.config.count or max(1, round((self.config.fraction or 0) * self.num_agents))
        rng = philox(self.seed, Role.PARTICIPATION, round_number)
        chosen = rng.choice(len(available), min(count, len(available)), replace=False)
        return tuple(sorted(available[int(index)] for index in chosen))
