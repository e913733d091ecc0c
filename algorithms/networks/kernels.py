"""Passes, gradients, Adam and targets of stacked networks, compiled for the processor they run on.

torch goes over all agents once per operation, which costs a call each time and takes parameters,
gradients and moments through memory again and again. Here one network of one agent is finished
before the next is begun: what it needs stays in the core's own cache, and its gradient, needed no
longer than that, lies in the same place for all. An agent costs as much alone as among many.

No bit depends on how many agents there are: the code for one knows nothing of the others.

All of it is in one file, because what is kept on disk is compiled anew when the file changes that
a function stands in, not when one does that it calls.

Shapes: B rows of a minibatch, I inputs and O outputs of a layer, all multiples of 8; P networks of
an agent, R of all agents, L layers, F numbers that a pass makes. `layers`, [L, 6] int64: where the
weights and the biases of a layer begin in the flat buffer of all networks, each with the floats
from one network's to the next network's, and the layer's I and O.
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
"""Least of a product that no ReLU follows."""


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


def instructions(function: Callable[..., Any]) -> Any:
    """Numba's `intrinsic`, typed: kernels call it, and `function` writes its instructions."""
    return intrinsic(function)


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


def _strip(num_rows: int, vectors: int, vector_bytes: int) -> Any:
    """strip(x, w, bias, least, y, j, ahead, line): `product` for some vectors of columns from j and
    all rows of y, by tiles of so many rows. With every product of a tile a line of `ahead` is
    prefetched, from `line` on."""

    def strip(
        _: Any, x: Any, w: Any, bias: Any, least: Any, y: Any, column: Any, ahead: Any, line: Any
    ) -> Any:
        return types.void(x, w, bias, y.dtype, y, types.intp, ahead, types.intp), code

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
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
                is_less = builder.fcmp_ordered("<=", value, least)  # not where it is no number
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
    """The sums of a tile: of products and `first`, which is one for each vector of columns."""
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
    """A matrix of numbers, while code that reads it is written."""

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
        """Where some neighbours of a row lie."""
        if self._layout != "C":
            raise TypeError("neighbours of a row lie together in arrays of layout C alone")
        return self._at(row, column, ir.VectorType(self.number, lanes))

    def read(self, spot: Any) -> Any:
        return self._builder.load(spot, align=self.item)

    def row(self, row: Any) -> Any:
        """Where a row begins, and nothing about where others do: else each row's address is made
        from that of the row before, and a product waits for eight additions."""
        start = self._at(row, _int(0), ir.IntType(8))
        same = ir.InlineAsm(ir.FunctionType(start.type, [start.type]), "", "=r,0")
        return self._builder.call(same, [start])

    def broadcast(self, start: Any, column: Any, lanes: int) -> Any:
        """One number, of the row that begins at `start`, in all places of a vector."""
        b = self._builder
        spot = b.gep(start, [b.mul(column, self._strides[1])])
        return _in_all_places(b, b.load(b.bitcast(spot, self.number.as_pointer())), lanes)


def _in_all_places(builder: Any, number: Any, lanes: int) -> Any:
    """A vector of one number again and again."""
    word = ir.IntType(32)
    none = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
    first = builder.insert_element(none, number, word(0))
    return builder.shuffle_vector(first, none, ir.VectorType(word, lanes)([0] * lanes))


class _Prefetch:
    """Lines of a vector that will be needed soon, while code that prefetches them is written."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any, line: Any) -> None:
        array = make_array(kind)(context, builder, value)
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


# By how many sums fit into registers, 32 of 64 bytes or 16 of 32, beside what they are made from.
strip_128, strip_64 = _strip(8, 2, 64), _strip(8, 1, 64)
strip_96_of_32, strip_64_of_32 = _strip(4, 3, 32), _strip(4, 2, 32)
strip_32 = _strip(8, 1, 32)


@instructions
def _transpose_block(_: Any, x: Any, out: Any, row: Any, column: Any) -> Any:
    """8 rows and columns of x from (row, column) into out from (column, row)."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, out = (_Matrix(context, builder, signature.args[n], args[n]) for n in range(2))
        down, along = ([builder.add(at, _int(k)) for k in range(_ROWS)] for at in args[2:])
        block = [x.read(x.vector(i, args[3], _ROWS)) for i in down]
        for far in (4, 2, 1):  # quarters off the diagonal change places, then theirs, ...
            for k in (k for k in range(_ROWS) if not k & far):
                block[k], block[k + far] = _swapped(builder, block[k], block[k + far], far)
        for j, vector in zip(along, block, strict=True):
            builder.store(vector, out.vector(j, args[2], _ROWS), align=out.item)
        return context.get_dummy_value()

    return types.void(x, out, types.intp, types.intp), code


def _swapped(builder: Any, above: Any, below: Any, far: int) -> list[Any]:
    """Two of 8 rows, `far` from each other: what lies right in the one changes places with what
    lies left in the other."""
    kind = ir.VectorType(ir.IntType(32), _ROWS)
    upper = [_ROWS + k - far if k & far else k for k in range(_ROWS)]
    lower = [_ROWS + k if k & far else k + far for k in range(_ROWS)]
    return [builder.shuffle_vector(above, below, kind(places)) for places in (upper, lower)]


@compiled
def product(x_BI: Any, w_IO: Any, bias_1O: Any, least: Any, y_BO: Any, ahead: Any) -> None:
    """y = x w + bias, or x w where the bias is None, but not less than `least`; and meanwhile
    `ahead`, which is needed soon, is prefetched."""
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
    """y = x w + bias, of one row, but not less than `least`."""
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
    """x', in `spare`."""
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
    """y = x w + bias, but not less than `least`."""
    if len(x_BI) == 1:
        _row_product(x_BI[0], w_IO, bias_1O[0], least, y_BO[0])
    else:
        product(x_BI, w_IO, bias_1O, least, y_BO, ahead)


@compiled
def _through(grad_BO: Any, w_IO: Any, out_BI: Any, spare: Any, ahead: Any) -> None:
    """slope w', the derivative by a layer's input from that by what it makes."""
    if w_IO.shape[1] <= NARROW:
        product(grad_BO, _transposed(w_IO, spare), None, _ANYTHING, out_BI, ahead)
        return
    grad_OB = _transposed(grad_BO, spare)  # smaller than w
    out_IB = _matrix(spare, grad_BO.size, out_BI.shape[1], out_BI.shape[0])
    product(w_IO, grad_OB, None, _ANYTHING, out_IB, ahead)
    transpose(out_IB, out_BI)


@compiled
def _weight_gradient(x_BI: Any, grad_BO: Any, into_IO: Any, ahead: Any) -> None:
    """x' slope."""
    product(x_BI.T, grad_BO, None, _ANYTHING, into_IO, ahead)


@compiled
def _where_positive(grad_BI: Any, x_BI: Any) -> None:
    """The derivative through a ReLU that made x."""
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
    """The factor that brings a gradient's norm to at most `max_norm`."""
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
    """A matrix that begins at `flat[start]`: what a slice and a reshape give, which take longer
    than some of the products."""
    if flat.layout != "C":
        raise TypeError("a matrix is made of numbers that lie together")
    kind = types.Array(flat.dtype, 2, "C")

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = make_array(signature.args[0])(context, builder, args[0])
        matrix = make_array(kind)(context, builder)
        item = _int(context.get_abi_sizeof(context.get_data_type(flat.dtype)))
        populate_array(
            matrix,
            data=builder.gep(source.data, [args[1]]),
            shape=args[2:],
            strides=[builder.mul(args[3], item), item],
            itemsize=item,
            meminfo=None,  # borrowed: no array is given up while a kernel runs
        )
        return matrix._getvalue()

    return kind(flat, types.intp, types.intp, types.intp), code


@compiled
def _weight(flat: Any, layer: Any, row: int) -> Any:
    return _matrix(flat, layer[0] + row * layer[1], layer[4], layer[5])


@compiled
def _weights(flat: Any, layer: Any, row: int) -> Any:
    """A layer's weights, or numbers that go with them, one after the other."""
    start = layer[0] + row * layer[1]
    return flat[start : start + layer[4] * layer[5]]


@compiled
def _soon(flat: Any, layer: Any, row: int) -> Any:
    """What to prefetch of `_weights`."""
    return _weights(flat, layer, row)[: _MOST_PREFETCHED // flat.itemsize]


@compiled
def _bias(flat: Any, layer: Any, row: int) -> Any:
    return _matrix(flat, layer[2] + row * layer[3], 1, layer[5])


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
            x_BI = _matrix(made, start, batch, layer[4])
            start += batch * layer[4]
            y_BO = _matrix(made, start, batch, layer[5])
            weight_IO = _weight(flat, layer, first_row + row)
            bias_1O = _bias(flat, layer, first_row + row)
            following = _soon(flat, layer, first_row + min(row + 1, len(made_RF) - 1))
            least = 0.0 if index < len(layers) - 1 else _ANYTHING  # ReLU, but for the last
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
    """Derivatives by the input of what `forward` ran, into `found`, from those by its output.

    below: two rows of B times the widest layer. spare: see `spare_size`.
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
    """The derivative by what went into the ReLU that made x."""
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
    """Adam on every layer of network `row`; see `apply_gradients`."""
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
    """One step of Adam for each network that `forward` ran: from the derivatives by its output its
    gradient, clipped to a norm of `max_norm`.

    gradient, own_layers: a flat buffer of one network and its `layers`. below, spare: as for
    `input_gradients`. constants: a row for each of an agent's networks, of step size over
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
    """Networks `first_row`, ... of a flat buffer go `rate` of the way towards those of another."""
    for agent in range(num_agents):
        row, other = first_row + agent, source_row + agent
        for index in range(len(layers)):
            mine, its = layers[index], source_layers[index]
            _lerp(_weights(flat, mine, row), _weights(source, its, other), rate)
            _lerp(_bias(flat, mine, row)[0], _bias(source, its, other)[0], rate)


@compiled
def _lerp(x: Any, y: Any, rate: Any) -> None:
    """From the nearer end, so that rate 1 arrives."""
    rest = x.dtype.type(1) - rate
    if rate < rest:
        for k in range(x.size):
            x[k] += rate * (y[k] - x[k])
    else:
        for k in range(x.size):
            x[k] = y[k] - rest * (y[k] - x[k])


def spare_size(batch: int, widths: Sequence[int]) -> int:
    """Numbers that passes need beside what they are given."""
    return (2 * batch + NARROW) * max(widths)


@functools.cache
def load(dtype: Any) -> None:
    """Compile for parameters of a type, or load what is on disk: by a call on the smallest network.
    Done when agents are built, so that no round, which has a timeout, has to wait for it. Of the
    processes of a machine one compiles, the others wait for what it leaves on disk.

    Raises OSError, with the folder, where what is compiled cannot be kept in it.
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
