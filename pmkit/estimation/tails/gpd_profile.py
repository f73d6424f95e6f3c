"""Profile-likelihood intervals of the quantile and the tail mean of a generalised Pareto tail."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.estimation.tails.gpd import LOWEST_SHAPE, growth, likelihood, quantile_and_mean

__all__ = ["FittedLaw", "profile_interval"]

#: beyond this many times the estimate an upper limit counts as unbounded
_FARTHEST = 1e3
_HEAVIEST = 3.0


class FittedLaw(NamedTuple):
    """Maximum of the likelihood: threshold, shape, scale, number of losses, excesses over the threshold."""

    threshold: float
    shape: float
    scale: float
    rows: int
    losses: FloatArray


def profile_interval(law: FittedLaw, level: float, confidence: float, mean: bool) -> tuple[float, float]:
    """Return the interval of VaR, or of ES where ``mean``, at ``level``; the unit of the losses.

    Notes
    -----
    The likelihood is that of the excesses times the binomial of their number. An excess ``e`` over the
    threshold lies inside where the best likelihood under ``VaR - u = e`` (or ``ES - u = e``), shape and share
    free, is less than half the chi-squared quantile of one degree of freedom below the maximum.

    References
    ----------
    Coles (2001), section 4.3.3.

    Examples
    --------
    >>> y = -np.log(1.0 - (np.arange(200) + 0.5) / 200)
    >>> low, high = profile_interval(FittedLaw(2.0, 0.0, 1.0, 2000, y), 0.99, 0.95, mean=False)
    >>> bool(low < 2.0 + np.log(10.0) < high)
    True
    """
    from scipy.optimize import brentq
    from scipy.special import chdtri

    share = law.losses.size / law.rows
    drop = 0.5 * float(chdtri(1.0, 1.0 - confidence))
    var, es, *_ = quantile_and_mean(law.threshold, law.shape, law.scale, share, level)
    best = (es if mean else var) - law.threshold
    if best <= 0.0:  # the level of the threshold itself: VaR is known there
        return law.threshold, law.threshold
    maximum = _likelihood(law, law.shape, share, best, level, mean)

    def shortfall(excess: float) -> float:
        return _profile(law, excess, level, mean) - maximum - drop

    below, above = 0.5 * best, 2.0 * best
    while shortfall(below) < 0.0 and below > 1e-6 * best:
        below *= 0.5
    low = float(brentq(shortfall, below, best, xtol=1e-6 * best)) if shortfall(below) > 0.0 else 0.0
    while above < _FARTHEST * best and shortfall(above) < 0.0:
        above *= 2.0
    high = math.inf
    if above < _FARTHEST * best:
        high = float(brentq(shortfall, best, above, xtol=1e-6 * best))
    return law.threshold + low, law.threshold + high


def _likelihood(law: FittedLaw, shape: float, share: float, excess: float, level: float, mean: bool) -> float:
    """Return the negative log-likelihood of excesses and of their number where the excess is given."""
    if not 1.0 - level < share < 1.0 or not LOWEST_SHAPE <= shape <= (0.999 if mean else _HEAVIEST):
        return 1e12
    g = growth(shape, math.log(share / (1.0 - level)))[0]
    scale = excess * (1.0 - shape) / (g + 1.0) if mean else excess / max(g, 1e-300)
    value = likelihood(shape, scale, law.losses)
    count = law.losses.size
    binomial = count * math.log(share) + (law.rows - count) * math.log1p(-share)
    return value - binomial if math.isfinite(value) else 1e12


def _profile(law: FittedLaw, excess: float, level: float, mean: bool) -> float:
    """Return the smallest negative log-likelihood over shape and share where the excess is given."""
    from scipy.optimize import minimize

    share = law.losses.size / law.rows
    spread = math.sqrt((1.0 - share) / law.losses.size)
    grid = np.linspace(LOWEST_SHAPE, 0.999 if mean else _HEAVIEST, 31)
    values = [_likelihood(law, float(x), share, excess, level, mean) for x in grid]
    at = int(np.argmin(values))
    corners = [(float(grid[at]), share)]
    corners += [
        (float(grid[at]) + (0.05 if at < 30 else -0.05), share),
        (float(grid[at]), share * (1.0 + spread)),
    ]

    def loss(p: FloatArray) -> float:
        return _likelihood(law, float(p[0]), float(p[1]), excess, level, mean)

    options: Any = {"initial_simplex": np.array(corners), "xatol": 1e-4, "fatol": 1e-7, "maxiter": 400}
    found = minimize(loss, np.array(corners[0]), method="Nelder-Mead", options=options)
    return float(min(found.fun, values[at]))
