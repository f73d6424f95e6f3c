"""Nelder and Mead's simplex in m and ln sigma, for the SVI slices whose loss has a kink at its minimum."""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.pricing.numeric import stage
from pmkit.surface.slices.svi_profile import profile

__all__ = ["simplex"]


@stage
def _try(
    points: FloatArray,
    about: FloatArray,
    min_a: float,
    steepest: float,
    box: FloatArray,
    row: FloatArray,
    slopes: FloatArray,
    corners: FloatArray,
    factor: float,
    trial: FloatArray,
) -> None:
    """Write the point at ``factor`` times the way from the centre of the two better corners to the worst."""
    for i in range(2):
        centre = 0.5 * (corners[0, i] + corners[1, i])
        trial[i] = min(max(centre + factor * (corners[2, i] - centre), box[i, 0]), box[i, 1])
    trial[2] = profile(points, about, trial[0], math.exp(trial[1]), min_a, steepest, row, slopes)


@stage
def simplex(
    points: FloatArray,
    about: FloatArray,
    min_a: float,
    steepest: float,
    box: FloatArray,
    row: FloatArray,
    x: FloatArray,
    step: float,
    rounds: int,
) -> bool:
    """Move ``x`` = (m, ln sigma, loss) downhill in a box without derivatives; return whether it closed."""
    t, trial, other, slopes = np.empty((3, 3)), np.empty(3), np.empty(3), np.empty(5)
    for j in range(3):
        t[j, 0], t[j, 1] = x[0], x[1]
        if j > 0:
            width = step * (box[j - 1, 1] - box[j - 1, 0])
            t[j, j - 1] += width if x[j - 1] + width <= box[j - 1, 1] else -width
        t[j, 2] = profile(points, about, t[j, 0], math.exp(t[j, 1]), min_a, steepest, row, slopes)
    closed = False
    for _ in range(rounds):
        for pair in (0, 1, 0):
            if t[pair + 1, 2] < t[pair, 2]:
                for i in range(3):
                    t[pair, i], t[pair + 1, i] = t[pair + 1, i], t[pair, i]
        size = 0.0
        for i in range(2):
            for j in range(1, 3):
                size = max(size, abs(t[j, i] - t[0, i]) / (box[i, 1] - box[i, 0]))
        if size < 1e-10 or (size < 1e-6 and t[2, 2] - t[0, 2] <= 1e-13 * t[0, 2]):
            closed = True
            break
        _try(points, about, min_a, steepest, box, row, slopes, t, -1.0, trial)
        if trial[2] < t[0, 2]:
            _try(points, about, min_a, steepest, box, row, slopes, t, -2.0, other)
            if other[2] < trial[2]:
                trial[:] = other
        elif trial[2] >= t[1, 2]:
            inward = -0.5 if trial[2] < t[2, 2] else 0.5
            _try(points, about, min_a, steepest, box, row, slopes, t, inward, other)
            if other[2] < min(trial[2], t[2, 2]):
                trial[:] = other
            elif trial[2] >= t[2, 2]:
                for j in range(1, 3):
                    for i in range(2):
                        t[j, i] = 0.5 * (t[0, i] + t[j, i])
                    t[j, 2] = profile(points, about, t[j, 0], math.exp(t[j, 1]), min_a, steepest, row, slopes)
                continue
        t[2, :] = trial
    best = 0
    for j in range(1, 3):
        if t[j, 2] < t[best, 2]:
            best = j
    x[:] = t[best]
    return closed
