"""The choice of implementation for the networks of an experiment.

The CPU uses `compiled`. A GPU uses `eager`, and so does a CPU if the user asks for torch.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..arrays import Home
from ..offpolicy_config import OffPolicyConfig
from .adam import StackedAdam
from .compiled import CompiledAdam, CompiledGroup
from .eager import EagerAdam, EagerGroup
from .stacked import NetworkGroup


def home(config: OffPolicyConfig) -> Home:
    """Return the home of the networks' inputs and outputs."""
    return Home(None if config.runs_compiled() else config.device)


def trained(
    config: OffPolicyConfig, num_agents: int, shapes: Sequence[Sequence[int]]
) -> tuple[NetworkGroup, StackedAdam]:
    """Return a group of networks and its optimizer."""
    if config.runs_compiled():
        compiled = CompiledGroup(num_agents, shapes)
        return compiled, CompiledAdam(compiled)
    eager = EagerGroup(num_agents, shapes, trainable=True, device=config.device)
    return eager, EagerAdam(eager)


def fixed(config: OffPolicyConfig, num_agents: int, widths: Sequence[int]) -> NetworkGroup:
    """Return a group of one network without gradients, for a target network."""
    if config.runs_compiled():
        return CompiledGroup(num_agents, [widths])
    return EagerGroup(num_agents, [widths], trainable=False, device=config.device)
