"""Adam on the server: FedAdam (Reddi et al., ICLR 2021, arXiv 2003.00295, algorithm 2)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from ..prefixes import join, select
from ..server_optimizer import ServerOptimizer
from ..settings import Settings
from ..types import Params

Decay = Annotated[float, Field(ge=0, lt=1)]


class Adam(ServerOptimizer):
    """Steps of similar size in every coordinate, however far the agents moved it (FedAdam).

    m <- beta1 m + (1 - beta1) Delta, v <- beta2 v + (1 - beta2) Delta^2,
    theta <- theta + eta m / (sqrt(v) + epsilon). As in the paper there is no bias correction, and
    v starts at epsilon^2.
    """

    class Config(Settings):
        """Keys of `server_optimizer: {name: adam}`."""

        learning_rate: Annotated[float, Field(gt=0)] = 0.01
        """Server learning rate eta."""
        beta1: Decay = 0.9
        """Decay rate of the mean of the updates."""
        beta2: Decay = 0.99
        """Decay rate of the mean of their squares."""
        epsilon: Annotated[float, Field(gt=0)] = 1e-3
        """Degree of adaptivity (tau in the paper); larger is closer to plain momentum."""

    config: Config

    def initial_state(self, shared: Params) -> Params:
        """Return m = 0 and v = epsilon^2."""
        v = self.config.epsilon**2
        return join(
            {
                "mean": {name: np.zeros(x.shape) for name, x in shared.items()},
                "square": {name: np.full(x.shape, v) for name, x in shared.items()},
            }
        )

    def apply(self, shared: Params, aggregate: Params, state: Params) -> tuple[Params, Params]:
        """Return theta + eta m / (sqrt(v) + epsilon), and m and v."""
        c = self.config
        mean, square = select(state, "mean"), select(state, "square")
        result: Params = {}
        for name, target in aggregate.items():
            delta = target - shared[name]
            mean[name] = c.beta1 * mean[name] + (1 - c.beta1) * delta
            square[name] = c.beta2 * square[name] + (1 - c.beta2) * np.square(delta)
            step = c.learning_rate * mean[name] / (np.sqrt(square[name]) + c.epsilon)
            result[name] = (shared[name] + step).astype(shared[name].dtype)
        return result, join({"mean": mean, "square": square})
