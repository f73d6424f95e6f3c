"""Correlations that outliers move little: Kendall, Spearman and Gerber, each with its variant named."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.estimation.matrices.correlation_checks import unit_diagonal
from pmkit.estimation.matrices.covariance_estimate import CovarianceEstimate, from_correlation
from pmkit.estimation.panel import checked_panel, cross_moment

__all__ = ["gerber_correlation", "rank_correlation"]


def rank_correlation(
    returns: pd.DataFrame,
    method: Literal["kendall", "spearman"] = "kendall",
    *,
    scale: Literal["pearson", "rank"] = "pearson",
    repair: bool = True,
) -> CovarianceEstimate:
    """Return rank correlations of a panel, by default mapped to the scale of a linear correlation.

    Parameters
    ----------
    returns : DataFrame, shape (T, n)
        Decimal returns, no gap, at least 12 rows.
    method : {"kendall", "spearman"}
        Kendall's tau-b, or the linear correlation of mid-ranks.
    scale : {"pearson", "rank"}
        ``pearson``: ``sin(pi tau / 2)``, exact for elliptical laws, or ``2 sin(pi rho / 6)``, exact for the
        normal law only. ``rank``: as measured.
    repair : bool
        Whether a matrix that is not positive semidefinite is replaced by the nearest one; the result says so
        and lists the pairs that moved. Refused where False.

    Returns
    -------
    CovarianceEstimate
        Standard deviations are those of the sample.

    Raises
    ------
    SchemaError, ParameterError, DataGapError
        As for other panels; unknown words; an indefinite matrix with ``repair=False``.

    References
    ----------
    Lindskog, McNeil and Schmock (2003); Kendall (1938).

    Examples
    --------
    >>> r = pd.DataFrame({"A": np.arange(20) / 100, "B": np.arange(20) ** 3 / 1e5})
    >>> float(rank_correlation(r).correlation.loc["A", "B"])
    1.0
    """
    if method not in ("kendall", "spearman") or scale not in ("pearson", "rank"):
        raise ParameterError(
            f"method is {method!r}, scale {scale!r}",
            "'kendall' or 'spearman', and 'pearson' or 'rank'",
            "name one of each",
        )
    values, names = checked_panel(returns, fewest=12, least_columns=2)
    R = _kendall(values) if method == "kendall" else _spearman(values)
    if scale == "pearson":
        R = np.sin(0.5 * np.pi * R) if method == "kendall" else 2.0 * np.sin(np.pi * R / 6.0)
        np.fill_diagonal(R, 1.0)
    mapped = (
        {"kendall": "sin(pi tau/2)", "spearman": "2 sin(pi rho/6)"}[method] if scale == "pearson" else "rank"
    )
    return from_correlation(
        R,
        names,
        values,
        f"{method} ({mapped})",
        repair=repair,
        parameters={"method": method, "scale": scale},
        references=("kendall1938", "lindskog2003"),
    )


def gerber_correlation(
    returns: pd.DataFrame,
    threshold: float = 0.5,
    *,
    variant: Literal["active", "ratio", "cosine"] = "active",
    repair: bool = True,
) -> CovarianceEstimate:
    """Return Gerber's co-movement of a panel: concordant less discordant large days, over a named total.

    Parameters
    ----------
    returns : DataFrame, shape (T, n)
        Decimal returns, no gap, at least 12 rows; the mean is taken as 0.
    threshold : float
        A day is large from this many standard deviations (divisor T) on; 0 or more.
    variant : {"active", "ratio", "cosine"}
        The total that divides: days on which at least one of the two is large (``active``, the published
        positive semidefinite form), days on which both are (``ratio``, close to 1 for any dependent pair), or
        the root of the product of their large days (``cosine``, a Gram matrix, so never indefinite). The
        three differ by tens of points: name the one you quote.
    repair : bool
        As for :func:`rank_correlation`.

    Returns
    -------
    CovarianceEstimate

    Raises
    ------
    ParameterError
        A threshold out of range, or so high that an asset, or a pair under ``ratio``, has no large day.
    SchemaError, DataGapError
        As for other panels.

    Notes
    -----
    The entries are measures of co-movement, not estimates of a linear correlation: under normal returns with
    correlation 0.5 none of the three tends to 0.5.

    References
    ----------
    Gerber, Markowitz, Ernst, Miao, Javid and Sargen (2022).

    Examples
    --------
    >>> r = pd.DataFrame({"A": [0.01, -0.02] * 8, "B": [0.02, -0.01] * 8})
    >>> float(gerber_correlation(r).correlation.loc["A", "B"])
    1.0
    """
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0.0 <= threshold < 10.0:
        raise ParameterError(
            f"threshold is {threshold!r}", "standard deviations, from 0 to 10", "0.5 is usual"
        )
    if variant not in ("active", "ratio", "cosine"):
        raise ParameterError(
            f"variant is {variant!r}", "'active', 'ratio' or 'cosine'", "name the one you quote"
        )
    values, names = checked_panel(returns, fewest=12, least_columns=2)
    sd = values.std(axis=0)
    up = (values >= threshold * sd).astype(np.float64)
    down = (values <= -threshold * sd).astype(np.float64)
    large = np.maximum(up, down)
    count = large.sum(axis=0)
    if not (count > 0.0).all():
        raise ParameterError(
            f"no return of {names[int(count.argmin())]!r} reaches {threshold:g} standard deviations",
            "large days for each asset",
            "take a lower threshold",
        )
    signed = up - down
    score = cross_moment(signed)
    both = cross_moment(large)
    if variant == "active":
        total = len(values) - cross_moment(1.0 - large)
    elif variant == "ratio":
        total = both
        if not (both > 0.0).all():
            i, j = np.argwhere(both <= 0.0)[0]
            raise ParameterError(
                f"{names[int(i)]!r} and {names[int(j)]!r} are never large on one day",
                "days on which both are",
                "take a lower threshold or variant='active'",
            )
    else:
        total = np.sqrt(count[:, None] * count[None, :])
    R = score / total
    np.fill_diagonal(R, 1.0)
    return from_correlation(
        R,
        names,
        values,
        f"Gerber ({variant}, {threshold:g} sd)",
        repair=repair,
        parameters={"threshold": float(threshold), "variant": variant},
        references=("gerber2022",),
    )


def _kendall(values: FloatArray) -> FloatArray:
    from scipy.stats import kendalltau

    n = values.shape[1]
    R = np.eye(n)
    for i in range(n):
        for j in range(i):
            R[i, j] = R[j, i] = float(kendalltau(values[:, i], values[:, j]).statistic)
    return R


def _spearman(values: FloatArray) -> FloatArray:
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=0)
    centred = ranks - ranks.mean(axis=0)
    return unit_diagonal(cross_moment(centred))
