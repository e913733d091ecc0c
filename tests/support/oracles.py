"""One local agent, written plainly in float64: torch.nn.Linear, torch.optim.Adam, a list as replay.

The stacked learners must step to the same numbers.
An oracle sees the same keyed draws and the same initial weights as row `agent` of a learner, and
its environment is a vector environment of one row.
"""

from __future__ import annotations

import copy
import itertools
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from algorithms.draws import Role, StepDraws, gaussian
from algorithms.networks.stacked import initial_weights
from algorithms.schedules import value_at
from algorithms.types import Array, Params, Spec

Q, DEGREE, POLICY = 0, 1, 2


def perceptron(widths: list[int], weights: Params) -> nn.Sequential:
    """Return Linear, ReLU, ..., Linear in float64."""
    layers: list[nn.Module] = []
    for index, (wide_in, wide_out) in enumerate(itertools.pairwise(widths)):
        linear = nn.Linear(wide_in, wide_out, dtype=torch.float64)
        layers += [linear, nn.ReLU()]
        linear.weight.data = torch.from_numpy(weights[f"{index}.weight"].T).double()
        linear.bias.data = torch.from_numpy(weights[f"{index}.bias"][0]).double()
    return nn.Sequential(*layers[:-1])


def named(net: nn.Sequential) -> Params:
    """Return parameters under the names and in the shapes of a stacked network."""
    linears = [layer for layer in net if isinstance(layer, nn.Linear)]
    return {
        f"{index}.{kind}": value.detach().numpy().T.reshape(-1, layer.out_features).copy()
        for index, layer in enumerate(linears)
        for kind, value in (("weight", layer.weight), ("bias", layer.bias))
    }


class OracleAgent:
    """The common part of FedRDQN and FedRDDPG for one agent: act, step, store, learn."""

    last_bound: float | None = None

    def __init__(self, config: Any, spec: Spec, *, agent: int, seed: int) -> None:
        self.config, self.spec, self.seed = config, spec, seed
        self.omega = config.omega[agent] if isinstance(config.omega, tuple) else config.omega
        self.memory: list[Any] = []
        self.stored = self.clock = self.learning_steps = self.updates = 0
        self.nets: dict[str, nn.Sequential] = {}
        at_most = int(np.ceil(config.updates_per_step)) * config.batch_size
        self.replay_draws = StepDraws(seed, Role.REPLAY, [agent], width=at_most, block=1)

    def build(self, name: str, widths: list[int], number: int) -> None:
        weights = initial_weights(
            widths, seed=self.seed, network=number, last_bound=self.last_bound
        )
        self.nets[name] = perceptron(widths, weights)

    def start_learning(self) -> None:
        """Make targets as copies, and one Adam per network."""
        for name in [name for name in self.nets if f"{name}_target" in self.targets()]:
            self.nets[f"{name}_target"] = copy.deepcopy(self.nets[name])
        self.adams = {
            name: torch.optim.Adam(net.parameters())
            for name, net in self.nets.items()
            if not name.endswith("_target")
        }

    def targets(self) -> list[str]:
        return ["q_target", "policy_target"]

    def step(self, env: Any) -> None:
        obs = env.obs[0].copy()
        action = self.explore(torch.from_numpy(obs).double())
        t = env.step(np.asarray(action)[None])
        self.remember((obs, action, t.reward[0], t.next_obs[0].copy(), t.terminated[0]))
        self.after_step(bool(env.finished[0]))
        if self.clock >= self.config.learning_starts:
            self.learning_steps += 1
            first = self.updates
            while self.updates + 1 <= self.learning_steps * self.config.updates_per_step:
                self.update(*self.sample(self.updates - first))
                self.updates += 1
                self.move_targets()
        self.clock += 1

    def remember(self, transition: Any) -> None:
        if len(self.memory) < self.config.replay_capacity:
            self.memory.append(transition)
        else:
            self.memory[self.stored % self.config.replay_capacity] = transition
        self.stored += 1

    def sample(self, index: int) -> list[Tensor]:
        size = self.config.batch_size
        uniform = self.replay_draws.at(self.clock)[0][index * size : (index + 1) * size]
        picked = [self.memory[int(u * len(self.memory))] for u in uniform]
        return [torch.from_numpy(np.array(field)).double() for field in zip(*picked, strict=True)]

    def robust_target(self, obs: Tensor, reward: Tensor, v_next: Tensor) -> Tensor:
        worst = self.nets["degree"](obs)[:, 0] if self.omega > 0 else torch.zeros_like(v_next)
        mixed = (1 - self.omega) * v_next + self.omega * worst
        return (reward + self.config.discount * mixed).detach()

    def step_degree(self, obs: Tensor, v_next: Tensor) -> None:
        tau, u = self.config.expectile, v_next - self.nets["degree"](obs)[:, 0]
        weight = torch.where(u < 0, 1 - tau, tau)
        self.minimise("degree", (weight * u**2).mean(), self.config.degree_learning_rate)

    def minimise(self, name: str, loss: Tensor, learning_rate: Any) -> None:
        if learning_rate is None:
            learning_rate = self.config.learning_rate
        adam = self.adams[name]
        adam.param_groups[0]["lr"] = value_at(learning_rate, self.clock)
        adam.zero_grad()
        loss.backward()
        if self.config.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.nets[name].parameters(), self.config.max_grad_norm)
        adam.step()

    def move_targets(self) -> None:
        for target in [name for name in self.nets if name.endswith("_target")]:
            source = self.nets[target.removesuffix("_target")]
            pairs = zip(self.nets[target].parameters(), source.parameters(), strict=True)
            for old, new in pairs:
                if self.config.target_rate is not None:
                    eta = self.config.target_rate
                    old.data = eta * new.data + (1 - eta) * old.data
                elif self.updates % self.config.target_period == 0:
                    old.data = new.data.clone()

    def shared(self) -> Params:
        return {f"{n}/{k}": v for n, net in self.nets.items() for k, v in named(net).items()}

    def load_shared(self, shared: Params) -> None:
        """Take the averaged parameters; with `reset_on_sync` forget everything else."""
        for name, net in self.nets.items():
            linears = [layer for layer in net if isinstance(layer, nn.Linear)]
            for index, layer in enumerate(linears):
                layer.weight.data = torch.from_numpy(shared[f"{name}/{index}.weight"].T.copy())
                layer.bias.data = torch.from_numpy(shared[f"{name}/{index}.bias"][0].copy())
        if self.config.reset_on_sync:
            self.memory, self.stored, self.updates = [], 0, 0
            self.learning_steps = -self.config.learning_starts
            self.start_learning()

    def explore(self, obs: Tensor) -> Any:
        raise NotImplementedError

    def update(self, *batch: Tensor) -> None:
        raise NotImplementedError

    def after_step(self, episode_ended: bool) -> None:
        """Do nothing; an exploration with state overrides this."""


class FedRDQNOracle(OracleAgent):
    def __init__(self, config: Any, spec: Spec, *, agent: int, seed: int) -> None:
        super().__init__(config, spec, agent=agent, seed=seed)
        hidden = list(config.hidden_sizes)
        self.build("q", [spec.obs_size, *hidden, spec.num_actions], Q)
        if self.omega > 0:
            self.build("degree", [spec.obs_size, *hidden, 1], DEGREE)
        self.explore_draws = StepDraws(seed, Role.EXPLORATION, [agent], width=2, block=1)
        self.start_learning()

    def explore(self, obs: Tensor) -> int:
        uniform = self.explore_draws.at(self.clock)[0]
        if uniform[0] < value_at(self.config.epsilon, self.clock):
            return int(uniform[1] * self.spec.num_actions)
        return int(self.nets["q"](obs).argmax())

    def update(self, *batch: Tensor) -> None:
        obs, action, reward, next_obs, terminated = batch
        with torch.no_grad():
            v_next = self.nets["q_target"](next_obs).max(1).values * (1 - terminated)
        target = self.robust_target(obs, reward, v_next)
        q = self.nets["q"](obs)[torch.arange(len(obs)), action.long()]
        self.minimise("q", ((target - q) ** 2).mean(), self.config.learning_rate)
        if self.omega > 0:
            self.step_degree(obs, v_next)


class FedRDDPGOracle(OracleAgent):
    last_bound = 3e-3

    def __init__(self, config: Any, spec: Spec, *, agent: int, seed: int) -> None:
        super().__init__(config, spec, agent=agent, seed=seed)
        hidden, actions = list(config.hidden_sizes), len(spec.action_low)
        self.build("q", [spec.obs_size + actions, *hidden, 1], Q)
        self.build("policy", [spec.obs_size, *hidden, actions], POLICY)
        if self.omega > 0:
            self.build("degree", [spec.obs_size, *hidden, 1], DEGREE)
        self.explore_draws = StepDraws(seed, Role.EXPLORATION, [agent], width=actions, block=1)
        self.low = torch.tensor(spec.action_low, dtype=torch.float64)
        self.high = torch.tensor(spec.action_high, dtype=torch.float64)
        self.noise = [0.0] * actions
        self.start_learning()

    def pi(self, name: str, obs: Tensor) -> Tensor:
        share = (torch.tanh(self.nets[name](obs)) + 1) / 2
        return self.low + share * (self.high - self.low)

    def q(self, name: str, obs: Tensor, action: Tensor) -> Tensor:
        return self.nets[name](torch.cat([obs, action], 1))[:, 0]

    def explore(self, obs: Tensor) -> Array:
        config, normal = self.config, gaussian(self.explore_draws.at(self.clock)[0])
        scale = value_at(config.noise_scale, self.clock)
        action = self.pi("policy", obs).detach().numpy()
        for i, g in enumerate(normal):
            self.noise[i] += -config.noise_theta * self.noise[i] + config.noise_sigma * g
            half_range = (self.spec.action_high[i] - self.spec.action_low[i]) / 2
            action[i] += scale * half_range * self.noise[i]
        return action.clip(self.spec.action_low, self.spec.action_high).astype(np.float32)

    def after_step(self, episode_ended: bool) -> None:
        if episode_ended:
            self.noise = [0.0] * len(self.noise)

    def update(self, *batch: Tensor) -> None:
        obs, action, reward, next_obs, terminated = batch
        with torch.no_grad():
            next_action = self.pi("policy_target", next_obs)
            v_next = self.q("q_target", next_obs, next_action) * (1 - terminated)
        target = self.robust_target(obs, reward, v_next)
        q = self.q("q", obs, action)
        self.minimise("q", ((target - q) ** 2).mean(), self.config.learning_rate)
        if self.omega > 0:
            self.step_degree(obs, v_next)
        actor_loss = -self.q("q", obs, self.pi("policy", obs)).mean()
        self.minimise("policy", actor_loss, self.config.actor_learning_rate)
