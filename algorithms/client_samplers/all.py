"""Full participation: every agent takes part in every round."""

from __future__ import annotations

from collections.abc import Sequence

from ..client_sampler import ClientSampler
from ..settings import Settings


class All(ClientSampler):
    """Every agent takes part in every round."""

    class Config(Settings):
        """Keys of `client_sampler: {name: all}`: none."""

    def sample(self, round_number: int, available: Sequence[int]) -> tuple[int, ...]:
        """Return all of them."""
        return tuple(available)
