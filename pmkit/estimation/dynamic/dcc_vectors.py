"""Short loops written for vector registers: sums of products by tiles, and steps of a recursion by rows.

A compiler that cannot tell arrays apart keeps running sums in memory and checks for overlaps at every turn of
a short loop, which costs more than the arithmetic. The functions here are written in the compiler's own
language, with eight doubles to a vector and all sums in registers. Each sum is one chain of multiplications
and additions in a fixed order. Narrower registers take a vector in pieces, with the same result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from pmkit.core.types import FloatArray

__all__ = [
    "TILE_COLUMNS",
    "TILE_ROWS",
    "WIDTH",
    "Emitter",
    "add_row",
    "step_row",
    "tile_moment",
]

#: doubles of a vector
WIDTH = 8
#: size of a tile of :func:`tile_moment`
TILE_ROWS, TILE_COLUMNS = 8, 16

_WIDE = ir.VectorType(ir.DoubleType(), WIDTH)


class Emitter:
    """Vector loads, stores and arithmetic of one function that is being written."""

    def __init__(self, context: Any, builder: Any, signature: Any, arguments: Any) -> None:
        self.context, self.builder, self.signature, self.arguments = context, builder, signature, arguments

    def array(self, position: int) -> Any:
        """Return the array argument at a position."""
        kind = make_array(self.signature.args[position])  # type: ignore[no-untyped-call]
        return kind(self.context, self.builder, self.arguments[position])

    def word(self, value: int) -> Any:
        """Return a whole number."""
        return ir.Constant(ir.IntType(64), value)

    def row(self, array: Any, index: Any, offset: int = 0) -> Any:
        """Return where row ``index + offset`` of a table of doubles begins."""
        step = self.builder.ashr(self.builder.extract_value(array.strides, 0), self.word(3))
        return self.at(array.data, self.builder.mul(self.builder.add(index, self.word(offset)), step))

    def at(self, base: Any, index: Any) -> Any:
        """Return where the double ``index`` after ``base`` is."""
        return self.builder.gep(base, [index])

    def load(self, place: Any) -> Any:
        """Return the eight doubles from a place on."""
        return self.builder.load(self.builder.bitcast(place, _WIDE.as_pointer()), align=8)

    def store(self, value: Any, place: Any) -> None:
        """Write eight doubles."""
        self.builder.store(value, self.builder.bitcast(place, _WIDE.as_pointer()), align=8)

    def spread(self, value: Any) -> Any:
        """Return a vector of one double eight times."""
        single = self.builder.insert_element(ir.Constant(_WIDE, ir.Undefined), value, self.word(0))
        order = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        return self.builder.shuffle_vector(single, ir.Constant(_WIDE, ir.Undefined), order)

    def product(self, left: Any, right: Any) -> Any:
        """Return ``left right``."""
        return self.builder.fmul(left, right, flags=("contract",))

    def add(self, total: Any, left: Any, right: Any) -> Any:
        """Return ``total + left right``."""
        return self.builder.fadd(self.product(left, right), total, flags=("contract",))

    def every(self, value: float) -> Any:
        """Return a vector of one number."""
        return ir.Constant(_WIDE, [value] * WIDTH)

    def negative(self, value: Any) -> Any:
        """Return ``-value``."""
        return self.builder.fneg(value)

    def zero(self) -> Any:
        """Return a running sum that starts at 0."""
        return cgutils.alloca_once_value(self.builder, self.every(0.0))  # type: ignore[no-untyped-call]

    def grow(self, total: Any, left: Any, right: Any) -> None:
        """Add ``left right`` to a running sum."""
        self.builder.store(self.add(self.builder.load(total), left, right), total)

    def loop(self, first: Any, last: Any, step: int) -> Any:
        """Return the context of a loop over ``first <= k < last``."""
        return cgutils.for_range_slice(self.builder, first, last, self.word(step), inc=True)

    def done(self) -> Any:
        """Return nothing."""
        return self.context.get_dummy_value()


def _emit_tile_moment(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    emit = Emitter(context, builder, signature, arguments)
    x, y, target, (i, j) = emit.array(0), emit.array(1), emit.array(4), arguments[2:4]
    cells = [(r, part) for r in range(TILE_ROWS) for part in range(2)]
    sums = {cell: emit.zero() for cell in cells}
    with emit.loop(emit.word(0), builder.extract_value(x.shape, 0), 1) as (t, _):
        left, right = emit.at(emit.row(x, t), i), emit.at(emit.row(y, t), j)
        wide = [emit.load(emit.at(right, emit.word(part * WIDTH))) for part in range(2)]
        for r in range(TILE_ROWS):
            one = emit.spread(builder.load(emit.at(left, emit.word(r))))
            for part in range(2):
                emit.grow(sums[r, part], one, wide[part])
    for r, part in cells:
        place = emit.at(emit.at(emit.row(target, i, r), j), emit.word(part * WIDTH))
        emit.store(builder.load(sums[r, part]), place)
    return emit.done()


def _emit_step_row(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    emit = Emitter(context, builder, signature, arguments)
    table, constant, vector = emit.array(0), emit.array(2), emit.array(4)
    i, factor, keep = arguments[1], emit.spread(arguments[3]), emit.spread(arguments[5])
    row, rest = emit.row(table, i), emit.row(constant, i)
    with emit.loop(emit.word(0), builder.add(i, emit.word(1)), WIDTH) as (k, _):
        fresh = emit.add(emit.load(emit.at(rest, k)), factor, emit.load(emit.at(vector.data, k)))
        place = emit.at(row, k)
        emit.store(emit.add(fresh, keep, emit.load(place)), place)
    return emit.done()


def _emit_add_row(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    emit = Emitter(context, builder, signature, arguments)
    table, vector = emit.array(0), emit.array(3)
    i, factor = arguments[1], emit.spread(arguments[2])
    row = emit.row(table, i)
    with emit.loop(emit.word(0), builder.add(i, emit.word(1)), WIDTH) as (k, _):
        place = emit.at(row, k)
        emit.store(emit.add(emit.load(place), factor, emit.load(emit.at(vector.data, k))), place)
    return emit.done()


if TYPE_CHECKING:

    def tile_moment(x: FloatArray, y: FloatArray, i: int, j: int, out: FloatArray) -> None:
        """Fill a tile of ``out``, 8 by 16 from (i, j) on, with the sum over rows of ``x_t y_t'``."""

    def step_row(
        Q: FloatArray, i: int, constant: FloatArray, factor: float, e: FloatArray, keep: float
    ) -> None:
        """Set row i of Q up to the diagonal, or a few entries more, to ``constant + factor e + keep Q``."""

    def add_row(Q: FloatArray, i: int, factor: float, e: FloatArray) -> None:
        """Add ``factor e`` to row i of Q up to the diagonal, or a few entries more."""

else:

    @intrinsic
    def tile_moment(typing_context, x, y, i, j, out):
        """Fill a tile of ``out``, 8 by 16 from (i, j) on, with the sum over rows of ``x_t y_t'``."""
        return types.none(x, y, types.int64, types.int64, out), _emit_tile_moment

    @intrinsic
    def step_row(typing_context, Q, i, constant, factor, e, keep):
        """Set row i of Q up to the diagonal, or a few entries more, to ``constant + factor e + keep Q``."""
        real = types.float64
        return types.none(Q, types.int64, constant, real, e, real), _emit_step_row

    @intrinsic
    def add_row(typing_context, Q, i, factor, e):
        """Add ``factor e`` to row i of Q up to the diagonal, or a few entries more."""
        return types.none(Q, types.int64, types.float64, e), _emit_add_row
