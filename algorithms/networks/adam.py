"""Adam over a group of networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..arrays import Numbers
from ..lazy_torch import torch
from ..types import AgentState
from .stacked import NetworkGroup

_MOMENTS = ("exp_avg", "exp_avg_sq")
BETAS, EPSILON = (0.9, 0.999), 1e-8
"""Adam's decay rates of both moments, and the constant that keeps its quotient finite."""


class StackedAdam(ABC):
    """Adam (Kingma and Ba 2015) with one learning rate for each network of a group.

    The step count is the same for all agents. The learner derives it from its clock and passes it
    with each step.
    """

    def __init__(self, group: NetworkGroup) -> None:
        self._group = group
        self.moments = {name: torch.zeros_like(group.flat) for name in _MOMENTS}

    @abstractmethod
    def apply_gradients(
        self,
        *grads_NBO: Numbers,
        max_norm: float | None,
        learning_rates: Sequence[float],
        steps_done: int,
    ) -> None:
        """Take one step from the derivatives of each agent's own loss by the networks' outputs.

        grads_NBO: for each network of the group, derivatives by its outputs in the last `forward`,
        [N, B, out]. max_norm: norm to which the gradient of each agent and network is clipped.
        learning_rates: one for each network. steps_done: number of earlier steps.
        """

    def reset(self) -> None:
        """Forget both moments of every agent."""
        for moment in self.moments.values():
            moment.zero_()

    def agent_state(self, row: int) -> AgentState:
        """Return the moments of one agent, by network and parameter."""
        return {
            f"{index}.{moment}.{name}": view[row].cpu().numpy().copy()
            for index, network in enumerate(self._group.networks)
            for moment in _MOMENTS
            for name, view in network.views(self.moments[moment]).items()
        }

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back the result of `agent_state`."""
        for index, network in enumerate(self._group.networks):
            for moment in _MOMENTS:
                for name, view in network.views(self.moments[moment]).items():
                    view[row].copy_(torch.from_numpy(state[f"{index}.{moment}.{name}"]))


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """Treat denormal numbers as zero inside the block, because processors are slow with them.

    The moments of a parameter that no longer gets a gradient decay into denormal numbers.
    """
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
