"""Static arbitrage that the points of a grid of vols show by themselves, for many grids at once."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from pmkit.core.types import BoolArray, FloatArray

__all__ = ["grid_violations"]

#: Differences of call prices below this share of the forward are rounding.
_ROUNDING = 1e-12


def grid_violations(k: FloatArray, w: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Return for every grid whether its points admit butterfly, and whether they admit calendar arbitrage.

    Parameters
    ----------
    k, w : ndarray, shape (grids, expiries, points)
        Log-moneyness, ascending in the last axis, and total variance, positive; expiries ascending.

    Returns
    -------
    butterfly, calendar : ndarray of bool, shape (grids,)
        ``butterfly``: undiscounted calls per forward that rise with strike, fall faster than the strike rises
        or are not convex in it. ``calendar``: total variance at a point of one expiry exceeds the chord of
        the next expiry at the same k, inside its points.

    Notes
    -----
    A chord lies above total variance that is convex in k, so the calendar part counts too few there; where
    it is concave, in the wings, the chord is a little too low.
    """
    root = np.sqrt(w)
    d1 = -k / root + 0.5 * root
    strike = np.exp(k)
    call = ndtr(d1) - strike * ndtr(d1 - root)
    slope = np.diff(call, axis=-1) / np.diff(strike, axis=-1)
    bent = np.diff(slope, axis=-1) < -_ROUNDING
    outside = (slope > _ROUNDING) | (slope < -1.0 - _ROUNDING)
    butterfly = bent.any(axis=(1, 2)) | outside.any(axis=(1, 2))
    calendar = np.zeros(len(k), dtype=np.bool_)
    for grid in range(len(k)):
        for near in range(k.shape[1] - 1):
            far_k, far_w = k[grid, near + 1], w[grid, near + 1]
            covered = (k[grid, near] >= far_k[0]) & (k[grid, near] <= far_k[-1])
            later = np.interp(k[grid, near][covered], far_k, far_w)
            calendar[grid] |= bool((later < w[grid, near][covered] * (1.0 - 1e-9)).any())
    return np.asarray(butterfly), calendar
