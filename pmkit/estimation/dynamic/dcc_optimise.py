"""Maximum of a correlation likelihood: quasi-Newton steps from the exact score, inside the legal region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.estimation.dynamic.dcc_likelihood import CorrelationLikelihood, Evaluation

__all__ = ["TOLERANCE", "Maximum", "maximise", "to_free", "to_theta"]

#: expected gain of the next step, in log-likelihood, at which the search stops
TOLERANCE = 1e-9
_MAX_EVALUATIONS = 80
#: a parameter or the distance of the sum from 1 below this counts as at its bound
_AT_BOUND = 1e-6
#: free coordinates are kept here: ratios to b, and the distance of the sum from 1 (down to 3e-7)
_FARTHEST, _CLOSEST = 20.0, -15.0


@dataclass(frozen=True, kw_only=True)
class Maximum:
    """Parameters found, the likelihood there, how the search ended and what it took."""

    theta: FloatArray
    evaluation: Evaluation
    status: str
    evaluations: int


def to_theta(x: FloatArray, loss_bound: float) -> FloatArray:
    """Return (a, b) or (a, b, g) of the free vector: log ratios to b, log odds of ``1 - a - b - bound g``.

    Examples
    --------
    >>> to_theta(np.zeros(2), 1.0).tolist()
    [0.25, 0.25]
    """
    ratios = np.exp(np.append(x[:-1], 0.0))
    parts = ratios / ratios.sum() / (1.0 + np.exp(x[-1]))
    return np.array([parts[0], parts[-1], *(parts[1:-1] / loss_bound)])


def to_free(theta: FloatArray, loss_bound: float) -> FloatArray:
    """Return the free vector of parameters strictly inside their region; inverse of :func:`to_theta`."""
    parts = np.array([theta[0], *(np.asarray(theta[2:]) * loss_bound), theta[1]])
    rest = 1.0 - parts.sum()
    return np.append(np.log(parts[:-1] / parts[-1]), np.log(rest / (1.0 - rest)))


def _slopes(x: FloatArray, loss_bound: float) -> FloatArray:
    """Return d theta / d x."""
    ratios = np.exp(np.append(x[:-1], 0.0))
    shares = ratios / ratios.sum()
    used = 1.0 / (1.0 + np.exp(x[-1]))
    k = len(shares)
    J = np.empty((k, k))
    for column in range(k - 1):
        J[:, column] = -shares * shares[column] * used
        J[column, column] += shares[column] * used
    J[:, -1] = -shares * used * (1.0 - used)
    J[1:-1] /= loss_bound
    return J[[0, k - 1, *range(1, k - 1)]]


def maximise(
    likelihood: CorrelationLikelihood,
    theta: FloatArray,
    loss_bound: float = 1.0,
    tolerance: float = TOLERANCE,
) -> Maximum:
    """Return the maximum reached from ``theta``, a point strictly inside the region.

    Parameters
    ----------
    likelihood : CorrelationLikelihood
    theta : ndarray
        (a, b), or (a, b, g) for the asymmetric model.
    loss_bound : float
        ``a + b + loss_bound g < 1`` is kept.
    tolerance : float
        Expected gain of the next step, in log-likelihood, at which the search stops.

    Notes
    -----
    The first step takes the sum of products of scores for minus the Hessian; later ones correct it by the
    BFGS formula, and a step that does not raise the likelihood enough is halved.
    """
    x = to_free(np.asarray(theta, dtype=np.float64), loss_bound)
    best = likelihood.evaluate(to_theta(x, loss_bound))
    J = _slopes(x, loss_bound)
    slope = J.T @ best.gradient
    B = J.T @ best.outer @ J
    used, status = 1, "not_converged"
    low, high = np.full(x.size, -_FARTHEST), np.full(x.size, _FARTHEST)
    low[-1] = _CLOSEST
    free = np.ones(x.size, dtype=np.bool_)
    while used < _MAX_EVALUATIONS:
        # a coordinate that stands at its end and wants beyond is held there
        moving = ~((x <= low) & (slope < 0.0) | (x >= high) & (slope > 0.0))
        if not np.array_equal(moving, free):
            # what was learnt about the curvature on the way to the end does not hold along it
            free, B = moving, J.T @ best.outer @ J
        step = np.zeros(x.size)
        step[free] = _solve(B[np.ix_(free, free)], slope[free])
        if 0.5 * float(slope @ step) < tolerance:
            status = "ok"
            break
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        gain = float(slope @ step)
        for _ in range(30):
            fresh_x = np.clip(x + step, low, high)
            fresh = likelihood.evaluate(to_theta(fresh_x, loss_bound))
            used += 1
            if np.isfinite(fresh.value) and fresh.value >= best.value + 1e-4 * gain:
                break
            step, gain = 0.5 * step, 0.5 * gain
        else:
            # no rise is left that rounding does not hide
            status = "ok" if gain < 1e-6 else "not_converged"
            break
        J = _slopes(fresh_x, loss_bound)
        fresh_slope = J.T @ fresh.gradient
        moved, turned = fresh_x - x, slope - fresh_slope
        curvature, weight = float(turned @ moved), B @ moved
        if curvature > 1e-10 * float(moved @ moved):
            B += np.outer(turned, turned) / curvature - np.outer(weight, weight) / float(moved @ weight)
        else:
            B = J.T @ fresh.outer @ J
        x, best, slope = fresh_x, fresh, fresh_slope
    found = to_theta(x, loss_bound)
    if status == "ok" and min(*found, 1.0 - found[0] - found[1] - loss_bound * found[2:].sum()) < _AT_BOUND:
        status = "at_bound"
    return Maximum(theta=found, evaluation=best, status=status, evaluations=used)


def _solve(B: FloatArray, slope: FloatArray) -> FloatArray:
    """Return ``B^-1 slope``, with a ridge that keeps flat directions from running away."""
    if slope.size == 0:
        return slope
    scale = float(np.trace(B))
    return np.asarray(np.linalg.solve(B + 1e-10 * scale * np.eye(len(B)) + 1e-300 * np.eye(len(B)), slope))
