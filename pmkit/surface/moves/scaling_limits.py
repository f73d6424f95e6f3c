"""How far the vol of a smile can be scaled before arbitrage appears, by formula: no search over sizes."""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.surface.arbitrage.butterfly import around, lowest
from pmkit.surface.arbitrage.wing_findings import LEE_BOUND
from pmkit.surface.arguments import as_number, require
from pmkit.surface.joint.essvi_bound import Bound, check_bound, psi_max
from pmkit.surface.slices.svi import RawSvi

__all__ = ["Span", "calendar_room", "clipped", "essvi_scaling_limit", "raw_scaling_limit"]

Span = tuple[float, float]
"""Lower and upper end of a range of log-moneyness."""


def _parts(svi: RawSvi, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return h, N' and g2/sigma at x = (k - m)/sigma: g = h² - b² N'²/16 + b/2 · g2/sigma."""
    root = np.hypot(x, 1.0)
    N = svi.a / (svi.b * svi.sigma) + svi.rho * x + root
    N = np.where(N > 0.0, N, np.nan)
    slope = svi.rho + x / root
    h = 1.0 - 0.5 * (x + svi.m / svi.sigma) * slope / N
    return h, slope, (root**-3 - 0.5 * slope * slope / N) / svi.sigma


def clipped(points: FloatArray, span: Span) -> FloatArray:
    """Return the points inside a range, its ends included and a thousand more so that it is well covered."""
    inside = points[(points > span[0]) & (points < span[1])]
    return np.unique(np.concatenate([np.linspace(span[0], span[1], 1001), inside]))


def _places(svi: RawSvi) -> FloatArray:
    side = math.sqrt(1.0 - svi.rho**2)
    least = svi.a / (svi.b * svi.sigma) + side
    narrow = max(math.sqrt(2.0 * max(least, 0.0)) * side**-1.5, 1e-9)
    return around([0.0, -svi.rho / side, -svi.m / svi.sigma], [1.0, narrow, 1.0])


def raw_scaling_limit(svi: RawSvi, *, delta: bool = False, within: Span | None = None) -> float:
    """Return the greatest factor on the vol of a raw SVI smile without butterfly arbitrage.

    Parameters
    ----------
    svi : RawSvi
    delta : bool
        False: vol is scaled at each k. True: at each ``k/(iv_ATM sqrt(tau))``: the smile widens along.
    within : tuple of float, optional
        Range of k that counts, before the scaling; the whole line where None.

    Returns
    -------
    float
        Below 1 where the slice has arbitrage already, infinite for a flat smile. Smaller factors are free.

    Raises
    ------
    ParameterError
        An argument is not a raw slice.

    Notes
    -----
    With l = (k - m)/sigma, N = a/(b sigma) + rho l + sqrt(l² + 1), h = 1 - (l + m/sigma) N'/(2N) and
    g2 = N'' - N'²/(2N), a slice scaled at fixed k has ``g = h² + B g2/(2 sigma) - B² N'²/16`` where B = c² b
    and nothing else knows c. At each l this is a parabola in B that starts at h² and opens downwards, so that
    the slice is free up to the least positive root over the line,
    ``c² b = inf 4 sigma h²/(sqrt(g2² + sigma² N'² h²) - g2)``; the wings give ``c² b (1 ± rho) <= 2``. Scaled
    along with its width, ``c² = inf 16 (h² + b g2/(2 sigma))/(b N')²``.

    References
    ----------
    Gatheral and Jacquier (2014), Lemma 2.2; Martini and Mingone (2022).

    Examples
    --------
    >>> from pmkit.surface import butterfly
    >>> smile = RawSvi(a=0.01, b=0.06, rho=-0.2, m=0.0, sigma=0.2)
    >>> c = raw_scaling_limit(smile)
    >>> scaled = [RawSvi(c * c * x * 0.01, c * c * x * 0.06, -0.2, 0.0, 0.2) for x in (0.999, 1.001)]
    >>> round(c, 4), [butterfly(one).free for one in scaled]
    (4.1052, [True, False])
    """
    require("a slice", svi, RawSvi, "convert it with to_raw() first")
    if svi.b == 0.0:
        return math.inf

    def room(x: FloatArray) -> FloatArray:
        h, slope, bend = _parts(svi, x)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            if delta:
                return np.asarray(16.0 * (h * h + 0.5 * svi.b * bend) / (svi.b * slope) ** 2)
            return np.asarray(_root(h, slope, bend) / svi.b)

    if within is not None:
        ends = [(k - svi.m) / svi.sigma for k in within]
        return math.sqrt(max(lowest(room, clipped(_places(svi), (ends[0], ends[1])))[1], 0.0))
    _, least = lowest(room, _places(svi))
    wings = LEE_BOUND / max(svi.slopes)
    # total variance is scaled by c² at fixed k, its slopes by c where the smile widens along
    least = min(least, wings * wings if delta else wings)
    return math.sqrt(max(least, 0.0))


def _root(h: FloatArray, slope: FloatArray, bend: FloatArray) -> FloatArray:
    """Return the positive root B of h² + B bend/2 - B² slope²/16, in the form that does not cancel."""
    size = np.sqrt(bend * bend + (slope * h) ** 2)
    return np.asarray(np.where(bend > 0.0, 4.0 * (size + bend) / slope**2, 4.0 * h * h / (size - bend)))


def essvi_scaling_limit(theta: float, rho: float, psi: float, bound: Bound = "mm") -> float:
    """Return the greatest factor c on the vol of an eSSVI smile at fixed k that keeps it inside its bound.

    Notes
    -----
    Scaling maps (theta, rho, psi) to (c² theta, rho, c² psi): c is the root of
    ``c² psi = min(4/(1 + |rho|), sqrt(f(c² theta, |rho|)))``, one-dimensional and increasing. Below 1 where
    the slice is outside already.

    Raises
    ------
    ParameterError
        A parameter outside its domain.

    References
    ----------
    Gatheral and Jacquier (2014), Theorem 4.2; Martini and Mingone (2022).

    Examples
    --------
    >>> round(essvi_scaling_limit(0.36 * 30 / 365, -0.2, 0.12), 4)
    4.5118
    """
    for what, value in (("theta", theta), ("psi", psi)):
        if not 0.0 < as_number(what, value) < math.inf:
            raise ParameterError(f"{what} is {value:g}", "a positive, finite number", "correct the argument")
    if not abs(as_number("rho", rho)) < 1.0:
        raise ParameterError(f"rho is {rho:g}", "between -1 and 1, both excluded", "correct the argument")
    check_bound(bound)
    from scipy.optimize import brentq

    def gap(log_c2: float) -> float:
        c2 = math.exp(log_c2)
        return log_c2 + math.log(psi / float(psi_max(c2 * theta, rho, bound)))

    # psi_max never exceeds its limit, and grows at most like c² below it
    high = math.log(4.0 / ((1.0 + abs(rho)) * psi))
    low = high
    while gap(low) > 0.0:
        low -= 2.0
    if low == high:
        return math.exp(0.5 * high)
    found: float = brentq(gap, low, high, xtol=1e-14, rtol=1e-14)
    return math.exp(0.5 * found)


def calendar_room(near: RawSvi, far: RawSvi, within: Span | None = None) -> float:
    """Return the least ratio of far to near sqrt(w) over the line: how far near vols may outgrow far ones.

    The pair has no calendar arbitrage after its vols are scaled by c_near and c_far exactly where
    ``c_near/c_far`` is at most this number. Total variance is compared at equal k, wings by their slopes;
    ``within`` a range of k alone where one is given.

    Raises
    ------
    ParameterError
        An argument is not a raw slice.

    Examples
    --------
    >>> near, far = RawSvi(0.02, 0.2, -0.3, 0.0, 0.1), RawSvi(0.04, 0.25, -0.3, 0.0, 0.1)
    >>> round(calendar_room(near, far), 6)
    1.118034
    """
    for one in (near, far):
        require("a slice", one, RawSvi, "convert it with to_raw() first")

    def ratio(k: FloatArray) -> FloatArray:
        below = near.w(k)
        return np.asarray(far.w(k) / np.where(below > 0.0, below, np.nan))

    narrow = min(near.sigma, far.sigma)
    points = around(
        [near.m, near.k_min, far.m, far.k_min, 0.0],
        [near.sigma, narrow, far.sigma, narrow, max(near.sigma, far.sigma)],
    )
    if within is not None:
        return math.sqrt(max(lowest(ratio, clipped(points, within))[1], 0.0))
    _, least = lowest(ratio, points)
    for low, high in zip(near.slopes, far.slopes, strict=True):
        if low > 0.0:
            least = min(least, high / low)
    return math.sqrt(max(least, 0.0))
