"""Covariance of the calm majority of days: minimum covariance determinant, through ``statsmodels``."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.estimation.matrices.correlation_checks import smallest_eigenvalue
from pmkit.estimation.matrices.covariance_estimate import CovarianceEstimate, from_covariance
from pmkit.estimation.panel import checked_panel

__all__ = ["mcd_covariance"]


def mcd_covariance(returns: pd.DataFrame, support: float = 0.75) -> CovarianceEstimate:
    """Return the reweighted minimum-covariance-determinant covariance, squared decimal returns a bar.

    Use it beside the plain covariance, to see what a few days do to it; not for margin by itself, because the
    days it leaves out are the ones that margin is for.

    Parameters
    ----------
    returns : DataFrame, shape (T, n)
        Decimal returns, no gap, at least ``5 n`` and 20 rows, no collinear assets.
    support : float
        Share of the days whose covariance has the smallest determinant, from 0.5 (most robust) to 1.

    Returns
    -------
    CovarianceEstimate
        ``details["days left out"]``: rows farther from the centre than the 97.5 % quantile of chi-square.

    Raises
    ------
    SchemaError, ParameterError, DataGapError
        As for other panels; a share out of range; collinear assets.

    Notes
    -----
    Deterministic starts (DetMCD), then concentration steps and one reweighting. Columns are divided by their
    median absolute deviation first, because the convergence test of the library is absolute; the
    estimator is equivariant, so the result is the same in units of returns.

    References
    ----------
    Hubert, Rousseeuw and Verdonck (2012); Rousseeuw and Van Driessen (1999).

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> x = 0.01 * stream(2, "demo").standard_normal((200, 2))
    >>> x[:5] = [0.2, -0.2]
    >>> bool(abs(mcd_covariance(pd.DataFrame(x)).correlation.loc[0, 1]) < 0.2)
    True
    """
    if isinstance(support, bool) or not isinstance(support, (int, float)) or not 0.5 <= support <= 1.0:
        raise ParameterError(f"support is {support!r}", "a share of the days from 0.5 to 1", "0.75 is usual")
    width = returns.shape[1] if isinstance(returns, pd.DataFrame) else 0
    values, names = checked_panel(returns, fewest=max(5 * width, 20), least_columns=2, collinear=False)
    from statsmodels.robust.covariance import CovDetMCD

    rows = len(values)
    centre = np.median(values, axis=0)
    scale = np.median(np.abs(values - centre), axis=0) * 1.4826
    dead = np.flatnonzero(scale == 0.0)
    if dead.size:
        raise ParameterError(
            f"more than half of the returns of {names[dead[0]]!r} are equal",
            "returns that vary on most days",
            "drop the asset, or use rank_correlation",
        )
    z = (values - centre) / scale
    keep = min(max(math.ceil(support * rows), (rows + width + 1) // 2), rows - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns of matters that the checks below decide
        fitted = CovDetMCD(z).fit(keep)
    S = np.asarray(fitted.cov, dtype=np.float64)
    S = 0.5 * (S + S.T)
    good = bool(np.isfinite(S).all()) and smallest_eigenvalue(S) > 0.0
    if not good:
        raise ParameterError(
            "the half of the days that lies closest together is singular",
            "assets that move on most days",
            "drop assets that stand still, or raise support",
        )
    shift = z - np.asarray(fitted.mean, dtype=np.float64)
    distance = np.add.reduce(np.linalg.solve(S, shift.T) * shift.T, axis=0)
    from scipy.stats import chi2

    outside = float((distance > chi2.ppf(0.975, width)).sum())
    return from_covariance(
        S * scale[:, None] * scale[None, :],
        names,
        values,
        "minimum covariance determinant",
        details={"support days": float(keep), "days left out": outside},
        parameters={"support": float(support)},
        references=("hubert2012", "rousseeuw1999"),
    )
