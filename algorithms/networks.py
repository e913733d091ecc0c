"""Stacked networks: N networks of one shape, evaluated in one batched product.

A layer is a weight [N, in, out] and a bias [N, 1, out]. All layers of a network lie in one flat
buffer, so that the optimiser, the target update and the broadcast are each one operation.

Widths are padded with zeros to a multiple of 8 and each parameter's place in the buffer to a
multiple of 64. Batched products on CPU give the same bits per agent for any N only at such widths
(output widths 1 and 6 differ between N = 1 and N > 1); they may depend on the alignment of their
operands, which must then not depend on N; and an elementwise kernel treats a ragged tail
differently from its body. Padded entries start at zero, get zero gradients and stay zero.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

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
    """Where one parameter lies in the flat buffer, and its true shape inside the padded one."""

    name: str
    start: int
    padded: tuple[int, int]
    true: tuple[int, int]


class StackedMLP:
    """N multilayer perceptrons with ReLU between layers: [N, B, in] -> [N, B, out].

    `widths` are input, hidden and output sizes. `trainable` gives the flat buffer a gradient.
    """

    def __init__(self, num_agents: int, widths: Sequence[int], *, trainable: bool) -> None:
        self.num_agents, self.widths = num_agents, tuple(widths)
        self._slots, size = _layout(num_agents, self.widths)
        self.flat = torch.nn.Parameter(torch.zeros(size), requires_grad=trainable)
        if trainable:
            self.flat.grad = torch.zeros(size)
        self._layers = [
            (self._leaf(w, trainable), self._leaf(b, trainable))
            for w, b in zip(self._slots[::2], self._slots[1::2], strict=True)
        ]

    @property
    def leaves(self) -> list[Tensor]:
        """Weights and biases as autograd sees them; their gradients lie in `flat.grad`."""
        return [leaf for layer in self._layers for leaf in layer]

    def __call__(self, x_NBI: Tensor) -> Tensor:
        """[N, B, in] -> [N, B, out]."""
        x = torch.nn.functional.pad(x_NBI, (0, pad_width(self.widths[0]) - self.widths[0]))
        for weight, bias in self._layers[:-1]:
            x = torch.relu(torch.baddbmm(bias, x, weight))
        weight, bias = self._layers[-1]
        return torch.baddbmm(bias, x, weight)[..., : self.widths[-1]]

    def views(self, flat: Tensor | None = None) -> dict[str, Tensor]:
        """Named views without the padding, each [N, ...], of this network's buffer or of any
        buffer of the same layout (an optimiser's moments)."""
        source = self.flat.data if flat is None else flat
        return {slot.name: self._view(source, slot)[:, : slot.true[0], : slot.true[1]]
                for slot in self._slots}  # fmt: skip

    def load(self, named: dict[str, Array], flat: Tensor | None = None) -> None:
        """Copy named arrays, [N, ...] or [...] for all agents, into the views."""
        for name, view in self.views(flat).items():
            view.copy_(torch.from_numpy(np.array(named[name])))

    def zero_grad(self) -> None:
        """Gradients to 0, in place."""
        assert self.flat.grad is not None
        self.flat.grad.zero_()

    def clip_grad_norm(self, max_norm: float | None) -> None:
        """Scale the gradient of each agent's network to a norm of at most `max_norm`."""
        if max_norm is None:
            return
        assert self.flat.grad is not None
        grads = [self._view(self.flat.grad, slot) for slot in self._slots]
        norm_N11 = sum(g.square().sum((1, 2), keepdim=True) for g in grads).sqrt()  # type: ignore[union-attr]
        scale_N11 = (max_norm / (norm_N11 + 1e-6)).clamp(max=1.0)
        for grad in grads:
            grad.mul_(scale_N11)

    def _view(self, flat: Tensor, slot: _Slot) -> Tensor:
        shape = (self.num_agents, *slot.padded)
        return flat[slot.start : slot.start + math.prod(shape)].view(shape)

    def _leaf(self, slot: _Slot, trainable: bool) -> Tensor:
        """A leaf that shares memory with the flat buffer, its gradient with the flat gradient."""
        leaf = self._view(self.flat.data, slot)
        if trainable:
            assert self.flat.grad is not None
            leaf.requires_grad_()
            leaf.grad = self._view(self.flat.grad, slot)
        return leaf


def _layout(num_agents: int, widths: tuple[int, ...]) -> tuple[list[_Slot], int]:
    slots, start = [], 0
    for layer, (wide_in, wide_out) in enumerate(itertools.pairwise(widths)):
        out = pad_width(wide_out)
        for kind, rows, true_rows in (("weight", pad_width(wide_in), wide_in), ("bias", 1, 1)):
            slots.append(_Slot(f"{layer}.{kind}", start, (rows, out), (true_rows, wide_out)))
            start += _next_multiple(num_agents * rows * out, _PLACE_MULTIPLE)
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
