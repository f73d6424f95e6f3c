"""Static arbitrage of smiles that have no parameters: g and the difference of two curves on a dense grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.butterfly import around, butterfly, lowest, negative_intervals
from pmkit.surface.arbitrage.calendar import CalendarReport, calendar
from pmkit.surface.arbitrage.wing_findings import LEE_BOUND
from pmkit.surface.moves.scaling_limits import Span, calendar_room, clipped, raw_scaling_limit
from pmkit.surface.readouts.curves import VarianceCurve, variance_curve

__all__ = [
    "JudgedCurve",
    "WingsReport",
    "free_of_butterflies",
    "free_of_calendars",
    "judge_butterfly",
    "judge_calendar",
    "judged_slice",
    "quoted_k",
]

#: A g or an increase of total variance above minus this is rounding of the differences.
_ROUNDING = 1e-11
#: Distance from a kink at which the slopes on its two sides are read.
_BESIDE = 1e-9


@dataclass(frozen=True, kw_only=True)
class JudgedCurve:
    """A smile with what a search over the whole line has to know of it.

    Attributes
    ----------
    curve : VarianceCurve
    slopes : tuple of float
        Limits of the wing slopes of total variance, left and right, per unit of ``|k|``.
    width : float
        Scale of log-moneyness on which the smile bends.
    centres : tuple of float
        Places where it may bend.
    knots : ndarray
        Kinks, ascending; empty where the smile is smooth.
    """

    curve: VarianceCurve
    slopes: tuple[float, float]
    width: float
    centres: tuple[float, ...]
    knots: FloatArray

    @property
    def points(self) -> FloatArray:
        """Ascending log-moneyness, dense about every centre and a million widths out."""
        grid = around(list(self.centres), [self.width] * len(self.centres))
        if not self.knots.size:
            return grid
        # the second derivative may jump at a kink, and g with it
        beside = _BESIDE * np.maximum(np.abs(self.knots), self.width)
        return np.unique(np.concatenate([grid, self.knots - beside, self.knots + beside]))


@dataclass(frozen=True, kw_only=True)
class WingsReport:
    """Butterfly arbitrage of one smile, found by formula or by search.

    Attributes
    ----------
    free : bool
    margin : float
        Exact margin of the raw form; NaN where there is none.
    min_g, k_min_g : float
        Least g and its place; minus infinity at a kink that points upwards.
    violations : tuple of (float, float)
        Intervals of k; a kink is an interval of no width.
    slopes, limits : tuple of float
        Wing slopes of total variance and limits of g, left and right.
    exact : bool
        True where the raw form decided.
    """

    free: bool
    margin: float
    min_g: float
    k_min_g: float
    violations: tuple[tuple[float, float], ...]
    slopes: tuple[float, float]
    limits: tuple[float, float]
    exact: bool


def judged_slice(one: Any) -> JudgedCurve:
    """Return a slice with what a search for arbitrage over the whole line has to know of it."""
    known = getattr(one, "judged", None)
    if isinstance(known, JudgedCurve):
        return known
    curve = variance_curve(one)
    if curve.raw is not None:
        raw = curve.raw
        return JudgedCurve(
            curve=curve,
            slopes=raw.slopes,
            width=raw.sigma,
            centres=(raw.m, raw.k_min, 0.0),
            knots=np.empty(0),
        )
    if callable(getattr(one, "whole_line", None)):
        line = one.whole_line()
        inner = (float(x) for x in np.quantile(line.knots, (0.0, 0.25, 0.5, 0.75, 1.0)))
        formula = VarianceCurve(w=line.at, dw=line.dw, d2w=line.d2w, tau=curve.tau, source=curve.source)
        return JudgedCurve(
            curve=formula,
            slopes=(line.wings[0][0], line.wings[1][0]),
            width=curve.sd,
            centres=(*inner, 0.0),
            knots=line.knots,
        )
    far = 1e4 * max(curve.sd, float(np.abs(quoted_k(one)).max()))
    left, right = curve.dw(np.array([-far, far]))
    slopes = (max(-float(left), 0.0), max(float(right), 0.0))
    return JudgedCurve(curve=curve, slopes=slopes, width=curve.sd, centres=(0.0,), knots=np.empty(0))


def quoted_k(one: Any) -> FloatArray:
    """Return log-moneyness of the quotes of a slice, ascending."""
    found = getattr(getattr(one, "quotes", one), "k", None)
    if found is None:
        sd = math.sqrt(float(one.at(0.0)))
        return np.linspace(-2.0 * sd, 2.0 * sd, 41)
    return np.asarray(found, dtype=np.float64)


def _limit(slope: float) -> float:
    return 0.25 - slope * slope / 16.0 if slope > 0.0 else 1.0


def _wings_fit(slopes: tuple[float, float]) -> bool:
    return slopes[0] <= LEE_BOUND and slopes[1] < LEE_BOUND


def free_of_butterflies(one: JudgedCurve, within: Span | None = None) -> bool:
    """Return whether a smile has no butterfly arbitrage, on the whole line or within a range of k.

    As :func:`judge_butterfly`, without locating any.
    """
    if within is not None:
        inside = (one.knots > within[0]) & (one.knots < within[1])
        if _peaks(replace(one, knots=one.knots[inside])).size:
            return False
        return lowest(one.curve.g, clipped(one.points, within))[1] >= -_ROUNDING
    if one.curve.raw is not None:
        return one.curve.raw.min_variance > 0.0 and raw_scaling_limit(one.curve.raw) >= 1.0
    if not _wings_fit(one.slopes) or min(map(_limit, one.slopes)) < -_ROUNDING or _peaks(one).size:
        return False
    return lowest(one.curve.g, one.points)[1] >= -_ROUNDING


def free_of_calendars(near: JudgedCurve, far: JudgedCurve, within: Span | None = None) -> bool:
    """Return whether total variance nowhere falls between two smiles, on the line or within a range of k."""
    if within is not None:
        points = clipped(np.concatenate([near.points, far.points]), within)
        return lowest(lambda k: np.asarray(far.curve.w(k) - near.curve.w(k)), points)[1] >= -_ROUNDING
    if near.curve.raw is not None and far.curve.raw is not None:
        return calendar_room(near.curve.raw, far.curve.raw) >= 1.0
    if min(far.slopes[0] - near.slopes[0], far.slopes[1] - near.slopes[1]) < -_ROUNDING:
        return False
    points = np.unique(np.concatenate([near.points, far.points]))
    return lowest(lambda k: np.asarray(far.curve.w(k) - near.curve.w(k)), points)[1] >= -_ROUNDING


def judge_butterfly(one: JudgedCurve) -> WingsReport:
    """Return where a smile admits butterfly arbitrage: by the exact criterion if it is raw SVI, else by g.

    The search looks at g on about a thousand points and narrows its deepest dips; wings go by their limits.
    A violation is missed only where it is narrower than the spacing of the points.
    """
    if one.curve.raw is not None:
        exact = butterfly(one.curve.raw)
        return WingsReport(
            free=exact.free, margin=exact.margin, min_g=exact.min_g, k_min_g=exact.k_min_g,
            violations=exact.violations, slopes=exact.slopes, limits=exact.limits, exact=True,
        )  # fmt: skip
    points, g = one.points, one.curve.g
    k_low, least = lowest(g, points)
    limits = (_limit(one.slopes[0]), _limit(one.slopes[1]))
    for side, limit in zip((-math.inf, math.inf), limits, strict=True):
        if limit < least:
            k_low, least = side, limit
    if math.isfinite(k_low):
        points = np.unique(np.append(points, k_low))
    violations = list(negative_intervals(lambda k: g(k) + _ROUNDING, points))
    peaks = _peaks(one)
    if peaks.size:
        k_low, least = float(peaks[0]), -math.inf
        violations = sorted([*violations, *((float(k), float(k)) for k in peaks)])
    return WingsReport(
        free=least >= -_ROUNDING and _wings_fit(one.slopes), margin=math.nan, min_g=least, k_min_g=k_low,
        violations=tuple(violations), slopes=one.slopes, limits=limits, exact=False,
    )  # fmt: skip


def _peaks(one: JudgedCurve) -> FloatArray:
    """Return the kinks at which the slope of total variance falls: the density is negative without bound."""
    if not one.knots.size:
        return one.knots
    step = _BESIDE * np.maximum(np.abs(one.knots), one.width)
    left, right = one.curve.dw(one.knots - step), one.curve.dw(one.knots + step)
    return np.asarray(one.knots[right - left < -1e-6 * (np.abs(left) + np.abs(right))])


def judge_calendar(near: JudgedCurve, far: JudgedCurve) -> CalendarReport:
    """Return where total variance at equal k falls from one smile to a later one, over the whole line."""
    if near.curve.raw is not None and far.curve.raw is not None:
        return calendar(near.curve.raw, far.curve.raw)

    def increase(k: FloatArray) -> FloatArray:
        return np.asarray(far.curve.w(k) - near.curve.w(k))

    points = np.unique(np.concatenate([near.points, far.points]))
    k_low, least = lowest(increase, points)
    points = np.unique(np.append(points, k_low))
    gaps = (far.slopes[0] - near.slopes[0], far.slopes[1] - near.slopes[1])
    for side, gap in zip((-math.inf, math.inf), gaps, strict=True):
        if gap < -_ROUNDING:
            k_low, least = side, -math.inf
    if -_ROUNDING <= least < 0.0:
        least = 0.0
    return CalendarReport(
        min_dw=least,
        k_min_dw=k_low,
        slopes=gaps,
        violations=negative_intervals(lambda k: increase(k) + _ROUNDING, points) if least < 0.0 else (),
    )
