"""Likelihood of the normal and t copula, and correlation matrices as free parameters."""

from __future__ import annotations

import math

import numpy as np

from pmkit.core.types import FloatArray

__all__ = ["copula_loglik", "copula_loglik_rows", "correlation_of", "partials_of", "quantiles"]


def quantiles(u: FloatArray, nu: float) -> FloatArray:
    """Return the normal (``nu`` infinite) or t quantiles of probabilities."""
    from scipy.special import ndtri, stdtrit

    return np.asarray(ndtri(u) if math.isinf(nu) else stdtrit(nu, u))


def copula_loglik(x: FloatArray, R: FloatArray, nu: float) -> float:
    """Return the log-likelihood of the copula at quantiles ``x`` (T, n); -inf where R is not definite.

    Examples
    --------
    >>> copula_loglik(np.zeros((1, 2)), np.eye(2), math.inf) + 0.0
    0.0
    """
    try:
        rows = copula_loglik_rows(x, R, nu)
    except np.linalg.LinAlgError:
        return -math.inf
    return float(np.add.reduce(rows))


def copula_loglik_rows(x: FloatArray, R: FloatArray, nu: float) -> FloatArray:
    """Return the log-density of the copula at each row of quantiles ``x``, shape (T,)."""
    L = np.linalg.cholesky(R)
    n = x.shape[1]
    y = np.linalg.solve(L, x.T)
    q = np.add.reduce(y * y, axis=0)
    half_log_det = float(np.add.reduce(np.log(np.diag(L).copy())))
    if math.isinf(nu):
        return np.asarray(-half_log_det - 0.5 * (q - np.add.reduce(x * x, axis=1)))
    constant = (
        math.lgamma(0.5 * (nu + n)) + (n - 1) * math.lgamma(0.5 * nu) - n * math.lgamma(0.5 * (nu + 1.0))
    )
    own = np.add.reduce(np.log1p(x * x / nu), axis=1)
    return np.asarray(constant - half_log_det - 0.5 * (nu + n) * np.log1p(q / nu) + 0.5 * (nu + 1.0) * own)


def correlation_of(free: FloatArray, n: int) -> FloatArray:
    """Return the correlation matrix of ``n (n - 1)/2`` free numbers: canonical partial correlations by tanh.

    Any real numbers give a positive definite matrix, and any such matrix comes from one vector.

    Examples
    --------
    >>> correlation_of(np.array([0.5493061443]), 2).round(6).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    L = np.zeros((n, n))
    at = 0
    for i in range(n):
        left = 1.0
        for j in range(i):
            z = math.tanh(float(free[at]))
            L[i, j] = z * math.sqrt(left)
            left -= L[i, j] ** 2
            at += 1
        L[i, i] = math.sqrt(max(left, 1e-16))
    R = np.add.reduce(L[:, None, :] * L[None, :, :], axis=2)
    np.fill_diagonal(R, 1.0)
    return np.asarray(R)


def partials_of(R: FloatArray) -> FloatArray:
    """Return the free numbers of a positive definite correlation, inverse of :func:`correlation_of`."""
    L = np.linalg.cholesky(R)
    out = []
    for i in range(len(R)):
        left = 1.0
        for j in range(i):
            out.append(
                math.atanh(min(max(float(L[i, j]) / math.sqrt(max(left, 1e-300)), -0.999999), 0.999999))
            )
            left -= float(L[i, j]) ** 2
    return np.array(out)
