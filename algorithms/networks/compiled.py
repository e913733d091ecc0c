"""Groups of networks on the CPU by compiled kernels, one network of one agent after the other.

Inputs and outputs are NumPy arrays. The arithmetic is that of `eager`, with sums in another order;
`kernels` says why it is faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..types import Array
from .adam import BETAS, EPSILON, StackedAdam, denormals_as_zero
from .stacked import NetworkGroup, Slot, StackedMLP, layout, pad

_MOST_KEPT, _LARGEST_KEPT = 8, 1024
"""Most buffers that a group keeps, and most rows of a minibatch whose buffer is kept."""


class CompiledGroup(NetworkGroup):
    """A group on the CPU. Only a step of Adam needs gradients, and it keeps one network's only."""

    def __init__(self, num_agents: int, shapes: Sequence[Sequence[int]]) -> None:
        super().__init__(num_agents, shapes)
        self.numbers = self.flat.numpy()
        """The flat buffer as an array that shares its memory."""
        self._dtype = self.numbers.dtype
        _kernels().load(self._dtype)
        self.layers = _table(self.slots)
        self._made: _Made | None = None
        self._kept: dict[tuple[object, ...], _Made] = {}

    def forward(self, *inputs_NBI: Array) -> tuple[Array, ...]:
        """Run every network on its own input, one network of one agent after the other."""
        batch = inputs_NBI[0].shape[1]
        made = self._made = self._buffers("all", 0, self.num_rows, batch, pad(batch))
        for net, x_NBI in zip(self.networks, inputs_NBI, strict=True):
            made.input[net.rows, :, : net.widths[0]] = x_NBI
        self._run(made, 0)
        return tuple(made.output[net.rows, :, : net.widths[-1]].copy() for net in self.networks)

    def evaluate(self, network: StackedMLP, x_NBI: Array) -> Array:
        """Run one network: [N, B, in] -> [N, B, out]."""
        batch = x_NBI.shape[1]  # acting takes one row for each agent, which needs no padding
        made = self._evaluated(network, x_NBI, 1 if batch == 1 else pad(batch))
        return made.output[..., : network.widths[-1]].copy()

    def value_and_gradient(self, network: StackedMLP, x_NBI: Array) -> tuple[Array, Array]:
        """Return the first output, [N, B], and its derivative by x, [N, B, in]."""
        made = self._evaluated(network, x_NBI, pad(x_NBI.shape[1]))
        made.grad[..., 0] = 1.0
        made.grad[..., 1:] = 0.0
        found = np.empty_like(made.whole_input)
        _kernels().input_gradients(
            self.numbers,
            self.layers,
            network.rows.start,
            made.padded,
            made.numbers,
            made.whole_grad,
            made.below,
            made.spare,
            found,
        )
        return made.output[..., 0].copy(), found[:, : x_NBI.shape[1], : network.widths[0]]

    def soft_update(self, network: StackedMLP, source: StackedMLP, rate: float) -> None:
        """Move a network `rate` of the way towards one of another compiled group."""
        other = source.group
        assert isinstance(other, CompiledGroup)
        _kernels().soft_update(
            self.numbers,
            self.layers,
            network.rows.start,
            other.numbers,
            other.layers,
            source.rows.start,
            self.num_agents,
            self._dtype.type(rate),
        )

    @property
    def made(self) -> _Made:
        """Activations that the last `forward` left."""
        assert self._made is not None
        return self._made

    def _evaluated(self, network: StackedMLP, x_NBI: Array, padded: int) -> _Made:
        first_row = network.rows.start
        made = self._buffers("one", first_row, self.num_agents, x_NBI.shape[1], padded)
        made.input[..., : network.widths[0]] = x_NBI
        self._run(made, first_row)
        return made

    def _run(self, made: _Made, first_row: int) -> None:
        _kernels().forward(self.numbers, self.layers, first_row, made.padded, made.numbers)

    def _buffers(self, of: str, first_row: int, rows: int, batch: int, padded: int) -> _Made:
        key = of, first_row, rows, batch, padded
        if key not in self._kept:
            made = _Made(rows, batch, padded, self.widths, self._dtype)
            if batch > _LARGEST_KEPT:  # test grids are rare and of any size
                return made
            if len(self._kept) == _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = made
        return self._kept[key]


class CompiledAdam(StackedAdam):
    """Adam that finishes gradient, clipping and step of one network before the next."""

    def __init__(self, group: CompiledGroup) -> None:
        super().__init__(group)
        self._compiled = group
        slots, size = layout(1, group.widths)
        self._gradient = np.zeros(size, dtype=group.numbers.dtype)
        self._own_layers = _table(slots)
        self._arrays = [moment.numpy() for moment in self.moments.values()]  # the same memory

    def apply_gradients(
        self,
        *grads_NBO: Array,
        max_norm: float | None,
        learning_rates: Sequence[float],
        steps_done: int,
    ) -> None:
        """Take one step by one call of the kernels; see `StackedAdam`."""
        group, made = self._compiled, self._compiled.made
        for net, grad_NBO in zip(group.networks, grads_NBO, strict=True):
            made.grad[net.rows, :, : net.widths[-1]] = grad_NBO
        with denormals_as_zero():
            _kernels().apply_gradients(
                group.numbers,
                *self._arrays,
                group.layers,
                made.padded,
                made.numbers,
                made.whole_grad,
                made.below,
                made.spare,
                self._gradient,
                self._own_layers,
                np.inf if max_norm is None else float(max_norm),
                self._constants(learning_rates, steps_done),
            )

    def _constants(self, learning_rates: Sequence[float], steps_done: int) -> Array:
        """Return the constants of `kernels.apply_gradients`: one row for each network."""
        (beta, beta_sq), step = BETAS, steps_done + 1
        rows = [
            [
                rate / (1 - beta**step),
                1 - beta,
                beta_sq,
                1 - beta_sq,
                1 / np.sqrt(1 - beta_sq**step),
                EPSILON,
            ]
            for rate, _ in zip(learning_rates, self._group.networks, strict=True)
        ]
        return np.array(rows, self._gradient.dtype)


class _Made:
    """Activations of R networks for a minibatch of B rows, and derivatives by the outputs.

    padded: B plus the padding rows, whose derivatives are 0. input [R, B, I], output [R, B, O] and
    grad [R, B, O] are the minibatch's own rows; whole_input and whole_grad have all rows. numbers
    [R, F]: the input and the activations of each layer, in the layout of the kernels.
    """

    def __init__(
        self, rows: int, batch: int, padded: int, widths: Sequence[int], dtype: np.dtype[Any]
    ) -> None:
        self.padded = b = padded
        self.numbers = np.zeros((rows, b * sum(widths)), dtype)
        self.whole_input = self.numbers[:, : b * widths[0]].reshape(rows, b, widths[0])
        self.input = self.whole_input[:, :batch]
        output = self.numbers[:, -b * widths[-1] :].reshape(rows, b, widths[-1])
        self.output = output[:, :batch]
        self.whole_grad = np.zeros((rows, b, widths[-1]), dtype)
        self.grad = self.whole_grad[:, :batch]
        self.below = np.zeros((2, b * max(widths)), dtype)
        self.spare = np.zeros(_kernels().spare_size(b, widths), dtype)


def _table(slots: Sequence[Slot]) -> Array:
    """Return the `layers` table of the kernels: [L, 6]."""
    pairs = zip(slots[::2], slots[1::2], strict=True)
    return np.array([[w.start, w.stride, b.start, b.stride, *w.shape] for w, b in pairs])


def _kernels() -> Any:
    from . import kernels  # imports numba; checking an experiment need not wait for it

    return kernels
