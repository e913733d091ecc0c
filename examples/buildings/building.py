"""Heating of a building. Buildings differ by the kind of their walls, and by their weather."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

Vector = npt.NDArray[np.float32]


class Walls(NamedTuple):
    """Thermal properties of all walls of a building of 100 m^2."""

    capacity: float
    """Heat capacity in J/K."""
    inner: float
    """Conductance between room and wall in W/K."""
    outer: float
    """Conductance between wall and weather in W/K."""


KINDS = {
    "timber": Walls(capacity=6e6, inner=300.0, outer=60.0),
    "brick": Walls(capacity=3e7, inner=400.0, outer=110.0),
    "concrete": Walls(capacity=6e7, inner=500.0, outer=150.0),
}
ROOM = 3e6
"""Heat capacity of air and furniture in J/K."""
WINDOWS = 50.0
"""Conductance between room and weather, windows and draught, in W/K."""
HEATER = 9000.0
"""Power of the heater in W."""
TARGET = 21.0
"""Temperature that people want, in degrees Celsius."""
HOURS, SUBSTEPS = 0.25, 3
"""Length of a step in hours, and Euler steps within it."""
ENERGY = 0.3
"""Cost of a full hour of heating, in degrees times hours of discomfort."""


class Building(gymnasium.Env[Vector, np.int64]):
    """Keep a room warm for little energy, from midnight on.

    Observations: room, wall and weather as (temperature - 21) / 10, and sine and cosine of the time
    of day. Actions: heater off, half, full. The reward of a step is minus the discomfort in degrees
    times hours, minus the cost of the energy.
    """

    def __init__(
        self, walls: str = "brick", outside: Sequence[float] = (-2.0, -4.0, 5.0, 2.0)
    ) -> None:
        """walls: timber, brick or concrete. outside: temperatures at 0, 6, 12 and 18 hours."""
        self.walls, self.outside = KINDS[walls], np.array(outside, np.float64)
        self.room = self.wall = TARGET
        self.hour = 0.0
        self.observation_space = spaces.Box(-np.inf, np.inf, (5,), np.float32)
        self.action_space = spaces.Discrete(3)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Vector, dict[str, Any]]:
        """Start at midnight in a cool room."""
        super().reset(seed=seed)
        self.hour = 0.0
        self.room = float(self.np_random.uniform(14.0, 20.0))
        self.wall = (self.room + self.weather()) / 2
        return self._observation(), {}

    def step(self, action: np.int64) -> tuple[Vector, float, bool, bool, dict[str, Any]]:
        """Heat for a quarter of an hour."""
        share = int(action) / 2
        for _ in range(SUBSTEPS):
            self._euler(share * HEATER, HOURS * 3600 / SUBSTEPS)
        self.hour += HOURS
        reward = -HOURS * (abs(self.room - TARGET) + ENERGY * share)
        return self._observation(), reward, False, False, {}

    def weather(self) -> float:
        """Return the temperature outside at this hour, linear between the given ones."""
        return float(np.interp(self.hour % 24, np.arange(5) * 6, [*self.outside, self.outside[0]]))

    def _euler(self, power: float, seconds: float) -> None:
        """Move heat for a short time between room, wall and weather."""
        into_wall = self.walls.inner * (self.room - self.wall)
        through_windows = WINDOWS * (self.room - self.weather())
        out_of_wall = self.walls.outer * (self.wall - self.weather())
        self.room += seconds * (power - into_wall - through_windows) / ROOM
        self.wall += seconds * (into_wall - out_of_wall) / self.walls.capacity

    def _observation(self) -> Vector:
        heat = [(value - TARGET) / 10 for value in (self.room, self.wall, self.weather())]
        angle = 2 * np.pi * self.hour / 24
        return np.array([*heat, np.sin(angle), np.cos(angle)], np.float32)

    def get_state(self) -> dict[str, float]:
        """Return all that a step changes."""
        return {"room": self.room, "wall": self.wall, "hour": self.hour}

    def set_state(self, state: dict[str, float]) -> None:
        """Restore what `get_state` returned."""
        self.room, self.wall, self.hour = (float(state[k]) for k in ("room", "wall", "hour"))
