"""GARCH(1,1) and GJR refitted window after window: each fit starts where the last one ended."""

from __future__ import annotations

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.estimation.univariate.garch_newton import AT_WALL, best_climb, copy
from pmkit.estimation.univariate.garch_newton_likelihood import (
    ALPHA,
    BETA,
    GAMMA,
    MU,
    OMEGA,
    workspace,
)
from pmkit.estimation.univariate.recursion import START_DECAY, START_ROWS
from pmkit.pricing.numeric import kernel, stage

__all__ = ["filter_between", "refit_windows"]


@stage
def _level_of(y: FloatArray, free_mean: bool) -> tuple[float, float]:
    """Return the mean square about the mean (or about 0), and where the recursion starts."""
    mean = 0.0
    if free_mean:
        for t in range(y.size):
            mean += y[t]
        mean /= y.size
    square, weight, weighted, weights = 0.0, 1.0, 0.0, 0.0
    for t in range(y.size):
        e = y[t] - mean
        square += e * e
        if t < START_ROWS:
            weighted += weight * (e * e)
            weights += weight
            weight *= START_DECAY
    return square / y.size, weighted / weights


@kernel
def refit_windows(
    y: FloatArray,
    first: IntArray,
    last: IntArray,
    free_mean: bool,
    asymmetric: bool,
    student: bool,
    plan: IntArray,
    theta: FloatArray,
    warm: bool,
    params: FloatArray,
    starts: FloatArray,
    logliks: FloatArray,
    notes: IntArray,
    hessian: FloatArray,
) -> None:
    """Fit ``y[first[k]:last[k]]`` for every k, in order.

    Parameters
    ----------
    y : ndarray
        Returns in any unit.
    first, last : ndarray of int64, shape (K,)
        Windows, in the order in which they are fitted.
    free_mean, asymmetric, student : bool
        Whether ``mu``, ``gamma`` and ``eta`` are estimated.
    plan : ndarray
        From :func:`pmkit.estimation.univariate.garch_newton_likelihood.plan_of`.
    theta : ndarray, shape (6,)
        ``mu, omega, alpha, gamma, beta, eta`` of the fit before the first window where ``warm``; those of the
        last usable fit on return.
    warm : bool
        Whether ``theta`` holds a fit; otherwise the first window is fitted from cold starts.
    params : ndarray, shape (K, 6)
        Filled.
    starts : ndarray, shape (K,)
        Variance at which each recursion starts; where 0, filled with that of
        :func:`pmkit.estimation.univariate.recursion.start_variance`.
    logliks : ndarray, shape (K,)
        Filled.
    notes : ndarray of int64, shape (K, 3)
        Filled: outcome, evaluations of the likelihood, and 1 where cold starts were used.
    hessian : ndarray, shape (6, 6)
        Filled with that of the last window, in ``theta``.

    Notes
    -----
    A warm fit that fails or hardly responds to shocks is repeated from cold starts and the best kept. A fit
    that fails altogether is recorded, and the next window starts from the last good one.
    """
    work = workspace()
    trial = np.empty(6)
    for k in range(first.size):
        window = y[first[k] : last[k]]
        v, start = _level_of(window, free_mean)
        if starts[k] > 0.0:
            start = starts[k]
        copy(trial, theta)
        value, outcome, evaluations, cold = best_climb(
            window, v, start, free_mean, asymmetric, student, warm, plan, trial, hessian, work
        )
        if outcome <= AT_WALL:
            copy(theta, trial)
            warm = True
        copy(params[k], trial)
        starts[k], logliks[k] = start, value
        notes[k, 0], notes[k, 1], notes[k, 2] = outcome, evaluations, int(cold)


@kernel
def filter_between(
    y: FloatArray,
    first: IntArray,
    last: IntArray,
    until: IntArray,
    params: FloatArray,
    starts: FloatArray,
    variances: FloatArray,
) -> None:
    """Fill ``variances[t]`` for ``last[k] <= t < until[k]`` with the filter of fit k run from ``first[k]``.

    ``variances[t]`` knows ``y[:t]`` only; it is one longer than ``y``.
    """
    for k in range(first.size):
        mu, omega, alpha = params[k, MU], params[k, OMEGA], params[k, ALPHA]
        gamma, beta = params[k, GAMMA], params[k, BETA]
        h = omega + (alpha + 0.5 * gamma + beta) * starts[k]
        for t in range(first[k], until[k]):
            if t >= last[k]:
                variances[t] = h
            if t < y.size:
                e = y[t] - mu
                slope = alpha + gamma if e < 0.0 else alpha
                h = omega + slope * (e * e) + beta * h
