"""Tiles of four rows and four columns of many matrices side by side, worked on in vector registers.

The entries (i, j) of eight matrices stand next to each other at ``A[i, 8 j]`` of an array (n, 8 n), n a
multiple of four. What a tile is good for is in :mod:`pmkit.estimation.dcc_blocks`: the lower triangle holds a
Cholesky factor L with the reciprocals p of its diagonal, the upper one its inverse V, A[j, i] being V[i, j].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from pmkit.core.types import FloatArray
from pmkit.estimation.dynamic.dcc_vectors import WIDTH, Emitter

__all__ = [
    "TILE",
    "contract_tile",
    "cross_row",
    "diagonal_inverse",
    "factor_diagonal",
    "factor_tile",
    "inverse_tile",
    "invert_diagonal",
    "invert_tile",
    "solve_backward",
    "solve_forward",
    "square_row",
    "sum_row",
]

#: rows and columns of a tile
TILE = 4

_SHIFT = WIDTH.bit_length() - 1
_LOWER = [(r, c) for r in range(TILE) for c in range(r + 1)]
_ALL = [(r, c) for r in range(TILE) for c in range(TILE)]


class _Tiles(Emitter):
    """Entries and sums of products of tiles."""

    def lanes(self, base: Any, index: Any, offset: int = 0) -> Any:
        """Return where the lanes of entry ``index + offset`` of a row begin."""
        at = self.builder.shl(self.builder.add(index, self.word(offset)), self.word(_SHIFT))
        return self.at(base, at)

    def rows(self, array: Any, index: Any) -> list[Any]:
        """Return where the four rows of a tile begin."""
        return [self.row(array, index, r) for r in range(TILE)]

    def tile(self, rows: list[Any], column: Any, cells: list[tuple[int, int]]) -> dict[tuple[int, int], Any]:
        """Return entries of the tile that begins at a column."""
        return {(r, c): self.load(self.lanes(rows[r], column, c)) for r, c in cells}

    def products(
        self, left: list[Any], right: list[Any], first: Any, last: Any, cells: list[tuple[int, int]]
    ) -> dict[tuple[int, int], Any]:
        """Return ``sum_k A[i + r, k] A[j + c, k]``, ``first <= k < last``, of the given cells."""
        sums = {cell: self.zero() for cell in cells}
        with self.loop(first, last, 1) as (k, _):
            entry = [self.load(self.lanes(row, k)) for row in left]
            other = entry if right is left else [self.load(self.lanes(row, k)) for row in right]
            for r, c in cells:
                self.grow(sums[r, c], entry[r], other[c])
        return {cell: self.builder.load(total) for cell, total in sums.items()}

    def against(self, rows: list[Any], vector: Any, first: Any, last: Any) -> list[Any]:
        """Return ``sum_k A[i + r, k] v[k]``, ``first <= k < last``."""
        sums = [self.zero() for _ in rows]
        with self.loop(first, last, 1) as (k, _):
            one = self.load(self.lanes(vector, k))
            for r, row in enumerate(rows):
                self.grow(sums[r], self.load(self.lanes(row, k)), one)
        return [self.builder.load(total) for total in sums]

    def minus(self, total: Any, left: Any, right: Any) -> Any:
        """Return ``total - left right``."""
        return self.builder.fsub(total, self.product(left, right), flags=("contract",))

    def difference(self, left: Any, right: Any) -> Any:
        """Return ``left - right``."""
        return self.builder.fsub(left, right)

    def inverse_root(self, value: Any) -> Any:
        """Return one over the square root."""
        kind = ir.FunctionType(value.type, [value.type])
        name, module = f"llvm.sqrt.v{WIDTH}f64", self.builder.module
        root = cgutils.get_or_insert_function(module, kind, name)  # type: ignore[no-untyped-call]
        return self.builder.fdiv(self.every(1.0), self.builder.call(root, [value]))


def _factor_tile(emit: _Tiles) -> None:
    A, (i, j) = emit.array(0), emit.arguments[1:3]
    left, right = emit.rows(A, i), emit.rows(A, j)
    done = emit.products(left, right, emit.word(0), j, _ALL)
    here, link = emit.tile(left, j, _ALL), emit.tile(right, j, _LOWER)
    found: dict[tuple[int, int], Any] = {}
    for r, c in _ALL:
        value = emit.difference(here[r, c], done[r, c])
        for m in range(c):
            value = emit.minus(value, found[r, m], link[c, m])
        found[r, c] = emit.product(value, link[c, c])
        emit.store(found[r, c], emit.lanes(left[r], j, c))


def _factor_diagonal(emit: _Tiles) -> None:
    A, i, pivots = emit.array(0), emit.arguments[1], emit.array(2)
    rows = emit.rows(A, i)
    done = emit.products(rows, rows, emit.word(0), i, _LOWER)
    here = emit.tile(rows, i, _LOWER)
    found: dict[tuple[int, int], Any] = {}
    together = None
    for c in range(TILE):
        for r in range(c, TILE):
            value = emit.difference(here[r, c], done[r, c])
            for m in range(c):
                value = emit.minus(value, found[r, m], found[c, m])
            if r == c:
                together = value if together is None else emit.product(together, value)
                found[c, c] = emit.inverse_root(value)
            else:
                found[r, c] = emit.product(value, found[c, c])
            emit.store(found[r, c], emit.lanes(rows[r], i, c))
    emit.store(together, pivots.data)


def _invert_diagonal(emit: _Tiles) -> None:
    A, i = emit.array(0), emit.arguments[1]
    rows = emit.rows(A, i)
    L = emit.tile(rows, i, _LOWER)
    V = {(c, c): L[c, c] for c in range(TILE)}
    for c in range(TILE):
        for r in range(c + 1, TILE):
            value = emit.product(L[r, c], V[c, c])
            for m in range(c + 1, r):
                value = emit.add(value, L[r, m], V[m, c])
            V[r, c] = emit.negative(emit.product(value, L[r, r]))
            emit.store(V[r, c], emit.lanes(rows[c], i, r))


def _triangle(emit: _Tiles, rows: list[Any], at: Any) -> dict[tuple[int, int], Any]:
    """Return V of a diagonal tile, (m, c) with m >= c."""
    return {(m, c): emit.load(emit.lanes(rows[c], at, m)) for c in range(TILE) for m in range(c, TILE)}


def _invert_tile(emit: _Tiles) -> None:
    A, (i, j) = emit.array(0), emit.arguments[1:3]
    left, right = emit.rows(A, i), emit.rows(A, j)
    value = emit.products(left, right, emit.builder.add(j, emit.word(TILE)), i, _ALL)
    L, link, V = emit.tile(left, j, _ALL), emit.tile(left, i, _LOWER), _triangle(emit, right, j)
    found: dict[tuple[int, int], Any] = {}
    for r, c in _ALL:
        total = value[r, c]
        for m in range(c, TILE):
            total = emit.add(total, L[r, m], V[m, c])
        for m in range(r):
            total = emit.add(total, link[r, m], found[m, c])
        found[r, c] = emit.negative(emit.product(total, link[r, r]))
        emit.store(found[r, c], emit.lanes(right[c], i, r))


def _outer_less(emit: _Tiles, w: Any, i: Any, j: Any, total: dict[tuple[int, int], Any], out: Any) -> None:
    """Write ``w_i w_j`` less the totals; 0 where there is none."""
    one = [emit.load(emit.lanes(w.data, i, r)) for r in range(TILE)]
    two = [emit.load(emit.lanes(w.data, j, c)) for c in range(TILE)]
    for r, c in _ALL:
        value = emit.every(0.0)
        if (r, c) in total:
            value = emit.difference(emit.product(one[r], two[c]), total[r, c])
        emit.store(value, emit.at(out.data, emit.word((TILE * r + c) * WIDTH)))


def _inverse_tile(emit: _Tiles) -> None:
    A, (i, j), w, out = emit.array(0), emit.arguments[1:3], emit.array(3), emit.array(4)
    left, right = emit.rows(A, i), emit.rows(A, j)
    n = emit.builder.extract_value(A.shape, 0)
    total = emit.products(left, right, emit.builder.add(i, emit.word(TILE)), n, _ALL)
    V, other = _triangle(emit, left, i), emit.tile(right, i, _ALL)
    for r, c in _ALL:
        for m in range(r, TILE):
            total[r, c] = emit.add(total[r, c], V[m, r], other[c, m])
    _outer_less(emit, w, i, j, total, out)


def _diagonal_inverse(emit: _Tiles) -> None:
    A, i, w, out = emit.array(0), emit.arguments[1], emit.array(2), emit.array(3)
    rows = emit.rows(A, i)
    n = emit.builder.extract_value(A.shape, 0)
    total = emit.products(rows, rows, emit.builder.add(i, emit.word(TILE)), n, _LOWER)
    V = _triangle(emit, rows, i)
    for r, c in _LOWER:
        for m in range(r, TILE):
            total[r, c] = emit.add(total[r, c], V[m, r], V[m, c])
    _outer_less(emit, w, i, i, total, out)


def _contract_tile(emit: _Tiles) -> None:
    G, P, (i, j), out = emit.array(0), emit.array(1), emit.arguments[2:4], emit.array(4)
    total = emit.load(out.data)
    for r, row in enumerate(emit.rows(P, i)):
        part = None
        for c in range(TILE):
            weight = emit.load(emit.at(G.data, emit.word((TILE * r + c) * WIDTH)))
            entry = emit.load(emit.lanes(row, j, c))
            part = emit.product(weight, entry) if part is None else emit.add(part, weight, entry)
        total = emit.builder.fadd(total, part)
    emit.store(total, out.data)


def _solve_forward(emit: _Tiles) -> None:
    A, v, i = emit.array(0), emit.array(1), emit.arguments[2]
    rows = emit.rows(A, i)
    done, L = emit.against(rows, v.data, emit.word(0), i), emit.tile(rows, i, _LOWER)
    found: list[Any] = []
    for r in range(TILE):
        value = emit.difference(emit.load(emit.lanes(v.data, i, r)), done[r])
        for m in range(r):
            value = emit.minus(value, L[r, m], found[m])
        found.append(emit.product(value, L[r, r]))
        emit.store(found[r], emit.lanes(v.data, i, r))


def _solve_backward(emit: _Tiles) -> None:
    A, v, w, i = emit.array(0), emit.array(1), emit.array(2), emit.arguments[3]
    rows = emit.rows(A, i)
    n = emit.builder.extract_value(A.shape, 0)
    total = emit.against(rows, v.data, emit.builder.add(i, emit.word(TILE)), n)
    V = _triangle(emit, rows, i)
    for r in range(TILE):
        for m in range(r, TILE):
            total[r] = emit.add(total[r], V[m, r], emit.load(emit.lanes(v.data, i, m)))
        emit.store(total[r], emit.lanes(w.data, i, r))


def _square_row(emit: _Tiles) -> None:
    P, i, C, e, more = emit.array(0), emit.arguments[1], emit.array(2), emit.array(5), emit.builder
    share, loading, keep = (emit.arguments[k] for k in (3, 4, 6))
    row, rest, wide = emit.row(P, i), emit.row(C, i), emit.spread(keep)
    own = emit.product(emit.spread(loading), emit.load(emit.lanes(e.data, i)))
    with emit.loop(emit.word(0), more.add(i, emit.word(1)), 1) as (j, _):
        level = emit.spread(more.fmul(share, more.load(emit.at(rest, j))))
        place = emit.lanes(row, j)
        fresh = emit.add(level, own, emit.load(emit.lanes(e.data, j)))
        emit.store(emit.add(fresh, wide, emit.load(place)), place)


def _cross_row(emit: _Tiles) -> None:
    P, i, C, f, e = emit.array(0), emit.arguments[1], emit.array(2), emit.array(3), emit.array(4)
    row, rest, wide = emit.row(P, i), emit.row(C, i), emit.spread(emit.arguments[5])
    one, two = emit.load(emit.lanes(f.data, i)), emit.load(emit.lanes(e.data, i))
    with emit.loop(emit.word(0), emit.builder.add(i, emit.word(1)), 1) as (j, _):
        level = emit.spread(emit.builder.load(emit.at(rest, j)))
        place = emit.lanes(row, j)
        fresh = emit.add(level, one, emit.load(emit.lanes(e.data, j)))
        fresh = emit.add(fresh, two, emit.load(emit.lanes(f.data, j)))
        emit.store(emit.add(fresh, wide, emit.load(place)), place)


def _sum_row(emit: _Tiles) -> None:
    P, i, other, keep = emit.array(0), emit.arguments[1], emit.array(2), emit.spread(emit.arguments[3])
    row, more = emit.row(P, i), emit.row(other, i)
    with emit.loop(emit.word(0), emit.builder.add(i, emit.word(1)), 1) as (j, _):
        place = emit.lanes(row, j)
        emit.store(emit.add(emit.load(emit.lanes(more, j)), keep, emit.load(place)), place)


def _written(write: Callable[[_Tiles], None]) -> Callable[..., Any]:
    """Return the generator of a function in the shape that the compiler calls."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = _Tiles(context, builder, signature, arguments)
        write(emit)
        return emit.done()

    return generate


_WORD, _REAL = types.int64, types.float64

if TYPE_CHECKING:

    def factor_tile(A: FloatArray, i: int, j: int) -> None:
        """Overwrite the tile at (i, j), j < i, by that of the factor; everything left of it is done."""

    def factor_diagonal(A: FloatArray, i: int, pivots: FloatArray) -> None:
        """Overwrite the lower triangle of the tile at (i, i) and fill the products of its four pivots."""

    def invert_diagonal(A: FloatArray, i: int) -> None:
        """Fill the strict upper triangle of the tile at (i, i) with V."""

    def invert_tile(A: FloatArray, i: int, j: int) -> None:
        """Fill the tile at (j, i), j < i, with V; that of columns j and rows before i is done."""

    def inverse_tile(A: FloatArray, i: int, j: int, w: FloatArray, out: FloatArray) -> None:
        """Fill ``out`` with ``w_i w_j`` less the inverse matrix at the tile (i, j), j < i."""

    def diagonal_inverse(A: FloatArray, i: int, w: FloatArray, out: FloatArray) -> None:
        """Fill ``out`` with the same of the tile (i, i), 0 above the diagonal."""

    def contract_tile(G: FloatArray, P: FloatArray, i: int, j: int, out: FloatArray) -> None:
        """Add the sum of products of a tile with that of P at (i, j) to ``out``."""

    def solve_forward(A: FloatArray, v: FloatArray, i: int) -> None:
        """Overwrite ``v[i : i + 4]`` by the solution of ``L x = v``; the entries before are solved."""

    def solve_backward(A: FloatArray, v: FloatArray, w: FloatArray, i: int) -> None:
        """Fill ``w[i : i + 4]`` with ``V' v``."""

    def square_row(
        P: FloatArray, i: int, C: FloatArray, share: float, loading: float, e: FloatArray, keep: float
    ) -> None:
        """Set row i of P up to the diagonal to ``share C + loading e e' + keep P``."""

    def cross_row(P: FloatArray, i: int, C: FloatArray, f: FloatArray, e: FloatArray, keep: float) -> None:
        """Set row i of P up to the diagonal to ``C + f e' + e f' + keep P``."""

    def sum_row(P: FloatArray, i: int, other: FloatArray, keep: float) -> None:
        """Set row i of P up to the diagonal to ``other + keep P``."""

else:

    @intrinsic
    def factor_tile(typing_context, A, i, j):
        """Overwrite the tile at (i, j), j < i, by that of the factor; everything left of it is done."""
        return types.none(A, _WORD, _WORD), _written(_factor_tile)

    @intrinsic
    def factor_diagonal(typing_context, A, i, pivots):
        """Overwrite the lower triangle of the tile at (i, i) and fill the products of its four pivots."""
        return types.none(A, _WORD, pivots), _written(_factor_diagonal)

    @intrinsic
    def invert_diagonal(typing_context, A, i):
        """Fill the strict upper triangle of the tile at (i, i) with V."""
        return types.none(A, _WORD), _written(_invert_diagonal)

    @intrinsic
    def invert_tile(typing_context, A, i, j):
        """Fill the tile at (j, i), j < i, with V; that of columns j and rows before i is done."""
        return types.none(A, _WORD, _WORD), _written(_invert_tile)

    @intrinsic
    def inverse_tile(typing_context, A, i, j, w, out):
        """Fill ``out`` with ``w_i w_j`` less the inverse matrix at the tile (i, j), j < i."""
        return types.none(A, _WORD, _WORD, w, out), _written(_inverse_tile)

    @intrinsic
    def diagonal_inverse(typing_context, A, i, w, out):
        """Fill ``out`` with the same of the tile (i, i), 0 above the diagonal."""
        return types.none(A, _WORD, w, out), _written(_diagonal_inverse)

    @intrinsic
    def contract_tile(typing_context, G, P, i, j, out):
        """Add the sum of products of a tile with that of P at (i, j) to ``out``."""
        return types.none(G, P, _WORD, _WORD, out), _written(_contract_tile)

    @intrinsic
    def solve_forward(typing_context, A, v, i):
        """Overwrite ``v[i : i + 4]`` by the solution of ``L x = v``; the entries before are solved."""
        return types.none(A, v, _WORD), _written(_solve_forward)

    @intrinsic
    def solve_backward(typing_context, A, v, w, i):
        """Fill ``w[i : i + 4]`` with ``V' v``."""
        return types.none(A, v, w, _WORD), _written(_solve_backward)

    @intrinsic
    def square_row(typing_context, P, i, C, share, loading, e, keep):
        """Set row i of P up to the diagonal to ``share C + loading e e' + keep P``."""
        return types.none(P, _WORD, C, _REAL, _REAL, e, _REAL), _written(_square_row)

    @intrinsic
    def cross_row(typing_context, P, i, C, f, e, keep):
        """Set row i of P up to the diagonal to ``C + f e' + e f' + keep P``."""
        return types.none(P, _WORD, C, f, e, _REAL), _written(_cross_row)

    @intrinsic
    def sum_row(typing_context, P, i, other, keep):
        """Set row i of P up to the diagonal to ``other + keep P``."""
        return types.none(P, _WORD, other, _REAL), _written(_sum_row)
