"""Shapes, notation and the protocols that everything else speaks.

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

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

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


class VectorEnv(Protocol):
    """N environments in lock-step, each with its own dynamics and its own generators."""

    @property
    def obs(self) -> Array:
        """What to act on next, after any reset: [N, S] float32 ([N] int64 when tabular)."""

    @property
    def finished(self) -> Array:
        """Rows whose episode ended in the last step: [N] bool."""

    def step(self, action: Array) -> Transition:
        """Step all N; finished episodes are reset in the same call."""

    def drain_episodes(self) -> tuple[Array, Array]:
        """Sum of returns and number of the episodes finished since the last call: [N], [N]."""

    def agent_state(self, row: int) -> AgentState:
        """Everything of one environment: episode, physics, generators."""

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back what `agent_state` gave."""


class Learner(Protocol):
    """N local agents in lock-step. One agent is N = 1, never a second code path.

    Built as `Learner(config, spec, agent_ids=..., seed=...)`. Counters that all agents share
    (exploration, learning start, optimiser step) are functions of `clock`, so they are set by
    whoever runs the round and never stored.
    """

    Config: ClassVar[type]
    spec_kinds: ClassVar[tuple[str, ...]]
    """Spec kinds the algorithm can learn on."""
    exemptions: ClassVar[dict[str, str]]
    """Laws of the project that do not hold for this plug-in, each with its reason."""
    clock: int
    """Local steps taken since the start of the run."""

    def step(self, env: VectorEnv) -> None:
        """t -> t + 1 of the paper's algorithm, for all N agents."""

    def drain_metrics(self) -> dict[str, Array]:
        """Means per agent since the last call, each [N] float64; NaN where nothing was seen."""

    def act(self, obs: Array) -> Array:
        """Greedy actions. obs: [N, M, S] float32 or [N, M] int64 -> [N, M] or [N, M, A]."""

    def greedy_policy(self) -> Any:
        """What `act` does, of the first agent, as a torch module to be exported: see `policies`."""

    def shared(self) -> Params:
        """What is averaged: each [N, ...]."""

    def load_shared(self, shared: Params) -> None:
        """Take the broadcast (no agent axis) into all N agents."""

    def agent_state(self, row: int) -> AgentState:
        """Everything of one agent, the shared parameters included."""

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back what `agent_state` gave."""


class Partial(NamedTuple):
    """A sum over some agents as an error-compensated pair of float64, and how many they were."""

    high: Params
    low: Params
    num_agents: int


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """All that the server remembers between two rounds."""

    round: int
    shared: Params
    memory: Params = field(default_factory=dict)
    """State of the aggregation rule itself; empty for the mean."""


class Aggregator(Protocol):
    """A rule that knows parameters, not agents, messages or sampling."""

    Config: ClassVar[type]
    exemptions: ClassVar[dict[str, str]]

    def partial(self, shared: Params) -> Partial:
        """Reduce [N, ...] inside the actor."""

    def merge(self, server: ServerState, partials: Iterable[Partial]) -> ServerState:
        """Combine inside the driver as they come; the round number goes up by one. Where none
        comes the parameters stay as they are: the driver will not take the result."""
