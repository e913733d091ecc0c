"""Groups of networks computed by torch: one batched product per layer for all agents.

This runs on a GPU. On a CPU, `compiled` computes the same faster, with sums in another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from ..lazy_torch import torch
from .adam import BETAS, EPSILON, StackedAdam, denormals_as_zero
from .stacked import NetworkGroup, StackedMLP

if TYPE_CHECKING:
    from torch import Tensor


class EagerGroup(NetworkGroup):
    """A group whose derivatives are written out, layer by layer.

    At these sizes autograd spends more time on its graph than on the products. trainable: True if
    an optimizer steps the networks, which needs memory for gradients.
    """

    def __init__(
        self,
        num_agents: int,
        shapes: Sequence[Sequence[int]],
        *,
        trainable: bool,
        device: str = "cpu",
    ) -> None:
        super().__init__(num_agents, shapes, device=device)
        self.layers = [_Layer(weight, bias, weight.mT) for weight, bias in self._pairs(self.flat)]
        self.flat_gradient = torch.zeros(self.flat.numel() if trainable else 0, device=device)
        self.gradients = self._pairs(self.flat_gradient) if trainable else []
        self._own_layers = [
            [_Layer(*(x[net.rows] for x in layer)) for layer in self.layers]
            for net in self.networks
        ]
        self._padded: dict[tuple[str, int], tuple[Tensor, list[Tensor]]] = {}
        self._activations: list[Tensor] = []

    def forward(self, *inputs_NBI: Tensor) -> tuple[Tensor, ...]:
        """Run every network on its own input, by one product per layer."""
        self._activations = _run(self.layers, self._fill("in", inputs_NBI))
        last = self._activations[-1]
        return tuple(last[net.rows, :, : net.widths[-1]] for net in self.networks)

    def evaluate(self, network: StackedMLP, x_NBI: Tensor) -> Tensor:
        """Run one network: [N, B, in] -> [N, B, out]."""
        return self._run_one(network, x_NBI)[-1][..., : network.widths[-1]]

    def value_and_gradient(self, network: StackedMLP, x_NBI: Tensor) -> tuple[Tensor, Tensor]:
        """Return the first output, [N, B], and its derivative by x, [N, B, in]."""
        activations = self._run_one(network, x_NBI)
        ones = torch.zeros_like(activations[-1])
        ones[..., 0] = 1.0
        grad = _run_back(self._layers_of(network), activations, ones)
        return activations[-1][..., 0], grad[..., : network.widths[0]]

    def soft_update(self, network: StackedMLP, source: StackedMLP, rate: float) -> None:
        """Move a network `rate` of the way towards another, by one call for all parameters."""
        torch._foreach_lerp_(network.own, source.own, rate)

    def evaluate_with(self, flat: Tensor, network: StackedMLP, x_NBI: Tensor) -> Tensor:
        """Return one network's outputs with the parameters in `flat`: [N, B, in] -> [N, B, out].

        Autograd can differentiate it by `flat` and by x.
        """
        rows = network.rows
        layers = [_Layer(w[rows], b[rows], w[rows].mT) for w, b in self._pairs(flat)]
        return _run(layers, self._pad_input(network, x_NBI))[-1][..., : network.widths[-1]]

    def backward(self, *grads_NBO: Tensor) -> None:
        """Compute the derivatives by all parameters; they overwrite those of the last pass.

        grads_NBO: derivatives by the outputs of the last `forward`, [N, B, out] each.
        """
        grad = self._fill("out", grads_NBO)
        _run_back(self.layers, self._activations, grad, self.gradients)

    def clip_gradients(self, max_norm: float | None) -> None:
        """Scale the gradient of each agent's network to a norm of at most `max_norm`."""
        if max_norm is None:
            return
        gradients = [gradient for pair in self.gradients for gradient in pair]
        norms = [torch.linalg.vector_norm(g, dim=(1, 2), keepdim=True) for g in gradients]
        norm = torch.linalg.vector_norm(torch.cat(norms, dim=1), dim=1, keepdim=True)
        # a GPU always scales, because reading the norm from it would wait for it
        if self.device != "cpu" or (norm + 1e-6 > max_norm).any():
            scale = (max_norm / (norm + 1e-6)).clamp_(max=1.0)
            for gradient in gradients:
                gradient.mul_(scale)

    def _run_one(self, network: StackedMLP, x_NBI: Tensor) -> list[Tensor]:
        return _run(self._layers_of(network), self._pad_input(network, x_NBI))

    def _pad_input(self, network: StackedMLP, x_NBI: Tensor) -> Tensor:
        missing = self.widths[0] - network.widths[0]
        return torch.nn.functional.pad(x_NBI, (0, missing)) if missing else x_NBI

    def _layers_of(self, network: StackedMLP) -> list[_Layer]:
        return self._own_layers[self.networks.index(network)]

    def _fill(self, end: Literal["in", "out"], parts_NBW: Sequence[Tensor]) -> Tensor:
        """Return the inputs or the output gradients of all networks, padded and stacked by rows.

        The buffer is kept between calls, and its padding stays zero.
        """
        key = end, parts_NBW[0].shape[1]
        if key not in self._padded:
            self._padded[key] = self._buffer(*key)
        buffer, places = self._padded[key]
        for place, part in zip(places, parts_NBW, strict=True):
            place.copy_(part)
        return buffer

    def _buffer(self, end: Literal["in", "out"], batch: int) -> tuple[Tensor, list[Tensor]]:
        """Return a buffer of zeros, and a view of each network's part."""
        at = 0 if end == "in" else -1
        buffer = torch.zeros(self.num_rows, batch, self.widths[at], device=self.device)
        return buffer, [buffer[net.rows, :, : net.widths[at]] for net in self.networks]

    def _pairs(self, flat: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return weight and bias of each layer."""
        views = [self.view(flat, slot) for slot in self.slots]
        return list(zip(views[::2], views[1::2], strict=True))


class EagerAdam(StackedAdam):
    """One fused Adam over the buffer of a group.

    Adam is elementwise, so agents and networks that share a buffer stay independent.
    """

    def __init__(self, group: EagerGroup) -> None:
        super().__init__(group)
        self._eager = group
        buffers = [group.flat, group.flat_gradient, *self.moments.values()]
        self._whole = _pieces([[buffer] for buffer in buffers])
        self._apart = [_pieces([net.parts(b) for b in buffers]) for net in group.networks]

    def apply_gradients(
        self,
        *grads_NBO: Tensor,
        max_norm: float | None,
        learning_rates: Sequence[float],
        steps_done: int,
    ) -> None:
        """Compute the gradient, then take one step from it; see `StackedAdam`."""
        self._eager.backward(*grads_NBO)
        self.step(max_norm=max_norm, learning_rates=learning_rates, steps_done=steps_done)

    def step(
        self, *, max_norm: float | None, learning_rates: Sequence[float], steps_done: int
    ) -> None:
        """Take one step from the group's `flat_gradient`, clipped per agent and network."""
        self._eager.clip_gradients(max_norm)
        with denormals_as_zero():
            if len(set(learning_rates)) == 1:
                _step(self._whole, learning_rates[0], steps_done)
                return
            for pieces, rate in zip(self._apart, learning_rates, strict=True):
                _step(pieces, rate, steps_done)


class _Layer(NamedTuple):
    """Parameters of one layer for all rows; the transposed view is made once."""

    weight: Tensor
    bias: Tensor
    weight_transposed: Tensor


class _Pieces(NamedTuple):
    """Arguments of one call of Adam: lists of flat tensors of equal lengths."""

    parameters: list[Tensor]
    gradients: list[Tensor]
    exp_avg: list[Tensor]
    exp_avg_sq: list[Tensor]
    steps: list[Tensor]


def _run(layers: Sequence[_Layer], x: Tensor) -> list[Tensor]:
    """Return the padded input and the activations of each layer."""
    found = [x]
    for layer in layers[:-1]:
        found.append(torch.baddbmm(layer.bias, found[-1], layer.weight).relu_())
    return [*found, torch.baddbmm(layers[-1].bias, found[-1], layers[-1].weight)]


def _run_back(
    layers: Sequence[_Layer],
    activations: Sequence[Tensor],
    grad: Tensor,
    gradients: Sequence[tuple[Tensor, Tensor]] = (),
) -> Tensor:
    """Apply the chain rule through the layers.

    With `gradients`, the gradients of weights and biases are written into its tensors. Without it,
    the result is the derivative by the padded input.
    """
    for index in reversed(range(len(layers))):
        x = activations[index]
        if gradients:
            into_weight, into_bias = gradients[index]
            torch.bmm(x.mT, grad, out=into_weight)
            torch.sum(grad, 1, keepdim=True, out=into_bias)
        if index or not gradients:
            grad = torch.bmm(grad, layers[index].weight_transposed)
        if index:
            torch.ops.aten.threshold_backward(grad, x, 0.0, grad_input=grad)
    return grad


def _pieces(buffers: Sequence[list[Tensor]]) -> _Pieces:
    parameters, gradients, exp_avg, exp_avg_sq = buffers
    steps = [torch.zeros((), dtype=torch.float32, device=p.device) for p in parameters]
    return _Pieces(parameters, gradients, exp_avg, exp_avg_sq, steps)


def _step(pieces: _Pieces, learning_rate: float, steps_done: int) -> None:
    from torch.optim.adam import adam

    for steps in pieces.steps:
        steps.fill_(float(steps_done))
    adam(
        pieces.parameters,
        pieces.gradients,
        pieces.exp_avg,
        pieces.exp_avg_sq,
        [],
        pieces.steps,
        fused=True,
        amsgrad=False,
        beta1=BETAS[0],
        beta2=BETAS[1],
        lr=learning_rate,
        weight_decay=0.0,
        eps=EPSILON,
        maximize=False,
    )
