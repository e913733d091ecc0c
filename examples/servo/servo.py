"""A servo: a geared DC motor holds an arm with a payload level, against gravity and gusts."""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
import numpy.typing as npt
from gymnasium import spaces

Vector = npt.NDArray[np.float32]

STEP, SUBSTEPS = 0.02, 10
"""Seconds per step, and Euler steps within it: the current settles within 5 ms."""
VOLTS = 6.0
"""Largest voltage of the supply."""
MOTOR = 0.5
"""Torque constant in N m/A; equal to the back-EMF constant in V s/rad."""
INDUCTANCE = 0.01
"""Inductance of the winding in H."""
ROTOR = 0.01
"""Inertia of rotor and empty arm in kg m^2."""
FRICTION = 0.02
"""Viscous friction in N m s/rad."""
ARM = 0.2
"""Length of the arm in m."""
GUST = 0.05
"""Standard deviation of the torque of a gust, in N m."""


class Servo(gymnasium.Env[Vector, Vector]):
    """Hold the arm level.

    Observations: sine and cosine of the arm's angle to the horizontal, and its speed in 10 rad/s.
    The action is the voltage, as a share of the supply's. The reward is minus the squared angle in
    rad^2. The current is not observed, and each step draws a gust.
    """

    def __init__(self, payload: float = 0.3) -> None:
        """payload: kg at the end of the arm."""
        self.payload = payload
        self.resistance = 2.0
        """Resistance of the winding in ohm; it rises as the motor heats up."""
        self.angle = self.speed = self.current = 0.0
        self.observation_space = spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)

    @property
    def inertia(self) -> float:
        """Inertia in kg m^2. Computed on use, so that it is right for any payload."""
        return ROTOR + self.payload * ARM**2

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Vector, dict[str, Any]]:
        """Start at rest, up to 90 degrees from the level."""
        super().reset(seed=seed)
        self.angle = float(self.np_random.uniform(-math.pi / 2, math.pi / 2))
        self.speed = self.current = 0.0
        return self._observation(), {}

    def step(self, action: Vector) -> tuple[Vector, float, bool, bool, dict[str, Any]]:
        """Apply a voltage for one step."""
        gust = float(self.np_random.normal(0.0, GUST))
        for _ in range(SUBSTEPS):
            self._euler(VOLTS * float(action[0]), gust, STEP / SUBSTEPS)
        error = math.remainder(self.angle, 2 * math.pi)
        return self._observation(), -(error**2), False, False, {}

    def _euler(self, voltage: float, gust: float, dt: float) -> None:
        """L di/dt = u - R i - k w;  J dw/dt = k i - b w - m g r cos(angle) + gust."""
        weight = self.payload * 9.81 * ARM * math.cos(self.angle)
        torque = MOTOR * self.current - FRICTION * self.speed - weight + gust
        drop = self.resistance * self.current + MOTOR * self.speed
        self.current += dt * (voltage - drop) / INDUCTANCE
        self.speed += dt * torque / self.inertia
        self.angle += dt * self.speed

    def _observation(self) -> Vector:
        values = math.sin(self.angle), math.cos(self.angle), self.speed / 10
        return np.array(values, np.float32)

    def get_state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that a step changes: the hidden current and the generator of gusts too."""
        motion = np.array([self.angle, self.speed, self.current])
        return {"motion": motion, "generator": words(self.np_random)}

    def set_state(self, state: dict[str, npt.NDArray[Any]]) -> None:
        """Restore what `get_state` returned."""
        self.angle, self.speed, self.current = (float(value) for value in state["motion"])
        restore(self.np_random, state["generator"])


def words(generator: np.random.Generator) -> npt.NDArray[np.uint64]:
    """Return the state of a PCG64 generator as six words of 64 bits, which a checkpoint holds."""
    found: Any = generator.bit_generator.state
    halves = [n >> shift & (2**64 - 1) for n in found["state"].values() for shift in (64, 0)]
    return np.array([*halves, found["has_uint32"], found["uinteger"]], np.uint64)


def restore(generator: np.random.Generator, state: npt.NDArray[np.uint64]) -> None:
    """Restore what `words` returned."""
    a, b, c, d, has_uint32, uinteger = (int(word) for word in state)
    generator.bit_generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": a << 64 | b, "inc": c << 64 | d},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
