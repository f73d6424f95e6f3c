"""Joint regression of VaR and ES: the two lines whose mean FZ0 loss is smallest, found exactly step by step.

For ES held, the loss is that of a weighted quantile regression, whose solution passes through two of the
points and is found by turning the line about one point at a time. For VaR held, it is that of a gamma law
with mean ES, found by scoring. Both steps lower the same loss; where neither does, the pair is stationary.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.pricing.numeric import kernel

__all__ = ["JointFit", "fit_joint", "quantile_line"]

_ROUNDS = 60  # alternations of the two steps; a handful is enough
_TURNS = 500  # turns of the line before the quantile step gives up on degenerate points


class JointFit(NamedTuple):
    """Coefficients of the quantile and of the tail mean of a P&L, on the scale of the data.

    Attributes
    ----------
    quantile : array, shape (2,)
        Intercept and slope.
    tail : array, shape (1,) or (2,)
        Intercept, and slope where the equation has one.
    loss : float
        Mean FZ0 loss of the P&L less its largest value; NaN where no fit was found.
    """

    quantile: FloatArray
    tail: FloatArray
    loss: float


@kernel
def _turn(pivot: int, x: FloatArray, y: FloatArray, weights: FloatArray, p: float) -> int:
    """Return the other point of the best line through ``pivot``, or -1 where no other x is there."""
    n = x.size
    slopes, mass, at = np.empty(n), np.empty(n), np.empty(n, dtype=np.int64)
    count, level = 0, 0.0
    for i in range(n):
        run = x[i] - x[pivot]
        if run == 0.0:
            continue
        slopes[count], mass[count], at[count] = (y[i] - y[pivot]) / run, weights[i] * abs(run), i
        level += mass[count] * (p if run > 0.0 else 1.0 - p)
        count += 1
    if count == 0:
        return -1
    order = np.argsort(slopes[:count], kind="mergesort")
    passed = 0.0
    for k in order:
        passed += mass[k]
        if passed >= level:
            return int(at[k])
    return int(at[order[count - 1]])


@kernel
def _line(x: FloatArray, y: FloatArray, weights: FloatArray, p: float, turns: int) -> tuple[float, float]:
    """Return intercept and slope of the weighted quantile regression at ``p``."""
    order = np.argsort(y, kind="mergesort")
    pivot = order[min(y.size - 1, int(p * y.size))]
    other = _turn(pivot, x, y, weights, p)
    best, still = np.inf, 0
    intercept = slope = np.nan
    for _ in range(turns):
        if other < 0:
            break
        b = (y[other] - y[pivot]) / (x[other] - x[pivot])
        a = y[pivot] - b * x[pivot]
        value = 0.0
        for i in range(x.size):
            gap = y[i] - a - b * x[i]
            value += weights[i] * (p * gap if gap > 0.0 else (p - 1.0) * gap)
        if best == np.inf or value < best - 1e-14 * abs(best):
            best, still, intercept, slope = value, 0, a, b
        else:
            still += 1
        if still == 2:  # neither of the two points is a better place to turn the line
            break
        pivot, other = other, _turn(other, x, y, weights, p)
    return intercept, slope


def quantile_line(x: FloatArray, y: FloatArray, p: float) -> tuple[float, float]:
    """Return intercept and slope of the linear quantile regression of ``y`` on ``x`` at ``p``.

    Examples
    --------
    >>> quantile_line(np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0, 9.0]), 0.5)
    (0.0, 1.0)
    """
    a, b = _line(x, y, np.ones(x.size), p, _TURNS)
    return float(a), float(b)


@kernel
def _gamma(x: FloatArray, slope: bool, target: FloatArray, start: FloatArray) -> tuple[float, float, float]:
    """Return the coefficients of the positive mean s that minimises mean(t/s + ln s), and that value."""
    n = x.size
    a, b = start[0], start[1]
    value = 0.0
    for i in range(n):
        s = a + b * x[i]
        value += target[i] / s + math.log(s)
    for _ in range(200):
        w0 = w1 = w2 = t0 = t1 = 0.0
        for i in range(n):
            w = 1.0 / (a + b * x[i]) ** 2
            w0 += w
            t0 += w * target[i]
            if slope:
                w1 += w * x[i]
                w2 += w * x[i] * x[i]
                t1 += w * target[i] * x[i]
        if slope:
            determinant = w0 * w2 - w1 * w1
            new_a, new_b = (w2 * t0 - w1 * t1) / determinant, (w0 * t1 - w1 * t0) / determinant
        else:
            new_a, new_b = t0 / w0, 0.0
        step, gain = 1.0, 0.0
        for _ in range(40):
            try_a, try_b, tried = a + step * (new_a - a), b + step * (new_b - b), 0.0
            for i in range(n):
                s = try_a + try_b * x[i]
                tried += target[i] / s + math.log(s) if s > 0.0 else np.inf
            if tried < value:
                gain = value - tried
                a, b, value = try_a, try_b, tried
                break
            step *= 0.5
        if gain <= 1e-15 * n:
            break
    return a, b, value / n


@kernel
def _joint(
    xq: FloatArray, xe: FloatArray, slope: bool, y: FloatArray, p: float, rounds: int, turns: int
) -> tuple[float, float, float, float, float]:
    """Return both lines and the mean loss for a P&L that is nowhere positive."""
    n = y.size
    weights, target, start = np.ones(n), np.empty(n), np.zeros(2)
    aq = bq = ae = be = np.nan
    best = np.inf
    for _ in range(rounds):
        new_aq, new_bq = _line(xq, y, weights, p, turns)
        mean = 0.0
        for i in range(n):
            line = new_aq + new_bq * xq[i]
            target[i] = max(line - y[i], 0.0) / p - line
            mean += target[i] / n
        if not mean > 0.0:
            break
        if best == np.inf:
            start[0], start[1] = mean, 0.0
        else:
            start[0], start[1] = -ae, -be
        new_ae, new_be, value = _gamma(xe, slope, target, start)
        if best < np.inf and not value < best - 1e-14 * abs(best):
            break
        aq, bq, ae, be, best = new_aq, new_bq, -new_ae, -new_be, value
        for i in range(n):
            weights[i] = -1.0 / (ae + be * xe[i])
    return aq, bq, ae, be, best - 1.0


def fit_joint(xq: FloatArray, xe: FloatArray | None, pnl: FloatArray, p: float) -> JointFit:
    """Return the joint regression of the p-quantile and the tail mean of a P&L.

    Parameters
    ----------
    xq : array, shape (n,)
        Regressor of the quantile beside the constant; it must vary.
    xe : array, shape (n,) or None
        Regressor of the tail mean beside the constant; None for the constant alone.
    pnl : array, shape (n,)
        P&L in money, gains positive.
    p : float
        Tail probability.

    Returns
    -------
    JointFit
        The largest P&L is taken off before the fit and put back into both intercepts: the loss asks for a
        tail mean below 0.

    Examples
    --------
    >>> steps = np.arange(400.0)
    >>> fit = fit_joint(1.0 + steps % 7, None, np.sin(steps**2), 0.1)
    >>> fit.tail.shape, bool(fit.tail[0] < fit.quantile[0])
    ((1,), True)
    """
    top = float(np.max(pnl))
    slope = xe is not None
    regressor = xq if xe is None else xe
    aq, bq, ae, be, loss = _joint(xq, regressor, slope, pnl - top, p, _ROUNDS, _TURNS)
    tail = [ae + top, be] if slope else [ae + top]
    return JointFit(np.array([aq + top, bq]), np.array(tail), loss if math.isfinite(loss) else math.nan)
