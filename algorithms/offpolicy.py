"""One local step shared by every deep learner: act, step the environment, store, sample, update."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from . import prefixes
from .draws import Role, StepDraws
from .metrics import MeanPerAgent
from .networks import StackedMLP
from .optimiser import StackedAdam
from .replay import Replay
from .schedules import Schedule, value_at
from .settings import Settings
from .types import AgentState, Array, Params, Spec, StackedEnv, Transition

Omega = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]


class OffPolicyConfig(Settings):
    """Keys that FedRDQN and FedRDDPG share."""

    omega: Omega | tuple[Omega, ...] = 0.3
    """Robustness level in [0, 1], one number or one per agent; 0 is the plain baseline, without a
    degree network."""
    expectile: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Expectile level tau of the degree network; smaller is closer to the minimum."""
    discount: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Discount factor gamma."""
    learning_rate: Positive | Schedule = 1e-3
    """Adam's step size of the Q network; a number or a schedule over local steps."""
    degree_learning_rate: Positive | Schedule | None = None
    """Adam's step size of the degree network; null: the same as `learning_rate`."""
    target_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    """Soft target update eta after every update; null with `target_period`: hard copies."""
    target_period: Annotated[int, Field(ge=1)] | None = None
    """Copy the networks to their targets every so many updates, in place of `target_rate`."""
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Transitions per minibatch."""
    replay_capacity: Annotated[int, Field(ge=1)] = 1000
    """Transitions that each agent keeps."""
    learning_starts: Annotated[int, Field(ge=0)] = 100
    """Local steps before the first update."""
    updates_per_step: Positive = 1.0
    """Updates per local step; 0.25 is one every four steps."""
    max_grad_norm: Positive | None = None
    """Clip the gradient of each agent and network to this norm; null: no clipping."""
    hidden_sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (128,)
    """Widths of the hidden layers of every network."""
    reset_on_sync: bool = False
    """Rebuild replay, optimiser and targets after every averaging (Jin et al. 2022)."""

    default_target_rate: ClassVar[float] = 0.005

    @model_validator(mode="before")
    @classmethod
    def _default_target(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("target_period") is not None:
            return data
        given = data.get("target_rate")
        return data | {"target_rate": cls.default_target_rate if given is None else given}

    @model_validator(mode="after")
    def _one_target_rule(self) -> Self:
        if self.target_rate is not None and self.target_period is not None:
            raise ValueError("give target_rate (soft) or target_period (hard), not both")
        return self


class OffPolicyLearner(ABC):
    """N local agents that learn from replay. Subclasses say how to explore and what to descend.

    `networks` holds everything that is averaged, by name; `clock` counts local steps.
    """

    exemptions: ClassVar[dict[str, str]] = {}
    config: OffPolicyConfig

    def __init__(
        self, config: OffPolicyConfig, spec: Spec, *, agent_ids: Sequence[int], seed: int
    ) -> None:
        self.config, self.spec, self.agent_ids = config, spec, tuple(agent_ids)
        self.num_agents = len(self.agent_ids)
        self.clock = 0
        self._last_reset = 0
        self.omega_N1 = torch.tensor(
            [[omega_of(config.omega, agent)] for agent in self.agent_ids], dtype=torch.float32
        )
        self.robust = has_degree_network(config.omega)
        self.metrics = MeanPerAgent(self.num_agents)
        self.networks: dict[str, StackedMLP] = {}
        self.optimisers: dict[str, StackedAdam] = {}
        self._replay: Replay | None = None
        self._updates_at_most = int(np.ceil(config.updates_per_step))
        self._replay_draws = StepDraws(
            seed, Role.REPLAY, agent_ids, width=self._updates_at_most * config.batch_size
        )

    @abstractmethod
    def explore(self, obs_NS: Tensor) -> Array:
        """Actions of the behaviour policy: [N] int64 or [N, A] float32."""

    @abstractmethod
    def update(self, batch: Transition) -> None:
        """One gradient step of the paper's algorithm on a minibatch [N, B, ...]."""

    @abstractmethod
    def act(self, obs: Array) -> Array: ...

    def step(self, env: StackedEnv) -> None:
        """t -> t + 1 of the paper's algorithm, for all N agents."""
        with torch.no_grad():
            action = self.explore(torch.from_numpy(env.obs))
        transition = env.step(action)
        self.replay.add(transition)
        done, due = self.updates_done(self.clock), self.updates_done(self.clock + 1)
        if due > done:
            uniform = self._replay_draws.at(self.clock).reshape(
                self.num_agents, self._updates_at_most, -1
            )
            for index in range(due - done):
                self._steps_done = done + index
                self.update(self.replay.sample(uniform[:, index]))
        self.clock += 1

    def updates_done(self, clock: int) -> int:
        """Updates since the last reset, as a function of the local step: nothing to store."""
        learning = clock - self._last_reset - self.config.learning_starts
        return int(max(0, learning) * self.config.updates_per_step)

    @property
    def replay(self) -> Replay:
        """Built on first use: a learner that only acts needs none."""
        if self._replay is None:
            self._replay = Replay(
                self.num_agents,
                self.config.replay_capacity,
                obs_size=self.spec.obs_size,
                action_size=max(1, len(self.spec.action_low)),
            )
        return self._replay

    def descend(self, loss: Tensor, optimiser: str, networks: Sequence[str]) -> None:
        """Backward, clip per agent and network, one Adam step."""
        nets = [self.networks[name] for name in networks]
        for net in nets:
            net.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        for net in nets:
            net.clip_grad_norm(self.config.max_grad_norm)
        rates = [value_at(self.learning_rate_of(name), self.clock) for name in networks]
        self.optimisers[optimiser].step(learning_rates=rates, steps_done=self._steps_done)

    def learning_rate_of(self, network: str) -> float | Schedule:
        """The learning rate of one network: key `learning_rate` unless the network has its own."""
        rate = self.config.degree_learning_rate if network == "degree" else None
        return self.config.learning_rate if rate is None else rate

    def update_target(self, online: str, target: str) -> None:
        """theta' <- eta theta + (1 - eta) theta', or a copy every `target_period` updates."""
        source, destination = self.networks[online].flat.data, self.networks[target].flat.data
        if self.config.target_rate is not None:
            destination.lerp_(source, self.config.target_rate)
        elif (self._steps_done + 1) % (self.config.target_period or 1) == 0:
            destination.copy_(source)

    def drain_metrics(self) -> dict[str, Array]:
        return self.metrics.drain()

    def shared(self) -> Params:
        return prefixes.join(
            {name: _numpy(net.views()) for name, net in self.networks.items()}
        )  # fmt: skip

    def load_shared(self, shared: Params) -> None:
        for name, net in self.networks.items():
            net.load(prefixes.select(shared, name))
        if self.config.reset_on_sync:
            self._reset()

    def _reset(self) -> None:
        self._last_reset = self.clock
        self.replay.clear()
        for optimiser in self.optimisers.values():
            optimiser.reset()
        for name in [n for n in self.networks if n.endswith("_target")]:
            online = self.networks[name.removesuffix("_target")]
            self.networks[name].flat.data.copy_(online.flat.data)

    def agent_state(self, row: int) -> AgentState:
        parts = {name: _numpy(net.views(), row) for name, net in self.networks.items()}
        parts |= {f"adam.{name}": adam.agent_state(row) for name, adam in self.optimisers.items()}
        return prefixes.join(parts | {"replay": self.replay.agent_state(row)})

    def load_agent_state(self, row: int, state: AgentState) -> None:
        for name, net in self.networks.items():
            for key, view in net.views().items():
                view[row].copy_(torch.from_numpy(state[f"{name}/{key}"]))
        for name, adam in self.optimisers.items():
            adam.load_agent_state(row, prefixes.select(state, f"adam.{name}"))
        self.replay.load_agent_state(row, prefixes.select(state, "replay"))


def omega_of(omega: float | tuple[float, ...], agent_id: int) -> float:
    """The robustness level of one agent."""
    return omega[agent_id] if isinstance(omega, tuple) else omega


def has_degree_network(omega: float | tuple[float, ...]) -> bool:
    """Whether any agent is robust; at omega 0 everywhere the degree network is not built."""
    return max(omega) > 0 if isinstance(omega, tuple) else omega > 0


def _numpy(views: dict[str, Tensor], row: int | None = None) -> dict[str, Array]:
    return {k: (v if row is None else v[row]).numpy().copy() for k, v in views.items()}
