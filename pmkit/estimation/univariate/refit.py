"""GARCH(1,1) and GJR refitted window after window: each fit starts from the maxima of the one before."""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.types import FloatArray, IntArray
from pmkit.estimation.univariate.garch_maxima import MOST_MAXIMA, best_climb
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

__all__ = ["filter_between", "no_maxima", "refit_windows"]

#: cold starts look for other maxima once so much of the window is new since they last did: _SOON of it while
#: several maxima are known or one was lost, then twice as much from search to search, _LATE of it at most;
#: that falls from _LONG returns to one return at _SHORT, because short windows have several maxima often
_SOON, _LATE, _SHORT, _LONG = 0.005, 0.03, 500, 1000
#: and where the variance at which the recursion starts has changed by this factor since then
_SHIFTED = 2.0


def no_maxima() -> tuple[FloatArray, IntArray]:
    """Return ``maxima`` and ``known`` of :func:`refit_windows` before the first window."""
    return np.zeros((MOST_MAXIMA, 6)), np.zeros(3, np.int64)


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
    maxima: FloatArray,
    known: IntArray,
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
    maxima : ndarray, shape (MOST_MAXIMA, 6)
        ``mu, omega, alpha, gamma, beta, eta`` of the maxima that the fit before the first window found,
        highest first; those of the last window on return.
    known : ndarray of int64, shape (3,)
        How many rows of ``maxima`` are in use, the end of the window that cold starts searched last, and
        after how many more returns they search again.
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
        Filled with that of the last window.

    Notes
    -----
    From one window to the next every known maximum is followed, and the highest is the fit. Cold starts look
    for others where a climb fails or goes far, and every so often: soon where several maxima are known, the
    later the longer there was only one, once 3 per cent of the window is new or the variance at its start has
    doubled or halved at the latest, and in every window of 500 returns or fewer. A fit that fails altogether
    is recorded, and the next window starts from the last maxima found.
    """
    work = workspace()
    for k in range(first.size):
        window = y[first[k] : last[k]]
        v, start = _level_of(window, free_mean)
        if starts[k] > 0.0:
            start = starts[k]
        search = known[0] == 0 or last[k] - known[1] >= known[2]
        if not search and known[1] >= window.size:
            _, before = _level_of(y[known[1] - window.size : known[1]], free_mean)
            search = max(start, before) > _SHIFTED * min(start, before)
        value, outcome, evaluations, count, searched = best_climb(
            window, v, start, free_mean, asymmetric, student, search, plan, maxima, known[0], params[k],
            hessian, work,
        )  # fmt: skip
        share = min(1.0, (window.size - _SHORT) / (_LONG - _SHORT))
        late = max(1, math.ceil(_LATE * window.size * share))
        soon = min(late, math.ceil(_SOON * window.size))
        if count > 1 or count < known[0]:
            known[2] = soon
        elif searched:
            known[2] = min(max(2 * known[2], soon), late)
        known[0] = count
        if searched:
            known[1] = last[k]
        starts[k], logliks[k] = start, value
        notes[k, 0], notes[k, 1], notes[k, 2] = outcome, evaluations, int(searched)


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
