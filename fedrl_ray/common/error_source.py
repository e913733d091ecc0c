"""Whose fault an exception is, where one of several agents in a process raised it."""

from __future__ import annotations

_NOTE = "fedrl_agent_ids"


def attribute_error(error: BaseException, agent: int) -> None:
    """Note on an exception that this agent's environment or parameters raised it."""
    setattr(error, _NOTE, (agent,))


def agents_at_fault(error: BaseException, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    """The agents an exception is of; `otherwise` where nobody in particular was blamed."""
    agents: tuple[int, ...] = getattr(error, _NOTE, otherwise)
    return agents
