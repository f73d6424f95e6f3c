"""Integrals over log-moneyness to near machine precision, with the reach beyond which nothing is left."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.surface.readouts.curves import VarianceCurve

__all__ = ["integrate", "reach"]

# Gauss-Kronrod rule of 7 and 15 points on (-1, 1): positive nodes, outermost first, then 0
_X = np.array([0.991455371120812639206854697526329, 0.949107912342758524526189684047851,
               0.864864423359769072789712788640926, 0.741531185599394439863864773280788,
               0.586087235467691130294144691693013, 0.405845151377397166906606412076961,
               0.207784955007898467600689403773245, 0.0])  # fmt: skip
_K = np.array([0.022935322010529224963732008058970, 0.063092092629978553290700663189204,
               0.104790010322250183839876322541518, 0.140653259715525918745189590510238,
               0.169004726639267902826583426598550, 0.190350578064785409913256402421014,
               0.204432940075298892414161999234649, 0.209482141084727828012999174891714])  # fmt: skip
_G = np.array([0.0, 0.129484966168869693270611432679082, 0.0, 0.279705391489276667901467771423780, 0.0,
               0.381830050505118944950369775488975, 0.0, 0.417959183673469387755102040816327])  # fmt: skip
_NODES = np.concatenate([-_X[:-1], _X[::-1]])
_FINE = np.concatenate([_K[:-1], _K[::-1]])
_COARSE = np.concatenate([_G[:-1], _G[::-1]])

#: Exponent below which a normal density counts as nothing, and the largest |k| whose strike is a double.
_NOTHING, _FARTHEST = 60.0, 700.0
_MOST_PANELS = 2000


def integrate(
    function: Callable[[FloatArray], FloatArray], breaks: FloatArray, rtol: float = 1e-13
) -> tuple[float, float]:
    """Return the integral between the first and last of ascending ``breaks``, and an error estimate.

    Notes
    -----
    Each panel is halved until its Gauss and Kronrod sums agree to ``rtol`` of the whole, at most 40 times and
    to at most 2000 panels at once: a rough function ends there, with a larger error. Sums are exact
    (``math.fsum``), so that equal inputs give equal bits.
    """
    low, high = breaks[:-1], breaks[1:]
    done: list[float] = []
    errors: list[float] = []
    scale = 0.0
    for turn in range(40):
        half = 0.5 * (high - low)
        values = function(0.5 * (high + low)[:, None] + half[:, None] * _NODES) * half[:, None]
        fine = np.array([math.fsum(row) for row in values * _FINE])
        gap = np.abs(np.array([math.fsum(row) for row in values * _COARSE]) - fine)
        scale = max(scale, abs(math.fsum(done) + math.fsum(fine)))
        coarse = gap > rtol * scale
        if turn == 39 or 2 * int(coarse.sum()) > _MOST_PANELS:
            coarse = np.zeros(gap.size, dtype=bool)
        done += fine[~coarse].tolist()
        errors += gap[~coarse].tolist()
        if not coarse.any():
            break
        middle = 0.5 * (low + high)[coarse]
        low, high = np.concatenate([low[coarse], middle]), np.concatenate([middle, high[coarse]])
    return math.fsum(done), math.fsum(errors)


def reach(curve: VarianceCurve) -> tuple[float, float]:
    """Return the log-moneyness on either side beyond which Black's densities are below 1e-26, at most 700."""
    steps = curve.sd * 2.0 ** np.arange(0.0, 40.0, 0.5)
    ends = []
    for side in (-1.0, 1.0):
        k = np.append(side * steps[steps < _FARTHEST], side * _FARTHEST)
        plus, minus = curve.d(k)
        # the left tail of the mass, the right tail of the mean; both where d keeps its sign
        left = (0.5 * minus**2 > _NOTHING) & (minus > 0.0)
        right = (0.5 * plus**2 > _NOTHING) & (plus < 0.0)
        gone = left if side < 0.0 else right
        ends.append(float(k[np.argmax(gone)]) if gone.any() else side * _FARTHEST)
    return ends[0], ends[1]


def panels(curve: VarianceCurve, low: float, high: float) -> FloatArray:
    """Return ascending breaks between two ends: 0, multiples of the width at the money, and the bottom."""
    steps = curve.sd * np.concatenate(
        [[0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0], 2.0 ** np.arange(2.5, 40.0, 0.5)]
    )
    places = [np.concatenate([-steps, steps]), np.array([low, high])]
    if curve.raw is not None:
        raw = curve.raw
        places.append(raw.m + raw.sigma * np.array([-4.0, -1.0, 0.0, 1.0, 4.0]))
    if curve.kinks is not None:
        places.append(curve.kinks)
    every = np.unique(np.concatenate(places))
    return every[(every >= low) & (every <= high)]
