"""Sandwich covariance of the joint regression of VaR and ES, with terms for a model that is not the true one.

Three nuisance quantities enter: the density of the P&L at the fitted quantile, from two quantile regressions
beside it; the variance of the P&L below it, from a location-scale model with the residuals' own law; and the
probability of falling below it.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import norm

from pmkit.backtest.es.regression_fit import JointFit, quantile_line
from pmkit.backtest.var.regressors import standardised
from pmkit.core.types import FloatArray

__all__ = ["covariance"]

_BINS = 1000  # of the residuals, for the bandwidth of their density
_POINTS = 32  # at which the truncated variance is evaluated; between them it is linear
_TOO_FEW = 2  # residuals below the quantile that tell nothing about their variance
_EPS = float(np.finfo(np.float64).eps) ** (2.0 / 3.0)


def _design(x: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(x.size), x])


def _outer(left: FloatArray, right: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the mean of w·l r' over the observations."""
    mean: FloatArray = np.einsum("ni,nj,n->ij", left, right, weights) / weights.size
    return mean


def _density(x: FloatArray, pnl: FloatArray, p: float) -> FloatArray:
    """Return the density at the quantile from regressions at p ± h, h by Hall and Sheather's rule."""
    z = float(norm.ppf(p))
    curve = 1.5 * float(norm.pdf(z)) ** 2 / (2.0 * z * z + 1.0)
    h = (float(norm.isf(0.025)) ** 2 * curve / pnl.size) ** (1.0 / 3.0)
    h = min(h, 0.9 * p)
    (a_low, b_low), (a_high, b_high) = quantile_line(x, pnl, p - h), quantile_line(x, pnl, p + h)
    rise = a_high - a_low + (b_high - b_low) * x - _EPS
    density: FloatArray = np.maximum(0.0, 2.0 * h / np.where(rise == 0.0, np.inf, rise))
    return density


def _location_scale(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and deviation of each value, both linear in x, by normal maximum likelihood.

    A line through all values leaves no deviation: then it is 0 or not positive everywhere.
    """
    design = _design(standardised(x))
    mean = np.asarray(np.linalg.lstsq(design, y, rcond=None)[0], dtype=np.float64)
    sizes = np.abs(y - design @ mean)
    spread = np.asarray(np.linalg.lstsq(design, sizes, rcond=None)[0], dtype=np.float64)
    spread[0] += max(0.0, 0.001 * float(np.mean(sizes)) - float(np.min(design @ spread)))

    def value(mean: FloatArray, spread: FloatArray) -> float:
        sigma = design @ spread
        if not (sigma > 0.0).all():
            return math.inf
        return float(np.add.reduce(np.log(sigma) + 0.5 * ((y - design @ mean) / sigma) ** 2))

    current = value(mean, spread)
    for _ in range(100 if math.isfinite(current) else 0):
        sigma, gap = design @ spread, y - design @ mean
        weighted = design / sigma[:, None] ** 2
        information = weighted.T @ design
        slopes = np.column_stack(
            [weighted.T @ gap, 0.5 * (weighted.T @ (sigma * ((gap / sigma) ** 2 - 1.0)))]
        )
        # By least squares, as one wild loss may leave one direction only.
        d_mean, d_spread = np.linalg.lstsq(information, slopes, rcond=None)[0].T
        step = 1.0
        for _ in range(40):
            tried = value(mean + step * d_mean, spread + step * d_spread)
            if tried < current:
                break
            step *= 0.5
        else:
            break
        gain, current = current - tried, tried
        mean, spread = mean + step * d_mean, spread + step * d_spread
        if gain <= 1e-10 * max(1.0, abs(current)):
            break
    return design @ mean, design @ spread


def _bandwidth(z: FloatArray) -> float:
    """Return Sheather and Jones's bandwidth of a normal kernel, from binned distances."""
    n = z.size
    low, high = np.percentile(z, [25.0, 75.0])
    scale = min(float(np.std(z, ddof=1)), float(high - low) / 1.349)
    width = (float(np.ptp(z)) * 1.01) / _BINS
    bins = np.bincount((np.abs(z - z.min()) / width).astype(np.int64), minlength=_BINS).astype(np.float64)
    pairs = np.correlate(bins, bins, mode="full")[bins.size - 1 :]
    pairs[0] = 0.5 * (pairs[0] - n)  # each pair once; a value is no pair with itself
    distance = (np.arange(pairs.size) * width) ** 2

    def curvature(h: float, order: int) -> float:
        d = distance / h**2
        near = d < 1000.0
        d, count = d[near], pairs[near]
        shape, own = (
            (d * d - 6.0 * d + 3.0, 3.0) if order == 4 else (d**3 - 15.0 * d * d + 45.0 * d - 15.0, -15.0)
        )
        total = 2.0 * float(np.add.reduce(np.exp(-0.5 * d) * shape * count)) + n * own
        return float(total / (n * (n - 1.0) * h ** (order + 1) * math.sqrt(2.0 * math.pi)))

    first, second = 1.24 * scale * n ** (-1.0 / 7.0), 1.23 * scale * n ** (-1.0 / 9.0)
    ratio = 1.357 * abs(curvature(first, 4) / curvature(second, 6)) ** (1.0 / 7.0)
    level = 1.0 / (2.0 * math.sqrt(math.pi) * n)

    def gap(h: float) -> float:
        rough = curvature(ratio * math.pow(h, 5.0 / 7.0), 4)
        return math.pow(level / rough, 0.2) - h if rough > 0.0 else math.inf

    top = 1.144 * scale * math.pow(n, -0.2)
    if not (math.isfinite(gap(0.1 * top)) and gap(0.1 * top) * gap(top) < 0.0):
        return top
    root: float = brentq(gap, 0.1 * top, top, xtol=1e-6 * top)
    return root


def _truncated(z: FloatArray, edge: FloatArray) -> FloatArray:
    """Return the variance below each edge of the kernel density of z, shape (n,); NaN where nothing is."""
    h = _bandwidth(z)
    low, high = float(np.min(edge)), float(np.max(edge))
    grid = np.linspace(low, high, _POINTS) if high > low else np.array([low])
    u = (grid[:, None] - z) / h
    below, bell = np.asarray(ndtr(u), dtype=np.float64), np.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
    mass = np.add.reduce(below, axis=1)
    mass = np.where(mass > 0.0, mass, np.nan)
    mean = np.add.reduce(z * below - h * bell, axis=1) / mass
    square = np.add.reduce((z * z + h * h) * below - h * (grid[:, None] + z) * bell, axis=1) / mass
    return np.asarray(np.interp(edge, grid, square - mean**2))


def _nuisance(x: FloatArray, residuals: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Return the variance below the quantile and the probability of it, or None where too few lie there."""
    below = residuals <= 0.0
    if int(np.count_nonzero(below)) <= _TOO_FEW:
        return None
    size = float(np.mean(np.abs(residuals)))
    mean, sigma = _location_scale(x, residuals / size if size > 0.0 else residuals)
    if not (sigma > 0.0).all():
        return None
    mean, sigma = mean * size, sigma * size
    z, edge = (residuals - mean) / sigma, -mean / sigma
    probability = np.searchsorted(np.sort(z), edge, side="right") / z.size
    variance = sigma**2 * _truncated(z, edge)
    if not (np.isfinite(variance) & (variance >= 0.0)).all():
        variance = np.full(z.size, float(np.var(residuals[below], ddof=1)))
    return variance, probability


def covariance(
    fit: JointFit, xq: FloatArray, xe: FloatArray | None, pnl: FloatArray, p: float
) -> FloatArray | None:
    """Return the covariance of the coefficients, the quantile first; None if it has none.

    Parameters
    ----------
    fit : JointFit
        Of the same data.
    xq, xe, pnl, p
        As in :func:`~pmkit.backtest.es.regression_fit.fit_joint`.

    Returns
    -------
    array, shape (3, 3) or (4, 4), or None

    Notes
    -----
    Λ⁻¹ΣΛ⁻¹/n. With q and e the fitted quantile and tail mean less the largest P&L, g = -1/e, f the density at
    the quantile, F the probability below it and v the variance below it, the blocks of Λ are the means of
    x_q x_q' g f/p, of x_q x_e' g²(F - p)/p, and of x_e x_e'(g² - 2 q (F - p)/(p e³)). The R package esreg
    0.6.2 has the last term without its factor 2, so that its p-values differ: 0.0005 against 0.0002 for the
    strict test on its own example.
    """
    top = float(np.max(pnl))
    left = _design(xq)
    right = np.ones((pnl.size, 1)) if xe is None else _design(xe)
    q, e = left @ fit.quantile - top, right @ fit.tail - top
    below = _nuisance(xq, pnl - top - q)
    if below is None:
        return None
    (variance, probability), density = below, _density(xq, pnl, p)
    g, gap, off = -1.0 / e, q - e, (probability - p) / p
    odds = (1.0 - p) / p
    bread = np.block(
        [
            [_outer(left, left, g * density / p), _outer(left, right, g**2 * off)],
            [_outer(right, left, g**2 * off), _outer(right, right, g**2 + 2.0 * g**3 * q * off)],
        ]
    )
    cross = g**3 * (odds * gap + odds * q * off - gap * off)
    meat = np.block(
        [
            [_outer(left, left, g**2 * (odds + (1.0 - 2.0 * p) * off / p)), _outer(left, right, cross)],
            [
                _outer(right, left, cross),
                _outer(right, right, g**4 * (variance / p + odds * gap**2 - 2.0 * gap * q * off)),
            ],
        ]
    )
    if not np.isfinite(bread).all() or not np.linalg.cond(bread) < 1e14:
        return None
    inverse = np.linalg.inv(bread)
    found: FloatArray = inverse @ meat @ inverse.T / pnl.size
    return found
