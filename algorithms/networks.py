"""Stacked networks: N networks of one shape, evaluated in one batched product.

A `Stack` holds one or more networks for each of N agents: a layer is a weight [P * N, in, out] and
a bias [P * N, 1, out], the first N rows of the first network, the next N of the second. All layers
lie in one flat buffer, so that the optimiser is one operation; a network's rows are contiguous in
each layer.

Widths are padded with zeros to a multiple of 8, a bias's row and each parameter's place in the
buffer to a multiple of 64. Batched products on CPU give the same bits per agent for any N only at
such widths (output widths 1 and 6 differ between N = 1 and N > 1); they may depend on the alignment
of their operands, which must then not depend on N; and an elementwise kernel treats a ragged tail
differently from its body. Padded entries start at zero, get zero gradients and stay zero.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from .draws import Role, philox
from .on_use import torch
from .types import Array, Params

if TYPE_CHECKING:
    from torch import Tensor

_WIDTH_MULTIPLE = 8
_PLACE_MULTIPLE = 64


def pad_width(width: int) -> int:
    """The next multiple of 8."""
    return _next_multiple(width, _WIDTH_MULTIPLE)


def _next_multiple(size: int, of: int) -> int:
    return -(-size // of) * of


class _Slot(NamedTuple):
    """Where a parameter of all rows lies in the flat buffer: `start`, floats from row to row, and
    its shape in a row."""

    name: str
    start: int
    stride: int
    shape: tuple[int, int]


class Stack:
    """Networks of the same depth for N agents, in one buffer: multilayer perceptrons with ReLU
    between layers. `shapes`: input, hidden and output sizes of each network.

    Derivatives are written out, layer by layer: at these sizes autograd spends more time on its
    graph than the products take.
    """

    def __init__(
        self,
        num_agents: int,
        shapes: Sequence[Sequence[int]],
        *,
        trainable: bool,
        device: str = "cpu",
    ) -> None:
        self.num_agents, self.device = num_agents, device
        self._widths = [pad_width(max(sizes)) for sizes in zip(*shapes, strict=True)]
        self.num_rows = num_agents * len(shapes)
        self.slots, size = _layout(self.num_rows, self._widths)
        self.flat = torch.zeros(size, device=device)
        self.layers = self._layers(self.flat)
        self.flat_gradient = torch.zeros(size if trainable else 0, device=device)
        self.gradients = self._pairs(self.flat_gradient) if trainable else []
        self.networks = [StackedMLP(self, index, widths) for index, widths in enumerate(shapes)]
        self._padded: dict[tuple[str, int], tuple[Tensor, list[Tensor]]] = {}
        self._activations: list[Tensor] = []

    def forward(self, *inputs_NBI: Tensor) -> tuple[Tensor, ...]:
        """Every network on its own input: [N, B, in] -> [N, B, out] each, in one pass. What each
        layer made is kept for `backward`."""
        self._activations = _run(self.layers, self._fill("in", inputs_NBI))
        return tuple(net.own(self._activations[-1]) for net in self.networks)

    def backward(self, *slopes_NBO: Tensor) -> None:
        """Derivatives by all parameters, over those of the pass before, from the derivatives by
        what `forward` gave last: [N, B, out] each."""
        slope = self._fill("out", slopes_NBO)
        _run_back(self.layers, self._activations, slope, self.gradients)

    def clip_gradients(self, max_norm: float | None) -> None:
        """Scale the gradient of each agent's network to a norm of at most `max_norm`."""
        if max_norm is None:
            return
        gradients = [gradient for pair in self.gradients for gradient in pair]
        norms = [torch.linalg.vector_norm(g, dim=(1, 2), keepdim=True) for g in gradients]
        norm = torch.linalg.vector_norm(torch.cat(norms, dim=1), dim=1, keepdim=True)
        if self.device != "cpu" or (norm > max_norm).any():  # asking a GPU would wait for it
            scale = (max_norm / (norm + 1e-6)).clamp_(max=1.0)
            for gradient in gradients:
                gradient.mul_(scale)

    def view(self, flat: Tensor, slot: _Slot) -> Tensor:
        """A parameter of all rows: [P * N, rows, columns] of a buffer of this layout."""
        shape = (self.num_rows, *slot.shape)
        return flat.as_strided(shape, (slot.stride, slot.shape[1], 1), slot.start)

    def _fill(self, end: Literal["in", "out"], parts_NBW: Sequence[Tensor]) -> Tensor:
        """What goes into an end of all networks, one on top of the other and padded: a buffer that
        is kept, whose padding stays zero."""
        key = end, parts_NBW[0].shape[1]
        if key not in self._padded:
            self._padded[key] = self._buffer(*key)
        buffer, places = self._padded[key]
        for place, part in zip(places, parts_NBW, strict=True):
            place.copy_(part)
        return buffer

    def _buffer(self, end: Literal["in", "out"], batch: int) -> tuple[Tensor, list[Tensor]]:
        """A buffer of zeros, and where each network's part lies in it."""
        at = 0 if end == "in" else -1
        buffer = torch.zeros(self.num_rows, batch, self._widths[at], device=self.device)
        return buffer, [buffer[net.rows, :, : net.widths[at]] for net in self.networks]

    def _pairs(self, flat: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each layer."""
        views = [self.view(flat, slot) for slot in self.slots]
        return list(zip(views[::2], views[1::2], strict=True))

    def _layers(self, flat: Tensor) -> list[_Layer]:
        return [_Layer(weight, bias, weight.mT) for weight, bias in self._pairs(flat)]


class StackedMLP:
    """One network of a stack, for its N agents."""

    def __init__(self, stack: Stack, index: int, widths: Sequence[int]) -> None:
        self.stack, self.widths, self.num_agents = stack, tuple(widths), stack.num_agents
        self.rows = slice(index * stack.num_agents, (index + 1) * stack.num_agents)
        self._layers = [_Layer(*(x[self.rows] for x in layer)) for layer in stack.layers]
        self._own = self.parts(stack.flat)

    def __call__(self, x_NBI: Tensor) -> Tensor:
        """[N, B, in] -> [N, B, out]."""
        return _run(self._layers, self._pad(x_NBI))[-1][..., : self.widths[-1]]

    def slope(self, x_NBI: Tensor) -> tuple[Tensor, Tensor]:
        """The first output, [N, B], and its derivative by x, [N, B, in]."""
        activations = _run(self._layers, self._pad(x_NBI))
        ones = torch.zeros_like(activations[-1])
        ones[..., 0] = 1.0
        slope = _run_back(self._layers, activations, ones)
        return activations[-1][..., 0], slope[..., : self.widths[0]]

    def _pad(self, x_NBI: Tensor) -> Tensor:
        """The input as the first layer takes it."""
        missing = self._layers[0].weight.shape[1] - self.widths[0]
        return torch.nn.functional.pad(x_NBI, (0, missing)) if missing else x_NBI

    def own(self, x_MBO: Tensor) -> Tensor:
        """This network's share of what the stack's last layer makes: [N, B, out]."""
        return x_MBO[self.rows, :, : self.widths[-1]]

    def parts(self, flat: Tensor) -> list[Tensor]:
        """Where this network lies in a buffer of its stack's layout: one piece per parameter."""
        first, n = self.rows.start, self.num_agents
        return [
            flat[slot.start + first * slot.stride : slot.start + (first + n) * slot.stride]
            for slot in self.stack.slots
        ]

    def copy(self, source: StackedMLP) -> None:
        """Take the parameters of a network of the same shape."""
        for mine, theirs in zip(self._own, source._own, strict=True):
            mine.copy_(theirs)

    def lerp(self, source: StackedMLP, rate: float) -> None:
        """Go `rate` of the way towards a network of the same shape."""
        torch._foreach_lerp_(self._own, source._own, rate)

    def views(self, flat: Tensor | None = None) -> dict[str, Tensor]:
        """Named views without the padding, each [N, ...], of this network's buffer or of any
        buffer of the same layout (an optimiser's moments)."""
        source = self.stack.flat if flat is None else flat
        named = {}
        for index, slot in enumerate(self.stack.slots):
            rows = self.widths[index // 2] if slot.shape[0] > 1 else 1
            view = self.stack.view(source, slot)[self.rows]
            named[slot.name] = view[:, :rows, : self.widths[index // 2 + 1]]
        return named

    def load(self, named: dict[str, Array], flat: Tensor | None = None) -> None:
        """Copy named arrays, [N, ...] or [...] for all agents, into the views."""
        for name, view in self.views(flat).items():
            view.copy_(torch.from_numpy(np.array(named[name])))


class _Layer(NamedTuple):
    """Parameters of all rows; the transposed view is made once."""

    weight: Tensor
    bias: Tensor
    weight_transposed: Tensor


def _run(layers: Sequence[_Layer], x: Tensor) -> list[Tensor]:
    """A padded input and what each layer makes of it."""
    found = [x]
    for layer in layers[:-1]:
        found.append(torch.baddbmm(layer.bias, found[-1], layer.weight).relu_())
    return [*found, torch.baddbmm(layers[-1].bias, found[-1], layers[-1].weight)]


def _run_back(
    layers: Sequence[_Layer],
    activations: Sequence[Tensor],
    slope: Tensor,
    gradients: Sequence[tuple[Tensor, Tensor]] = (),
) -> Tensor:
    """Chain rule through the layers. With `gradients`, those of weights and biases are written
    over what these held; without, the derivative by the padded input is what is asked for."""
    for index in reversed(range(len(layers))):
        x = activations[index]
        if gradients:
            into_weight, into_bias = gradients[index]
            torch.bmm(x.mT, slope, out=into_weight)
            torch.sum(slope, 1, keepdim=True, out=into_bias)
        if index or not gradients:
            slope = torch.bmm(slope, layers[index].weight_transposed)
        if index:
            torch.ops.aten.threshold_backward(slope, x, 0.0, grad_input=slope)
    return slope


def _layout(rows: int, widths: Sequence[int]) -> tuple[list[_Slot], int]:
    slots, start = [], 0
    for layer, (wide_in, wide_out) in enumerate(itertools.pairwise(widths)):
        for kind, shape in (("weight", (wide_in, wide_out)), ("bias", (1, wide_out))):
            stride = _next_multiple(math.prod(shape), _PLACE_MULTIPLE)
            slots.append(_Slot(f"{layer}.{kind}", start, stride, shape))
            start += rows * stride
    return slots, start


def initial_weights(
    widths: Sequence[int], *, seed: int, network: int, last_bound: float | None = None
) -> Params:
    """Uniform weights and biases in +-1/sqrt(in), as torch.nn.Linear; no agent axis.

    They depend on (seed, network number, layer) alone, so that a further network changes no other.
    `last_bound` replaces the bound of the last layer (DDPG: 3e-3).
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
