"""Shapes, notation and the records that all other modules use.

The contracts of plug-ins are in `learner`, `aggregator`, `server_optimizer`, `client_sampler` and
`vector_env`.

Shape letters, used as suffixes of names (``obs_NBS`` has shape [N, B, S]):

    N  local agents of one batch; the agent axis always exists and is always first
    B  transitions of a minibatch
    M  environments of an evaluation, or rows that act at once
    S  size of an observation (continuous states) or number of states (tabular)
    A  number of discrete actions, or size of a continuous action
    X  successor states (tabular)

Notation of the paper (arXiv 2507.14487) against the configuration keys:

    K      federation.num_agents      local agents, one environment each
    E      federation.sync_interval   local steps between two averagings
    omega  learner.omega              robustness level in [0, 1]
    tau    learner.expectile          expectile level of the degree network
    eta    learner.target_rate        soft target update, theta' <- eta theta + (1 - eta) theta'
    gamma  learner.discount           discount factor
    theta, theta', psi, phi, phi'     Q, target Q, degree network D, policy, target policy

Everything that crosses the border of a process is numpy, so that it can be shared without a copy
and read without torch. Inside a deep learner, `arrays.Home` decides the type of numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]
Params = dict[str, Array]
"""Named parameters: [N, ...] in a learner, [...] on the server."""

AgentState = dict[str, Array]
"""Everything that one local agent remembers, the shared parameters included; no agent axis."""

Dynamics = dict[str, Array]
"""Physical parameters by name, one value per environment: shape [M]."""


class Transition(NamedTuple):
    """One step of N environments, or a minibatch of them.

    obs, next_obs: [N, S] or [N, B, S] float32; [N] int64 when the spec is tabular.
    action: [N] int64 or [N, A] float32. reward: [N] float32.
    terminated: [N] float32, 1.0 where next_obs is terminal; a truncated episode counts 0.0.
    next_obs is the true successor, never the observation after a reset.
    """

    obs: Any
    action: Any
    reward: Any
    next_obs: Any
    terminated: Any


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Sizes and bounds of an environment family, as a learner needs them.

    A tabular spec has `num_states`, a discrete one `num_actions`, and a continuous one the bounds
    `action_low` and `action_high`, with one value per action dimension.
    """

    obs_size: int
    num_actions: int = 0
    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()
    num_states: int = 0
    max_episode_steps: int

    @property
    def kind(self) -> Literal["tabular", "discrete", "continuous"]:
        """The kind of states and actions, which a learner must support."""
        if self.num_states:
            return "tabular"
        return "continuous" if self.action_low else "discrete"


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """Everything that the server remembers between two rounds.

    shared: the global parameters. clocks: local steps that each agent has taken, [K] int64.
    aggregator, optimizer: state of the aggregation rule and of the server optimizer; empty for
    the mean and for plain SGD.
    """

    round: int
    shared: Params
    clocks: Array
    aggregator: Params = field(default_factory=dict)
    optimizer: Params = field(default_factory=dict)
