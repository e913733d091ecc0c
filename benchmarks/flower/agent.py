"""FedRDQN for one agent on cartpole in plain, eager torch, written for one client of Flower.

Its step equals that of `algorithms/learners/fedrdqn.py`, which steps many agents at once. A client
of Flower lives for one round, so all state of an agent can be taken out and put back as arrays.
"""

from __future__ import annotations

import itertools
from typing import Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

OMEGA, EXPECTILE, DISCOUNT = 0.3, 0.01, 0.99
OBS, ACTIONS = 4, 2
Arrays = dict[str, np.ndarray]


class Agent:
    """Networks, replay, optimizer and environment of one agent."""

    def __init__(self, settings: dict[str, Any], pole_length: float, seed: list[int]) -> None:
        self.settings, self.clock, self.filled = settings, 0, 0
        hidden = settings["hidden_sizes"]
        self.networks = nn.ModuleDict(
            {
                "q": mlp([OBS, *hidden, ACTIONS]),
                "q_target": mlp([OBS, *hidden, ACTIONS]),
                "degree": mlp([OBS, *hidden, 1]),
            }
        )
        self.networks["q_target"].load_state_dict(self.networks["q"].state_dict())
        self.online = [*self.networks["q"].parameters(), *self.networks["degree"].parameters()]
        self.adam = torch.optim.Adam(self.online, lr=settings["learning_rate"])
        self.rng = np.random.default_rng(seed)
        self.env = cartpole(pole_length)
        self.obs, _ = self.env.reset(seed=int(self.rng.integers(2**31)))
        # A row: state, action, reward, next state, terminated.
        self.replay = torch.zeros(settings["replay_capacity"], 2 * OBS + 3)

    def step(self) -> None:
        """Act, step the environment and store; then sample a minibatch and update."""
        action = self.explore()
        next_obs, reward, terminated, truncated, _ = self.env.step(action)
        row = np.concatenate([self.obs, [action, reward], next_obs, [terminated]], dtype=np.float32)
        self.replay[self.filled % len(self.replay)] = torch.from_numpy(row)
        self.filled += 1
        self.obs = self.env.reset()[0] if terminated or truncated else next_obs
        if self.clock >= self.settings["learning_starts"]:
            self.update()
        self.clock += 1

    def explore(self) -> int:
        """Return an epsilon-greedy action."""
        if self.rng.random() < self.settings["epsilon"]:
            return int(self.rng.integers(ACTIONS))
        with torch.no_grad():
            return int(self.networks["q"](torch.from_numpy(self.obs)).argmax())

    def update(self) -> None:
        """Update theta and psi together, then theta' softly."""
        rows = self.rng.integers(
            min(self.filled, len(self.replay)), size=self.settings["batch_size"]
        )
        obs, action, reward, next_obs, terminated = self.replay[torch.from_numpy(rows)].split(
            [OBS, 1, 1, OBS, 1], dim=1
        )
        with torch.no_grad():
            v_next = self.networks["q_target"](next_obs).amax(1, keepdim=True) * (1 - terminated)
        q = self.networks["q"](obs).gather(1, action.long())
        v_worst = self.networks["degree"](obs)
        target = reward + DISCOUNT * ((1 - OMEGA) * v_next + OMEGA * v_worst.detach())
        loss = (target - q).square().mean() + expectile_loss(v_next - v_worst)
        self.adam.zero_grad()
        loss.backward()
        for name in ("q", "degree"):
            nn.utils.clip_grad_norm_(
                self.networks[name].parameters(), self.settings["max_grad_norm"]
            )
        self.adam.step()
        self.soft_update()

    @torch.no_grad()
    def soft_update(self) -> None:
        """Apply theta' <- eta theta + (1 - eta) theta'."""
        source, target = self.networks["q"].parameters(), self.networks["q_target"].parameters()
        for one, other in zip(source, target, strict=True):
            other.lerp_(one, self.settings["target_rate"])

    def private(self) -> Arrays:
        """Return the state that stays with the agent between rounds."""
        env = self.env.unwrapped
        counters = [self.clock, self.filled, self.env._elapsed_steps]
        arrays = {"replay": self.replay.numpy(), "counters": np.array(counters)}
        arrays |= {"physics": np.array(env.state, dtype=np.float64)}
        for index, state in enumerate(self.adam.state[p] for p in self.online):
            arrays |= {f"adam{index}.{key}": value.numpy() for key, value in state.items()}
        return arrays

    def load_private(self, arrays: Arrays) -> None:
        """Load the state that `private` returned."""
        self.replay.copy_(torch.from_numpy(arrays["replay"]))
        self.clock, self.filled, self.env._elapsed_steps = (int(n) for n in arrays["counters"])
        self.env.unwrapped.state = arrays["physics"]
        self.obs = arrays["physics"].astype(np.float32)
        for index, parameter in enumerate(self.online):
            names = [n for n in arrays if n.startswith(f"adam{index}.")]
            self.adam.state[parameter] = {
                n.partition(".")[2]: torch.from_numpy(arrays[n].copy()) for n in names
            }


def mlp(widths: list[int]) -> nn.Sequential:
    """Return linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for width, following in itertools.pairwise(widths):
        layers += [nn.Linear(width, following), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def expectile_loss(u: Tensor) -> Tensor:
    """Return the mean of |tau - 1{u < 0}| u^2."""
    return (torch.where(u < 0, 1 - EXPECTILE, EXPECTILE) * u.square()).mean()


def cartpole(pole_length: float) -> Any:
    """Return Gymnasium's CartPole with a pole of this full length."""
    env = gymnasium.make("CartPole-v1", disable_env_checker=True)
    env.unwrapped.length = pole_length / 2
    env.unwrapped.polemass_length = env.unwrapped.masspole * pole_length / 2
    return env
