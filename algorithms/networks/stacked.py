"""Groups of networks: the parameters of P networks for each of N agents, in one buffer.

A layer of a `NetworkGroup` is a weight [P * N, in, out] and a bias [P * N, 1, out]: N rows of the
first network, then N of the second, and so on. All layers lie in one flat buffer, so that the
optimizer is one operation. A network's rows are contiguous in each layer.

Widths are padded with zeros to a multiple of 8, and each parameter's place in the buffer to a
multiple of 64. There are four reasons. Compiled kernels then need no remainders. torch's batched
products on CPU give the same bits per agent for any N only at such widths (at output widths 1 and 6
they differ between N = 1 and N > 1). These products may depend on the alignment of their operands,
which must therefore not depend on N. An elementwise kernel treats a ragged tail differently from
its body. Padded entries start at zero, get zero gradients and stay zero.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..arrays import Numbers
from ..draws import Role, philox
from ..lazy_torch import torch
from ..types import Array, Params

if TYPE_CHECKING:
    from torch import Tensor

_WIDTH_MULTIPLE = 8
_PLACE_MULTIPLE = 64


def pad(size: int, to: int = _WIDTH_MULTIPLE) -> int:
    """Return the smallest multiple of `to` that is not below `size`."""
    return -(-size // to) * to


class Slot(NamedTuple):
    """The place of a parameter of all rows in the flat buffer.

    start: index of its first number. stride: numbers from one row to the next. shape: its shape in
    a row.
    """

    name: str
    start: int
    stride: int
    shape: tuple[int, int]


class NetworkGroup(ABC):
    """Multilayer perceptrons of the same depth for N agents, with ReLU between layers.

    shapes: input, hidden and output sizes of each network. `eager` computes a group operation by
    operation, on any device; `compiled` computes it network by network, on the CPU.
    """

    def __init__(
        self,
        num_agents: int,
        shapes: Sequence[Sequence[int]],
        *,
        device: str = "cpu",
    ) -> None:
        self.num_agents, self.device = num_agents, device
        self.widths = [pad(max(sizes)) for sizes in zip(*shapes, strict=True)]
        self.num_rows = num_agents * len(shapes)
        self.slots, size = layout(self.num_rows, self.widths)
        self.flat = torch.zeros(size, device=device)
        self.networks = [StackedMLP(self, index, widths) for index, widths in enumerate(shapes)]

    @abstractmethod
    def forward(self, *inputs_NBI: Numbers) -> tuple[Numbers, ...]:
        """Run every network on its own input in one pass: [N, B, in] -> [N, B, out] each.

        The activations of each layer are kept for a step of the optimizer.
        """

    @abstractmethod
    def evaluate(self, network: StackedMLP, x_NBI: Numbers) -> Numbers:
        """Run one network: [N, B, in] -> [N, B, out]."""

    @abstractmethod
    def value_and_gradient(self, network: StackedMLP, x_NBI: Numbers) -> tuple[Numbers, Numbers]:
        """Return the first output of one network, [N, B], and its derivative by x, [N, B, in]."""

    @abstractmethod
    def soft_update(self, network: StackedMLP, source: StackedMLP, rate: float) -> None:
        """Move a network `rate` of the way towards another of the same shape."""

    def view(self, flat: Tensor, slot: Slot) -> Tensor:
        """Return a parameter of all rows, [P * N, rows, columns], in a buffer of this layout."""
        shape = (self.num_rows, *slot.shape)
        return flat.as_strided(shape, (slot.stride, slot.shape[1], 1), slot.start)


class StackedMLP:
    """One network of a group, for its N agents."""

    def __init__(self, group: NetworkGroup, index: int, widths: Sequence[int]) -> None:
        self.group, self.widths, self.num_agents = group, tuple(widths), group.num_agents
        self.rows = slice(index * group.num_agents, (index + 1) * group.num_agents)
        self.own = self.parts(group.flat)
        """Views of its parameters in the group's buffer, one piece per parameter."""

    def __call__(self, x_NBI: Numbers) -> Numbers:
        """Run the network: [N, B, in] -> [N, B, out]."""
        return self.group.evaluate(self, x_NBI)

    def value_and_gradient(self, x_NBI: Numbers) -> tuple[Numbers, Numbers]:
        """Return the first output, [N, B], and its derivative by x, [N, B, in]."""
        return self.group.value_and_gradient(self, x_NBI)

    def parts(self, flat: Tensor) -> list[Tensor]:
        """Return views of this network in a buffer of its group's layout, one per parameter."""
        first, n = self.rows.start, self.num_agents
        return [
            flat[slot.start + first * slot.stride : slot.start + (first + n) * slot.stride]
            for slot in self.group.slots
        ]

    def copy(self, source: StackedMLP) -> None:
        """Copy the parameters of a network of the same shape."""
        for mine, theirs in zip(self.own, source.own, strict=True):
            mine.copy_(theirs)

    def soft_update(self, source: StackedMLP, rate: float) -> None:
        """Move `rate` of the way towards a network of the same shape."""
        self.group.soft_update(self, source, rate)

    def views(self, flat: Tensor | None = None) -> dict[str, Tensor]:
        """Return named views of this network without the padding, each [N, ...].

        flat: another buffer of the same layout, such as an optimizer's moment.
        """
        source = self.group.flat if flat is None else flat
        named = {}
        for index, slot in enumerate(self.group.slots):
            rows = self.widths[index // 2] if slot.shape[0] > 1 else 1
            view = self.group.view(source, slot)[self.rows]
            named[slot.name] = view[:, :rows, : self.widths[index // 2 + 1]]
        return named

    def load(self, named: dict[str, Array], flat: Tensor | None = None) -> None:
        """Copy named arrays, [N, ...], or [...] for all agents, into the views."""
        for name, view in self.views(flat).items():
            view.copy_(torch.from_numpy(np.array(named[name])))


def layout(rows: int, widths: Sequence[int]) -> tuple[list[Slot], int]:
    """Return the places of the parameters of so many rows, and the size of the buffer.

    Weight and bias of each layer come in turn.
    """
    slots, start = [], 0
    for layer, (wide_in, wide_out) in enumerate(itertools.pairwise(widths)):
        for kind, shape in (("weight", (wide_in, wide_out)), ("bias", (1, wide_out))):
            stride = pad(math.prod(shape), to=_PLACE_MULTIPLE)
            slots.append(Slot(f"{layer}.{kind}", start, stride, shape))
            start += rows * stride
    return slots, start


def initial_weights(
    widths: Sequence[int], *, seed: int, network: int, last_bound: float | None = None
) -> Params:
    """Return uniform weights and biases in +-1/sqrt(in), as in torch.nn.Linear; no agent axis.

    They depend on (seed, network number, layer) alone, so an additional network changes no other.
    last_bound: replaces the bound of the last layer (3e-3 in DDPG).
    """
    params: Params = {}
    for layer, (wide_in, wide_out) in enumerate(itertools.pairwise(widths)):
        rng = philox(seed, Role.INITIAL_WEIGHTS, network * 1000 + layer)
        bound = 1.0 / math.sqrt(wide_in)
        if last_bound is not None and layer == len(widths) - 2:
            bound = last_bound
        weight = rng.uniform(-bound, bound, (wide_in, wide_out)).astype(np.float32)
        bias = rng.uniform(-bound, bound, (1, wide_out)).astype(np.float32)
        params |= {f"{layer}.weight": weight, f"{layer}.bias": bias}
    return params
