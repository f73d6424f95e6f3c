"""Convex quadratic programmes whose unknowns are local: an interior-point method on a banded matrix.

Every row of such a programme touches two runs of four neighbouring unknowns, as the values of cubic splines
do. The normal matrix is then banded; it is summed and factorised in a fixed order, so that equal inputs give
equal bits on any number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmkit.core.types import FloatArray
from pmkit.pricing.numeric import kernel

__all__ = ["RUN", "LocalRows", "Solution", "solve_banded"]

#: Unknowns in one of the two runs of a row.
RUN = 4
_ROUNDS = 100
#: Share of the way to the boundary that a step goes.
_SHORT = 0.995
#: Gap and residuals that are aimed at, at which the search has closed, and at which its end is of use.
_AIM, _CLOSED, _USABLE = 1e-9, 1e-7, 1e-5
#: Rounds without a smaller gap after which rounding has the last word.
_PATIENCE = 5

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class LocalRows:
    """Rows of a matrix, each with two runs of :data:`RUN` neighbouring entries.

    Attributes
    ----------
    first : ndarray of int, shape (rows, 2)
        Column at which each run begins.
    values : ndarray, shape (rows, 2, 4)
        Entries; runs of one row may not overlap, and one of them may be all zeros.
    """

    first: IntArray
    values: FloatArray

    @classmethod
    def joined(cls, parts: list[LocalRows]) -> LocalRows:
        """Return the rows of several matrices, one below the other."""
        return cls(
            first=np.concatenate([one.first for one in parts]),
            values=np.concatenate([one.values for one in parts]),
        )

    def times(self, x: FloatArray) -> FloatArray:
        """Return the product with a vector, shape (rows,)."""
        out = np.empty(len(self.first))
        _times(self.first, self.values, x, out)
        return out


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Where the search ended.

    Attributes
    ----------
    x : ndarray, shape (unknowns,)
    gap : float
        Greater of the relative duality gap and the relative residuals.
    """

    x: FloatArray
    gap: float

    @property
    def closed(self) -> bool:
        """True at full accuracy."""
        return self.gap <= _CLOSED

    @property
    def usable(self) -> bool:
        """True where the constraints hold at a lower accuracy, too."""
        return self.gap <= _USABLE


@kernel
def _add_squares(first: IntArray, values: FloatArray, weight: FloatArray, bands: FloatArray) -> None:
    """Add ``G' diag(weight) G`` to the lower bands: ``bands[j, d]`` is the entry (j + d, j)."""
    columns, entries = np.empty(8, dtype=np.int64), np.empty(8)
    for row in range(weight.size):
        count = 0
        for run in range(2):
            for i in range(4):
                if values[row, run, i] != 0.0:
                    columns[count] = first[row, run] + i
                    entries[count] = values[row, run, i]
                    count += 1
        for i in range(count):
            scaled = weight[row] * entries[i]
            for j in range(count):
                if columns[j] >= columns[i]:
                    bands[columns[i], columns[j] - columns[i]] += scaled * entries[j]


@kernel
def _times(first: IntArray, values: FloatArray, x: FloatArray, out: FloatArray) -> None:
    """Fill ``out`` with ``G x``."""
    for row in range(out.size):
        total = 0.0
        for run in range(2):
            for i in range(4):
                total += values[row, run, i] * x[first[row, run] + i]
        out[row] = total


@kernel
def _add_transposed(first: IntArray, values: FloatArray, z: FloatArray, out: FloatArray) -> None:
    """Add ``G' z`` to ``out``."""
    for row in range(z.size):
        for run in range(2):
            for i in range(4):
                out[first[row, run] + i] += values[row, run, i] * z[row]


@kernel
def _add_symmetric(bands: FloatArray, x: FloatArray, out: FloatArray) -> None:
    """Add ``P x`` to ``out`` for a symmetric matrix of lower bands."""
    n, width = bands.shape
    for j in range(n):
        out[j] += bands[j, 0] * x[j]
        for d in range(1, min(width, n - j)):
            out[j + d] += bands[j, d] * x[j]
            out[j] += bands[j, d] * x[j + d]


@kernel
def _factorise(bands: FloatArray) -> None:
    """Overwrite the lower bands of a positive matrix by those of its Cholesky factor.

    A pivot that is nothing but rounding is raised so far that its unknown does not move.
    """
    n, width = bands.shape
    top = 0.0
    for j in range(n):
        top = max(top, bands[j, 0])
    for j in range(n):
        pivot = bands[j, 0]
        if not pivot > 1e-300 + 1e-28 * top:
            pivot = 1e64 * (top + 1.0)
        root = math.sqrt(pivot)
        bands[j, 0] = root
        reach = min(width, n - j)
        for d in range(1, reach):
            bands[j, d] /= root
        for a in range(1, reach):
            factor = bands[j, a]
            if factor != 0.0:
                for e in range(reach - a):
                    bands[j + a, e] -= factor * bands[j, a + e]


@kernel
def _substitute(bands: FloatArray, x: FloatArray) -> None:
    """Overwrite ``x`` by the solution of ``L L' y = x``."""
    n, width = bands.shape
    for j in range(n):
        x[j] /= bands[j, 0]
        for d in range(1, min(width, n - j)):
            x[j + d] -= bands[j, d] * x[j]
    for j in range(n - 1, -1, -1):
        total = x[j]
        for d in range(1, min(width, n - j)):
            total -= bands[j, d] * x[j + d]
        x[j] = total / bands[j, 0]


class _Search:
    """Residuals, factorisation and steps of one programme."""

    def __init__(
        self, quadratic: FloatArray, linear: FloatArray, rows: LocalRows, limits: FloatArray
    ) -> None:
        self.rows, self.limits, self.linear = rows, limits, linear
        reach = 1 + RUN + int(np.max(np.abs(np.diff(rows.first, axis=1)), initial=0))
        self.bands = np.zeros((linear.size, max(quadratic.shape[1], min(reach, linear.size))))
        self.bands[:, : quadratic.shape[1]] = quadratic
        self.factor = self.bands

    def transposed(self, z: FloatArray, start: FloatArray) -> FloatArray:
        out = start.copy()
        _add_transposed(self.rows.first, self.rows.values, z, out)
        return out

    def slope(self, x: FloatArray) -> FloatArray:
        """Return the gradient of the objective."""
        out = self.linear.copy()
        _add_symmetric(self.bands, x, out)
        return out

    def factorise(self, weight: FloatArray) -> None:
        self.factor = self.bands.copy()
        _add_squares(self.rows.first, self.rows.values, weight, self.factor)
        _factorise(self.factor)

    def solve(self, right: FloatArray) -> FloatArray:
        out = right.copy()
        _substitute(self.factor, out)
        return out


def _way(values: FloatArray, steps: FloatArray) -> float:
    """Return how far, at most once, values may go along their steps until one of them is 0."""
    falls = steps < 0.0
    return min(1.0, float(np.min(-values[falls] / steps[falls], initial=np.inf)))


def solve_banded(quadratic: FloatArray, linear: FloatArray, rows: LocalRows, limits: FloatArray) -> Solution:
    """Return the least of ``x'Px/2 + q'x`` among all x with ``G x <= h``.

    Parameters
    ----------
    quadratic : ndarray, shape (unknowns, bands)
        Lower bands of P, positive semi-definite: entry ``[j, d]`` stands in row ``j + d`` and column j.
    linear : ndarray, shape (unknowns,)
        q.
    rows : LocalRows
        G.
    limits : ndarray, shape (rows,)
        h.

    Notes
    -----
    A primal-dual path with predictor and corrector: each round solves ``(P + G' diag(z/s) G) dx = r`` for two
    right-hand sides by one banded factorisation, ``n b²/2`` operations for n unknowns and b bands.

    References
    ----------
    Mehrotra (1992).
    """
    # where nothing is admissible the path runs off to infinity, and the gap says so
    with np.errstate(all="ignore"):
        return _follow(_Search(quadratic, linear, rows, limits))


def _follow(search: _Search) -> Solution:
    """Return the end of the path."""
    rows, limits, linear = search.rows, search.limits, search.linear
    m = limits.size
    # the point of the equality-constrained problem, moved inside
    search.factorise(np.ones(m))
    x = search.solve(-search.transposed(-limits, linear))
    slack = limits - rows.times(x)
    s = slack + max(0.0, 1.0 - float(slack.min())) if slack.min() <= 0.0 else slack
    z = -slack + max(0.0, 1.0 + float(slack.max())) if slack.max() >= 0.0 else -slack
    scale = 1.0 + float(np.max(np.abs(linear)))
    best, least, since = x, math.inf, 0
    for _ in range(_ROUNDS):
        gradient = search.slope(x)
        dual = search.transposed(z, gradient)
        primal = rows.times(x) + s - limits
        mu = float(np.add.reduce(s * z)) / m
        value = 0.5 * abs(float(np.add.reduce(x * (gradient + linear))))
        gap = max(
            mu * m / (1.0 + value),
            float(np.max(np.abs(dual))) / scale,
            float(np.max(np.abs(primal))),
        )
        best, least, since = (x, gap, 0) if gap < least else (best, least, since + 1)
        if gap <= _AIM or not math.isfinite(gap) or (since >= _PATIENCE and least <= _USABLE):
            break
        search.factorise(z / s)
        toward = _direction(search, dual, primal, s, z, s * z)
        share = min(_way(s, toward[1]), _way(z, toward[2]))
        ahead = float(np.add.reduce((s + share * toward[1]) * (z + share * toward[2]))) / m
        aim = s * z + toward[1] * toward[2] - mu * (ahead / mu) ** 3
        step = _direction(search, dual, primal, s, z, aim)
        share = _SHORT * min(_way(s, step[1]), _way(z, step[2]), 1.0 / _SHORT)
        x, s, z = x + share * step[0], s + share * step[1], z + share * step[2]
    return Solution(x=best, gap=least)


def _direction(
    search: _Search, dual: FloatArray, primal: FloatArray, s: FloatArray, z: FloatArray, aim: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the steps of x, s and z that bring the residuals and ``aim`` to 0 to first order."""
    weight = z / s
    pull = weight * primal - aim / s
    dx = search.solve(-search.transposed(pull, dual))
    moved = search.rows.times(dx)
    return dx, -primal - moved, pull + weight * moved
