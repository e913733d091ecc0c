"""Coordinate-wise trimmed mean (Yin et al., ICML 2018, arXiv 1803.01498).

In every coordinate the `trim` smallest and the `trim` largest values are left out, and the rest
is averaged. Up to `trim` agents can then send anything without moving a coordinate out of the
range of the others. With heterogeneous environments the rule also leaves out honest agents whose
environment is unusual.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from ..aggregator import RowAggregator, Rows
from ..settings import Settings
from ..types import Params, ServerState


class TrimmedMean(RowAggregator):
    """Mean of each coordinate without its smallest and largest values; robust to a few agents."""

    class Config(Settings):
        """Keys of `aggregator: {name: trimmed_mean}`."""

        fraction: Annotated[float, Field(ge=0, lt=0.5)] = 0.1
        """Share of the participating agents that is left out at each end, rounded down: 0.2 of 5
        agents leaves out one at each end. 0 is the plain mean."""

    config: Config

    def combine(self, rows: Rows, server: ServerState) -> Params:
        """Return the mean of the sorted rows without `fraction` of them at each end."""
        count = len(rows.agent_ids)
        trim = int(self.config.fraction * count + 1e-9)
        return {
            name: np.sort(x, axis=0)[trim : count - trim].mean(axis=0)
            for name, x in rows.shared.items()
        }
