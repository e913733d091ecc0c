"""The agent that raised an exception, if several agents share a process."""

from __future__ import annotations

_NOTE = "fedrl_agent_ids"


def attribute_error(error: BaseException, agent: int) -> None:
    """Record on an exception that this agent's environment or parameters raised it."""
    setattr(error, _NOTE, (agent,))


def copy_attribution(error: BaseException, to: BaseException) -> None:
    """Record on `to` the agents that are recorded on `error`, if any."""
    if hasattr(error, _NOTE):
        setattr(to, _NOTE, getattr(error, _NOTE))


def agents_at_fault(error: BaseException, otherwise: tuple[int, ...]) -> tuple[int, ...]:
    """Return the agents recorded on an exception, or `otherwise` if there is no record."""
    agents: tuple[int, ...] = getattr(error, _NOTE, otherwise)
    return agents
