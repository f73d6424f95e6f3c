"""The generalised Pareto law of excesses: likelihood, its maximum, quantile and tail mean."""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.types import FloatArray

__all__ = ["fit_excesses", "growth", "likelihood", "quantile_and_mean"]

#: below this the shape is taken as 0 in formulas that divide by it
_FLAT = 1e-6

#: shapes at or below this leave the likelihood without a regular maximum
LOWEST_SHAPE = -0.5


def likelihood(shape: float, scale: float, y: FloatArray) -> float:
    """Return the negative log-likelihood of excesses ``y``; infinite outside the support.

    Examples
    --------
    >>> likelihood(0.0, 1.0, np.array([1.0, 2.0]))
    3.0
    """
    if scale <= 0.0:
        return math.inf
    s = y / scale
    if abs(shape) < _FLAT:
        return float(
            y.size * math.log(scale) + np.add.reduce(s) * (1.0 + shape) - 0.5 * shape * np.add.reduce(s * s)
        )
    w = 1.0 + shape * s
    if not w.min() > 0.0:
        return math.inf
    return float(y.size * math.log(scale) + (1.0 + 1.0 / shape) * np.add.reduce(np.log1p(shape * s)))


def derivatives(shape: float, scale: float, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return gradient and Hessian of :func:`likelihood` in (shape, scale)."""
    s = y / scale
    w = 1.0 + shape * s
    a = float(np.add.reduce(s / w))
    b = float(np.add.reduce((s / w) ** 2))
    c = float(np.add.reduce(s / w**2))
    if abs(shape) < _FLAT:
        first = float(np.add.reduce(s - 0.5 * s * s))
        second = float(np.add.reduce(2.0 / 3.0 * s**3 - s * s))
    else:
        logs = float(np.add.reduce(np.log1p(shape * s)))
        first = -logs / shape**2 + (1.0 + 1.0 / shape) * a
        second = 2.0 * logs / shape**3 - 2.0 * a / shape**2 - (1.0 + 1.0 / shape) * b
    left = y.size - (1.0 + shape) * a
    mixed = (-a + (1.0 + shape) * b) / scale
    gradient = np.array([first, left / scale])
    hessian = np.array([[second, mixed], [mixed, (-left + (1.0 + shape) * c) / scale**2]])
    return gradient, hessian


def fit_excesses(y: FloatArray) -> tuple[float, float, FloatArray, str]:
    """Return shape, scale, their covariance and a status, by maximum likelihood of excesses ``y`` above 0.

    Notes
    -----
    With ``theta = shape / scale`` the shape is ``mean ln(1 + theta y)``, which leaves one unknown: a scan
    finds the basin, Newton steps with exact derivatives finish. Status ``at_bound``: the shape reached -0.5,
    where standard errors have no meaning.

    References
    ----------
    Grimshaw (1993).

    Examples
    --------
    >>> shape, scale, _, status = fit_excesses(-np.log(1.0 - (np.arange(400) + 0.5) / 400))
    >>> bool(abs(shape) < 0.02), status
    (True, 'ok')
    """
    unit = float(np.mean(y))
    x = y / unit
    top = float(x.max())
    # theta from just inside the support to very heavy tails, dense around 0
    grid = np.concatenate([-(1.0 - np.geomspace(1e-4, 0.999, 60)) / top, np.geomspace(1e-3, 1e3, 120)])
    best = (math.inf, 1e-4, 1.0)
    for theta in grid:
        shape = float(np.mean(np.log1p(theta * x)))
        if shape > LOWEST_SHAPE:
            best = min(best, (likelihood(shape, shape / theta, x), shape, shape / theta))
    value, shape, scale = best
    status = "not_converged"
    for _ in range(100):
        gradient, hessian = derivatives(shape, scale, x)
        if float(np.abs(gradient).max()) < 1e-9 * x.size:
            status = "ok"
            break
        curved = np.linalg.eigvalsh(hessian)[0] > 0.0
        step = -np.linalg.solve(hessian, gradient) if curved else -gradient / x.size
        length, moved = 1.0, False
        while length > 1e-12:
            at = (shape + length * step[0], scale + length * step[1])
            trial = likelihood(at[0], at[1], x) if at[0] > LOWEST_SHAPE - 0.05 else math.inf
            if trial <= value + 1e-13 * abs(value):
                moved = trial < value or length * float(np.abs(step).max()) > 1e-12
                value, (shape, scale) = min(trial, value), at
                break
            length *= 0.5
        if not moved:
            status = "ok" if float(np.abs(gradient).max()) < 1e-6 * x.size else "not_converged"
            break
    shape, scale = float(shape), float(scale)
    if shape <= LOWEST_SHAPE:
        return LOWEST_SHAPE, _scale_at_bound(x) * unit, np.full((2, 2), np.nan), "at_bound"
    hessian = derivatives(shape, scale, x)[1]
    if not np.linalg.eigvalsh(hessian)[0] > 0.0:
        return shape, scale * unit, np.full((2, 2), np.nan), "not_converged"
    units = np.array([1.0, unit])
    covariance = np.linalg.inv(hessian) * units[:, None] * units[None, :]
    return shape, scale * unit, 0.5 * (covariance + covariance.T), status


def _scale_at_bound(x: FloatArray) -> float:
    """Return the best scale where the shape stands at -0.5: the root of a falling function of the scale."""
    from scipy.optimize import brentq

    top = float(x.max())

    def slope(scale: float) -> float:
        s = x / scale
        return float(x.size - (1.0 + LOWEST_SHAPE) * np.add.reduce(s / (1.0 + LOWEST_SHAPE * s)))

    return float(brentq(slope, -LOWEST_SHAPE * top * (1.0 + 1e-9), 10.0 * top))


def growth(shape: float, span: float) -> tuple[float, float]:
    """Return ``(exp(shape span) - 1)/shape`` and its derivative in the shape.

    Examples
    --------
    >>> growth(0.0, 2.0)
    (2.0, 2.0)
    """
    if abs(shape) < _FLAT:
        return span + 0.5 * shape * span**2, 0.5 * span**2 + shape * span**3 / 3.0
    up = math.expm1(shape * span)
    return up / shape, (span * (up + 1.0) * shape - up) / shape**2


def quantile_and_mean(
    threshold: float, shape: float, scale: float, share: float, level: float
) -> tuple[float, float, FloatArray, FloatArray]:
    """Return VaR, ES and their gradients in (shape, scale, share); ES infinite for shapes of 1 or more.

    Examples
    --------
    >>> var, es, *_ = quantile_and_mean(2.0, 0.194755, 0.832582, 224 / 5030, 0.99)
    >>> round(var, 5), round(es, 5)
    (3.44335, 4.82638)
    """
    span = math.log(share / (1.0 - level))
    g, slope = growth(shape, span)
    var = threshold + scale * g
    d_var = np.array([scale * slope, g, scale * math.exp(shape * span) / share])
    if shape >= 1.0:
        return var, math.inf, d_var, np.full(3, math.nan)
    over = 1.0 - shape
    excess = scale * (g + 1.0) / over
    d_es = d_var / over + np.array([excess / over, 1.0 / over, 0.0])
    return var, threshold + excess, d_var, d_es
