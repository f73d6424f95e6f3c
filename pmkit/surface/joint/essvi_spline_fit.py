"""Calibration of the spline on an eSSVI surface, judged by the criteria of static arbitrage."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.surface.arguments import as_number
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.inputs.slice_quotes import LeftOut, SliceQuotes
from pmkit.surface.joint.essvi_bound import Bound
from pmkit.surface.joint.essvi_spline import EssviSplineSlice, EssviSplineSurface, corrected_variance
from pmkit.surface.joint.essvi_spline_programme import Expiry, Programme, laid_out
from pmkit.surface.slices.slice_fit import judge

__all__ = ["ESSVI_SPLINE_MIN_POINTS", "fit_essvi_spline_surface"]

ESSVI_SPLINE_MIN_POINTS = 4
#: Shares of the correction that are tried where the criteria refuse the whole of it.
_SHARES = (0.999, 0.99, 0.9, 0.5, 0.0)


def _slices(
    expiries: Sequence[Expiry], x: FloatArray, converged: bool, reason: str
) -> tuple[EssviSplineSlice, ...]:
    found = []
    for one in expiries:
        weights = one.of(x)
        fitted = corrected_variance(one.quotes.k, one.parameters, one.basis, weights)
        fit = judge(one.quotes, fitted, 3 + weights.size, converged=converged, bounds=reason)
        found.append(
            EssviSplineSlice(
                quotes=one.quotes, fit=fit, parameters=one.parameters, basis=one.basis, weights=weights
            )
        )
    return tuple(found)


def fit_essvi_spline_surface(
    quotes: Sequence[SliceQuotes],
    curve: ForwardCurve,
    left_out: LeftOut,
    *,
    smoothing: float = 1e-3,
    bound: Bound = "mm",
) -> EssviSplineSurface:
    """Return the surface that follows its quotes as closely as convex, ordered call prices can.

    Parameters
    ----------
    quotes : sequence of SliceQuotes
        Ascending in time, at least four points each.
    curve : ForwardCurve
    left_out : mapping
        Expiries without quotes, with status and reason.
    smoothing : float
        Weight of the curvature of the correction, positive.
    bound : {"mm", "gj"}
        Butterfly bound of the eSSVI surface below.

    Raises
    ------
    ParameterError
        Smoothing that is not positive, too few points, or an unknown bound.
    DataGapError
        No expiry at all.

    Notes
    -----
    Unknown are the weights of the cubic B-splines ``D_i(k)`` that are added to the call prices ``C_i(k)`` of
    an eSSVI surface. Minimised is the sum of ``((C_i + D_i - mid)/bar)²`` plus ``smoothing`` times the
    integral of the squared second derivative of the relative change of vol (in hundredths and standard
    deviations), under a positive density ``e^-k (C'' - C')`` of each expiry, and ``C_i + D_i`` at least that
    of the expiry before. Both are held with a small margin at places that grow by where they fail. No
    correction at all is admissible, so that there is always a solution. What comes out is judged by g on a
    fine net, by the order of total variance and by the wings; should it be refused, shares of the correction
    are tried down to none, since prices between two free surfaces are free. About 0.3 s for thirteen
    expiries.

    References
    ----------
    Fengler (2009); Mingone (2022); Mehrotra (1992).
    """
    weight = as_number("smoothing", smoothing)
    if not (math.isfinite(weight) and weight > 0.0):
        raise ParameterError(f"smoothing is {smoothing!r}", "a positive number", "leave it out")
    out, used = dict(left_out), list(quotes)
    while used:
        found = _fitted(used, curve, out, weight, bound)
        bad = [s for s in found.slices if not s.fit.usable]
        if not bad:
            return found
        worst = max(bad, key=lambda s: s.atm_gap)
        out[worst.expiry] = (worst.fit.status, worst.fit.detail)
        used.remove(worst.quotes)
    return _surface((), curve, out, weight)


def _fitted(
    quotes: Sequence[SliceQuotes],
    curve: ForwardCurve,
    out: Mapping[pd.Timestamp, tuple[str, str]],
    smoothing: float,
    bound: Bound,
) -> EssviSplineSurface:
    """Return the surface of all expiries with as much of the correction as is free of arbitrage."""
    expiries = laid_out(quotes, bound)
    solution = Programme(expiries, smoothing).solve()
    x = solution.x if solution.usable else np.zeros_like(solution.x)
    found = _surface(_slices(expiries, x, solution.closed, ""), curve, out, smoothing)
    for share in _SHARES:
        if found.arbitrage()["free"].all():
            break
        reason = f"{100.0 * share:g}% of the correction is taken, more would admit arbitrage"
        found = _surface(_slices(expiries, share * x, solution.closed, reason), curve, out, smoothing)
    return found


def _surface(
    slices: tuple[EssviSplineSlice, ...],
    curve: ForwardCurve,
    out: Mapping[pd.Timestamp, tuple[str, str]],
    smoothing: float,
) -> EssviSplineSurface:
    return EssviSplineSurface(
        slices=slices,
        curve=curve,
        left_out={e: why for e, (_, why) in out.items()},
        left_out_status={e: status for e, (status, _) in out.items()},
        smoothing=smoothing,
    )
