"""Calibration of an Andreasen-Huge surface: local variance by least squares, expiry by expiry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.inputs.slice_quotes import LeftOut, SliceQuotes
from pmkit.surface.joint.andreasen_huge import AndreasenHugeSlice, AndreasenHugeSurface, Shape
from pmkit.surface.joint.implicit_step import (
    applied,
    grid_variance,
    implicit_step,
    kink_of_payoff,
    spread_operator,
)
from pmkit.surface.joint.price_points import PricePoints, price_points
from pmkit.surface.slices.smile import LinearSurface, fit_linear_surface

__all__ = ["ANDREASEN_HUGE_MIN_POINTS", "fit_andreasen_huge", "fit_andreasen_huge_surface"]

ANDREASEN_HUGE_MIN_POINTS = 3
#: Local variance is kept between a thousandth and a hundred times the implied variance at its own strike.
_LOWEST, _HIGHEST = math.log(1e3), math.log(1e2)
#: A point of the grid nearer to a quoted strike than this share of the spacing gives way to it.
_TOO_NEAR = 0.4
_SAME_STRIKE = 1e-9


def _grid(points: list[PricePoints], nodes: int) -> FloatArray:
    """Return ascending K/F: dense at the money, wide enough for the last expiry, with every quoted strike."""
    sds = [float(np.sqrt(np.interp(0.0, p.k, p.w))) for p in points]
    quoted = np.unique(np.concatenate([np.array([0.0]), *(p.k for p in points)]))
    # one strike of two expiries may differ in its last digits
    quoted = np.where(np.abs(quoted) < _SAME_STRIKE, 0.0, quoted)
    quoted = quoted[np.concatenate([[True], np.diff(quoted) > _SAME_STRIKE])]
    reach = max(6.0 * max(sds), 1.3 * float(np.abs(quoted).max()))
    scale = 2.0 * min(sds)
    x = scale * np.sinh(np.linspace(-1.0, 1.0, nodes) * math.asinh(reach / scale))
    place = np.clip(np.searchsorted(quoted, x), 1, quoted.size - 1)
    gap = np.minimum(np.abs(x - quoted[place - 1]), np.abs(x - quoted[place]))
    spacing = np.gradient(x)
    return np.asarray(np.exp(np.union1d(x[gap > _TOO_NEAR * spacing], quoted)))


def _weights(k: FloatArray, knots: FloatArray, shape: Shape) -> FloatArray:
    """Return how local variance at ``k`` hangs on its values at the knots, shape (k, knots); flat outside."""
    if shape == "constant":
        nearest = np.searchsorted(0.5 * (knots[1:] + knots[:-1]), k)
        return np.asarray(np.eye(knots.size)[nearest])
    return np.array([np.interp(k, knots, column) for column in np.eye(knots.size)]).T


def _fit_step(
    m: FloatArray, rows: FloatArray, before: FloatArray, one: PricePoints, step: float, shape: Shape
) -> tuple[FloatArray, FloatArray, str]:
    """Return local variance on the grid, time values after the step, and the status."""
    from scipy.optimize import least_squares

    at = np.searchsorted(m, np.exp(one.k) * (1.0 - 2.0 * _SAME_STRIKE))
    weights, kink = _weights(np.log(m), one.k, shape), kink_of_payoff(m, rows)
    scale, log_start = 1.0 / one.vega, np.log(one.w / one.tau)

    def log_variance(x: FloatArray) -> FloatArray:
        # bounded without a bound, for the solver of MINPACK: it needs no linear algebra on many threads
        reach = np.where(x < 0.0, _LOWEST, _HIGHEST)
        return np.asarray(log_start + reach * np.tanh(x / reach))

    @lru_cache(maxsize=2)
    def solve(key: bytes) -> tuple[FloatArray, FloatArray]:
        half = 0.5 * step * np.exp(_dot(weights, log_variance(np.frombuffer(key))))
        return half, implicit_step(rows, half, before + half * kink)

    def residual(x: FloatArray) -> FloatArray:
        return np.asarray((solve(x.tobytes())[1][at] - one.value) * scale)

    def jacobian(x: FloatArray) -> FloatArray:
        half, u = solve(x.tobytes())
        pushed = implicit_step(rows, half, ((applied(rows, u) + kink) * half)[:, None] * weights)
        bent = 1.0 - np.tanh(x / np.where(x < 0.0, _LOWEST, _HIGHEST)) ** 2
        return np.asarray(pushed[at] * scale[:, None] * bent)

    found = least_squares(
        residual, np.zeros(one.k.size), jac=jacobian, method="lm", xtol=1e-12, ftol=1e-12, gtol=1e-14,
        max_nfev=400,
    )  # fmt: skip
    moved = log_variance(found.x) - log_start
    bound = (moved < 0.05 - _LOWEST) | (moved > _HIGHEST - 0.05)
    status = "not_converged" if found.status <= 0 else "at_bound" if bound.any() else "ok"
    half, u = solve(np.asarray(found.x).tobytes())
    return 2.0 * half / step, u, status


def _dot(weights: FloatArray, x: FloatArray) -> FloatArray:
    return np.asarray(np.add.reduce(weights * x, axis=1))


def fit_andreasen_huge(
    surface: LinearSurface, *, shape: Shape = "linear", nodes: int = 1201
) -> AndreasenHugeSurface:
    """Return a surface without static arbitrage through the points of a linear one, expiry by expiry.

    Parameters
    ----------
    surface : LinearSurface
        Its points are the quotes: ``pm.surface.fit(quotes, model="linear")``.
    shape : {"linear", "constant"}
        Logarithm of local variance between the quoted strikes of an expiry: linear in k, or that of the
        nearest strike; flat outside.
    nodes : int
        Points of the grid in K/F before the quoted strikes join, at least 101.

    Returns
    -------
    AndreasenHugeSurface
        With the error of every quote; quotes that contradict each other are not met, and say so.

    Raises
    ------
    ParameterError
        Not a linear surface, an unknown shape, too small a grid.
    DataGapError
        No expiry with at least three points.

    Notes
    -----
    With ``c`` the call over the forward and ``m = K/F``, ``(1 - dT v(m) m² d²/dm²/2) c(T + dT) = c(T)``: the
    matrix has a positive inverse and keeps lines, so that ``c`` stays convex and rises with ``dT`` whatever
    ``v``. Each expiry is least squares in vol over one ``v`` per quoted strike, by exact derivatives, from
    the implied variance. Solved for the time value, so that far wings keep their digits. Some 50 ms an
    expiry of 50 strikes.

    References
    ----------
    Andreasen and Huge (2010).

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import fit
    >>> linear = fit(read_quotes(datasets.path("deribit-eth-2026-05-21")))
    >>> surface = fit_andreasen_huge(linear, nodes=401)
    >>> round(float(surface.iv(2100.0, 60 / 365)), 3)
    0.525
    """
    if shape not in ("linear", "constant"):
        raise ParameterError(f"shape is {shape!r}", "'linear' or 'constant'", "choose one of these")
    if not (isinstance(nodes, int) and nodes >= 101):
        raise ParameterError(f"nodes is {nodes!r}", "a whole number of at least 101", "leave it out")
    points, left_out = price_points(surface, least=ANDREASEN_HUGE_MIN_POINTS)
    if not points:
        raise DataGapError("no expiry has three points", "at least one", "load a fuller chain")
    m = _grid(points, nodes)
    rows = spread_operator(m)
    value, start, slices = np.zeros(m.size), 0.0, []
    for one in points:
        variance, value, status = _fit_step(m, rows, value, one, one.tau - start, shape)
        fitted = np.sqrt(grid_variance(m, value, one.k) / one.tau)
        slices.append(
            AndreasenHugeSlice(
                quotes=one.quotes, m=m, value=value, local_variance=variance,
                error=fitted - np.sqrt(one.w / one.tau), status=status,
            )
        )  # fmt: skip
        start = one.tau
    return AndreasenHugeSurface(slices=tuple(slices), curve=surface.curve, left_out=left_out, shape=shape)


def fit_andreasen_huge_surface(
    quotes: Sequence[SliceQuotes],
    curve: ForwardCurve,
    left_out: LeftOut,
    *,
    shape: Shape = "linear",
    nodes: int = 1201,
) -> AndreasenHugeSurface:
    """Return the surface through the quotes of all expiries; see :func:`fit_andreasen_huge`."""
    return fit_andreasen_huge(fit_linear_surface(quotes, curve, left_out), shape=shape, nodes=nodes)
