"""A control surface by Fengler: smoothing splines of call prices under no-arbitrage constraints."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import DataGapError, OptionalDependencyError, ParameterError, PmkitError
from pmkit.core.provenance import fingerprint
from pmkit.core.types import FloatArray
from pmkit.pricing import implied_vol
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.joint.price_points import PricePoints, price_points
from pmkit.surface.joint.priced import PricedSurface
from pmkit.surface.slices.smile import LinearSurface, QuotedSlice

__all__ = ["FenglerSlice", "FenglerSurface", "fit_fengler"]

#: Error of a quoted vol that weighs as much as the whole penalty at ``smoothing=1``.
_VOL_ERROR = 0.005
#: Quotes whose vega is below this share of the largest are weighted as if they had it.
_VEGA_FLOOR = 1e-3


@dataclass(frozen=True, kw_only=True)
class FenglerSlice(QuotedSlice):
    """Call prices of one expiry as a natural cubic spline in the strike.

    Attributes
    ----------
    quotes : SmileSlice
        The points that it was fitted to.
    m : ndarray, shape (nodes,)
        Knots of K/F, common to all expiries.
    call, bend : ndarray, shape (nodes,)
        Undiscounted call over the forward, and its second derivative in K/F, nowhere negative.
    error : ndarray, shape (points,)
        Fitted less quoted implied vol, decimal; NaN where the fitted price has no implied vol.
    status : str
        ``"ok"`` or ``"not_converged"`` (the solver stopped at a lower accuracy).
    """

    m: FloatArray
    call: FloatArray
    bend: FloatArray
    error: FloatArray
    status: str

    def price(self, m: npt.ArrayLike) -> FloatArray:
        """Return undiscounted calls over the forward at K/F; NaN beyond the knots."""
        at = np.asarray(m, dtype=np.float64)
        inside = (at >= self.m[0]) & (at <= self.m[-1])
        values, bends = _basis(self.m, np.where(inside, at, 1.0).ravel())
        found = np.add.reduce(values * self.call, axis=1) + np.add.reduce(bends * self.bend, axis=1)
        return np.where(inside, found.reshape(at.shape), math.nan)

    def density(self, m: npt.ArrayLike) -> FloatArray:
        """Return the density of S/F at K/F, linear between the knots; NaN beyond them."""
        return np.asarray(
            np.interp(np.asarray(m, dtype=np.float64), self.m, self.bend, left=math.nan, right=math.nan)
        )

    def at(self, k: npt.ArrayLike) -> FloatArray:
        """Return total variance at ``k``; NaN beyond the knots and where the price is intrinsic."""
        strike = np.exp(np.asarray(k, dtype=np.float64))
        value = self.price(strike) - np.maximum(1.0 - strike, 0.0)
        sd = np.asarray(implied_vol(value, 1.0, strike, 1.0, is_call=strike > 1.0))
        return np.asarray(sd * sd)


def _basis(m: FloatArray, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return how a natural cubic spline at ``x`` hangs on its values and on its second derivatives."""
    left = np.clip(np.searchsorted(m, x, side="right") - 1, 0, m.size - 2)
    row, h = np.arange(x.size), np.diff(m)[left]
    up, down = x - m[left], m[left + 1] - x
    values, bends = np.zeros((x.size, m.size)), np.zeros((x.size, m.size))
    values[row, left], values[row, left + 1] = down / h, up / h
    bends[row, left] = -up * down * (1.0 + down / h) / 6.0
    bends[row, left + 1] = -up * down * (1.0 + up / h) / 6.0
    return values, bends


def _link(m: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return Q' and R, with ``Q' call = R bend`` at the inner knots of a natural cubic spline."""
    h, n = np.diff(m), m.size
    Q, R = np.zeros((n - 2, n)), np.zeros((n - 2, n - 2))
    inner = np.arange(n - 2)
    Q[inner, inner], Q[inner, inner + 2] = 1.0 / h[:-1], 1.0 / h[1:]
    Q[inner, inner + 1] = -1.0 / h[:-1] - 1.0 / h[1:]
    R[inner, inner] = (h[:-1] + h[1:]) / 3.0
    R[inner[:-1], inner[1:]] = R[inner[1:], inner[:-1]] = h[1:-1] / 6.0
    return Q, R


@dataclass(frozen=True, kw_only=True, repr=False)
class FenglerSurface(PricedSurface[FenglerSlice]):
    """Splines of call prices: convex in the strike, ordered in time at the knots and three points between.

    A control, not a model of the smile. Between expiries ``w`` is linear in tau at fixed k, before the first
    and after the last the implied vol is flat; beyond the knots there is no number.

    Attributes
    ----------
    slices : tuple of FenglerSlice
    curve : ForwardCurve
    left_out : mapping of Timestamp to str
        Expiries without a slice, and why.
    smoothing : float
        Weight of the curvature penalty.
    """

    slices: tuple[FenglerSlice, ...]
    curve: ForwardCurve
    left_out: Mapping[pd.Timestamp, str] = field(default_factory=dict)
    smoothing: float = 1e-3
    model: str = "fengler"
    references = ("fengler2009",)

    def check(self) -> None:
        """Raise PmkitError where calls are not convex, or fall in time at the knots or between (by 1e-7)."""
        fine = _fine(self.slices[0].m)
        before = np.maximum(1.0 - fine, 0.0)
        for one in self.slices:
            if (one.bend < -1e-7).any():
                raise PmkitError(f"calls of {one.expiry.date()} are not convex", "convex prices", "refit")
            now = one.price(fine)
            if (now < before - 1e-7).any():
                at = float(np.log(fine[int(np.argmin(now - before))]))
                raise PmkitError(
                    f"calls of {one.expiry.date()} are {float((before - now).max()):.2g} of the forward "
                    f"below the expiry before, worst at k = {at:.4g}",
                    "prices that rise in time", "take more nodes or more smoothing",
                )  # fmt: skip
            before = now

    @property
    def status(self) -> pd.DataFrame:
        """One row per expiry: status, points, largest and mean absolute error in vol, range of k."""
        rows: dict[pd.Timestamp, dict[str, Any]] = {
            s.expiry: {
                "status": s.status,
                "points": s.error.size,
                "max_error": float(np.nanmax(np.abs(s.error))),
                "mean_error": float(np.nanmean(np.abs(s.error))),
                "unpriced": int(np.isnan(s.error).sum()),
                "k_low": float(np.log(s.m[0])),
                "k_high": float(np.log(s.m[-1])),
                "outside": "no number beyond the knots",
            }
            for s in self.slices
        }
        rows |= {e: {"status": "too_few_points", "outside": why} for e, why in self.left_out.items()}
        return pd.DataFrame.from_dict(dict(sorted(rows.items())), orient="index")

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every price."""
        return fingerprint(self.model, self.smoothing, self.taus, [s.call.tolist() for s in self.slices])

    def summary(self) -> pd.DataFrame:
        """Return one row per expiry: tau, forward, points, ATM vol, status, errors."""
        frame = self.status.loc[[s.expiry for s in self.slices]]
        frame.index = pd.Index([s.expiry.strftime("%Y-%m-%d") for s in self.slices])
        frame.insert(0, "tau", self.taus)
        frame.insert(1, "forward", [s.forward for s in self.slices])
        frame.insert(2, "atm_iv", [math.sqrt(float(s.at(0.0)) / s.tau) for s in self.slices])
        return frame.drop(columns=["outside"])


def _sd(one: PricePoints) -> float:
    """Return total volatility at the money."""
    return math.sqrt(float(np.interp(0.0, one.k, one.w)))


def _fine(m: FloatArray) -> FloatArray:
    """Return the knots and three points between each two, where the order in time is imposed."""
    parts = [m[:-1] + np.diff(m) * s for s in (0.0, 0.25, 0.5, 0.75)]
    return np.unique(np.concatenate([*parts, m[-1:]]))


def _knots(points: list[PricePoints], nodes: int) -> FloatArray:
    """Return ascending K/F with 1 among them: over all quotes, dense at the money."""
    sd = min(_sd(p) for p in points)
    # a hair beyond the outermost quotes, which would fall outside by rounding
    low = min(*(float(p.k[0]) for p in points), -2.0 * sd) - 1e-9
    high = max(*(float(p.k[-1]) for p in points), 2.0 * sd) + 1e-9
    scale = 2.0 * sd
    reach = [math.asinh(x / scale) for x in (low, high)]
    share = -reach[0] / (reach[1] - reach[0])
    below = max(3, round(share * (nodes - 1)))
    left = np.linspace(reach[0], 0.0, below + 1)[:-1]
    right = np.linspace(0.0, reach[1], max(nodes - below, 4))
    return np.asarray(np.exp(scale * np.sinh(np.concatenate([left, right]))))


def _terms(cp: Any, m: FloatArray, one: PricePoints, smoothing: float) -> tuple[Any, Any, Any, list[Any]]:
    """Return calls, scaled second derivatives, objective and constraints of one expiry."""
    strike = np.exp(one.k)
    values, bends = _basis(m, strike)
    target = one.value + np.maximum(1.0 - strike, 0.0)
    vega = np.maximum(one.vega, _VEGA_FLOOR * float(one.vega.max()))
    scale = 1.0 / (vega * _VOL_ERROR * math.sqrt(one.k.size))
    Q, R = _link(m)
    h, sd = np.diff(m), _sd(one)
    # second derivatives in units of the density at the money, so that short and long expiries look alike
    call, bend = cp.Variable(m.size), cp.Variable(m.size - 2, nonneg=True)
    fit = cp.multiply(scale, values @ call + (bends[:, 1:-1] / sd) @ bend - target)
    # the penalty in units of that of Black's density of the same width
    root = np.linalg.cholesky(R * (2.0 * math.sqrt(math.pi) / sd))
    limits = [
        Q @ call == (R / sd) @ bend,
        (call[1] - call[0]) / h[0] - h[0] / 6.0 / sd * bend[0] >= -1.0,
        (call[-1] - call[-2]) / h[-1] + h[-1] / 6.0 / sd * bend[-1] <= 0.0,
    ]
    return call, bend, cp.sum_squares(fit) + smoothing * cp.sum_squares(root.T @ bend), limits


def _solve(
    m: FloatArray, points: list[PricePoints], smoothing: float
) -> tuple[list[FloatArray], list[FloatArray], str]:
    """Return calls and second derivatives at the knots, expiry by expiry, and the status."""
    try:
        cp: Any = importlib.import_module("cvxpy")
    except ImportError as error:
        raise OptionalDependencyError(
            "cvxpy is not installed", "cvxpy with the solver Clarabel", "pip install 'pmkit[estimation]'"
        ) from error
    calls, bends, terms, limits = [], [], [], []
    fine = _fine(m)
    values, curved = _basis(m, fine)
    before: Any = np.maximum(1.0 - fine, 0.0)
    for one in points:
        call, bend, term, own = _terms(cp, m, one, smoothing)
        now = values @ call + (curved[:, 1:-1] / _sd(one)) @ bend
        calls.append(call)
        bends.append(bend)
        terms.append(term)
        limits += [*own, now >= before]
        before = now
    limits.append(before <= 1.0)
    problem = cp.Problem(cp.Minimize(cp.sum(terms)), limits)
    with warnings.catch_warnings():
        # lower accuracy is said by the status
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")
        try:
            problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
        except cp.error.SolverError:
            problem.solve(solver=cp.CLARABEL)
    if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
        raise DataGapError(
            f"the quadratic programme has the status {problem.status}",
            "a solution",
            "take fewer nodes or more smoothing",
        )
    second = []
    for one, bend in zip(points, bends, strict=True):
        second.append(np.concatenate([[0.0], np.maximum(bend.value, 0.0) / _sd(one), [0.0]]))
    status = "ok" if problem.status == cp.OPTIMAL else "not_converged"
    return [np.asarray(c.value, dtype=np.float64) for c in calls], second, status


def fit_fengler(surface: LinearSurface, *, smoothing: float = 1e-3, nodes: int = 61) -> FenglerSurface:
    """Return smoothing splines of call prices, convex in the strike and ordered in time.

    Parameters
    ----------
    surface : LinearSurface
        Its points are the quotes: ``pm.surface.fit(quotes, model="linear")``.
    smoothing : float
        Weight of the curvature penalty, positive: at 1 a density twice as rough as Black's weighs as much as
        an error of half a vol point at every quote.
    nodes : int
        Knots, common to all expiries in K/F, at least 12.

    Returns
    -------
    FenglerSurface

    Raises
    ------
    ParameterError
        Not a linear surface; smoothing or nodes outside their domain.
    DataGapError
        No expiry with at least five points, or no admissible prices.
    OptionalDependencyError
        cvxpy is not installed.

    Notes
    -----
    Least squares in vol plus ``smoothing`` times the integral of ``(c'')²`` over natural cubic splines
    ``c(m)``, ``m = K/F``, under ``c'' >= 0``, ``-1 <= c' <= 0``, ``c >= (1 - m)+`` and ``c`` at least that of
    the expiry before at the knots and at three points between each two. Two departures from the paper: all
    expiries are solved at once (from the last to the first, an expiry with few strikes would cap the wings of
    those before it), and the quotes enter through the spline itself, so that no smoother is needed to bring
    them to common strikes. About a second for a dozen expiries.

    References
    ----------
    Fengler (2009).
    """
    if not (isinstance(smoothing, (int, float)) and math.isfinite(smoothing) and smoothing > 0.0):
        raise ParameterError(f"smoothing is {smoothing!r}", "a positive number", "leave it out")
    if not (isinstance(nodes, int) and nodes >= 12):
        raise ParameterError(f"nodes is {nodes!r}", "a whole number of at least 12", "leave it out")
    points, left_out = price_points(surface, least=5)
    if not points:
        raise DataGapError("no expiry has five points", "at least one", "load a fuller chain")
    m = _knots(points, nodes)
    calls, bends, status = _solve(m, points, float(smoothing))
    slices: list[FenglerSlice] = []
    for one, call, bend in zip(points, calls, bends, strict=True):
        made = FenglerSlice(
            quotes=one.quotes, m=m, call=call, bend=bend, error=np.zeros(one.k.size), status=status
        )
        error = np.sqrt(made.at(one.k) / one.tau) - np.sqrt(one.w / one.tau)
        slices.append(replace(made, error=error))
    return FenglerSurface(slices=tuple(slices), curve=surface.curve, left_out=left_out, smoothing=smoothing)
