"""The local step of every deep learner: act, step the environment, store, sample, update."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from . import prefixes
from .arrays import Numbers, to_numpy
from .draws import Role, StepDraws
from .lazy_torch import inference_mode, torch
from .learner import Learner
from .metrics import MeanPerAgent
from .networks import factory
from .networks.adam import StackedAdam
from .networks.stacked import NetworkGroup, StackedMLP, initial_weights
from .offpolicy_config import OffPolicyConfig
from .replay import Replay
from .schedules import Schedule, value_at
from .types import AgentState, Array, Params, Spec, Transition
from .vector_env import VectorEnv

if TYPE_CHECKING:
    from torch import Tensor


class NetworkPlan(NamedTuple):
    """A network to build.

    number: keys its initial weights. widths: its input, hidden and output sizes.
    """

    name: str
    number: int
    widths: Sequence[int]
    has_target: bool = False


class OffPolicyLearner(Learner):
    """N local agents that learn from a replay buffer. A subclass defines exploration and losses.

    `networks` holds every averaged network by name; `clock` counts local steps.
    """

    config: OffPolicyConfig

    def __init__(
        self, config: OffPolicyConfig, spec: Spec, *, agent_ids: Sequence[int], seed: int
    ) -> None:
        self.config, self.spec, self.seed = config, spec, seed
        self.agent_ids = tuple(agent_ids)
        self.num_agents = len(self.agent_ids)
        self.clock = 0
        self._last_reset = 0
        self._steps_done = 0  # steps of Adam before the current update; set by `local_step`
        self.home = factory.home(config)
        self.metrics = MeanPerAgent(self.num_agents, self.home)
        self.networks: dict[str, StackedMLP] = {}
        self.groups: dict[str, NetworkGroup] = {}
        self._trained: dict[str, list[str]] = {}  # names of the networks in each group
        self.optimizers: dict[str, StackedAdam] = {}
        self._replay: Replay | None = None
        self._updates_at_most = int(np.ceil(config.updates_per_step))
        self._replay_draws = StepDraws(
            seed, Role.REPLAY, agent_ids, width=self._updates_at_most * config.batch_size
        )

    @abstractmethod
    def explore(self, obs_NS: Numbers) -> Array:
        """Return the actions of the behaviour policy: [N] int64 or [N, A] float32."""

    @abstractmethod
    def update(self, batch: Transition) -> None:
        """Take one gradient step of the paper's algorithm on a minibatch [N, B, ...]."""

    @abstractmethod
    def act(self, obs: Array) -> Array:
        """Return greedy actions: [N, M, S] -> [N, M] int64 or [N, M, A] float32."""

    def episodes_ended(self, finished_N: Array) -> None:
        """Hear which agents' episodes ended in this step, [N] bool; exploration may have state."""

    def build_group(
        self, group: str, networks: Sequence[NetworkPlan], *, last_bound: float | None = None
    ) -> None:
        """Build networks that are trained together, and an equal `<name>_target` where planned.

        Their initial weights are keyed by the plans' numbers.
        """
        shapes = [plan.widths for plan in networks]
        trained = factory.trained(self.config, self.num_agents, shapes)
        self.groups[group], self.optimizers[group] = trained
        self._trained[group] = [plan.name for plan in networks]
        for plan, network in zip(networks, self.groups[group].networks, strict=True):
            built = [(plan.name, network)]
            if plan.has_target:
                target = factory.fixed(self.config, self.num_agents, plan.widths)
                built.append((f"{plan.name}_target", target.networks[0]))
            weights = initial_weights(
                plan.widths, seed=self.seed, network=plan.number, last_bound=last_bound
            )
            for name, net in built:
                net.load(weights)
                self.networks[name] = net

    @inference_mode
    def step(self, env: VectorEnv) -> None:
        """Take one local step with all N agents: act, store, sample, update."""
        self.local_step(env)

    def local_step(self, env: VectorEnv) -> None:
        """Take one local step in the current gradient mode of torch."""
        action = self.explore(self.home.asarray(env.obs))
        self.replay.add(env.step(action))
        self.episodes_ended(env.finished)
        done, due = self.updates_done(self.clock), self.updates_done(self.clock + 1)
        if due > done:
            uniform = self._replay_draws.at(self.clock).reshape(
                self.num_agents, self._updates_at_most, -1
            )
            # the worker reports parameters that are not finite at the end of the round
            with np.errstate(over="ignore", invalid="ignore"):
                for index in range(due - done):
                    self._steps_done = done + index
                    self.update(self.replay.sample(uniform[:, index]))
        self.clock += 1

    def updates_done(self, clock: int) -> int:
        """Return the updates since the last reset; a function of the local step needs no state."""
        learning = clock - self._last_reset - self.config.learning_starts
        return int(max(0, learning) * self.config.updates_per_step)

    @property
    def replay(self) -> Replay:
        """The replay buffer, built on first use: a learner that only acts needs none."""
        if self._replay is None:
            self._replay = Replay(
                self.num_agents,
                self.config.replay_capacity,
                obs_size=self.spec.obs_size,
                action_size=max(1, len(self.spec.action_low)),
                home=self.home,
            )
        return self._replay

    def apply_gradients(self, group: str, *gradients_NBO: Numbers) -> None:
        """Step a group: backward, clipping per agent and network, one step of Adam.

        gradients_NBO: derivatives of each agent's own loss by the outputs of its networks.
        """
        self.optimizers[group].apply_gradients(
            *gradients_NBO,
            max_norm=self.config.max_grad_norm,
            learning_rates=self.learning_rates(group),
            steps_done=self._steps_done,
        )

    def learning_rates(self, group: str) -> list[float]:
        """Return the present learning rate of each network of a group."""
        names = self._trained[group]
        return [value_at(self.learning_rate_of(name), self.clock) for name in names]

    def learning_rate_of(self, network: str) -> float | Schedule:
        """Return the learning rate of one network; subclasses give some networks their own."""
        return self.config.learning_rate

    def update_target(self, online: str, target: str) -> None:
        """theta' <- eta theta + (1 - eta) theta', or a copy every `target_period` updates."""
        source, destination = self.networks[online], self.networks[target]
        if self.config.target_rate is not None:
            destination.soft_update(source, self.config.target_rate)
        elif (self._steps_done + 1) % (self.config.target_period or 1) == 0:
            destination.copy(source)

    def drain_metrics(self) -> dict[str, Array]:
        """Return means per agent since the last call, each [N]."""
        return self.metrics.drain()

    def shared(self) -> Params:
        """Return the parameters that are averaged, of every network by name: each [N, ...]."""
        return prefixes.join({name: _copies(net.views()) for name, net in self.networks.items()})

    def load_shared(self, shared: Params) -> None:
        """Take the broadcast (no agent axis) into all N agents; reset them if `reset_on_sync`."""
        for name, net in self.networks.items():
            net.load(prefixes.select(shared, name))
        if self.config.reset_on_sync:
            self._reset()

    def _reset(self) -> None:
        self._last_reset = self.clock
        if self._replay is not None:
            self._replay.clear()
        for optimizer in self.optimizers.values():
            optimizer.reset()
        for name in [n for n in self.networks if n.endswith("_target")]:
            self.networks[name].copy(self.networks[name.removesuffix("_target")])

    def agent_state(self, row: int) -> AgentState:
        """Return everything of one agent: networks, optimizers and replay buffer."""
        parts = {name: _copies(net.views(), row) for name, net in self.networks.items()}
        parts |= {f"adam.{name}": adam.agent_state(row) for name, adam in self.optimizers.items()}
        return prefixes.join(parts | {"replay": self.replay.agent_state(row)})

    @inference_mode
    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back the result of `agent_state`."""
        for name, net in self.networks.items():
            for key, view in net.views().items():
                view[row].copy_(torch.from_numpy(state[f"{name}/{key}"]))
        for name, adam in self.optimizers.items():
            adam.load_agent_state(row, prefixes.select(state, f"adam.{name}"))
        self.replay.load_agent_state(row, prefixes.select(state, "replay"))

    @classmethod
    def bytes_per_process(cls, config: OffPolicyConfig) -> int:
        """Return the memory of Numba and the kernels in a process: 75 MiB, as measured."""
        return 75 * 2**20 if config.runs_compiled() else 0

    @classmethod
    def replay_bytes(cls, config: OffPolicyConfig, spec: Spec, steps: int) -> tuple[int, int]:
        """Return the bytes of an agent's replay buffer in memory, and of its filled part."""
        transition = Replay.bytes_per_agent(
            1, obs_size=spec.obs_size, action_size=max(1, len(spec.action_low))
        )
        capacity = config.replay_capacity
        return transition * capacity, transition * min(capacity, steps)


def _copies(views: dict[str, Tensor], row: int | None = None) -> dict[str, Array]:
    return {k: to_numpy(v if row is None else v[row]).copy() for k, v in views.items()}
