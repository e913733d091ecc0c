"""Your environment. Replace the cart by your robot, plant or simulator."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

Observation = npt.NDArray[np.float32]

DT = 0.1
"""Seconds per step."""
FORCE = 2.0
"""Newton with which the motor pushes."""
RAIL = 2.0
"""Metres from the mark to either end of the rail."""


class Cart(gymnasium.Env[Observation, np.int64]):
    """Bring a cart on a rail to the mark, and hold it there.

    Observations are the position (m) and the velocity (m/s). Actions: 0 pushes left, 1 does
    nothing, 2 pushes right. The reward is 1 at the mark and 0 at the ends of the rail.
    """

    def __init__(self, mass: float = 1.0, friction: float = 0.3) -> None:
        """mass: kg. friction: viscous, N s/m."""
        self.mass, self.friction = mass, friction
        self.position = self.velocity = 0.0
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.action_space = spaces.Discrete(3)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start at rest, at most one metre from the mark."""
        super().reset(seed=seed)  # gives self.np_random; draw from it alone
        self.position, self.velocity = float(self.np_random.uniform(-1.0, 1.0)), 0.0
        return self._observation(), {}

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Push for one step: mass * acceleration = force - friction * velocity."""
        force = FORCE * (int(action) - 1)
        self.velocity += DT * (force - self.friction * self.velocity) / self.mass
        self.position += DT * self.velocity
        reward = 1.0 - min(abs(self.position) / RAIL, 1.0)
        fell_off = abs(self.position) > RAIL
        return self._observation(), reward, fell_off, False, {}

    # With these two methods a run resumes exactly, and its checkpoints are cheap.

    def get_state(self) -> dict[str, float]:
        """Return everything that changes during an episode."""
        return {"position": self.position, "velocity": self.velocity}

    def set_state(self, state: dict[str, float]) -> None:
        """Restore what `get_state` returned."""
        self.position, self.velocity = float(state["position"]), float(state["velocity"])

    def _observation(self) -> Observation:
        return np.array([self.position, self.velocity], np.float32)
