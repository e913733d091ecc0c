"""Passes, gradients and Adam of stacked networks, compiled for the processor they run on.

torch goes over all agents once per operation, which costs a call each time and takes parameters,
gradients and moments through memory again and again. Here one network of one agent is finished
before the next is begun: what it needs stays in the core's own cache, and its gradient, needed no
longer than that, lies in the same place for all. An agent costs as much alone as among many.

No bit depends on how many agents there are: the code for one knows nothing of the others.

All of it is in one file, because what is kept on disk is compiled anew when the file changes that
a function stands in, not when one does that it calls.

Shapes: B rows of a minibatch, I inputs and O outputs of a layer, all multiples of 8; R networks of
all agents, L layers. `layers`, [L, 6] int64: where the weights and the biases of a layer begin in
the flat buffer of all networks, each with the floats from one network's to the next network's, and
the layer's I and O.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numba import njit

F = TypeVar("F", bound=Callable[..., Any])
NARROW = 8


def compiled(function: F, *, reorder: bool = False) -> F:
    """Compiled at the first call and kept on disk, next to this file or in the user's cache.

    reorder: a sum may be taken in another order than written, the same one each time.
    """
    flags = {"contract", "reassoc", "nsz"} if reorder else {"contract"}
    try:
        return njit(function, fastmath=flags, error_model="numpy", cache=True)  # type: ignore[no-any-return]
    except RuntimeError:  # this machine has no place to keep it
        return njit(function, fastmath=flags, error_model="numpy")  # type: ignore[no-any-return]


def compiled_sum(function: F) -> F:
    """`compiled`, for sums along a vector."""
    return compiled(function, reorder=True)


# -- one layer of one network ----------------------------------------------------------------------
# The compiler makes vectors of innermost loops and no more. What is written out below, 8 x 4 and
# 4 x 4 products for each number loaded, is what makes them as fast as a library's.


@compiled
def _four(x: Any, k: int) -> Any:
    return x[k], x[k + 1], x[k + 2], x[k + 3]


@compiled
def _plus(y: Any, a: Any, p: Any, q: Any, r: Any, s: Any) -> Any:
    return y + a[0] * p + a[1] * q + a[2] * r + a[3] * s


@compiled
def add_product(x_BI: Any, w_IO: Any, y_BO: Any) -> None:
    """y += x w."""
    wide_in, wide_out = w_IO.shape
    for i in range(0, len(x_BI), 8):
        y0, y1, y2, y3 = y_BO[i], y_BO[i + 1], y_BO[i + 2], y_BO[i + 3]
        y4, y5, y6, y7 = y_BO[i + 4], y_BO[i + 5], y_BO[i + 6], y_BO[i + 7]
        for k in range(0, wide_in, 4):
            a0, a1, a2 = _four(x_BI[i], k), _four(x_BI[i + 1], k), _four(x_BI[i + 2], k)
            a3, a4, a5 = _four(x_BI[i + 3], k), _four(x_BI[i + 4], k), _four(x_BI[i + 5], k)
            a6, a7 = _four(x_BI[i + 6], k), _four(x_BI[i + 7], k)
            for j in range(wide_out):
                p, q, r, s = w_IO[k, j], w_IO[k + 1, j], w_IO[k + 2, j], w_IO[k + 3, j]
                y0[j] = _plus(y0[j], a0, p, q, r, s)
                y1[j] = _plus(y1[j], a1, p, q, r, s)
                y2[j] = _plus(y2[j], a2, p, q, r, s)
                y3[j] = _plus(y3[j], a3, p, q, r, s)
                y4[j] = _plus(y4[j], a4, p, q, r, s)
                y5[j] = _plus(y5[j], a5, p, q, r, s)
                y6[j] = _plus(y6[j], a6, p, q, r, s)
                y7[j] = _plus(y7[j], a7, p, q, r, s)


@compiled_sum
def _add_dots(x_BI: Any, w_OI: Any, y_BO: Any) -> None:
    """y += x w'."""
    zero = x_BI.dtype.type(0)
    for b in range(0, len(x_BI), 4):
        x0, x1, x2, x3 = x_BI[b], x_BI[b + 1], x_BI[b + 2], x_BI[b + 3]
        for o in range(0, len(w_OI), 4):
            w0, w1, w2, w3 = w_OI[o], w_OI[o + 1], w_OI[o + 2], w_OI[o + 3]
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = zero
            c0 = c1 = c2 = c3 = d0 = d1 = d2 = d3 = zero
            for k in range(x0.size):
                p, q, r, s = w0[k], w1[k], w2[k], w3[k]
                a0, a1, a2, a3 = a0 + x0[k] * p, a1 + x0[k] * q, a2 + x0[k] * r, a3 + x0[k] * s
                b0, b1, b2, b3 = b0 + x1[k] * p, b1 + x1[k] * q, b2 + x1[k] * r, b3 + x1[k] * s
                c0, c1, c2, c3 = c0 + x2[k] * p, c1 + x2[k] * q, c2 + x2[k] * r, c3 + x2[k] * s
                d0, d1, d2, d3 = d0 + x3[k] * p, d1 + x3[k] * q, d2 + x3[k] * r, d3 + x3[k] * s
            _add_four(y_BO[b], o, a0, a1, a2, a3)
            _add_four(y_BO[b + 1], o, b0, b1, b2, b3)
            _add_four(y_BO[b + 2], o, c0, c1, c2, c3)
            _add_four(y_BO[b + 3], o, d0, d1, d2, d3)


@compiled
def _add_four(y: Any, k: int, p: Any, q: Any, r: Any, s: Any) -> None:
    y[k] += p
    y[k + 1] += q
    y[k + 2] += r
    y[k + 3] += s


@compiled
def _add_row(x_I: Any, w_IO: Any, y_O: Any) -> None:
    """y += x w, of one row."""
    for k in range(0, len(w_IO), 4):
        a, w0, w1, w2, w3 = _four(x_I, k), w_IO[k], w_IO[k + 1], w_IO[k + 2], w_IO[k + 3]
        for j in range(y_O.size):
            y_O[j] = _plus(y_O[j], a, w0[j], w1[j], w2[j], w3[j])


@compiled
def _turned(x_BI: Any, spare: Any) -> Any:
    """x', in `spare`."""
    out_IB = spare[: x_BI.size].reshape(x_BI.shape[1], x_BI.shape[0])
    for b in range(x_BI.shape[0]):
        for i in range(x_BI.shape[1]):
            out_IB[i, b] = x_BI[b, i]
    return out_IB


# Vectors run along I where O is too narrow for them, as in a last layer.


@compiled
def _layer(x_BI: Any, w_IO: Any, y_BO: Any, spare: Any) -> None:
    """y += x w."""
    if len(x_BI) == 1:
        _add_row(x_BI[0], w_IO, y_BO[0])
    elif w_IO.shape[1] > NARROW:
        add_product(x_BI, w_IO, y_BO)
    else:
        _add_dots(x_BI, _turned(w_IO, spare), y_BO)


@compiled
def _through(slope_BO: Any, w_IO: Any, out_BI: Any, spare: Any) -> None:
    """slope w', the derivative by a layer's input from that by what it makes."""
    out_BI[:] = 0
    if w_IO.shape[1] > NARROW:
        _add_dots(slope_BO, w_IO, out_BI)
    else:
        add_product(slope_BO, _turned(w_IO, spare), out_BI)


@compiled
def _weight_gradient(x_BI: Any, slope_BO: Any, into_IO: Any, spare: Any) -> None:
    """x' slope."""
    if slope_BO.shape[1] > NARROW:
        into_IO[:] = 0
        add_product(_turned(x_BI, spare), slope_BO, into_IO)
        return
    slope_OB, rest = _turned(slope_BO, spare), spare[slope_BO.size :]
    into_OI = rest[: into_IO.size].reshape(into_IO.shape[1], into_IO.shape[0])
    into_OI[:] = 0
    add_product(slope_OB, x_BI, into_OI)
    for i in range(into_IO.shape[0]):
        for o in range(into_IO.shape[1]):
            into_IO[i, o] = into_OI[o, i]


@compiled
def _relu(x: Any) -> None:
    zero = x.dtype.type(0)
    for k in range(x.size):
        x[k] = x[k] if x[k] > zero or x[k] != x[k] else zero


@compiled
def _where_positive(slope: Any, x: Any) -> None:
    """The derivative through a ReLU that made x."""
    zero = x.dtype.type(0)
    for k in range(x.size):
        slope[k] = slope[k] if x[k] > zero else zero


@compiled
def _sum_rows(x_BO: Any, out_O: Any) -> None:
    out_O[:] = 0
    for b in range(x_BO.shape[0]):
        for j in range(x_BO.shape[1]):
            out_O[j] += x_BO[b, j]


@compiled_sum
def _sum_of_squares(x: Any) -> Any:
    total = x.dtype.type(0)
    for k in range(x.size):
        total += x[k] * x[k]
    return total


@compiled
def _clipping(gradient: Any, max_norm: float) -> Any:
    """The factor that brings a gradient's norm to at most `max_norm`."""
    if math.isinf(max_norm):
        return gradient.dtype.type(1)
    norm = math.sqrt(_sum_of_squares(gradient))
    return gradient.dtype.type(min(1.0, max_norm / (norm + 1e-6)))


@compiled
def _adam(
    parameter: Any, gradient: Any, exp_avg: Any, exp_avg_sq: Any, scale: Any, constants: Any
) -> None:
    """Adam (Kingma and Ba 2015) with the gradient times `scale`; see `descend`."""
    step_size, fresh, kept_sq = constants[0], constants[1], constants[2]
    fresh_sq, correction_sq, eps = constants[3], constants[4], constants[5]
    for k in range(parameter.size):
        g = gradient[k] * scale
        exp_avg[k] += fresh * (g - exp_avg[k])
        exp_avg_sq[k] = kept_sq * exp_avg_sq[k] + fresh_sq * g * g
        parameter[k] -= step_size * exp_avg[k] / (math.sqrt(exp_avg_sq[k]) / correction_sq + eps)


# -- whole networks --------------------------------------------------------------------------------


@compiled
def _weight(flat: Any, layer: Any, row: int) -> Any:
    start = layer[0] + row * layer[1]
    return flat[start : start + layer[4] * layer[5]].reshape(layer[4], layer[5])


@compiled
def _bias(flat: Any, layer: Any, row: int) -> Any:
    start = layer[2] + row * layer[3]
    return flat[start : start + layer[5]]


@compiled
def _made(made: Any, start: int, batch: int, width: int) -> Any:
    """What a layer made, [B, width], in the row of `made` of its network."""
    return made[start : start + batch * width].reshape(batch, width)


@compiled
def forward(flat: Any, layers: Any, first_row: int, batch: int, made_RF: Any, spare: Any) -> None:
    """Run the networks `first_row`, `first_row + 1`, ... of the flat buffer, one for each row of
    `made`, which holds its padded input [B, I] first and then what each layer makes of it.

    batch: B, which may be 1 here. spare: see `spare_size`.
    """
    for row in range(len(made_RF)):
        made, start = made_RF[row], 0
        for index in range(len(layers)):
            layer = layers[index]
            x_BI = _made(made, start, batch, layer[4])
            start += batch * layer[4]
            y_BO = _made(made, start, batch, layer[5])
            y_BO[:] = _bias(flat, layer, first_row + row)
            _layer(x_BI, _weight(flat, layer, first_row + row), y_BO, spare)
            if index < len(layers) - 1:
                _relu(y_BO.reshape(-1))


@compiled
def input_slopes(
    flat: Any,
    layers: Any,
    first_row: int,
    batch: int,
    made_RF: Any,
    slopes_RBO: Any,
    below_2F: Any,
    spare: Any,
    found_RBI: Any,
) -> None:
    """Derivatives by the input of what `forward` ran, into `found`, from those by its output.

    below: two rows of B times the widest layer.
    """
    for row in range(len(made_RF)):
        slope_BO, start = slopes_RBO[row], made_RF.shape[1] - batch * layers[-1, 5]
        for index in range(len(layers) - 1, -1, -1):
            layer = layers[index]
            weight_IO = _weight(flat, layer, first_row + row)
            start -= batch * layer[4]
            if index == 0:
                _through(slope_BO, weight_IO, found_RBI[row], spare)
            else:
                x_BI = _made(made_RF[row], start, batch, layer[4])
                slope_BO = _below(slope_BO, weight_IO, x_BI, below_2F[index % 2], spare)


@compiled
def _below(slope_BO: Any, weight_IO: Any, x_BI: Any, below: Any, spare: Any) -> Any:
    """The derivative by what went into the ReLU that made x."""
    below_BI = _made(below, 0, x_BI.shape[0], x_BI.shape[1])
    _through(slope_BO, weight_IO, below_BI, spare)
    _where_positive(below_BI.reshape(-1), x_BI.reshape(-1))
    return below_BI


@compiled
def _adam_step(
    flat: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    layers: Any,
    row: int,
    gradient: Any,
    own_layers: Any,
    scale: Any,
    constants: Any,
) -> None:
    """Adam on every layer of network `row`; see `descend`."""
    for index in range(len(layers)):
        layer, own = layers[index], own_layers[index]
        _adam(
            _weight(flat, layer, row).reshape(-1),
            _weight(gradient, own, 0).reshape(-1),
            _weight(exp_avg, layer, row).reshape(-1),
            _weight(exp_avg_sq, layer, row).reshape(-1),
            scale,
            constants,
        )
        _adam(
            _bias(flat, layer, row),
            _bias(gradient, own, 0),
            _bias(exp_avg, layer, row),
            _bias(exp_avg_sq, layer, row),
            scale,
            constants,
        )


@compiled
def descend(
    flat: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    layers: Any,
    batch: int,
    made_RF: Any,
    slopes_RBO: Any,
    below_2F: Any,
    spare: Any,
    gradient: Any,
    own_layers: Any,
    max_norm: float,
    constants_R6: Any,
) -> None:
    """One step of Adam for each network that `forward` ran: from the derivatives by its output its
    gradient, clipped to a norm of `max_norm`.

    gradient, own_layers: a flat buffer of one network and its `layers`. below: as for
    `input_slopes`. constants: a row per network, of step size over 1 - beta1^t, 1 - beta1, beta2,
    1 - beta2, sqrt(1 - beta2^t), epsilon.
    """
    for row in range(len(made_RF)):
        slope_BO, start = slopes_RBO[row], made_RF.shape[1] - batch * layers[-1, 5]
        for index in range(len(layers) - 1, -1, -1):
            layer, own = layers[index], own_layers[index]
            start -= batch * layer[4]
            x_BI = _made(made_RF[row], start, batch, layer[4])
            _weight_gradient(x_BI, slope_BO, _weight(gradient, own, 0), spare)
            _sum_rows(slope_BO, _bias(gradient, own, 0))
            if index > 0:
                weight_IO = _weight(flat, layer, row)
                slope_BO = _below(slope_BO, weight_IO, x_BI, below_2F[index % 2], spare)
        scale = _clipping(gradient, max_norm)
        _adam_step(
            flat, exp_avg, exp_avg_sq, layers, row, gradient, own_layers, scale, constants_R6[row]
        )


def spare_size(batch: int, widths: Sequence[int]) -> int:
    """Numbers that passes need beside what they are given."""
    return (batch + 2 * NARROW) * max(widths)


@functools.cache
def load(dtype: Any) -> None:
    """Compile for parameters of a type, or load what is on disk: by a call on the smallest network.
    Done when agents are built, so that no round, which has a timeout, has to wait for it. Of the
    processes of a machine one compiles, the others wait for what it leaves on disk."""
    with _alone(forward.stats.cache_path):  # type: ignore[attr-defined]
        _call_all(dtype)


@contextlib.contextmanager
def _alone(folder: str | None) -> Iterator[None]:
    """One process at a time, where there is a folder that several may write to."""
    with contextlib.ExitStack() as held:
        if folder is not None:
            with contextlib.suppress(OSError):  # no locks there: each compiles for itself
                lock = held.enter_context(open(Path(folder) / "kernels.lock", "w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _call_all(dtype: Any) -> None:
    layers = np.array([[0, 64, 64, 64, 8, 8]])
    flat, exp_avg, exp_avg_sq, gradient = np.zeros((4, 128), dtype)
    made_RF, spare = np.zeros((1, 128), dtype), np.zeros(spare_size(8, [8]), dtype)
    slopes_RBO, found_RBI = np.zeros((2, 1, 8, 8), dtype)
    below_2F, constants_R6 = np.zeros((2, 64), dtype), np.ones((1, 6), dtype)
    forward(flat, layers, 0, 8, made_RF, spare)
    input_slopes(flat, layers, 0, 8, made_RF, slopes_RBO, below_2F, spare, found_RBI)
    descend(
        flat, exp_avg, exp_avg_sq, layers, 8, made_RF, slopes_RBO, below_2F, spare, gradient,
        layers, 1.0, constants_R6,
    )  # fmt: skip
