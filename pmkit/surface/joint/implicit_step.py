"""One implicit step of prices on a grid of strikes: what an Andreasen-Huge surface is made of."""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.pricing import implied_vol

__all__ = ["applied", "grid_variance", "implicit_step", "kink_of_payoff", "spread_operator"]


def spread_operator(m: FloatArray) -> FloatArray:
    """Return the three diagonals of ``m² d²/dm²`` on the grid; nothing moves at its two ends."""
    left, right = np.diff(m)[:-1], np.diff(m)[1:]
    scale = m[1:-1] ** 2 * 2.0 / (left + right)
    rows = np.zeros((3, m.size))
    rows[0, 1:-1], rows[2, 1:-1] = scale / left, scale / right
    rows[1] = -(rows[0] + rows[2])
    return rows


def applied(rows: FloatArray, u: FloatArray) -> FloatArray:
    """Return the operator of :func:`spread_operator` on prices."""
    out: FloatArray = rows[1] * u
    out[1:] += rows[0][1:] * u[:-1]
    out[:-1] += rows[2][:-1] * u[1:]
    return out


def implicit_step(rows: FloatArray, half: FloatArray, right: FloatArray) -> FloatArray:
    """Solve ``(1 - half L) u = right``: an M-matrix, so that what is positive stays positive."""
    from scipy.linalg import solve_banded

    bands = np.zeros((3, half.size))
    bands[0, 1:] = -(half * rows[2])[:-1]
    bands[1] = 1.0 - half * rows[1]
    bands[2, :-1] = -(half * rows[0])[1:]
    return np.asarray(solve_banded((1, 1), bands, right))


def kink_of_payoff(m: FloatArray, rows: FloatArray) -> FloatArray:
    """Return the operator on the pay-off: what feeds time value, at the money alone."""
    return np.where(np.isclose(m, 1.0, rtol=1e-15, atol=0.0), applied(rows, np.maximum(1.0 - m, 0.0)), 0.0)


def grid_variance(m: FloatArray, value: FloatArray, k: FloatArray) -> FloatArray:
    """Return total variance from time values on the grid, linear in the strike between the nodes."""
    strike = np.exp(k)
    price = np.interp(strike, m, value, left=math.nan, right=math.nan)
    sd = np.asarray(implied_vol(price, 1.0, strike, 1.0, is_call=strike > 1.0))
    return np.asarray(sd * sd)
