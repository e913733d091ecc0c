"""How the networks of an experiment are computed: `compiled` on CPU, `eager` elsewhere and where a
user wants torch."""

from __future__ import annotations

from collections.abc import Sequence

from ..arrays import Home
from ..offpolicy_config import OffPolicyConfig
from .adam import StackedAdam
from .compiled import CompiledAdam, CompiledGroup
from .eager import EagerAdam, EagerGroup
from .stacked import NetworkGroup


def home(config: OffPolicyConfig) -> Home:
    """Where what goes in and comes out lives."""
    return Home(None if config.runs_compiled() else config.device)


def trained(
    config: OffPolicyConfig, num_agents: int, shapes: Sequence[Sequence[int]]
) -> tuple[NetworkGroup, StackedAdam]:
    """Networks, and the optimizer that steps them."""
    if config.runs_compiled():
        compiled = CompiledGroup(num_agents, shapes)
        return compiled, CompiledAdam(compiled)
    eager = EagerGroup(num_agents, shapes, trainable=True, device=config.device)
    return eager, EagerAdam(eager)


def fixed(config: OffPolicyConfig, num_agents: int, widths: Sequence[int]) -> NetworkGroup:
    """A network that follows another."""
    if config.runs_compiled():
        return CompiledGroup(num_agents, [widths])
    return EagerGroup(num_agents, [widths], trainable=False, device=config.device)
