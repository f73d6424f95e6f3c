"""Cubic B-splines that vanish with two derivatives at both ends of their knots."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from pmkit.core.types import FloatArray
from pmkit.surface.joint.banded_programme import RUN

__all__ = ["SplineBasis"]

_DEGREE = 3


@dataclass(frozen=True)
class SplineBasis:
    """The functions on ``knots`` that are cubic between two of them, smooth, and 0 outside.

    Attributes
    ----------
    knots : ndarray, shape (functions + 4,)
        Ascending, at least eight. Function j lives between knots j and j + 4.
    """

    knots: FloatArray

    @property
    def size(self) -> int:
        """Number of functions."""
        return self.knots.size - RUN

    @property
    def centres(self) -> FloatArray:
        """The middle knot of each function."""
        return self.knots[2:-2]

    @cached_property
    def _padded(self) -> FloatArray:
        ahead = np.arange(float(_DEGREE), 0.0, -1.0)
        low = self.knots[0] - ahead * (self.knots[1] - self.knots[0])
        high = self.knots[-1] + ahead[::-1] * (self.knots[-1] - self.knots[-2])
        return np.concatenate([low, self.knots, high])

    def covers(self, x: FloatArray) -> npt.NDArray[np.bool_]:
        """Return where a point lies between the first and the last knot."""
        return np.asarray((x > self.knots[0]) & (x < self.knots[-1]))

    def local(self, x: FloatArray, derivative: int = 0) -> tuple[npt.NDArray[np.int64], FloatArray]:
        """Return the first of four neighbouring functions at each point, and their values, 0 outside.

        Parameters
        ----------
        x : ndarray, shape (points,)
        derivative : {0, 1, 2}
            Order of the derivative in x.

        Returns
        -------
        first : ndarray of int, shape (points,)
        values : ndarray, shape (points, 4)
        """
        t = self._padded
        inside = np.clip(x, self.knots[0], self.knots[-1])
        last = self.knots.size - 2
        # in the padded knots the interval of a point has three before it
        at = np.clip(np.searchsorted(self.knots, inside, side="right") - 1, 0, last) + _DEGREE
        values = np.ones((x.size, 1))
        for degree in range(1, _DEGREE - derivative + 1):
            values = _raised(t, at, inside, values, degree)
        for degree in range(_DEGREE - derivative + 1, _DEGREE + 1):
            values = _differentiated(t, at, values, degree)
        values[~self.covers(x)] = 0.0
        # function j of the padded knots is function j - 3 of these; those before the first are left away
        first = at - 2 * _DEGREE
        shift = np.clip(first, 0, self.size - RUN) - first
        columns = np.arange(RUN) + shift[:, None]
        chosen = np.take_along_axis(values, np.clip(columns, 0, RUN - 1), axis=1)
        return first + shift, np.where((columns >= 0) & (columns < RUN), chosen, 0.0)

    def at(self, x: FloatArray, weights: FloatArray, derivative: int = 0) -> FloatArray:
        """Return the weighted sum of the functions at each point, shape of ``x``."""
        first, values = self.local(x.ravel(), derivative)
        taken = weights[first[:, None] + np.arange(RUN)]
        return np.asarray(np.add.reduce(values * taken, axis=1).reshape(x.shape))


def _raised(
    t: FloatArray, at: npt.NDArray[np.int64], x: FloatArray, lower: FloatArray, degree: int
) -> FloatArray:
    """Return the values of degree ``degree`` from those one degree below, by the recursion of Cox."""
    out = np.zeros((x.size, degree + 1))
    for r in range(degree):
        left, right = t[at + 1 + r - degree], t[at + 1 + r]
        part = lower[:, r] / (right - left)
        out[:, r] += part * (right - x)
        out[:, r + 1] += part * (x - left)
    return out


def _differentiated(t: FloatArray, at: npt.NDArray[np.int64], lower: FloatArray, degree: int) -> FloatArray:
    """Return the derivatives of the functions of ``degree`` from the values one degree below."""
    out = np.zeros((at.size, degree + 1))
    for r in range(degree):
        left, right = t[at + 1 + r - degree], t[at + 1 + r]
        part = degree * lower[:, r] / (right - left)
        out[:, r] -= part
        out[:, r + 1] += part
    return out
