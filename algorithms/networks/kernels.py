"""Passes, gradients, Adam and target updates of networks, compiled for the processor they run on.

torch runs each operation for all agents. Every operation then costs a call, and parameters,
gradients and moments pass through memory again and again. These kernels finish one network of one
agent before they begin the next. Its data stay in the core's own cache, and all networks use the
same memory for their gradient. An agent costs as much alone as among many.

No bit depends on the number of agents, because the code for one agent knows nothing of the others.

This file is long because Numba recompiles a cached function only when the function's own file
changes, not when a file that it imports from changes.

Shapes: B rows of a minibatch; I inputs and O outputs of a layer, all multiples of 8; P networks of
an agent, R networks of all agents, L layers, F numbers of a pass. `layers` is [L, 6] int64. For
each layer it holds the start of the weights in the flat buffer of all networks and the numbers from
one network's weights to the next one's, the same two for the biases, and the layer's I and O.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from filelock import FileLock
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array

F = TypeVar("F", bound=Callable[..., Any])
NARROW = 8
_ANYTHING = -math.inf
"""Lower bound of a product that no ReLU follows."""


def compiled(function: F, *, reorder: bool = False) -> F:
    """Compile a function at its first call and keep it on disk.

    Its place on disk is next to this file or in the user's cache. reorder: sums may be computed in
    another order than the written one, but in the same order each time.
    """
    flags = {"contract", "reassoc", "nsz"} if reorder else {"contract"}
    try:
        return njit(function, fastmath=flags, error_model="numpy", cache=True)  # type: ignore[no-any-return]
    except RuntimeError:  # no folder of this machine can hold it
        return njit(function, fastmath=flags, error_model="numpy")  # type: ignore[no-any-return]


def compiled_sum(function: F) -> F:
    """Compile a function that sums along a vector, see `compiled`."""
    return compiled(function, reorder=True)


def instructions(function: Callable[..., Any]) -> Any:
    """Return Numba's `intrinsic` of a function that writes instructions; kernels can call it."""
    return intrinsic(function)


# -- a tile of a matrix product --------------------------------------------------------------------
# The compiler vectorizes innermost loops only, so every sum passes through memory again and again.
# Written as instructions, the sums of a tile stay in registers from the first product to the last.

_ROWS = 8
_CPU = numba.config.CPU_NAME  # type: ignore[attr-defined]
_HAS_WIDE_VECTORS = _CPU is None and get_host_cpu_features().get("avx512f", False)
_FUSED = ("contract",)
_LINE = 64
_MOST_PREFETCHED = 2**17
"""Most bytes of one layer that are prefetched: more would evict other data from a core's cache."""


def _strip(num_rows: int, vectors: int, vector_bytes: int) -> Any:
    """Return strip(x, w, bias, least, y, j, ahead, line): `product` for some columns of y.

    It computes `vectors` vectors of columns from j on, for all rows of y, in tiles of `num_rows`
    rows. Every product of a tile also prefetches one cache line of `ahead`, from `line` on.
    """

    def strip(
        _: Any, x: Any, w: Any, bias: Any, least: Any, y: Any, column: Any, ahead: Any, line: Any
    ) -> Any:
        """Return the signature of the strip and the writer of its instructions."""
        return types.void(x, w, bias, y.dtype, y, types.intp, ahead, types.intp), code

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        """Write the instructions of the strip."""
        x, w, y = (_Matrix(context, builder, signature.args[n], args[n]) for n in (0, 1, 4))
        lanes = vector_bytes // y.item
        columns = [builder.add(args[5], _int(lanes * v)) for v in range(vectors)]
        first = [ir.Constant(ir.VectorType(y.number, lanes), None)] * vectors
        if signature.args[2] != types.none:
            bias = _Matrix(context, builder, signature.args[2], args[2])
            first = [bias.read(bias.vector(_int(0), j, lanes)) for j in columns]
        least = _in_all_places(builder, args[3], lanes)
        sums = [cgutils.alloca_once(builder, total.type) for total in first * num_rows]
        tiles = cgutils.for_range_slice(builder, _int(0), x.shape[0], _int(num_rows))
        with tiles as (row, tiles_before):
            line = builder.add(args[7], builder.mul(tiles_before, x.shape[1]))
            ahead = _Prefetch(context, builder, signature.args[6], args[6], line)
            rows = [builder.add(row, _int(i)) for i in range(num_rows)]
            _tile(builder, x, w, rows, columns, lanes, first, sums, ahead)
            spots = (y.vector(i, j, lanes) for i in rows for j in columns)
            for spot, total in zip(spots, sums, strict=True):
                value = builder.load(total)
                is_less = builder.fcmp_ordered("<=", value, least)  # false for NaN, which is kept
                builder.store(builder.select(is_less, least, value), spot, align=y.item)
        return context.get_dummy_value()

    return instructions(strip)


def _tile(
    builder: Any,
    x: _Matrix,
    w: _Matrix,
    rows: list[Any],
    columns: list[Any],
    lanes: int,
    first: list[Any],
    sums: list[Any],
    ahead: _Prefetch,
) -> None:
    """Write the sums of a tile: products plus `first`, one entry per vector of columns."""
    for total, value in zip(sums, first * len(rows), strict=True):
        builder.store(value, total)
    starts = [x.row(i) for i in rows]
    with cgutils.for_range(builder, x.shape[1]) as loop:
        k = loop.index
        ahead.prefetch(k)
        parts = [w.read(w.vector(k, j, lanes)) for j in columns]
        scales = [x.broadcast(start, k, lanes) for start in starts]
        terms = (builder.fmul(a, b, flags=_FUSED) for a in scales for b in parts)
        for total, term in zip(sums, terms, strict=True):
            builder.store(builder.fadd(builder.load(total), term, flags=_FUSED), total)


def _int(number: int) -> Any:
    return ir.Constant(ir.IntType(64), number)


class _Matrix:
    """A matrix of numbers, for the writer of instructions that read it."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = make_array(kind)(context, builder, value)
        self._builder, self.number = builder, context.get_data_type(kind.dtype)
        self._bytes = builder.bitcast(array.data, ir.IntType(8).as_pointer())
        self._strides = list(cgutils.unpack_tuple(builder, array.strides))
        self.shape = cgutils.unpack_tuple(builder, array.shape)
        self.item: int = context.get_abi_sizeof(self.number)
        self._layout = kind.layout
        if kind.layout in "CF":
            self._strides["FC".index(kind.layout)] = _int(self.item)

    def _at(self, row: Any, column: Any, kind: Any) -> Any:
        b = self._builder
        down, along = b.mul(row, self._strides[0]), b.mul(column, self._strides[1])
        return b.bitcast(b.gep(self._bytes, [b.add(down, along)]), kind.as_pointer())

    def vector(self, row: Any, column: Any, lanes: int) -> Any:
        """Return the address of a vector of `lanes` neighbours in a row."""
        if self._layout != "C":
            raise TypeError("neighbours of a row lie together in arrays of layout C alone")
        return self._at(row, column, ir.VectorType(self.number, lanes))

    def read(self, spot: Any) -> Any:
        """Return the vector at an address."""
        return self._builder.load(spot, align=self.item)

    def row(self, row: Any) -> Any:
        """Return the address of a row in a form that hides its relation to other rows.

        Otherwise the compiler computes each row's address from that of the row before, and a
        product waits for eight additions.
        """
        start = self._at(row, _int(0), ir.IntType(8))
        same = ir.InlineAsm(ir.FunctionType(start.type, [start.type]), "", "=r,0")
        return self._builder.call(same, [start])

    def broadcast(self, start: Any, column: Any, lanes: int) -> Any:
        """Return a vector that repeats one number of the row that begins at `start`."""
        b = self._builder
        spot = b.gep(start, [b.mul(column, self._strides[1])])
        return _in_all_places(b, b.load(b.bitcast(spot, self.number.as_pointer())), lanes)


def _in_all_places(builder: Any, number: Any, lanes: int) -> Any:
    """Return a vector that repeats one number."""
    word = ir.IntType(32)
    none = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
    first = builder.insert_element(none, number, word(0))
    return builder.shuffle_vector(first, none, ir.VectorType(word, lanes)([0] * lanes))


class _Prefetch:
    """Cache lines of a vector that is needed soon, for the writer of their prefetch."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any, line: Any) -> None:
        array = make_array(kind)(context, builder, value)
        first, end = builder.mul(line, _int(_LINE)), builder.mul(array.nitems, array.itemsize)
        is_inside = builder.icmp_signed("<", first, end)  # else the first line, repeatedly
        self._step = builder.select(is_inside, _int(_LINE), _int(0))
        start = builder.select(is_inside, first, _int(0))
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        self._start = builder.gep(builder.bitcast(array.data, byte), [start])
        kinds = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        self._call = cgutils.get_or_insert_function(builder.module, kinds, "llvm.prefetch.p0")
        self._how = word(0), word(2), word(1)  # to read, into the second cache, data
        self._builder = builder

    def prefetch(self, k: Any) -> None:
        """Prefetch the k-th line from the first."""
        line = self._builder.gep(self._start, [self._builder.mul(k, self._step)])
        self._builder.call(self._call, [line, *self._how])


# Sizes by the number of sums that fit into the registers, 32 of 64 bytes or 16 of 32 bytes, beside
# the operands of their products.
strip_128, strip_64 = _strip(8, 2, 64), _strip(8, 1, 64)
strip_96_of_32, strip_64_of_32 = _strip(4, 3, 32), _strip(4, 2, 32)
strip_32 = _strip(8, 1, 32)


@instructions
def _transpose_block(_: Any, x: Any, out: Any, row: Any, column: Any) -> Any:
    """Write 8 rows and columns of x from (row, column), transposed, to out at (column, row)."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        """Write the instructions of the transposition."""
        x, out = (_Matrix(context, builder, signature.args[n], args[n]) for n in range(2))
        down, along = ([builder.add(at, _int(k)) for k in range(_ROWS)] for at in args[2:])
        block = [x.read(x.vector(i, args[3], _ROWS)) for i in down]
        for far in (4, 2, 1):  # swap the quarters off the diagonal, then those of each quarter, ...
            for k in (k for k in range(_ROWS) if not k & far):
                block[k], block[k + far] = _swapped(builder, block[k], block[k + far], far)
        for j, vector in zip(along, block, strict=True):
            builder.store(vector, out.vector(j, args[2], _ROWS), align=out.item)
        return context.get_dummy_value()

    return types.void(x, out, types.intp, types.intp), code


def _swapped(builder: Any, above: Any, below: Any, far: int) -> list[Any]:
    """Swap the right parts of the upper row with the left parts of the lower one.

    The two rows, of 8, are `far` from each other.
    """
    kind = ir.VectorType(ir.IntType(32), _ROWS)
    upper = [_ROWS + k - far if k & far else k for k in range(_ROWS)]
    lower = [_ROWS + k if k & far else k + far for k in range(_ROWS)]
    return [builder.shuffle_vector(above, below, kind(places)) for places in (upper, lower)]


@compiled
def product(x_BI: Any, w_IO: Any, bias_1O: Any, least: Any, y_BO: Any, ahead: Any) -> None:
    """y = max(x w + bias, least), without the bias if it is None.

    Meanwhile it prefetches `ahead`, which is needed soon.
    """
    size, tiles = y_BO.itemsize, len(x_BI) // _ROWS
    j, line = 0, 0
    while j < w_IO.shape[1]:
        left = (w_IO.shape[1] - j) * size
        if _HAS_WIDE_VECTORS and left >= 128:
            strip_128(x_BI, w_IO, bias_1O, least, y_BO, j, ahead, line)
            width, lines = 128, tiles
        elif _HAS_WIDE_VECTORS and left >= 64:
            strip_64(x_BI, w_IO, bias_1O, least, y_BO, j, ahead, line)
            width, lines = 64, tiles
        elif left >= 96 and left != 128:  # which is twice 64
            strip_96_of_32(x_BI, w_IO, bias_1O, least, y_BO, j, ahead, line)
            width, lines = 96, 2 * tiles
        elif left >= 64:
            strip_64_of_32(x_BI, w_IO, bias_1O, least, y_BO, j, ahead, line)
            width, lines = 64, 2 * tiles
        else:
            strip_32(x_BI, w_IO, bias_1O, least, y_BO, j, ahead, line)
            width, lines = 32, tiles
        j, line = j + width // size, line + lines * w_IO.shape[0]


# -- one layer of one network ----------------------------------------------------------------------


@compiled
def _row_product(x_I: Any, w_IO: Any, bias_O: Any, least: Any, y_O: Any) -> None:
    """y = max(x w + bias, least), for one row."""
    for j in range(y_O.size):
        y_O[j] = bias_O[j]
    for k in range(0, len(w_IO), 4):
        p, q, r, s = x_I[k], x_I[k + 1], x_I[k + 2], x_I[k + 3]
        w0, w1, w2, w3 = w_IO[k], w_IO[k + 1], w_IO[k + 2], w_IO[k + 3]
        for j in range(y_O.size):
            y_O[j] = y_O[j] + p * w0[j] + q * w1[j] + r * w2[j] + s * w3[j]
    for j in range(y_O.size):
        y_O[j] = least if y_O[j] <= least else y_O[j]


@compiled
def _transposed(x_BI: Any, spare: Any) -> Any:
    """Return x', stored in `spare`."""
    out_IB = _matrix(spare, 0, x_BI.shape[1], x_BI.shape[0])
    transpose(x_BI, out_IB)
    return out_IB


@compiled
def transpose(x_BI: Any, out_IB: Any) -> None:
    """Write x' into `out_IB`; both sizes are multiples of 8."""
    for b in range(0, x_BI.shape[0], _ROWS):
        for i in range(0, x_BI.shape[1], _ROWS):
            _transpose_block(x_BI, out_IB, b, i)


@compiled
def _layer(x_BI: Any, w_IO: Any, bias_1O: Any, least: Any, y_BO: Any, ahead: Any) -> None:
    """y = max(x w + bias, least)."""
    if len(x_BI) == 1:
        _row_product(x_BI[0], w_IO, bias_1O[0], least, y_BO[0])
    else:
        product(x_BI, w_IO, bias_1O, least, y_BO, ahead)


@compiled
def _through(grad_BO: Any, w_IO: Any, out_BI: Any, spare: Any, ahead: Any) -> None:
    """grad w', the derivative by a layer's input, given the derivative by its output."""
    if w_IO.shape[1] <= NARROW:
        product(grad_BO, _transposed(w_IO, spare), None, _ANYTHING, out_BI, ahead)
        return
    grad_OB = _transposed(grad_BO, spare)  # smaller than w
    out_IB = _matrix(spare, grad_BO.size, out_BI.shape[1], out_BI.shape[0])
    product(w_IO, grad_OB, None, _ANYTHING, out_IB, ahead)
    transpose(out_IB, out_BI)


@compiled
def _weight_gradient(x_BI: Any, grad_BO: Any, into_IO: Any, ahead: Any) -> None:
    """x' grad, the derivative by a layer's weights."""
    product(x_BI.T, grad_BO, None, _ANYTHING, into_IO, ahead)


@compiled
def _where_positive(grad_BI: Any, x_BI: Any) -> None:
    """Pass the derivative through the ReLU whose output is x."""
    zero = x_BI.dtype.type(0)
    for b in range(x_BI.shape[0]):
        for i in range(x_BI.shape[1]):
            grad_BI[b, i] = grad_BI[b, i] if x_BI[b, i] > zero else zero


@compiled
def _sum_rows(x_BO: Any, out_O: Any) -> None:
    for j in range(out_O.size):
        out_O[j] = x_BO[0, j]
    for b in range(1, x_BO.shape[0]):
        for j in range(out_O.size):
            out_O[j] += x_BO[b, j]


@compiled_sum
def _sum_of_squares(x: Any) -> Any:
    total = x.dtype.type(0)
    for k in range(x.size):
        total += x[k] * x[k]
    return total


@compiled
def _clipping(gradient: Any, max_norm: float) -> Any:
    """Return the factor that scales a gradient to a norm of at most `max_norm`."""
    if math.isinf(max_norm):
        return gradient.dtype.type(1)
    norm = math.sqrt(_sum_of_squares(gradient))
    return gradient.dtype.type(min(1.0, max_norm / (norm + 1e-6)))


@compiled
def _adam(
    parameter: Any, gradient: Any, exp_avg: Any, exp_avg_sq: Any, scale: Any, constants: Any
) -> None:
    """Adam (Kingma and Ba 2015) with the gradient times `scale`; see `apply_gradients`."""
    step_size, fresh, kept_sq = constants[0], constants[1], constants[2]
    fresh_sq, correction_sq, eps = constants[3], constants[4], constants[5]
    for k in range(parameter.size):
        g = gradient[k] * scale
        exp_avg[k] += fresh * (g - exp_avg[k])
        exp_avg_sq[k] = kept_sq * exp_avg_sq[k] + fresh_sq * g * g
        parameter[k] -= step_size * exp_avg[k] / (math.sqrt(exp_avg_sq[k]) * correction_sq + eps)


# -- whole networks --------------------------------------------------------------------------------


@instructions
def _matrix(_: Any, flat: Any, start: Any, rows: Any, columns: Any) -> Any:
    """Return the matrix that begins at `flat[start]`.

    A slice and a reshape give the same, but they take longer than some of the products.
    """
    if flat.layout != "C":
        raise TypeError("a matrix is made of numbers that lie together")
    kind = types.Array(flat.dtype, 2, "C")

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        """Write the instructions that make the matrix."""
        source = make_array(signature.args[0])(context, builder, args[0])
        matrix = make_array(kind)(context, builder)
        item = _int(context.get_abi_sizeof(context.get_data_type(flat.dtype)))
        populate_array(
            matrix,
            data=builder.gep(source.data, [args[1]]),
            shape=args[2:],
            strides=[builder.mul(args[3], item), item],
            itemsize=item,
            meminfo=None,  # borrowed: no array is freed while a kernel runs
        )
        return matrix._getvalue()

    return kind(flat, types.intp, types.intp, types.intp), code


@compiled
def _weight(flat: Any, layer: Any, row: int) -> Any:
    return _matrix(flat, layer[0] + row * layer[1], layer[4], layer[5])


@compiled
def _weights(flat: Any, layer: Any, row: int) -> Any:
    """Return a layer's weights, or numbers of the same layout, as a vector."""
    start = layer[0] + row * layer[1]
    return flat[start : start + layer[4] * layer[5]]


@compiled
def _soon(flat: Any, layer: Any, row: int) -> Any:
    """Return the part of `_weights` to prefetch."""
    return _weights(flat, layer, row)[: _MOST_PREFETCHED // flat.itemsize]


@compiled
def _bias(flat: Any, layer: Any, row: int) -> Any:
    return _matrix(flat, layer[2] + row * layer[3], 1, layer[5])


@compiled
def forward(flat: Any, layers: Any, first_row: int, batch: int, made_RF: Any) -> None:
    """Run the networks `first_row`, `first_row + 1`, ... of the flat buffer.

    There is one network for each row of `made`. A row holds the padded input [B, I] first, then the
    output of each layer, which this function writes. batch: B, which may be 1 here.
    """
    for row in range(len(made_RF)):
        made, start = made_RF[row], 0
        for index in range(len(layers)):
            layer = layers[index]
            x_BI = _matrix(made, start, batch, layer[4])
            start += batch * layer[4]
            y_BO = _matrix(made, start, batch, layer[5])
            weight_IO = _weight(flat, layer, first_row + row)
            bias_1O = _bias(flat, layer, first_row + row)
            following = _soon(flat, layer, first_row + min(row + 1, len(made_RF) - 1))
            least = 0.0 if index < len(layers) - 1 else _ANYTHING  # no ReLU after the last
            _layer(x_BI, weight_IO, bias_1O, made.dtype.type(least), y_BO, following)


@compiled
def input_gradients(
    flat: Any,
    layers: Any,
    first_row: int,
    batch: int,
    made_RF: Any,
    grads_RBO: Any,
    below_2F: Any,
    spare: Any,
    found_RBI: Any,
) -> None:
    """Write the derivatives by the networks' inputs into `found`, given those by their outputs.

    It uses the results of `forward`. below: two rows of B times the widest layer. spare: see
    `spare_size`.
    """
    for row in range(len(made_RF)):
        grad_BO, start = grads_RBO[row], made_RF.shape[1] - batch * layers[-1, 5]
        for index in range(len(layers) - 1, -1, -1):
            layer = layers[index]
            weight_IO = _weight(flat, layer, first_row + row)
            start -= batch * layer[4]
            if index == 0:
                _through(grad_BO, weight_IO, found_RBI[row], spare, flat[:0])
            else:
                x_BI = _matrix(made_RF[row], start, batch, layer[4])
                below, nothing = below_2F[index % 2], flat[:0]
                grad_BO = _below(grad_BO, weight_IO, x_BI, below, spare, nothing)


@compiled
def _below(grad_BO: Any, weight_IO: Any, x_BI: Any, below: Any, spare: Any, ahead: Any) -> Any:
    """Return the derivative by the input of the ReLU whose output is x."""
    below_BI = _matrix(below, 0, x_BI.shape[0], x_BI.shape[1])
    _through(grad_BO, weight_IO, below_BI, spare, ahead)
    _where_positive(below_BI, x_BI)
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
    """Apply Adam to every layer of network `row`; see `apply_gradients`."""
    for index in range(len(layers)):
        layer, own = layers[index], own_layers[index]
        _adam(
            _weights(flat, layer, row),
            _weights(gradient, own, 0),
            _weights(exp_avg, layer, row),
            _weights(exp_avg_sq, layer, row),
            scale,
            constants,
        )
        _adam(
            _bias(flat, layer, row)[0],
            _bias(gradient, own, 0)[0],
            _bias(exp_avg, layer, row)[0],
            _bias(exp_avg_sq, layer, row)[0],
            scale,
            constants,
        )


@compiled
def apply_gradients(
    flat: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    layers: Any,
    batch: int,
    made_RF: Any,
    grads_RBO: Any,
    below_2F: Any,
    spare: Any,
    gradient: Any,
    own_layers: Any,
    max_norm: float,
    constants_P6: Any,
) -> None:
    """Take one step of Adam for each network that `forward` ran.

    The gradient follows from the derivatives by the outputs and is clipped to a norm of `max_norm`.
    gradient, own_layers: a flat buffer of one network and its `layers`. below, spare: as for
    `input_gradients`. constants: one row for each network of an agent: learning rate over
    1 - beta1^t, 1 - beta1, beta2, 1 - beta2, 1 / sqrt(1 - beta2^t), epsilon.
    """
    num_agents = len(made_RF) // len(constants_P6)
    for row in range(len(made_RF)):
        grad_BO, start = grads_RBO[row], made_RF.shape[1] - batch * layers[-1, 5]
        for index in range(len(layers) - 1, -1, -1):
            layer, own = layers[index], own_layers[index]
            start -= batch * layer[4]
            x_BI = _matrix(made_RF[row], start, batch, layer[4])
            soon = _soon(exp_avg, layer, row)
            _weight_gradient(x_BI, grad_BO, _weight(gradient, own, 0), soon)
            _sum_rows(grad_BO, _bias(gradient, own, 0)[0])
            if index > 0:
                weight_IO = _weight(flat, layer, row)
                below, soon = below_2F[index % 2], _soon(exp_avg_sq, layer, row)
                grad_BO = _below(grad_BO, weight_IO, x_BI, below, spare, soon)
        scale = _clipping(gradient, max_norm)
        constants = constants_P6[row // num_agents]
        _adam_step(flat, exp_avg, exp_avg_sq, layers, row, gradient, own_layers, scale, constants)


@compiled
def soft_update(
    flat: Any,
    layers: Any,
    first_row: int,
    source: Any,
    source_layers: Any,
    source_row: int,
    num_agents: int,
    rate: Any,
) -> None:
    """Move networks `first_row`, ... of a buffer `rate` of the way towards those of another."""
    for agent in range(num_agents):
        row, other = first_row + agent, source_row + agent
        for index in range(len(layers)):
            mine, its = layers[index], source_layers[index]
            _lerp(_weights(flat, mine, row), _weights(source, its, other), rate)
            _lerp(_bias(flat, mine, row)[0], _bias(source, its, other)[0], rate)


@compiled
def _lerp(x: Any, y: Any, rate: Any) -> None:
    """Move x `rate` of the way to y, computed from the nearer end: rate 1 gives exactly y."""
    rest = x.dtype.type(1) - rate
    if rate < rest:
        for k in range(x.size):
            x[k] += rate * (y[k] - x[k])
    else:
        for k in range(x.size):
            x[k] = y[k] - rest * (y[k] - x[k])


def spare_size(batch: int, widths: Sequence[int]) -> int:
    """Return the size of `spare`, the work space of the passes."""
    return (2 * batch + NARROW) * max(widths)


@functools.cache
def load(dtype: Any) -> None:
    """Compile the kernels for parameters of a type, or load them from disk.

    It calls them on the smallest network. This happens when agents are built, so that no round,
    which has a timeout, waits for it. One process of a machine compiles; the others wait and then
    load its results. Raises OSError with the folder if it cannot hold the compiled kernels.
    """
    folder = forward.stats.cache_path  # type: ignore[attr-defined]
    try:
        with _alone(folder):
            _call_all(dtype)
    except OSError as error:
        why = f"cannot keep compiled kernels: {error.strerror} (NUMBA_CACHE_DIR: another folder)"
        raise OSError(error.errno, why, folder) from error


@contextlib.contextmanager
def _alone(folder: str | None) -> Iterator[None]:
    """Let one process of this machine compile at a time, if the folder can hold a lock."""
    with contextlib.ExitStack() as held:
        if folder is not None:
            lock = FileLock(Path(folder) / "kernels.lock", fallback_to_soft=False)
            with contextlib.suppress(OSError):  # without a lock, each process compiles for itself
                held.enter_context(lock)
        yield


def _call_all(dtype: Any) -> None:
    layers = np.array([[0, 64, 64, 64, 8, 8]])
    flat, exp_avg, exp_avg_sq, gradient = np.zeros((4, 128), dtype)
    made_RF, spare = np.zeros((1, 128), dtype), np.zeros(spare_size(8, [8]), dtype)
    grads_RBO, found_RBI = np.zeros((2, 1, 8, 8), dtype)
    below_2F, constants_P6 = np.zeros((2, 64), dtype), np.ones((1, 6), dtype)
    forward(flat, layers, 0, 8, made_RF)
    input_gradients(flat, layers, 0, 8, made_RF, grads_RBO, below_2F, spare, found_RBI)
    apply_gradients(
        flat, exp_avg, exp_avg_sq, layers, 8, made_RF, grads_RBO, below_2F, spare, gradient,
        layers, 1.0, constants_P6,
    )  # fmt: skip
    soft_update(flat, layers, 0, exp_avg, layers, 0, 1, flat.dtype.type(1.0))
