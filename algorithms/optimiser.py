"""Adam over stacked networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from .networks import Stack
from .on_use import torch
from .types import AgentState

if TYPE_CHECKING:
    from torch import Tensor

_MOMENTS = ("exp_avg", "exp_avg_sq")


class _Pieces(NamedTuple):
    """What one call of Adam works on, as lists of flat tensors of equal lengths."""

    parameters: list[Tensor]
    gradients: list[Tensor]
    exp_avg: list[Tensor]
    exp_avg_sq: list[Tensor]
    steps: list[Tensor]


class StackedAdam:
    """One fused Adam over the buffer of a stack, a learning rate for each of its networks.

    Adam is elementwise, so agents and networks that share a buffer stay independent. The step
    count is the same for all and is set by the learner before each step, from its clock.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._moments = {name: torch.zeros_like(stack.flat) for name in _MOMENTS}
        buffers = [stack.flat, stack.flat_gradient, *self._moments.values()]
        self._whole = _pieces([[buffer] for buffer in buffers])
        self._apart = [_pieces([net.parts(b) for b in buffers]) for net in stack.networks]

    def reset(self) -> None:
        """Forget both moments of every agent."""
        for moment in self._moments.values():
            moment.zero_()

    def step(self, *, learning_rates: Sequence[float], steps_done: int) -> None:
        """One update from the gradients in the buffer; `steps_done` were taken before it. A
        learning rate for each network of the stack."""
        with _denormals_as_zero():
            if len(set(learning_rates)) == 1:
                _step(self._whole, learning_rates[0], steps_done)
                return
            for pieces, rate in zip(self._apart, learning_rates, strict=True):
                _step(pieces, rate, steps_done)

    def agent_state(self, row: int) -> AgentState:
        """The moments of one agent, by network and parameter."""
        return {
            f"{index}.{moment}.{name}": view[row].cpu().numpy().copy()
            for index, network in enumerate(self._stack.networks)
            for moment in _MOMENTS
            for name, view in network.views(self._moments[moment]).items()
        }

    def load_agent_state(self, row: int, state: AgentState) -> None:
        """Take back what `agent_state` gave."""
        for index, network in enumerate(self._stack.networks):
            for moment in _MOMENTS:
                for name, view in network.views(self._moments[moment]).items():
                    view[row].copy_(torch.from_numpy(state[f"{index}.{moment}.{name}"]))


@contextmanager
def _denormals_as_zero() -> Iterator[None]:
    """Moments of parameters that get no gradient any more fade into denormal numbers, with which
    processors are slow."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


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
        beta1=0.9,
        beta2=0.999,
        lr=learning_rate,
        weight_decay=0.0,
        eps=1e-8,
        maximize=False,
    )
