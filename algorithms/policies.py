"""Greedy policies as plain torch modules, in the form in which a learner is exported.

A module holds one policy, so there is no agent axis; M rows act at once. The arguments of its
class are plain numbers, so a program can rebuild it from them and from the parameters.
"""

# ruff: noqa: N815 (shape suffixes are capitals)
from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .networks.stacked import StackedMLP
from .types import Array, Spec


class GreedyPolicy(nn.Module):
    """Base class; `arguments` are the arguments that the policy was built from."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__()
        self.arguments = arguments


class DiscretePolicy(GreedyPolicy):
    """pi(s) = argmax_a Q(s, a), the first of equals: [M, S] float32 -> [M] int64."""

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__(widths=tuple(widths))
        self.q = _perceptron(widths)

    @classmethod
    def of(cls, network: StackedMLP) -> DiscretePolicy:
        """Return the policy of the first agent."""
        policy = cls(network.widths)
        _load_layers(policy.q, network.views())
        return policy

    def scores(self, obs_MS: Tensor) -> Tensor:
        """Return Q(s, a): [M, A]."""
        q_MA: Tensor = self.q(obs_MS)
        return q_MA

    def forward(self, obs_MS: Tensor) -> Tensor:
        """Return the greedy actions: [M] int64."""
        return self.scores(obs_MS).argmax(-1)


class ContinuousPolicy(GreedyPolicy):
    """pi(s), a tanh scaled to the action bounds: [M, S] float32 -> [M, A] float32."""

    centre_A: Tensor
    half_range_A: Tensor

    def __init__(self, widths: Sequence[int], low: Sequence[float], high: Sequence[float]) -> None:
        super().__init__(widths=tuple(widths), low=tuple(low), high=tuple(high))
        self.pi = _perceptron(widths)
        low_A, high_A = torch.tensor(self.arguments["low"]), torch.tensor(self.arguments["high"])
        self.register_buffer("centre_A", (high_A + low_A) / 2)
        self.register_buffer("half_range_A", (high_A - low_A) / 2)

    @classmethod
    def of(cls, network: StackedMLP, spec: Spec) -> ContinuousPolicy:
        """Return the policy of the first agent."""
        policy = cls(network.widths, spec.action_low, spec.action_high)
        _load_layers(policy.pi, network.views())
        return policy

    def normalised(self, obs_MS: Tensor) -> Tensor:
        """Return the actions before they are scaled, in [-1, 1]: [M, A]."""
        return torch.tanh(self.pi(obs_MS))

    def forward(self, obs_MS: Tensor) -> Tensor:
        """Return the actions: [M, A] float32."""
        return self.centre_A + self.half_range_A * self.normalised(obs_MS)


class TabularPolicy(GreedyPolicy):
    """pi(s) = argmax_a Q(s, a) of a table, the first of equals: [M] int64 -> [M] int64."""

    q_SA: Tensor

    def __init__(self, num_states: int, num_actions: int) -> None:
        super().__init__(num_states=num_states, num_actions=num_actions)
        self.register_buffer("q_SA", torch.zeros(num_states, num_actions, dtype=torch.float64))

    @classmethod
    def of(cls, q_SA: Array) -> TabularPolicy:
        """Return the greedy policy of a table."""
        policy = cls(*q_SA.shape)
        policy.q_SA.copy_(torch.from_numpy(q_SA))
        return policy

    def scores(self, obs_M: Tensor) -> Tensor:
        """Return Q(s, a): [M, A] float64."""
        return self.q_SA[obs_M]

    def forward(self, obs_M: Tensor) -> Tensor:
        """Return the greedy actions: [M] int64."""
        return self.scores(obs_M).argmax(-1)


def _perceptron(widths: Sequence[int]) -> nn.Sequential:
    """Return linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for wide_in, wide_out in itertools.pairwise(widths):
        layers += [nn.Linear(wide_in, wide_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@torch.no_grad()
def _load_layers(network: nn.Sequential, named: Mapping[str, Tensor]) -> None:
    """Load the first agent's weights, of [N, in, out], and biases, of [N, 1, out]."""
    for number, layer in enumerate(m for m in network if isinstance(m, nn.Linear)):
        layer.weight.copy_(named[f"{number}.weight"][0].T)
        layer.bias.copy_(named[f"{number}.bias"][0, 0])
