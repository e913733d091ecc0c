"""Adam over stacked networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .networks import StackedMLP
from .types import AgentState


class StackedAdam:
    """One fused Adam over the flat buffers of several networks, a learning rate for each.

    Adam is elementwise, so agents that share a buffer stay independent. The step count is the
    same for all agents and is set by the learner before each step, from its clock.
    """

    def __init__(self, networks: Sequence[StackedMLP]) -> None:
        self._networks = list(networks)
        self._adam = torch.optim.Adam([{"params": [n.flat]} for n in networks], fused=True)
        self.reset()

    def reset(self) -> None:
        """Forget both moments of every agent."""
        for network in self._networks:
            self._adam.state[network.flat] = {
                "step": torch.tensor(0.0, dtype=torch.float32),
                "exp_avg": torch.zeros_like(network.flat.data),
                "exp_avg_sq": torch.zeros_like(network.flat.data),
            }

    def step(self, *, learning_rates: Sequence[float], steps_done: int) -> None:
        """One update from the gradients in the buffers; `steps_done` were taken before it."""
        for group, rate in zip(self._adam.param_groups, learning_rates, strict=True):
            group["lr"] = rate
        for state in self._adam.state.values():
            state["step"].fill_(float(steps_done))
        self._adam.step()

    def agent_state(self, row: int) -> AgentState:
        """The moments of one agent, by network and parameter."""
        return {
            f"{index}.{moment}.{name}": view[row].numpy().copy()
            for index, network in enumerate(self._networks)
            for moment in ("exp_avg", "exp_avg_sq")
            for name, view in network.views(self._adam.state[network.flat][moment]).items()
        }

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back what `agent_state` gave."""
        for index, network in enumerate(self._networks):
            for moment in ("exp_avg", "exp_avg_sq"):
                views = network.views(self._adam.state[network.flat][moment])
                for name, view in views.items():
                    view[row].copy_(torch.from_numpy(state[f"{index}.{moment}.{name}"]))
