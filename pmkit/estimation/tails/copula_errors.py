"""Sampling error of a copula's parameters when ranks stand for the margins."""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.types import FloatArray
from pmkit.estimation.tails.copula_likelihood import copula_loglik_rows, quantiles

__all__ = ["nu_influence"]

#: relative step in nu, and step in a correlation, of central differences
_NU_STEP, _R_STEP = 1e-3, 1e-4


def nu_influence(u: FloatArray, R: FloatArray, nu: float, method: str) -> FloatArray:
    """Return what each row adds to the error of ``nu``, shape (T,); its variance over T is that of ``nu``.

    Parameters
    ----------
    u : ndarray, shape (T, n)
        Ranks over ``T + 1``.
    R : ndarray, shape (n, n)
    nu : float
        At the maximum.
    method : {"tau", "ml"}
        How the correlations were found: from Kendall's tau, or with ``nu`` by maximum likelihood.

    Notes
    -----
    With score ``s``, information ``I`` and rank terms ``W_j(v) = E[(1{v <= U_j} - U_j) ds/du_j]``, an
    estimate from ranks moves by ``I^-1 (s + sum_j W_j)`` for each row. Correlations from tau move by
    ``pi/2 cos(pi tau/2) 2 (4 C(u, v) - 2 u - 2 v + 1 - tau)`` and carry that into ``nu``. Rows count as
    independent.

    References
    ----------
    Genest, Ghoudi and Rivest (1995), section 4.
    """
    n = len(R)
    pairs = np.triu_indices(n, 1)
    h = _NU_STEP * nu
    up, down, middle = (_state(u, R, nu + k * h) for k in (1, -1, 0))
    score = (up[0] - down[0]) / (2.0 * h)
    information = -float(np.mean(up[0] - 2.0 * middle[0] + down[0])) / (h * h)
    cross = -(up[2] - down[2])[pairs] / (2.0 * h)
    moved = score + _rank_terms(u, (up[1] - down[1]) / (2.0 * h))
    if not information > 0.0:
        return np.full(len(u), math.nan)
    if method == "tau":
        for c, i, j in zip(cross, *pairs, strict=True):
            moved -= c * _tau_influence(u[:, i], u[:, j])
        return np.asarray(moved / information)
    return _joint(u, R, nu, moved, information, cross)


def _joint(
    u: FloatArray, R: FloatArray, nu: float, moved: FloatArray, information: float, cross: FloatArray
) -> FloatArray:
    """Return the influence on ``nu`` where the correlations maximise the same likelihood."""
    pairs = np.triu_indices(len(R), 1)
    size = cross.size
    whole = np.empty((size + 1, size + 1))
    whole[-1, -1] = information
    whole[-1, :-1] = whole[:-1, -1] = cross
    rows = np.empty((len(u), size + 1))
    rows[:, -1] = moved
    for k, (i, j) in enumerate(zip(*pairs, strict=True)):
        move = np.zeros_like(R)
        move[i, j] = move[j, i] = _R_STEP
        up, down = (_state(u, R + sign * move, nu) for sign in (1.0, -1.0))
        score = (up[0] - down[0]) / (2.0 * _R_STEP)
        rows[:, k] = score + _rank_terms(u, (up[1] - down[1]) / (2.0 * _R_STEP))
        whole[k, :-1] = -(up[2] - down[2])[pairs] / (2.0 * _R_STEP)
    whole = 0.5 * (whole + whole.T)
    if not float(np.linalg.eigvalsh(whole)[0]) > 0.0:
        return np.full(len(u), math.nan)
    weights = np.linalg.solve(whole, np.eye(size + 1)[-1])
    return np.asarray(np.add.reduce(rows * weights, axis=1))


def _state(u: FloatArray, R: FloatArray, nu: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return log-density and its slopes in ``u`` by row, and the mean slope in each correlation."""
    x = quantiles(u, nu)
    n = len(R)
    inverse = np.linalg.inv(R)
    w = np.add.reduce(x[:, None, :] * inverse[None, :, :], axis=2)
    q = np.add.reduce(x * w, axis=1)
    pull = (nu + n) / (nu + q)
    slopes = (nu + 1.0) * x / (nu + x * x) - pull[:, None] * w
    density = np.exp(
        math.lgamma(0.5 * (nu + 1.0))
        - math.lgamma(0.5 * nu)
        - 0.5 * math.log(nu * math.pi)
        - 0.5 * (nu + 1.0) * np.log1p(x * x / nu)
    )
    pulled = (w * pull[:, None])[:, :, None] * w[:, None, :]
    # an off-diagonal entry stands twice in R
    gradient = np.add.reduce(pulled, axis=0) / len(u) - inverse
    return copula_loglik_rows(x, R, nu), slopes / density, gradient


def _rank_terms(u: FloatArray, slopes: FloatArray) -> FloatArray:
    """Return ``sum_j E[(1{u_ij <= U_j} - U_j) slope_j]`` for each row i, the sample as the law."""
    total = np.zeros(len(u))
    for v, d in zip(u.T, slopes.T, strict=True):
        order = np.argsort(v, kind="stable")
        above = np.empty(len(v))
        above[order] = np.cumsum(d[order][::-1])[::-1]
        total += (above - float(np.add.reduce(d * v))) / len(v)
    return total


def _tau_influence(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return what each row adds to ``sin(pi tau/2)``."""
    rows = len(a)
    order = np.argsort(a, kind="stable")
    below = np.empty(rows)
    below[order] = _earlier_and_lower(b[order])
    concordant = 4.0 * below / rows - 2.0 * a - 2.0 * b + 1.0
    tau = float(np.mean(concordant))
    return np.asarray(0.5 * math.pi * math.cos(0.5 * math.pi * tau) * 2.0 * (concordant - tau))


def _earlier_and_lower(values: FloatArray) -> FloatArray:
    """Return for each entry how many earlier ones are smaller, by merging sorted halves.

    Examples
    --------
    >>> _earlier_and_lower(np.array([2.0, 1.0, 3.0])).tolist()
    [0.0, 0.0, 2.0]
    """
    count = np.zeros(len(values))
    width = 1
    while width < len(values):
        for begin in range(0, len(values) - width, 2 * width):
            left = np.sort(values[begin : begin + width])
            right = slice(begin + width, begin + 2 * width)
            count[right] += np.searchsorted(left, values[right], side="left")
        width *= 2
    return count
