"""The compiled search behind the SVI fit: Levenberg and Marquardt's steps in m and ln sigma, many starts."""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.pricing.numeric import kernel, stage
from pmkit.surface.slices.svi_profile import (
    AT_SEARCH,
    AT_ZERO,
    FLAGS,
    LINES,
    A,
    P,
    Q,
    centred,
    linear,
    profile,
)
from pmkit.surface.slices.svi_simplex import simplex

__all__ = ["quality", "search"]

#: Coarse net, in units of the range of k: places from the lowest strike, widths.
_PLACES = np.array([-0.1, 0.25, 0.5, 0.75, 1.1])
_WIDTHS = np.array([0.03, 0.1, 0.3, 1.0])
#: Fine net over the whole box, for slices on which the coarse one does not end inside.
_COLUMNS, _LINES, _MANY = 11, 9, 5


@stage
def _descend(
    points: FloatArray,
    about: FloatArray,
    min_a: float,
    steepest: float,
    box: FloatArray,
    x: FloatArray,
    best: FloatArray,
    row: FloatArray,
    here: FloatArray,
    there: FloatArray,
    rounds: int,
) -> int:
    """Move ``x`` = (m, ln sigma, loss) downhill in the box; return 1 closed, 2 on its way to ``best``."""
    damping = 1e-3
    x[2] = profile(points, about, x[0], math.exp(x[1]), min_a, steepest, row, here)
    span = box[0, 1] - box[0, 0]
    tiny = 1e-28 * about[0] * about[2] * about[2]
    for trial in range(rounds):
        if x[2] <= tiny:
            return 1
        gm, gs, hmm, hms, hss = here[0], here[1], here[2], here[3], here[4]
        # a coordinate at an end of the box that would leave it stays
        stay_m = (x[0] <= box[0, 0] and gm > 0.0) or (x[0] >= box[0, 1] and gm < 0.0)
        stay_s = (x[1] <= box[1, 0] and gs > 0.0) or (x[1] >= box[1, 1] and gs < 0.0)
        if stay_m or hmm <= 0.0:
            gm, hms, hmm = 0.0, 0.0, 1.0
        if stay_s or hss <= 0.0:
            gs, hms, hss = 0.0, 0.0, 1.0
        # what an undamped step would gain
        det = hmm * hss - hms * hms
        if det > 1e-12 * hmm * hss:
            if (gm * gm * hss - 2.0 * gm * gs * hms + gs * gs * hmm) <= 1e-12 * x[2] * det:
                return 1
        elif gm * gm / hmm + gs * gs / hss <= 1e-13 * x[2]:
            return 1
        am, as_ = hmm * (1.0 + damping), hss * (1.0 + damping)
        det = am * as_ - hms * hms
        dm, ds = (gs * hms - gm * as_) / det, (gm * hms - gs * am) / det
        dm, ds = min(max(dm, -0.3 * span), 0.3 * span), min(max(ds, -1.5), 1.5)
        m = min(max(x[0] + dm, box[0, 0]), box[0, 1])
        s = min(max(x[1] + ds, box[1, 0]), box[1, 1])
        moved = max(abs(m - x[0]) / span, abs(s - x[1]))
        loss = profile(points, about, m, math.exp(s), min_a, steepest, row, there)
        if loss <= x[2]:
            gain = x[2] - loss
            x[0], x[1], x[2] = m, s, loss
            here[:] = there
            if damping <= 1e-4 and gain <= 1e-12 * loss:
                return 1
            damping = max(0.1 * damping, 1e-10)
        else:
            if moved <= 1e-12 or damping > 1e12:
                return 1
            damping *= 8.0
        if trial >= 3 and abs(x[0] - best[0]) < 1e-4 * span and abs(x[1] - best[1]) < 1e-3:
            return 2
    return 0


@stage
def _from_lowest(
    points: FloatArray,
    about: FloatArray,
    min_a: float,
    steepest: float,
    box: FloatArray,
    places: FloatArray,
    logs: FloatArray,
    starts: int,
    best: FloatArray,
    row: FloatArray,
    here: FloatArray,
    there: FloatArray,
) -> bool:
    """Go downhill from the lowest dips of a net of places and widths; return whether the best one closed."""
    columns, lines = places.size, logs.size
    grid = np.empty((columns, lines))
    for j in range(lines):
        sigma = math.exp(logs[j])
        for i in range(columns):
            grid[i, j] = linear(points, about, places[i], sigma, min_a, steepest, row)
    taken = np.zeros((columns, lines), dtype=np.bool_)
    x, closed = np.empty(3), False
    for _ in range(starts):
        found, at_i, at_j = math.inf, -1, -1
        for i in range(columns):
            for j in range(lines):
                if not taken[i, j] and grid[i, j] < found:
                    found, at_i, at_j = grid[i, j], i, j
        if at_i < 0:
            break
        # neighbours of a start would lead to the same place
        for i in range(max(at_i - 1, 0), min(at_i + 2, columns)):
            for j in range(max(at_j - 1, 0), min(at_j + 2, lines)):
                taken[i, j] = True
        x[0], x[1] = places[at_i], logs[at_j]
        how = _descend(points, about, min_a, steepest, box, x, best, row, here, there, 60)
        if how < 2 and x[2] < best[2]:
            best[:] = x
            closed = how == 1
    return closed


@stage
def _one(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    min_a: float,
    steepest: float,
    starts: int,
    out: FloatArray,
) -> bool:
    """Write parameters, loss and bounds of the best fit of one slice; return whether it converged."""
    n = k.size
    points, about = np.empty((LINES, n)), np.empty(7)
    row, here, there, box = np.empty(12), np.empty(5), np.empty(5), np.empty((2, 2))
    centred(k, w, weight, points, about)
    span = k[n - 1] - k[0]
    box[0, 0], box[0, 1] = k[0] - span, k[n - 1] + span
    box[1, 0], box[1, 1] = math.log(span / 200.0), math.log(10.0 * span)
    best = np.empty(3)
    best[:] = math.inf
    closed = _from_lowest(
        points, about, min_a, steepest, box, k[0] + span * _PLACES, np.log(span * _WIDTHS), starts, best,
        row, here, there,
    )  # fmt: skip
    loss = profile(points, about, best[0], math.exp(best[1]), min_a, steepest, row, here)
    if not closed or row[FLAGS] > 0.0 or best[1] >= box[1, 1] or best[1] <= box[1, 0]:
        places = np.linspace(box[0, 0], box[0, 1], _COLUMNS)
        logs = np.linspace(box[1, 0], box[1, 1], _LINES)
        again = _from_lowest(
            points, about, min_a, steepest, box, places, logs, max(starts, _MANY), best, row, here, there
        )
        closed = closed or again
        loss = profile(points, about, best[0], math.exp(best[1]), min_a, steepest, row, here)
        # where variance touches zero the function has a kink, which needs no derivatives
        if not closed or row[FLAGS] >= AT_ZERO:
            closed = False
            for _ in range(12):
                before = best[2]
                shut = simplex(points, about, min_a, steepest, box, row, best, 0.01, 300)
                if shut and best[2] >= before * (1.0 - 1e-9):
                    closed = True
                    break
            loss = profile(points, about, best[0], math.exp(best[1]), min_a, steepest, row, here)
    flags, sigma = row[FLAGS], math.exp(best[1])
    for i in range(2):
        margin = 1e-6 * (box[i, 1] - box[i, 0])
        if best[i] <= box[i, 0] + margin or best[i] >= box[i, 1] - margin:
            flags += AT_SEARCH
            break
    out[0], out[1] = row[A], 0.5 * (row[P] + row[Q]) / sigma
    out[2] = (row[P] - row[Q]) / (row[P] + row[Q])
    out[3], out[4], out[5], out[6] = best[0], sigma, loss, flags
    return closed


@kernel
def search(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    ends: IntArray,
    min_a: float,
    steepest: float,
    starts: int,
    out: FloatArray,
) -> None:
    """Fit the slices that lie one after another in ``k``, ``w`` and ``weight``; ``ends`` is one past each.

    Each row of ``out`` gets a, b, rho, m, sigma, loss, the bounds it lies on, and 1 where it converged. m is
    sought up to once the range of k beyond it, sigma from 1/200 of the range to ten times it.
    """
    first = 0
    for j in range(ends.size):
        last = ends[j]
        closed = _one(k[first:last], w[first:last], weight[first:last], min_a, steepest, starts, out[j])
        out[j, 7] = 1.0 if closed else 0.0
        first = last


@kernel
def quality(
    k: FloatArray, w: FloatArray, bars: FloatArray, ends: IntArray, found: FloatArray, out: FloatArray
) -> None:
    """Write sum of squared errors over bars, that of iv·sqrt(tau), and the relative vol error at the money.

    ``a`` is lifted first where rounding near ``rho`` = ±1 ate the minimum that the search held above zero.
    """
    first = 0
    for j in range(ends.size):
        last = ends[j]
        b, rho, m, sigma = found[j, 1], found[j, 2], found[j, 3], found[j, 4]
        least = w[first]
        for i in range(first, last):
            least = min(least, w[i])
        found[j, 0] += max(1e-9 * least - (found[j, 0] + b * sigma * math.sqrt(1.0 - rho * rho)), 0.0)
        a, near = found[j, 0], math.inf
        chi2 = squares = off = 0.0
        for i in range(first, last):
            x = k[i] - m
            fitted = a + b * (rho * x + math.sqrt(x * x + sigma * sigma))
            z, gap = (fitted - w[i]) / bars[i], math.sqrt(fitted) - math.sqrt(w[i])
            chi2 += z * z
            squares += gap * gap
            if abs(k[i]) < near:
                near, off = abs(k[i]), math.sqrt(fitted / w[i]) - 1.0
        out[j, 0], out[j, 1], out[j, 2] = chi2, squares, off
        first = last
