"""Shrunk covariances: the sample pulled towards a simple target, by the amount the data ask for."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.estimation.matrices.correlation_checks import recompose
from pmkit.estimation.matrices.covariance_estimate import CovarianceEstimate, from_covariance
from pmkit.estimation.panel import checked_panel, cross_moment, optional_module, sample_covariance

__all__ = ["shrink_covariance"]

Target = Literal["identity", "constant-correlation", "nonlinear"]

_PAPERS: dict[str, tuple[str, ...]] = {
    "identity": ("ledoit2004a",),
    "constant-correlation": ("ledoit2004b",),
    "nonlinear": ("ledoit2020",),
}


def shrink_covariance(returns: pd.DataFrame, target: Target = "identity") -> CovarianceEstimate:
    """Return the shrunk covariance of a panel, squared decimal returns a bar.

    Use it where assets are many against rows: the sample covariance then has eigenvalues that are too
    spread out, so a margin on the most hedged combinations is too low.

    Parameters
    ----------
    returns : DataFrame, shape (T, n)
        Decimal returns, one column an asset, no gap, at least 12 rows.
    target : {"identity", "constant-correlation", "nonlinear"}
        ``identity``: towards the mean variance times the identity, intensity from scikit-learn.
        ``constant-correlation``: towards the sample variances with the mean correlation for each pair.
        ``nonlinear``: each eigenvalue by its own amount, by the analytical formula.

    Returns
    -------
    CovarianceEstimate
        ``intensity`` is the weight of the target, NaN for ``nonlinear``; ``details`` holds the target's
        level.

    Raises
    ------
    SchemaError, ParameterError, DataGapError
        As for other panels; another word for ``target``; a singular sample under ``nonlinear`` that is not
        due to more assets than rows.
    OptionalDependencyError
        ``identity`` without scikit-learn.

    Notes
    -----
    Linear: ``(1 - d) S + d F`` with ``S`` of divisor T. Nonlinear: eigenvalues ``l[i]`` of ``S`` (divisor
    ``m = T - 1``) become ``l / ((pi c l f)^2 + (1 - c - pi c l H)^2)`` with ``c = n/m``, ``f`` an
    Epanechnikov kernel density of the eigenvalues of bandwidth ``m^(-1/3) l[j]`` and ``H`` its Hilbert
    transform. Cost ``O(T n^2 + n^3)``.

    References
    ----------
    Ledoit and Wolf (2004a); (2004b), appendices; (2020).

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> r = pd.DataFrame(0.01 * stream(1, "demo").standard_normal((60, 4)), columns=list("ABCD"))
    >>> round(shrink_covariance(r, "constant-correlation").intensity, 4)
    0.3927
    """
    if target not in _PAPERS:
        raise ParameterError(f"target is {target!r}", f"one of {', '.join(_PAPERS)}", "name one of them")
    values, names = checked_panel(returns, fewest=12, least_columns=2)
    if target == "identity":
        S, intensity, details = _identity(values)
    elif target == "constant-correlation":
        S, intensity, details = _constant_correlation(values)
    else:
        S, intensity, details = nonlinear(sample_covariance(values), len(values) - 1), math.nan, {}
    return from_covariance(
        S,
        names,
        values,
        f"Ledoit-Wolf {target}",
        intensity=intensity,
        details=details,
        parameters={"target": target},
        references=_PAPERS[target],
    )


def _identity(values: FloatArray) -> tuple[FloatArray, float, dict[str, float]]:
    covariance = optional_module("sklearn.covariance", "shrinkage towards the identity")
    # unit scale keeps the squares of squares away from the smallest doubles; the intensity does not change
    scale = math.sqrt(float(np.mean(values.var(axis=0))))
    intensity = float(covariance.ledoit_wolf_shrinkage(values / scale))
    S = sample_covariance(values, len(values))
    level = float(np.add.reduce(np.diag(S).copy())) / len(S)
    return (1.0 - intensity) * S + intensity * level * np.eye(len(S)), intensity, {"mean variance": level}


def _constant_correlation(values: FloatArray) -> tuple[FloatArray, float, dict[str, float]]:
    """Return covariance, intensity and mean correlation; all sums in units of the mean variance."""
    rows, n = values.shape
    scale = math.sqrt(float(np.mean(values.var(axis=0))))
    x = (values - values.mean(axis=0)) / scale
    S = cross_moment(x) / rows
    sd = np.sqrt(np.diag(S))
    R = S / sd[:, None] / sd[None, :]
    above = np.triu_indices(n, 1)
    mean = float(np.add.reduce(R[above])) / above[0].size
    F = mean * sd[:, None] * sd[None, :]
    np.fill_diagonal(F, np.diag(S))
    # pi: summed asymptotic variance of the entries of S
    variance = cross_moment(x**2) / rows - S**2
    pi = float(np.add.reduce(variance.ravel()))
    # rho: summed asymptotic covariance of the entries of F and S
    theta = cross_moment(x**3, x) / rows - np.diag(S)[:, None] * S
    np.fill_diagonal(theta, 0.0)
    ratio = sd[None, :] / sd[:, None]
    diagonal = float(np.add.reduce(np.diag(variance).copy()))
    rho = diagonal + mean * float(np.add.reduce((ratio * theta).ravel()))
    gamma = float(np.add.reduce(((F - S) ** 2).ravel()))
    intensity = 1.0 if gamma == 0.0 else min(max((pi - rho) / gamma / rows, 0.0), 1.0)
    shrunk = scale**2 * ((1.0 - intensity) * S + intensity * F)
    return shrunk, intensity, {"mean correlation": mean}


def nonlinear(S: FloatArray, m: int) -> FloatArray:
    """Return the analytical nonlinear shrinkage of a covariance ``S`` with ``m`` degrees of freedom.

    Raises
    ------
    ParameterError
        Zero eigenvalues beyond the ``n - m`` that more assets than rows explain.

    Examples
    --------
    >>> nonlinear(np.diag([1.0, 2.0]), 50).round(4).tolist()
    [[1.1446, 0.0], [0.0, 1.9741]]
    """
    n = len(S)
    lam, vectors = np.linalg.eigh(S)
    null = max(n - m, 0)
    kept = lam[null:]
    if kept[0] <= 1e-12 * kept[-1]:
        raise ParameterError(
            f"eigenvalue {null + 1} of the sample covariance is {kept[0]:.3g}",
            "a positive one: assets that are not combinations of each other",
            "drop the collinear asset, or shrink towards the identity",
        )
    h = m ** (-1.0 / 3.0)
    width = h * kept[None, :]
    x = (kept[:, None] - kept[None, :]) / width
    root5 = math.sqrt(5.0)
    bump = 1.0 - x**2 / 5.0
    f = np.mean(0.75 / root5 * np.maximum(bump, 0.0) / width, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = np.where(np.abs(np.abs(x) - root5) < 1e-12, 0.0, np.log(np.abs((root5 - x) / (root5 + x))))
    H = np.mean((-0.3 / math.pi * x + 0.75 / root5 / math.pi * bump * log) / width, axis=1)
    c = n / m
    if null == 0:
        d = kept / ((math.pi * c * kept * f) ** 2 + (1.0 - c - math.pi * c * kept * H) ** 2)
        return recompose(vectors, d)
    inverse = float(np.mean(1.0 / kept))
    at_zero = (
        (
            0.3 / h**2
            + 0.75 / root5 / h * (1.0 - 0.2 / h**2) * math.log((1.0 + root5 * h) / abs(1.0 - root5 * h))
        )
        / math.pi
        * inverse
    )
    d0 = 1.0 / (math.pi * (n - m) / m * at_zero)
    d = kept / (math.pi**2 * kept**2 * (f**2 + H**2))
    return recompose(vectors, np.concatenate([np.full(null, d0), d]))
