"""The robustness level omega: one rule for every learner that has the key."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Level = Annotated[float, Field(ge=0, le=1)]
"""Robustness level in [0, 1]."""
Omega = Level | tuple[Level, ...]
"""Robustness level in [0, 1]: one number, or one per agent."""


def require_level(omega: float) -> None:
    """Raise ValueError if a level lies outside [0, 1]; `Level` says the same to pydantic."""
    if not 0 <= omega <= 1:
        raise ValueError(f"omega: must lie in [0, 1]; got {omega}")


def omega_of(omega: float | tuple[float, ...], agent_id: int) -> float:
    """Return the robustness level of one agent."""
    return omega[agent_id] if isinstance(omega, tuple) else omega


def highest(omega: float | tuple[float, ...]) -> float:
    """Return the highest level of any agent."""
    return max(omega) if isinstance(omega, tuple) else omega


def require_one_per_agent(omega: float | tuple[float, ...], num_agents: int) -> None:
    """Raise ValueError if a list of levels does not hold one per agent."""
    if isinstance(omega, tuple) and len(omega) != num_agents:
        raise ValueError(
            f"omega: must be one number or {num_agents}, one per agent; got {len(omega)}"
        )
