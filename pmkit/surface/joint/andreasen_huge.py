"""A control surface by Andreasen and Huge: one implicit step per expiry, free of static arbitrage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.pricing import implied_vol
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.joint.price_points import PricePoints, price_points
from pmkit.surface.readouts.outside import same_time
from pmkit.surface.sliced import SlicedSurface
from pmkit.surface.slices.smile import LinearSurface, QuotedSlice

__all__ = ["AndreasenHugeSlice", "AndreasenHugeSurface", "fit_andreasen_huge"]

Shape = Literal["linear", "constant"]

#: Local variance is kept between a thousandth and a hundred times the implied variance at its own strike.
_LOWEST, _HIGHEST = math.log(1e3), math.log(1e2)
#: A point of the grid nearer to a quoted strike than this share of the spacing gives way to it.
_TOO_NEAR = 0.4
_SAME_STRIKE = 1e-9


def _operator(m: FloatArray) -> FloatArray:
    """Return the three diagonals of ``m² d²/dm²`` on the grid; nothing moves at its two ends."""
    left, right = np.diff(m)[:-1], np.diff(m)[1:]
    scale = m[1:-1] ** 2 * 2.0 / (left + right)
    rows = np.zeros((3, m.size))
    rows[0, 1:-1], rows[2, 1:-1] = scale / left, scale / right
    rows[1] = -(rows[0] + rows[2])
    return rows


def _apply(rows: FloatArray, u: FloatArray) -> FloatArray:
    out: FloatArray = rows[1] * u
    out[1:] += rows[0][1:] * u[:-1]
    out[:-1] += rows[2][:-1] * u[1:]
    return out


def _step(rows: FloatArray, half: FloatArray, right: FloatArray) -> FloatArray:
    """Solve ``(1 - half L) u = right``: an M-matrix, so that what is positive stays positive."""
    from scipy.linalg import solve_banded

    bands = np.zeros((3, half.size))
    bands[0, 1:] = -(half * rows[2])[:-1]
    bands[1] = 1.0 - half * rows[1]
    bands[2, :-1] = -(half * rows[0])[1:]
    return np.asarray(solve_banded((1, 1), bands, right))


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


@dataclass(frozen=True, kw_only=True)
class AndreasenHugeSlice(QuotedSlice):
    """One expiry of the surface.

    Attributes
    ----------
    quotes : SmileSlice
        The points that it was fitted to.
    m : ndarray, shape (nodes,)
        Grid of K/F.
    value : ndarray, shape (nodes,)
        Undiscounted out-of-the-money price over the forward.
    local_variance : ndarray, shape (nodes,)
        Of the step that ends at this expiry, per year.
    error : ndarray, shape (points,)
        Fitted less quoted implied vol, decimal.
    status : str
        ``"ok"``, ``"at_bound"`` (a local variance at its limit) or ``"not_converged"``.
    """

    m: FloatArray
    value: FloatArray
    local_variance: FloatArray
    error: FloatArray
    status: str
    #: Prices are linear in the strike between the nodes.
    kinked: ClassVar[bool] = True

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``; NaN beyond the grid."""
        return _variance(self.m, self.value, np.asarray(k, dtype=np.float64))


def _variance(m: FloatArray, value: FloatArray, k: FloatArray) -> FloatArray:
    """Return total variance from time values on the grid, linear in the strike between the nodes."""
    strike = np.exp(k)
    price = np.interp(strike, m, value, left=math.nan, right=math.nan)
    sd = np.asarray(implied_vol(price, 1.0, strike, 1.0, is_call=strike > 1.0))
    return np.asarray(sd * sd)


@dataclass(frozen=True, kw_only=True, repr=False)
class AndreasenHugeSurface(SlicedSurface[AndreasenHugeSlice]):
    """Prices without static arbitrage through the quotes, as far as one step per expiry can follow them.

    A control, not a model of the smile: prices on the grid are convex in the strike and rise in time at fixed
    K/F; between the nodes they are linear in the strike, so that density and local vol by differentiation do
    not exist (use :meth:`local_vol`). Before the first and after the last expiry the step of that expiry is
    shortened or lengthened.

    Attributes
    ----------
    slices : tuple of AndreasenHugeSlice
    curve : ForwardCurve
    left_out : mapping of Timestamp to str
        Expiries without a slice, and why.
    shape : {"linear", "constant"}
        Local variance between quoted strikes.
    """

    slices: tuple[AndreasenHugeSlice, ...]
    curve: ForwardCurve
    left_out: Mapping[pd.Timestamp, str] = field(default_factory=dict)
    shape: Shape = "linear"
    model: str = "andreasen-huge"
    references = ("andreasen2010",)
    kinked: ClassVar[bool] = True

    def _value_at(self, tau: float) -> FloatArray:
        """Return time values on the grid at a time: one step from the expiry before."""
        upper = min(int(np.searchsorted(self.taus, tau * (1.0 - 1e-12))), self.taus.size - 1)
        one = self.slices[upper]
        if same_time(one.tau, tau):
            return one.value
        start, before = (
            (0.0, np.zeros(one.m.size))
            if upper == 0
            else (self.taus[upper - 1], self.slices[upper - 1].value)
        )
        rows = _operator(one.m)
        half = 0.5 * (tau - start) * one.local_variance
        return _step(rows, half, before + half * _kink(one.m, rows))

    def _at_one_time(self, k: FloatArray, tau: float) -> FloatArray:
        if math.isnan(tau):
            return np.full(k.shape, math.nan)
        if tau == 0.0:
            return np.where(np.isnan(k), math.nan, 0.0)
        return _variance(self.slices[0].m, self._value_at(tau), k)

    def _between(self, k: FloatArray, years: FloatArray) -> FloatArray:
        out = np.full(years.shape, math.nan)
        for one in np.unique(years[np.isfinite(years)]):
            chosen = years == one
            out[chosen] = self._at_one_time(k[chosen], float(one))
        return out

    def local_vol(self, k: npt.ArrayLike, tau: float) -> FloatArray:
        """Return the annualised local vol (decimal) of the step that reaches ``tau``, at log-moneyness ``k``.

        Raises
        ------
        ParameterError
            A time that is not positive.
        """
        if not tau > 0.0:
            raise ParameterError(f"tau is {tau!r} years", "a positive time", "correct the argument")
        upper = min(int(np.searchsorted(self.taus, tau * (1.0 - 1e-12))), self.taus.size - 1)
        one = self.slices[upper]
        return np.sqrt(np.interp(np.asarray(k, dtype=np.float64), np.log(one.m), one.local_variance))

    def check(self) -> None:
        """Raise PmkitError where prices on the grid are not convex in the strike or fall in time."""
        m = self.slices[0].m
        before = np.zeros(m.size)
        for one in self.slices:
            call = one.value + np.maximum(1.0 - m, 0.0)
            slopes = np.diff(call) / np.diff(m)
            if (np.diff(slopes) < -1e-9).any() or slopes[0] < -1.0 - 1e-9 or slopes[-1] > 1e-9:
                raise PmkitError(f"calls of {one.expiry.date()} are not convex", "convex prices", "refit")
            if (one.value < before - 1e-10).any():
                raise PmkitError(
                    f"calls of {one.expiry.date()} are below the expiry before", "a rise", "refit"
                )
            before = one.value

    @property
    def status(self) -> pd.DataFrame:
        """One row per expiry: status, points, largest and mean absolute error in vol, range of k."""
        rows: dict[pd.Timestamp, dict[str, Any]] = {
            s.expiry: {
                "status": s.status,
                "points": s.error.size,
                "max_error": float(np.abs(s.error).max()),
                "mean_error": float(np.abs(s.error).mean()),
                "k_low": float(np.log(s.m[0])),
                "k_high": float(np.log(s.m[-1])),
                "outside": "no number beyond the grid",
            }
            for s in self.slices
        }
        rows |= {e: {"status": "too_few_points", "outside": why} for e, why in self.left_out.items()}
        return pd.DataFrame.from_dict(dict(sorted(rows.items())), orient="index")

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every price."""
        return fingerprint(self.model, self.shape, self.taus, [s.value.tolist() for s in self.slices])

    def summary(self) -> pd.DataFrame:
        """Return one row per expiry: tau, forward, points, ATM vol, status, largest and mean error."""
        rows = {
            s.expiry.strftime("%Y-%m-%d"): {
                "tau": s.tau,
                "forward": s.forward,
                "points": s.error.size,
                "atm_iv": math.sqrt(float(s.at(0.0)) / s.tau),
                "status": s.status,
                "max_error": float(np.abs(s.error).max()),
                "mean_error": float(np.abs(s.error).mean()),
            }
            for s in self.slices
        }
        return pd.DataFrame.from_dict(rows, orient="index")

    def to_frame(self) -> pd.DataFrame:
        """Return one row per quote: expiry, tau, instrument, strike, k, w, iv, error."""
        parts = [s.quotes.to_frame().assign(expiry=s.expiry, tau=s.tau, error=s.error) for s in self.slices]
        columns = ["expiry", "tau", "instrument", "strike", "k", "w", "iv", "error"]
        return pd.concat(parts, ignore_index=True)[columns]


def _kink(m: FloatArray, rows: FloatArray) -> FloatArray:
    """Return the operator on the pay-off: what feeds time value, at the money alone."""
    return np.where(np.isclose(m, 1.0, rtol=1e-15, atol=0.0), _apply(rows, np.maximum(1.0 - m, 0.0)), 0.0)


def _fit_step(
    m: FloatArray, rows: FloatArray, before: FloatArray, one: PricePoints, step: float, shape: Shape
) -> tuple[FloatArray, FloatArray, str]:
    """Return local variance on the grid, time values after the step, and the status."""
    from scipy.optimize import least_squares

    at = np.searchsorted(m, np.exp(one.k) * (1.0 - 2.0 * _SAME_STRIKE))
    weights, kink = _weights(np.log(m), one.k, shape), _kink(m, rows)
    scale, log_start = 1.0 / one.vega, np.log(one.w / one.tau)

    def log_variance(x: FloatArray) -> FloatArray:
        # bounded without a bound, for the solver of MINPACK: it needs no linear algebra on many threads
        reach = np.where(x < 0.0, _LOWEST, _HIGHEST)
        return np.asarray(log_start + reach * np.tanh(x / reach))

    @lru_cache(maxsize=2)
    def solve(key: bytes) -> tuple[FloatArray, FloatArray]:
        half = 0.5 * step * np.exp(_dot(weights, log_variance(np.frombuffer(key))))
        return half, _step(rows, half, before + half * kink)

    def residual(x: FloatArray) -> FloatArray:
        return np.asarray((solve(x.tobytes())[1][at] - one.value) * scale)

    def jacobian(x: FloatArray) -> FloatArray:
        half, u = solve(x.tobytes())
        pushed = _step(rows, half, ((_apply(rows, u) + kink) * half)[:, None] * weights)
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
    """
    if shape not in ("linear", "constant"):
        raise ParameterError(f"shape is {shape!r}", "'linear' or 'constant'", "choose one of these")
    if not (isinstance(nodes, int) and nodes >= 101):
        raise ParameterError(f"nodes is {nodes!r}", "a whole number of at least 101", "leave it out")
    points, left_out = price_points(surface, least=3)
    if not points:
        raise DataGapError("no expiry has three points", "at least one", "load a fuller chain")
    m = _grid(points, nodes)
    rows = _operator(m)
    value, start, slices = np.zeros(m.size), 0.0, []
    for one in points:
        variance, value, status = _fit_step(m, rows, value, one, one.tau - start, shape)
        fitted = np.sqrt(_variance(m, value, one.k) / one.tau)
        slices.append(
            AndreasenHugeSlice(
                quotes=one.quotes, m=m, value=value, local_variance=variance,
                error=fitted - np.sqrt(one.w / one.tau), status=status,
            )
        )  # fmt: skip
        start = one.tau
    return AndreasenHugeSurface(slices=tuple(slices), curve=surface.curve, left_out=left_out, shape=shape)
