"""Two-step covariance of the parameters of a dynamic correlation: the target's own error is part of it."""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.estimation.dynamic.dcc_likelihood import CorrelationLikelihood
from pmkit.estimation.dynamic.dcc_recursion import forms, moment

__all__ = ["expansion", "newey_west", "sandwich", "two_step_covariance"]

#: relative step of the differences of the exact score
_STEP = 1e-3


def newey_west(x: FloatArray, lags: int) -> FloatArray:
    """Return the sum over rows of ``x_t x_t'`` with Bartlett-weighted lagged products.

    Parameters
    ----------
    x : ndarray, shape (rows, p)
        Mean about 0.
    lags : int
        0 or more; weight ``1 - l / (lags + 1)`` at lag l.

    References
    ----------
    Newey and West (1987).

    Examples
    --------
    >>> newey_west(np.array([[1.0], [-1.0], [1.0]]), 1).tolist()
    [[1.0]]
    """
    rows = len(x)
    total = moment(x, x) * rows
    for lag in range(1, min(lags, rows - 1) + 1):
        part = moment(np.ascontiguousarray(x[lag:]), np.ascontiguousarray(x[:-lag])) * (rows - lag)
        total += (1.0 - lag / (lags + 1.0)) * (part + part.T)
    return total


def two_step_covariance(
    likelihood: CorrelationLikelihood, theta: FloatArray, loss_bound: float, lags: int
) -> FloatArray:
    """Return the covariance of the parameters, NaN where the curvature is not that of a maximum.

    Parameters
    ----------
    likelihood : CorrelationLikelihood
    theta : ndarray, shape (p,)
        The maximum, inside its region.
    loss_bound : float
        ``a + b + loss_bound g < 1``.
    lags : int
        Of the Newey-West sum of influences.

    Notes
    -----
    ``V = H^-1 J H^-1`` with H and the influences of :func:`expansion`, whose Newey-West sum is J. The margins
    count as known.

    References
    ----------
    Engle and Sheppard (2001).
    """
    return sandwich(*expansion(likelihood, theta, loss_bound), lags)


def sandwich(H: FloatArray, influence: FloatArray, lags: int) -> FloatArray:
    """Return ``H^-1 J H^-1``, J the Newey-West sum of influences; NaN where H is not negative definite."""
    if not bool((np.linalg.eigvalsh(H) < 0.0).all()):
        return np.full(H.shape, np.nan)
    bread = np.linalg.inv(H)
    V = bread @ newey_west(influence, lags) @ bread
    return np.asarray(0.5 * (V + V.T))


def expansion(
    likelihood: CorrelationLikelihood, theta: FloatArray, loss_bound: float
) -> tuple[FloatArray, FloatArray]:
    """Return the Hessian along the profile and the influence of each day on the score, shape (rows, p).

    Notes
    -----
    H is the derivative of the score along the profile, by central differences of the exact score; a day's
    influence is ``s_t + (d s / d S)' (moment of day t - S)``, where S is the target estimated in the step
    before.
    """
    p = len(theta)
    here = likelihood.evaluate(theta, pressure=True)
    room = 1.0 - theta[0] - theta[1] - loss_bound * float(theta[2:].sum())
    H, influence = np.empty((p, p)), here.scores.copy()
    e, _, S, _ = likelihood.target(theta)
    # innovations of unit moment: in the corrected model the target is their correlation, not their covariance
    x = (
        np.ascontiguousarray(e / np.sqrt(np.add.reduce(e * e, axis=0) / len(e)))
        if likelihood.corrected
        else e
    )
    tables = [x, likelihood.minus]
    for k in range(p):
        h = _STEP * min(float(theta[k]), room)
        shift = np.zeros(p)
        shift[k] = h
        above = likelihood.evaluate(theta + shift, pressure=True)
        below = likelihood.evaluate(theta - shift, pressure=True)
        H[k] = (above.gradient - below.gradient) / (2.0 * h)
        turned = (above.pressure - below.pressure) / (2.0 * h * len(e))
        for kind, B in enumerate(turned):
            weights = np.tril(B)
            if likelihood.corrected:
                pairs = np.tril(B, -1) + np.tril(B, -1).T
                weights = np.tril(B, -1) - 0.5 * np.diag(np.add.reduce(pairs * S, axis=1))
            part = np.empty(len(e))
            forms(tables[kind], weights, part)
            influence[:, k] += part - np.add.reduce(part) / len(part)
    return 0.5 * (H + H.T), influence
