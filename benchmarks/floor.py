"""Lower bound ("floor") of the time of one local step of FedRDQN on this machine.

The floor is the sum of two times, products and traffic. Products: torch computes every matrix
product of one local step of N agents on its real operands, with nothing between them. If our own
kernel, at its rate on operands in the cache, would take less time, that time counts instead.
Traffic: the bytes that Adam and the soft update read and write, divided by the bandwidth of one
elementwise operation on buffers of the same size. Both are measured while as many processes as
there are workers do the same. The floor leaves out biases, ReLU, losses, clipping, replay,
environment and messages.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor

from algorithms.networks import kernels
from algorithms.networks.eager import EagerGroup
from fedrl_ray.agents.execution_profile import single_thread

SECONDS = 2.0
CALLS = 100
"""Products per call, because a single product takes little longer than the call itself."""
ADAM_WORDS, SOFT_UPDATE_WORDS = 7, 3
"""Numbers that are read and written per parameter.

Adam reads the parameter, its gradient and two moments, and writes all but the gradient. A soft
update reads two parameters and writes one.
"""
Product = tuple[Tensor, Tensor, Tensor]


def floor(
    num_agents: int, processes: int, *, q_sizes: Sequence[int], batch: int
) -> dict[str, float]:
    """Return the floor of one agent's local step, with `num_agents` in each of the processes.

    The result holds the microseconds of products, of traffic and of both, the rates of products by
    torch and by our kernel in GFLOP/s, and the bandwidth in GB/s; all are means per process.
    q_sizes: observations, hidden layers, actions; the degree network has the same hidden layers.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    with context.Pool(processes, initializer=_start, initargs=(barrier,)) as pool:
        found = pool.starmap(_measure, [(num_agents, q_sizes, batch)] * processes, chunksize=1)
    return {name: sum(f[name] for f in found) / processes for name in found[0]}


def _start(barrier: Barrier) -> None:
    global _barrier
    _barrier = barrier
    single_thread()


@torch.inference_mode()
def _measure(num_agents: int, q_sizes: Sequence[int], batch: int) -> dict[str, float]:
    degree_sizes = [*q_sizes[:-1], 1]
    critics = EagerGroup(num_agents, [q_sizes, degree_sizes], trainable=True)
    target = EagerGroup(num_agents, [q_sizes], trainable=False)
    products = products_of_a_step(critics, target, batch)
    buffers = [torch.rand(critics.flat.numel()) for _ in range(4)]
    _barrier.wait()
    by_torch_s = seconds_of(lambda: [torch.bmm(a, b, out=out) for a, b, out in products])
    _barrier.wait()
    kernel_rate = flops_per_second_of_our_kernel(max(q_sizes[1:-1]), batch)
    _barrier.wait()
    stream_s = seconds_of(lambda: torch.addcmul(*buffers[:3], out=buffers[3]))
    bandwidth = sum(buffer.nbytes for buffer in buffers) / stream_s
    traffic_s = traffic_bytes(critics, target) / bandwidth
    flops = sum(2 * a.numel() * b.shape[-1] for a, b, _ in products)
    products_s = min(by_torch_s, flops / kernel_rate)
    per_agent = 1e6 / num_agents
    return {
        "products_us": products_s * per_agent,
        "traffic_us": traffic_s * per_agent,
        "floor_us": (products_s + traffic_s) * per_agent,
        "gflop_per_s_torch": flops / by_torch_s / 1e9,
        "gflop_per_s_kernel": kernel_rate / 1e9,
        "gb_per_s": bandwidth / 1e9,
    }


def products_of_a_step(critics: EagerGroup, target: EagerGroup, batch: int) -> list[Product]:
    """Return the products of a step: Q acts, the target values s', Q and D learn from s."""
    weights = [layer.weight for layer in critics.layers]
    acting = [weight[: critics.num_agents] for weight in weights]
    into = [weight for weight, _ in critics.gradients]
    return [
        *forward(acting, 1),
        *forward([layer.weight for layer in target.layers], batch),
        *forward(weights, batch),
        *backward(weights, into, batch),
    ]


def forward(weights: Sequence[Tensor], batch: int) -> list[Product]:
    """Return a product per layer: x W."""
    return [
        (torch.rand(len(w), batch, w.shape[1]), w, torch.rand(len(w), batch, w.shape[2]))
        for w in weights
    ]


def backward(weights: Sequence[Tensor], into: Sequence[Tensor], batch: int) -> list[Product]:
    """Return two products per layer: the weight's gradient x' g and the input's gradient g W'.

    The first layer needs no gradient of its input.
    """
    xs = [torch.rand(len(w), batch, w.shape[1]) for w in weights]
    gradients = [torch.rand(len(w), batch, w.shape[2]) for w in weights]
    own = [(x.mT, g, out) for x, g, out in zip(xs, gradients, into, strict=True)]
    through = zip(gradients, weights, xs, strict=True)
    return own + [(g, w.mT, x) for g, w, x in list(through)[1:]]


def flops_per_second_of_our_kernel(width: int, batch: int) -> float:
    """Return the rate of our kernel for products [B, width] by [width, width], in the cache."""
    x, y = np.zeros((2, batch, width), np.float32)
    w = np.zeros((width, width), np.float32)
    return 2 * batch * width**2 * CALLS / seconds_of(lambda: _products(CALLS, x, w, y))


@numba.njit
def _products(count: int, x: Any, w: Any, y: Any) -> None:
    for _ in range(count):
        kernels.product(x, w, None, -np.inf, y, w.reshape(-1)[:0])


def traffic_bytes(critics: EagerGroup, target: EagerGroup) -> int:
    """Return the bytes that Adam (Q and D) and the soft update (Q) move in one local step."""
    return ADAM_WORDS * critics.flat.nbytes + SOFT_UPDATE_WORDS * target.flat.nbytes


def seconds_of(call: Callable[[], Any]) -> float:
    """Return the median time of a call over `SECONDS` seconds of calls."""
    call()
    found, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        started = time.perf_counter()
        call()
        found.append(time.perf_counter() - started)
    return sorted(found)[len(found) // 2]
