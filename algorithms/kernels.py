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

import numba
import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

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


# -- a tile of a matrix product --------------------------------------------------------------------
# The compiler makes vectors of innermost loops, and takes every sum through memory again and again.
# Said as instructions, the sums of a tile stay in registers from the first product to the last.

_ROWS = 8
_CPU = numba.config.CPU_NAME  # type: ignore[attr-defined]
_HAS_WIDE_VECTORS = _CPU is None and get_host_cpu_features().get("avx512f", False)


_FUSED = ("contract",)
_LINE = 64
_MOST_PREFETCHED = 2**17
"""Bytes of one layer: more would push out of a core's cache what is there."""


def _tile(vectors: int, vector_bytes: int) -> Any:
    """tile(x, w, y, i, j, ahead, line): y += x w for 8 rows of y from i and some vectors of columns
    from j. With every product a line of `ahead` is prefetched, from `line` on."""

    def tile(_: Any, x: Any, w: Any, y: Any, row: Any, column: Any, ahead: Any, line: Any) -> Any:
        return types.void(x, w, y, types.intp, types.intp, ahead, types.intp), code

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, w, y = (_Matrix(context, builder, signature.args[n], args[n]) for n in range(3))
        ahead = _Prefetch(context, builder, signature.args[5], *args[5:])
        lanes = vector_bytes // y.item
        rows = [builder.add(args[3], _int(i)) for i in range(_ROWS)]
        columns = [builder.add(args[4], _int(lanes * v)) for v in range(vectors)]
        spots = [y.vector(i, j, lanes) for i in rows for j in columns]
        sums = [cgutils.alloca_once_value(builder, y.read(spot)) for spot in spots]
        with cgutils.for_range(builder, x.shape[1]) as loop:
            k = loop.index
            ahead.prefetch(k)
            parts = [w.read(w.vector(k, j, lanes)) for j in columns]
            scales = [x.broadcast(i, k, lanes) for i in rows]
            products = (builder.fmul(a, b, flags=_FUSED) for a in scales for b in parts)
            for total, product in zip(sums, products, strict=True):
                builder.store(builder.fadd(builder.load(total), product, flags=_FUSED), total)
        for spot, total in zip(spots, sums, strict=True):
            builder.store(builder.load(total), spot, align=y.item)
        return context.get_dummy_value()

    return intrinsic(tile)


def _int(number: int) -> Any:
    return ir.Constant(ir.IntType(64), number)


class _Matrix:
    """A matrix of numbers, any strides, while code that reads it is written."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        self._builder, self._number = builder, context.get_data_type(kind.dtype)
        self._bytes = builder.bitcast(array.data, ir.IntType(8).as_pointer())
        self._strides = cgutils.unpack_tuple(builder, array.strides)
        self.shape = cgutils.unpack_tuple(builder, array.shape)
        self.item: int = context.get_abi_sizeof(self._number)

    def _at(self, row: Any, column: Any, kind: Any) -> Any:
        b = self._builder
        down, along = b.mul(row, self._strides[0]), b.mul(column, self._strides[1])
        return b.bitcast(b.gep(self._bytes, [b.add(down, along)]), kind.as_pointer())

    def vector(self, row: Any, column: Any, lanes: int) -> Any:
        """Where some neighbours of a row lie."""
        return self._at(row, column, ir.VectorType(self._number, lanes))

    def read(self, spot: Any) -> Any:
        return self._builder.load(spot, align=self.item)

    def broadcast(self, row: Any, column: Any, lanes: int) -> Any:
        """One number in all places of a vector."""
        b, kind = self._builder, ir.VectorType(self._number, lanes)
        number, none = b.load(self._at(row, column, self._number)), ir.Constant(kind, ir.Undefined)
        first = b.insert_element(none, number, ir.Constant(ir.IntType(32), 0))
        return b.shuffle_vector(
            first, none, ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
        )


class _Prefetch:
    """Lines of a vector that will be needed soon, while code that prefetches them is written."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any, line: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        first, end = builder.mul(line, _int(_LINE)), builder.mul(array.nitems, array.itemsize)
        is_inside = builder.icmp_signed("<", first, end)  # else its first line, again and again
        self._step = builder.select(is_inside, _int(_LINE), _int(0))
        start = builder.select(is_inside, first, _int(0))
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        self._start = builder.gep(builder.bitcast(array.data, byte), [start])
        kinds = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        self._call = cgutils.get_or_insert_function(builder.module, kinds, "llvm.prefetch.p0")
        self._how = word(0), word(2), word(1)  # to read, into the second cache, data
        self._builder = builder

    def prefetch(self, k: Any) -> None:
        """The k-th line from the first."""
        line = self._builder.gep(self._start, [self._builder.mul(k, self._step)])
        self._builder.call(self._call, [line, *self._how])


_tile_128 = _tile(2, 64)
_tile_64 = _tile(1, 64)
_tile_32 = _tile(1, 32)


@compiled
def add_product(x_BI: Any, w_IO: Any, y_BO: Any, ahead: Any) -> None:
    """y += x w, and meanwhile `ahead`, which is needed soon, is prefetched."""
    depth, wide_out = w_IO.shape
    line, size = 0, y_BO.itemsize
    for i in range(0, len(x_BI), _ROWS):
        j = 0
        if _HAS_WIDE_VECTORS:
            while j + 128 // size <= wide_out:
                _tile_128(x_BI, w_IO, y_BO, i, j, ahead, line)
                line, j = line + depth, j + 128 // size
            if j + 64 // size <= wide_out:
                _tile_64(x_BI, w_IO, y_BO, i, j, ahead, line)
                line, j = line + depth, j + 64 // size
        while j < wide_out:
            _tile_32(x_BI, w_IO, y_BO, i, j, ahead, line)
            line, j = line + depth, j + 32 // size


# -- one layer of one network ----------------------------------------------------------------------


@compiled
def _add_row(x_I: Any, w_IO: Any, y_O: Any) -> None:
    """y += x w, of one row."""
    for k in range(0, len(w_IO), 4):
        p, q, r, s = x_I[k], x_I[k + 1], x_I[k + 2], x_I[k + 3]
        w0, w1, w2, w3 = w_IO[k], w_IO[k + 1], w_IO[k + 2], w_IO[k + 3]
        for j in range(y_O.size):
            y_O[j] = y_O[j] + p * w0[j] + q * w1[j] + r * w2[j] + s * w3[j]


@compiled
def _transposed(x_BI: Any, spare: Any) -> Any:
    """x', in `spare`."""
    out_IB = spare[: x_BI.size].reshape(x_BI.shape[1], x_BI.shape[0])
    _transpose(x_BI, out_IB)
    return out_IB


@compiled
def _transpose(x_BI: Any, out_IB: Any) -> None:
    for b in range(x_BI.shape[0]):
        for i in range(x_BI.shape[1]):
            out_IB[i, b] = x_BI[b, i]


@compiled
def _layer(x_BI: Any, w_IO: Any, y_BO: Any, ahead: Any) -> None:
    """y += x w."""
    if len(x_BI) == 1:
        _add_row(x_BI[0], w_IO, y_BO[0])
    else:
        add_product(x_BI, w_IO, y_BO, ahead)


@compiled
def _through(slope_BO: Any, w_IO: Any, out_BI: Any, spare: Any, ahead: Any) -> None:
    """slope w', the derivative by a layer's input from that by what it makes."""
    if w_IO.shape[1] <= NARROW:
        out_BI[:] = 0
        add_product(slope_BO, _transposed(w_IO, spare), out_BI, ahead)
        return
    slope_OB, rest = _transposed(slope_BO, spare), spare[slope_BO.size :]  # smaller than w
    out_IB = rest[: out_BI.size].reshape(out_BI.shape[1], out_BI.shape[0])
    out_IB[:] = 0
    add_product(w_IO, slope_OB, out_IB, ahead)
    _transpose(out_IB, out_BI)


@compiled
def _weight_gradient(x_BI: Any, slope_BO: Any, into_IO: Any, ahead: Any) -> None:
    """x' slope."""
    into_IO[:] = 0
    add_product(x_BI.T, slope_BO, into_IO, ahead)


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
def _soon(flat: Any, layer: Any, row: int) -> Any:
    """What to prefetch of a layer's weights, or of numbers that go with them."""
    start, size = layer[0] + row * layer[1], layer[4] * layer[5]
    return flat[start : start + min(size, _MOST_PREFETCHED // flat.itemsize)]


@compiled
def _bias(flat: Any, layer: Any, row: int) -> Any:
    start = layer[2] + row * layer[3]
    return flat[start : start + layer[5]]


@compiled
def _made(made: Any, start: int, batch: int, width: int) -> Any:
    """What a layer made, [B, width], in the row of `made` of its network."""
    return made[start : start + batch * width].reshape(batch, width)


@compiled
def forward(flat: Any, layers: Any, first_row: int, batch: int, made_RF: Any) -> None:
    """Run the networks `first_row`, `first_row + 1`, ... of the flat buffer, one for each row of
    `made`, which holds its padded input [B, I] first and then what each layer makes of it.

    batch: B, which may be 1 here.
    """
    for row in range(len(made_RF)):
        made, start = made_RF[row], 0
        for index in range(len(layers)):
            layer = layers[index]
            x_BI = _made(made, start, batch, layer[4])
            start += batch * layer[4]
            y_BO = _made(made, start, batch, layer[5])
            y_BO[:] = _bias(flat, layer, first_row + row)
            following = _soon(flat, layer, first_row + min(row + 1, len(made_RF) - 1))
            _layer(x_BI, _weight(flat, layer, first_row + row), y_BO, following)
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

    below: two rows of B times the widest layer. spare: see `spare_size`.
    """
    for row in range(len(made_RF)):
        slope_BO, start = slopes_RBO[row], made_RF.shape[1] - batch * layers[-1, 5]
        for index in range(len(layers) - 1, -1, -1):
            layer = layers[index]
            weight_IO = _weight(flat, layer, first_row + row)
            start -= batch * layer[4]
            if index == 0:
                _through(slope_BO, weight_IO, found_RBI[row], spare, flat[:0])
            else:
                x_BI = _made(made_RF[row], start, batch, layer[4])
                below, nothing = below_2F[index % 2], flat[:0]
                slope_BO = _below(slope_BO, weight_IO, x_BI, below, spare, nothing)


@compiled
def _below(slope_BO: Any, weight_IO: Any, x_BI: Any, below: Any, spare: Any, ahead: Any) -> Any:
    """The derivative by what went into the ReLU that made x."""
    below_BI = _made(below, 0, x_BI.shape[0], x_BI.shape[1])
    _through(slope_BO, weight_IO, below_BI, spare, ahead)
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

    gradient, own_layers: a flat buffer of one network and its `layers`. below, spare: as for
    `input_slopes`. constants: a row per network, of step size over 1 - beta1^t, 1 - beta1, beta2,
    1 - beta2, sqrt(1 - beta2^t), epsilon.
    """
    for row in range(len(made_RF)):
        slope_BO, start = slopes_RBO[row], made_RF.shape[1] - batch * layers[-1, 5]
        for index in range(len(layers) - 1, -1, -1):
            layer, own = layers[index], own_layers[index]
            start -= batch * layer[4]
            x_BI = _made(made_RF[row], start, batch, layer[4])
            soon = _soon(exp_avg, layer, row)
            _weight_gradient(x_BI, slope_BO, _weight(gradient, own, 0), soon)
            _sum_rows(slope_BO, _bias(gradient, own, 0))
            if index > 0:
                weight_IO = _weight(flat, layer, row)
                below, soon = below_2F[index % 2], _soon(exp_avg_sq, layer, row)
                slope_BO = _below(slope_BO, weight_IO, x_BI, below, spare, soon)
        scale = _clipping(gradient, max_norm)
        _adam_step(
            flat, exp_avg, exp_avg_sq, layers, row, gradient, own_layers, scale, constants_R6[row]
        )


def spare_size(batch: int, widths: Sequence[int]) -> int:
    """Numbers that passes need beside what they are given."""
    return (2 * batch + NARROW) * max(widths)


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
    forward(flat, layers, 0, 8, made_RF)
    input_slopes(flat, layers, 0, 8, made_RF, slopes_RBO, below_2F, spare, found_RBI)
    descend(
        flat, exp_avg, exp_avg_sq, layers, 8, made_RF, slopes_RBO, below_2F, spare, gradient,
        layers, 1.0, constants_R6,
    )  # fmt: skip
