"""Butterfly arbitrage of a raw SVI slice: Durrleman's g, the density, the wings, and the exact criterion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.wing_findings import WingFindings, within_lee
from pmkit.surface.arguments import require
from pmkit.surface.slices.svi import RawSvi

__all__ = [
    "ButterflyReport",
    "around",
    "butterfly",
    "density",
    "durrleman",
    "g",
    "lowest",
    "negative_intervals",
    "wing_limits",
]

#: Distances from a centre at which a function on the line is looked at first, in units of its width.
_STEPS = np.concatenate([np.geomspace(1e-6, 1e-2, 25)[:-1], np.geomspace(1e-2, 1e2, 241), [1e3, 1e4, 1e6]])
_ZOOM = np.linspace(0.0, 1.0, 33)


def g(svi: RawSvi, k: npt.ArrayLike) -> FloatArray:
    """Return Durrleman's function at log-moneyness ``k``: negative where the density it implies is.

    Raises
    ------
    ParameterError
        An argument is not a raw slice.

    Notes
    -----
    ``g = (1 - k w'/(2w))² - (w'²/4)(1/w + 1/4) + w''/2``; NaN where total variance is 0.

    References
    ----------
    Gatheral and Jacquier (2014), equation (2.1).

    Examples
    --------
    >>> float(g(RawSvi(-0.0410, 0.1331, 0.3060, 0.3586, 0.4153), 1.0).round(6))
    -0.027742
    """
    require("svi", svi, RawSvi, "convert it with to_raw() first")
    x = np.asarray(k, dtype=np.float64)
    return durrleman(x, *svi.with_derivatives(x))


def durrleman(x: FloatArray, w: FloatArray, slope: FloatArray, bend: FloatArray) -> FloatArray:
    """Return Durrleman's function from total variance and its first two derivatives at ``x``."""
    safe = np.where(w > 0.0, w, np.nan)
    return np.asarray(
        (1.0 - 0.5 * x * slope / safe) ** 2 - 0.25 * slope**2 * (1.0 / safe + 0.25) + 0.5 * bend
    )


def density(svi: RawSvi, k: npt.ArrayLike) -> FloatArray:
    """Return the implied density of ln(S/F) per unit of log-moneyness; that of S at K is this over K.

    A mass of 1 and a mean of F do not show that it is positive: use :func:`butterfly`.

    Notes
    -----
    ``g(k) exp(-d²/2)/sqrt(2 pi w)`` with ``d = -k/sqrt(w) - sqrt(w)/2``.

    References
    ----------
    Gatheral and Jacquier (2014), equation (2.2).

    Examples
    --------
    >>> float(density(RawSvi(a=0.02, b=0.1, rho=-0.3, m=0.0, sigma=0.1), 0.0).round(4))
    3.4247
    """
    x, w = np.asarray(k, dtype=np.float64), svi.w(k)
    safe = np.where(w > 0.0, w, np.nan)
    d = -x / np.sqrt(safe) - 0.5 * np.sqrt(safe)
    return np.asarray(g(svi, x) * np.exp(-0.5 * d * d) / np.sqrt(2.0 * math.pi * safe))


def wing_limits(svi: RawSvi) -> tuple[float, float]:
    """Return the limits of g at ``k`` to minus and to plus infinity: 1/4 less a sixteenth of slope squared.

    Raises
    ------
    ParameterError
        An argument is not a raw slice.

    Notes
    -----
    Exactly 1/4 where a slope is 0 but ``b`` is not, and 1 for a flat slice (``b`` = 0).

    Examples
    --------
    >>> left, right = wing_limits(RawSvi(a=0.02, b=0.5, rho=-0.3, m=0.0, sigma=0.1))
    >>> round(left, 6), round(right, 6)
    (0.223594, 0.242344)
    """
    require("svi", svi, RawSvi, "convert it with to_raw() first")
    if svi.b == 0.0:
        return 1.0, 1.0
    left, right = svi.slopes
    return 0.25 - left**2 / 16.0, 0.25 - right**2 / 16.0


def lowest(
    function: Callable[[FloatArray], FloatArray], points: FloatArray, keep: int = 4
) -> tuple[float, float]:
    """Return place and value of the least value of a smooth function between the first and the last point.

    The ``keep`` deepest dips of the ascending ``points`` are each narrowed 16 times a round; NaN is skipped.
    """
    values = np.where(np.isnan(seen := function(points)), np.inf, seen)
    padded = np.concatenate([[np.inf], values, [np.inf]])
    dips = np.flatnonzero((values <= padded[:-2]) & (values <= padded[2:]))
    dips = dips[np.argsort(values[dips], kind="stable")[:keep]]
    low, high = points[np.maximum(dips - 1, 0)], points[np.minimum(dips + 1, points.size - 1)]
    for _ in range(9):
        rows = low[:, None] + (high - low)[:, None] * _ZOOM
        inside = function(rows)
        inside = np.where(np.isnan(inside), np.inf, inside)
        best = np.argmin(inside, axis=1)
        each = np.arange(best.size)
        low, high = rows[each, np.maximum(best - 1, 0)], rows[each, np.minimum(best + 1, _ZOOM.size - 1)]
    places, depths = rows[each, best], inside[each, best]
    chosen = int(np.argmin(depths))
    if values[dips[0]] < depths[chosen]:
        return float(points[dips[0]]), float(values[dips[0]])
    return float(places[chosen]), float(depths[chosen])


def around(centres: list[float], widths: list[float]) -> FloatArray:
    """Return ascending points about each centre, dense near it and a million widths out on both sides."""
    parts = [c + s * w * _STEPS for c, w in zip(centres, widths, strict=True) for s in (-1.0, 1.0)]
    return np.unique(np.concatenate([*parts, np.asarray(centres)]))


@dataclass(frozen=True, kw_only=True, repr=False)
class ButterflyReport(WingFindings):
    """Whether, where and by how much a raw SVI slice admits butterfly arbitrage.

    Attributes
    ----------
    sigma : float
        Width of the slice.
    sigma_star : float
        Least admissible width at the same b, rho, a/sigma and m/sigma; infinite where no width is admissible.
    sigma_upper : float
        Greatest admissible width; infinite unless g fails where its curvature term is positive.
    min_g, k_min_g : float
        Infimum of g over the whole line, and where; the place is infinite where a wing limit is the infimum.
    violations : tuple of (float, float)
        Intervals of k with g < 0, ascending; an end may be infinite.
    slopes, limits : tuple of float
        Wing slopes of total variance and limits of g, left and right.
    """

    sigma: float
    sigma_star: float
    sigma_upper: float
    references = ("gatheral2014", "lee2004", "martini2022")

    @property
    def ratio(self) -> float:
        """Width over its least admissible value, ``sigma/sigma*``: 1 at the edge, 0 where none would do."""
        return self.sigma / self.sigma_star if self.sigma_star > 0.0 else math.inf

    @property
    def margin(self) -> float:
        """Smaller of ``sigma/sigma*`` and ``sigma_upper/sigma``, less 1: negative where there is arbitrage.

        It is -1 where no width is admissible: a wing too steep, or G1 not positive where g2 is negative.
        """
        return min(self.ratio, self.sigma_upper / self.sigma) - 1.0

    @property
    def free(self) -> bool:
        """True where the slice has no butterfly arbitrage anywhere on the line."""
        return self.margin >= 0.0

    def summary(self) -> pd.DataFrame:
        """Return one row: free, margin, sigma*, infimum of g and where, slopes, limits, intervals."""
        row = {"free": self.free, "margin": self.margin, "sigma_star": self.sigma_star}
        return pd.DataFrame([row | self._found()])


class _Reduced:
    """The slice in l = (k - m)/sigma, where g = G1 + b/(2 sigma) g2 and only g2's factor knows sigma."""

    def __init__(self, svi: RawSvi) -> None:
        self.b, self.rho, self.mu = svi.b, svi.rho, svi.m / svi.sigma
        self.alpha = svi.a / (svi.b * svi.sigma)

    def parts(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return G1 and g2."""
        root = np.hypot(x, 1.0)
        N, slope = self.alpha + self.rho * x + root, self.rho + x / root
        N = np.where(N > 0.0, N, np.nan)
        h = 1.0 - 0.5 * (x + self.mu) * slope / N
        return h * h - (self.b * slope) ** 2 / 16.0, root**-3 - 0.5 * slope * slope / N

    def quotient(self, x: FloatArray) -> FloatArray:
        """Return 2 G1/(b |g2|), whose infimum on either sign of g2 gives a bound on sigma."""
        first, second = self.parts(x)
        with np.errstate(divide="ignore"):
            return np.asarray(2.0 * first / (self.b * np.abs(second)))

    def zero(self, side: float) -> float:
        """Return the zero of g2 on one side of 0; g2 has one each, as 2 N N'' - N'² falls away from 0."""
        reach = 1.0
        low, high = 0.0, reach

        def gap(distance: float) -> float:
            x = side * distance
            root = math.hypot(x, 1.0)
            return 2.0 * (self.alpha + self.rho * x + root) / root**3 - (self.rho + x / root) ** 2

        while gap(high) > 0.0 and high < 1e12:
            low, high = high, 2.0 * high
        for _ in range(200):
            middle = 0.5 * (low + high)
            if middle in (low, high):
                break
            low, high = (middle, high) if gap(middle) > 0.0 else (low, middle)
        return side * high


def _resolved_g(svi: RawSvi, k: FloatArray) -> FloatArray:
    """Return g, NaN where total variance is the rounding of larger terms."""
    w, slope, bend = svi.with_derivatives(k)
    resolved = w > 1e-9 * (abs(svi.a) + svi.b * svi.sigma)
    return np.where(resolved, durrleman(k, w, slope, bend), np.nan)


def negative_intervals(
    function: Callable[[FloatArray], FloatArray], points: FloatArray
) -> tuple[tuple[float, float], ...]:
    """Return the intervals on which a function is negative at ascending points, their ends by bisection.

    An interval that holds the first or the last point is taken to go on to infinity; NaN is skipped.
    """
    values = function(points)
    points, values = points[~np.isnan(values)], values[~np.isnan(values)]
    negative = values < 0.0
    changes = np.flatnonzero(negative[1:] != negative[:-1])
    low, high, before = points[changes], points[changes + 1], negative[changes]
    for _ in range(60 if changes.size else 0):
        middle = 0.5 * (low + high)
        if ((middle == low) | (middle == high)).all():
            break
        left = (function(middle) < 0.0) == before
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    roots = (0.5 * (low + high)).tolist()
    edges = ([-math.inf] if negative[0] else []) + roots + ([math.inf] if negative[-1] else [])
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def butterfly(svi: RawSvi) -> ButterflyReport:
    """Return whether a slice has butterfly arbitrage: exact margin, location, wings by their limits.

    Parameters
    ----------
    svi : RawSvi

    Returns
    -------
    ButterflyReport

    Raises
    ------
    ParameterError
        The argument is not a raw slice.

    Notes
    -----
    With l = (k - m)/sigma, alpha = a/(b sigma), mu = m/sigma and N = alpha + rho l + sqrt(l² + 1),
    ``g = G1 + b g2/(2 sigma)``, ``G1 = (1 - (l + mu) N'/(2N))² - b² N'²/16``, ``g2 = N'' - N'²/(2N)``. With
    alpha, b, rho and mu held, g is positive on ``g2 < 0`` exactly where sigma exceeds
    ``sigma* = sup -b g2/(2 G1)``; its inverse is found as the infimum of a smooth function on two half-lines,
    so that a violation far outside the quotes is not missed. Each wing limit of g is 1/4 - slope²/16. About
    2 ms.

    References
    ----------
    Gatheral and Jacquier (2014), Lemma 2.2; Martini and Mingone (2022); Lee (2004).

    Examples
    --------
    >>> report = butterfly(RawSvi(-0.0410, 0.1331, 0.3060, 0.3586, 0.4153))
    >>> report.free, round(report.margin, 4), [round(k, 4) for k in report.violations[0]]
    (False, -1.0, [0.6424, 1.2569])
    """
    if not isinstance(svi, RawSvi):
        raise ParameterError(
            f"a slice of type {type(svi).__name__}", "a RawSvi", "convert it with to_raw() first"
        )
    limits = wing_limits(svi)
    if svi.b == 0.0:
        return ButterflyReport(
            sigma=svi.sigma, sigma_star=0.0, sigma_upper=math.inf, min_g=1.0, k_min_g=0.0, violations=(),
            slopes=svi.slopes, limits=limits,
        )  # fmt: skip
    reduced = _Reduced(svi)
    left, right = reduced.zero(-1.0), reduced.zero(1.0)
    bottom = (svi.k_min - svi.m) / svi.sigma
    least = reduced.alpha + math.sqrt(1.0 - svi.rho**2)
    # width of the parabola at the bottom, the shortest scale on which g changes there
    narrow = max(math.sqrt(2.0 * max(least, 0.0)) * (1.0 - svi.rho**2) ** -0.75, 1e-9)
    points = around([0.0, bottom, left, right, -reduced.mu], [1.0, narrow, 1.0, 1.0, 1.0])
    need = min(lowest(reduced.quotient, points[side])[1] for side in (points < left, points > right))
    inside = points[(points > left) & (points < right)]
    spare = lowest(reduced.quotient, inside)[1] if inside.size else math.inf
    k_points = svi.m + svi.sigma * points
    k_low, g_low = lowest(lambda k: _resolved_g(svi, k), k_points)
    for wing, limit in zip((-math.inf, math.inf), limits, strict=True):
        if limit < g_low:
            k_low, g_low = wing, limit
    if math.isfinite(k_low):
        k_points = np.unique(np.append(k_points, k_low))
    # where the minimum touches zero a quoted price equals its intrinsic value between two that do not
    admissible = need > 0.0 and svi.min_variance > 0.0 and within_lee(svi.slopes)
    return ButterflyReport(
        sigma=svi.sigma,
        sigma_star=1.0 / need if admissible else math.inf,
        sigma_upper=-1.0 / spare if spare < 0.0 else math.inf,
        min_g=g_low,
        k_min_g=k_low,
        violations=negative_intervals(lambda k: _resolved_g(svi, k), k_points),
        slopes=svi.slopes,
        limits=limits,
    )
