"""Scores of forecasts of VaR and ES, smallest in the mean at the right one, and the error of their mean."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.special import expit

from pmkit.backtest.series.es_series import TailSeries
from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray

__all__ = ["FzgFamily", "check_tail", "fz0_score", "fzg_score", "long_run_variance", "tick_score"]

FzgFamily = Literal["fz0", "root", "logistic"]
"""Member of the family of Fissler and Ziegel."""


def tick_score(series: TailSeries) -> FloatArray:
    """Return the tick loss of the VaR of each day, shape (n,), in money: the smaller the better.

    Parameters
    ----------
    series : TailSeries
        Losses with VaR.

    Returns
    -------
    array, shape (n,)
        Non-negative.

    Raises
    ------
    ParameterError
        Not a TailSeries.

    Notes
    -----
    (I_t - p)(L_t - VaR_t); its mean is smallest at the right VaR.

    References
    ----------
    Fissler and Ziegel (2016), on scores for quantiles.

    Examples
    --------
    >>> loss = [0.5, 2.2, -1.0, 3.1, 0.2, -0.4, 2.6, 0.1, 0.9, -2.0]
    >>> series = TailSeries(loss=loss, var=[2.0] * 10, es=[2.5] * 10, level=0.9)
    >>> round(float(tick_score(series).mean()), 6)
    0.328
    """
    check_tail(series, "series")
    return np.asarray((series.hits.hits - series.p) * (series.loss - series.var))


def fz0_score(series: TailSeries) -> FloatArray:
    """Return the FZ0 loss of VaR and ES of each day, shape (n,), no unit: the smaller the better.

    Parameters
    ----------
    series : TailSeries
        Losses with VaR and ES.

    Returns
    -------
    array, shape (n,)
        Of any sign. Differences between models do not depend on the unit of money.

    Raises
    ------
    ParameterError
        Not a TailSeries.

    Notes
    -----
    I_t(L_t - VaR_t)/(p ES_t) + VaR_t/ES_t + ln ES_t - 1; its mean is smallest at the right pair of VaR and
    ES. It is the score of Fissler and Ziegel whose differences are homogeneous of degree 0.

    References
    ----------
    Fissler and Ziegel (2016); Patton, Ziegel and Chen (2019), equation 6.

    Examples
    --------
    >>> loss = [0.5, 2.2, -1.0, 3.1, 0.2, -0.4, 2.6, 0.1, 0.9, -2.0]
    >>> series = TailSeries(loss=loss, var=[2.0] * 10, es=[2.5] * 10, level=0.9)
    >>> round(float(fz0_score(series).mean()), 8)
    1.47629073
    """
    check_tail(series, "series")
    beyond = np.where(series.hits.hits, series.loss - series.var, 0.0)
    return np.asarray(beyond / (series.p * series.es) + series.var / series.es + np.log(series.es) - 1.0)


def fzg_score(series: TailSeries, *, family: FzgFamily = "root") -> FloatArray:
    """Return a loss of the family of Fissler and Ziegel for VaR and ES of each day, shape (n,).

    Use it to see whether a ranking of models hangs on the loss: every member is smallest, in the mean, at the
    right pair of VaR and ES, but members weigh errors in calm and in stressed times differently.

    Parameters
    ----------
    series : TailSeries
        Losses with VaR and ES.
    family : {"fz0", "root", "logistic"}
        The member. ``"fz0"`` is :func:`fz0_score`; differences of ``"root"`` scale with the root of the unit
        of money; ``"logistic"`` depends on the unit: pass returns in per cent or the like.

    Returns
    -------
    array, shape (n,)
        Of any sign: the smaller the better.

    Raises
    ------
    ParameterError
        Not a TailSeries, or an unknown family.

    Notes
    -----
    With q = -VaR, e = -ES, r = -L and I = 1{r < q}, the loss is (I - p) G₁(q) - I G₁(r) + G₂(e)(e - q +
    I(q - r)/p) - 𝒢₂(e) with 𝒢₂' = G₂. Root: G₁ = 0, G₂ = 1/(2√-e). Logistic: G₁(x) = x, G₂ = 1/(1 + exp(-e)).

    References
    ----------
    Fissler and Ziegel (2016), the family; Fissler, Ziegel and Gneiting (2016), logistic; Nolde and Ziegel
    (2017), homogeneous members.

    Examples
    --------
    >>> loss = [0.5, 2.2, -1.0, 3.1, 0.2, -0.4, 2.6, 0.1, 0.9, -2.0]
    >>> series = TailSeries(loss=loss, var=[2.0] * 10, es=[2.5] * 10, level=0.9)
    >>> [round(float(fzg_score(series, family=f).mean()), 6) for f in ("fz0", "root", "logistic")]
    [1.476291, 2.023858, 0.417312]
    """
    check_tail(series, "series")
    if family == "fz0":
        return fz0_score(series)
    q, e, hit = -series.var, -series.es, series.hits.hits
    beyond = np.where(hit, series.loss - series.var, 0.0)
    shortfall = e - q + beyond / series.p
    if family == "root":
        return np.asarray(0.5 * shortfall / np.sqrt(series.es) + np.sqrt(series.es))
    if family == "logistic":
        return np.asarray(beyond - series.p * q + shortfall * expit(e) - np.logaddexp(0.0, e))
    raise ParameterError(f"family is {family!r}", "'fz0', 'root' or 'logistic'", "choose one of them")


def check_tail(series: Any, name: str) -> None:
    """Refuse what is no TailSeries, by the name it was passed under."""
    if not isinstance(series, TailSeries):
        raise ParameterError(
            f"{name} is of type {type(series).__name__}",
            "a TailSeries",
            "pass TailSeries(loss=..., var=..., es=..., level=0.975)",
        )


def long_run_variance(values: FloatArray, lags: int) -> float:
    """Return the variance of √n times the mean, by Newey and West's weights 1 - j/(lags + 1)."""
    n, centred = values.size, values - np.add.reduce(values) / values.size
    total = float(np.add.reduce(centred * centred)) / n
    for lag in range(1, lags + 1):
        shared = float(np.add.reduce(centred[lag:] * centred[:-lag])) / n
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * shared
    return total
