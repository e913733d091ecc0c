"""Agents that are not always there: each takes part when it happens to be available."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from ..client_sampler import ClientSampler
from ..draws import Role, philox
from ..settings import Settings

Chance = Annotated[float, Field(ge=0, le=1)]


class Availability(ClientSampler):
    """Each agent is available in a round with its own probability, independent of the others."""

    class Config(Settings):
        """Keys of `client_sampler: {name: availability}`."""

        probability: Chance | tuple[Chance, ...] = 0.8
        """Probability that an agent is available in a round: one number, or one per agent."""
        minimum: Annotated[int, Field(ge=1)] = 1
        """Fewest participants of a round. If fewer agents are available, the round waits for the
        agents that come next: those whose draw is closest to their probability."""

    config: Config

    @classmethod
    def check(cls, config: Config, num_agents: int) -> None:
        """Raise ValueError if a list has another length, or if the minimum exceeds K."""
        p = config.probability
        if isinstance(p, tuple) and len(p) != num_agents:
            raise ValueError(
                f"probability: must be one number or {num_agents}, one per agent; got {len(p)}"
            )
        if config.minimum > num_agents:
            raise ValueError(
                f"minimum: must be at most federation.num_agents ({num_agents}); "
                f"got {config.minimum}"
            )

    def sample(self, round_number: int, available: Sequence[int]) -> tuple[int, ...]:
        """Return the agents whose uniform draw lies below their probability."""
        missing_by = {agent: self._draw(round_number, agent) for agent in available}
        chosen = [agent for agent in available if missing_by[agent] < 0]
        if len(chosen) < self.config.minimum:
            chosen = sorted(available, key=missing_by.__getitem__)[: self.config.minimum]
        return tuple(sorted(chosen))

    def _draw(self, round_number: int, agent: int) -> float:
        """Return the draw of an agent minus its probability; below 0 the agent is available."""
        p = self.config.probability
        uniform = philox(self.seed, Role.PARTICIPATION, agent, round_number).random()
        return float(uniform - (p[agent] if isinstance(p, tuple) else p))
