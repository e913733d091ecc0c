"""Shapes, notation and the records that everything else speaks.

The contracts of plug-ins are in `learner`, `aggregator`, `server_optimizer`, `client_sampler` and
`vector_env`.

Shape letters, used as suffixes of names (``obs_NBS`` has shape [N, B, S]):

    N  local agents hosted together; the agent axis is always there and always first
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

What crosses the border of a process is numpy, so that it is shared without a copy and read
without torch; inside a learner of networks `arrays.Home` tells what numbers are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from numpy.typing import NDArray

Array = NDArray[Any]
Params = dict[str, Array]
"""Named parameters: [N, ...] in a learner, [...] on the server."""

AgentState = dict[str, Array]
"""All that one local agent remembers, the shared parameters included: no agent axis."""

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
    """What a learner must know of an environment family.

    A tabular spec has `num_states`; a discrete one `num_actions`; a continuous one the bounds
    `action_low` and `action_high`, a value per action dimension.
    """

    obs_size: int
    num_actions: int = 0
    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()
    num_states: int = 0
    max_episode_steps: int

    @property
    def kind(self) -> Literal["tabular", "discrete", "continuous"]:
        """What a learner must be made for."""
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
