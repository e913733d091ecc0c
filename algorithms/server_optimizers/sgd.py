"""SGD on the server, with momentum: FedAvgM (Hsu et al. 2019, arXiv 1909.06335)."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field

from ..server_optimizer import ServerOptimizer
from ..settings import Settings
from ..types import Params


class SGD(ServerOptimizer):
    """v <- beta v + Delta, theta <- theta + eta v; with the defaults theta is the aggregate."""

    class Config(Settings):
        """Keys of `server_optimizer: {name: sgd}`."""

        learning_rate: Annotated[float, Field(gt=0)] = 1.0
        """Server learning rate eta; 1 takes the aggregate as it is."""
        momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
        """Momentum beta; 0 keeps nothing from round to round."""

    config: Config

    def initial_state(self, shared: Params) -> Params:
        """Return zeros, or nothing without momentum."""
        return (
            {name: np.zeros(x.shape) for name, x in shared.items()} if self.config.momentum else {}
        )

    def apply(self, shared: Params, aggregate: Params, state: Params) -> tuple[Params, Params]:
        """Return theta + eta v, and v. With the defaults theta becomes the aggregate."""
        rate, momentum = self.config.learning_rate, self.config.momentum
        if not momentum and rate == 1.0:
            return {n: m.astype(shared[n].dtype) for n, m in aggregate.items()}, state
        if not momentum:
            moved = {n: m - (1.0 - rate) * (m - shared[n]) for n, m in aggregate.items()}
            return {n: x.astype(shared[n].dtype) for n, x in moved.items()}, state
        velocity = {n: momentum * state[n] + (m - shared[n]) for n, m in aggregate.items()}
        moved = {n: shared[n] + rate * v for n, v in velocity.items()}
        return {n: x.astype(shared[n].dtype) for n, x in moved.items()}, velocity
