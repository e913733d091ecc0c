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
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .draws import Role, philox
from .types import Array, Params

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
    between layers. `shapes`: input, hidden and output sizes of each network."""

    def __init__(
        self, num_agents: int, shapes: Sequence[Sequence[int]], *, trainable: bool
    ) -> None:
        self.num_agents = num_agents
        self._widths = [pad_width(max(sizes)) for sizes in zip(*shapes, strict=True)]
        self._rows = num_agents * len(shapes)
        self.slots, size = _layout(self._rows, self._widths)
        self.flat = torch.nn.Parameter(torch.zeros(size), requires_grad=trainable)
        self.layers = self._pairs(self.flat.data)
        self.gradients: list[tuple[Tensor, Tensor]] = []
        if trainable:
            self.flat.grad = torch.zeros(size)
            self.gradients = self._pairs(self.flat.grad)
        self.networks = [StackedMLP(self, index, widths) for index, widths in enumerate(shapes)]

    def __call__(self, *inputs_NBI: Tensor) -> tuple[Tensor, ...]:
        """Every network on its own input: [N, B, in] -> [N, B, out] each, in one pass."""
        outputs: tuple[Tensor, ...] = _Pass.apply(self.flat, self.networks, *inputs_NBI)  # type: ignore[no-untyped-call]
        return outputs

    def view(self, flat: Tensor, slot: _Slot) -> Tensor:
        """A parameter of all rows: [P * N, rows, columns] of a buffer of this layout."""
        shape = (self._rows, *slot.shape)
        return flat.as_strided(shape, (slot.stride, slot.shape[1], 1), slot.start)

    def _pairs(self, flat: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of each layer."""
        views = [self.view(flat, slot) for slot in self.slots]
        return list(zip(views[::2], views[1::2], strict=True))


class StackedMLP:
    """One network of a stack, for its N agents."""

    def __init__(self, stack: Stack, index: int, widths: Sequence[int]) -> None:
        self.stack, self.widths, self.num_agents = stack, tuple(widths), stack.num_agents
        self._rows = slice(index * stack.num_agents, (index + 1) * stack.num_agents)
        self.layers = [(w[self._rows], b[self._rows]) for w, b in stack.layers]
        self.gradients = [(w[self._rows], b[self._rows]) for w, b in stack.gradients]
        self._own = self.parts(stack.flat.data)

    def __call__(self, x_NBI: Tensor) -> Tensor:
        """[N, B, in] -> [N, B, out]. Gradients reach x, never the parameters."""
        if not (torch.is_grad_enabled() and x_NBI.requires_grad):
            return _run(self.layers, self.pad(x_NBI))[-1][..., : self.widths[-1]]
        out: Tensor = _Frozen.apply(x_NBI, self)  # type: ignore[no-untyped-call]
        return out

    def pad(self, x_NBI: Tensor) -> Tensor:
        """The input as the first layer takes it."""
        missing = self.layers[0][0].shape[1] - self.widths[0]
        return torch.nn.functional.pad(x_NBI, (0, missing)) if missing else x_NBI

    def own(self, x_MBO: Tensor) -> Tensor:
        """This network's share of what the stack's last layer makes: [N, B, out]."""
        return x_MBO[self._rows, :, : self.widths[-1]]

    def parts(self, flat: Tensor) -> list[Tensor]:
        """Where this network lies in a buffer of its stack's layout: one piece per parameter."""
        first, n = self._rows.start, self.num_agents
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
        for mine, theirs in zip(self._own, source._own, strict=True):
            mine.lerp_(theirs, rate)

    def views(self, flat: Tensor | None = None) -> dict[str, Tensor]:
        """Named views without the padding, each [N, ...], of this network's buffer or of any
        buffer of the same layout (an optimiser's moments)."""
        source = self.stack.flat.data if flat is None else flat
        named = {}
        for index, slot in enumerate(self.stack.slots):
            rows = self.widths[index // 2] if slot.shape[0] > 1 else 1
            view = self.stack.view(source, slot)[self._rows]
            named[slot.name] = view[:, :rows, : self.widths[index // 2 + 1]]
        return named

    def load(self, named: dict[str, Array], flat: Tensor | None = None) -> None:
        """Copy named arrays, [N, ...] or [...] for all agents, into the views."""
        for name, view in self.views(flat).items():
            view.copy_(torch.from_numpy(np.array(named[name])))

    def clip_grad_norm(self, max_norm: float | None) -> None:
        """Scale the gradient of each agent's network to a norm of at most `max_norm`."""
        if max_norm is None:
            return
        grads = [grad for pair in self.gradients for grad in pair]
        norm_N11 = sum(g.square().sum((1, 2), keepdim=True) for g in grads).sqrt()  # type: ignore[union-attr]
        scale_N11 = (max_norm / (norm_N11 + 1e-6)).clamp(max=1.0)
        for grad in grads:
            grad.mul_(scale_N11)


def _run(layers: Sequence[tuple[Tensor, Tensor]], x: Tensor) -> list[Tensor]:
    """A padded input and what each layer makes of it."""
    found = [x]
    for weight, bias in layers[:-1]:
        found.append(torch.baddbmm(bias, found[-1], weight).relu_())
    weight, bias = layers[-1]
    return [*found, torch.baddbmm(bias, found[-1], weight)]


def _run_back(
    layers: Sequence[tuple[Tensor, Tensor]],
    activations: Sequence[Tensor],
    grad_MBO: Tensor,
    *,
    gradients: Sequence[tuple[Tensor, Tensor]] = (),
    reach_x: bool,
) -> Tensor:
    """Chain rule through the layers: the gradient of the padded input, if that is to be reached;
    those of weights and biases are written over what `gradients` held."""
    grad = grad_MBO
    for index in reversed(range(len(layers))):
        x = activations[index]
        if gradients:
            into_weight, into_bias = gradients[index]
            torch.bmm(x.mT, grad, out=into_weight)
            torch.sum(grad, 1, keepdim=True, out=into_bias)
        if index or reach_x:
            grad = torch.bmm(grad, layers[index][0].mT)
        if index:
            torch.ops.aten.threshold_backward(grad, x, 0.0, grad_input=grad)
    return grad


class _Pass(torch.autograd.Function):
    """All networks of a stack as one node of the graph. Its backward is a few products straight
    into the flat gradient, where autograd would make nodes, buffers and sums for every layer."""

    @staticmethod
    def forward(
        ctx: Any, flat: Tensor, networks: Sequence[StackedMLP], *inputs_NBI: Tensor
    ) -> tuple[Tensor, ...]:
        padded = [net.pad(x) for net, x in zip(networks, inputs_NBI, strict=True)]
        x = padded[0] if len(padded) == 1 else torch.cat(padded)
        ctx.networks, ctx.activations = networks, _run(networks[0].stack.layers, x)
        return tuple(net.own(ctx.activations[-1]) for net in networks)

    @staticmethod
    def backward(ctx: Any, *grads_NBO: Tensor) -> Any:
        stack = ctx.networks[0].stack
        padded = torch.zeros_like(ctx.activations[-1])
        for net, grad in zip(ctx.networks, grads_NBO, strict=True):
            net.own(padded).copy_(grad)
        _run_back(stack.layers, ctx.activations, padded, gradients=stack.gradients, reach_x=False)
        return None, None, *[None] * len(grads_NBO)


class _Frozen(torch.autograd.Function):
    """A network whose parameters take no gradient, as one node: an actor looks through a critic."""

    @staticmethod
    def forward(ctx: Any, x_NBI: Tensor, net: StackedMLP) -> Tensor:
        ctx.net, ctx.activations = net, _run(net.layers, net.pad(x_NBI))
        return ctx.activations[-1][..., : net.widths[-1]]  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, grad_NBO: Tensor) -> Any:
        missing = ctx.activations[-1].shape[-1] - ctx.net.widths[-1]
        grad = torch.nn.functional.pad(grad_NBO, (0, missing))
        grad = _run_back(ctx.net.layers, ctx.activations, grad, reach_x=True)
        return grad[..., : ctx.net.widths[0]], None


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
