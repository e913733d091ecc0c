"""The plain mean over agents (FedAvg with equal weights), as in the paper and Jin et al. 2022."""

from __future__ import annotations

from ..aggregator import SumAggregator
from ..settings import Settings


class Mean(SumAggregator):
    """The plain mean: theta <- (1/K) sum_k theta_k over the agents that take part."""

    class Config(Settings):
        """Keys of `aggregator: {name: mean}`: none."""
