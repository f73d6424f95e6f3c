"""Are the factors right together: energy score of joint forecasts, and dependence against what came."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtri
from scipy.stats import norm, rankdata

from pmkit.backtest.compare.scores import long_run_variance
from pmkit.backtest.series.checks import LARGEST_NUMBER, check_alpha
from pmkit.core.errors import DataGapError, ParameterError, SchemaError
from pmkit.core.types import FloatArray

__all__ = ["energy_score", "factor_dependence"]


def _read(forecasts: npt.ArrayLike, outcomes: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    try:
        drawn = np.asarray(forecasts, dtype=np.float64)
        came = np.asarray(outcomes, dtype=np.float64)
    except (TypeError, ValueError):
        raise SchemaError(
            "forecasts or outcomes are no table of numbers",
            "(dates, draws, factors) and (dates, factors) of numbers",
            "convert the columns to float, and give every date as many draws",
        ) from None
    if came.size == 0 and came.ndim == 2:
        raise DataGapError("there is no date", "one or more", "check the dates that were selected")
    if drawn.ndim != 3 or came.shape != (drawn.shape[0], drawn.shape[2]) or drawn.shape[1] < 2:
        raise SchemaError(
            f"forecasts have shape {drawn.shape} and outcomes {came.shape}",
            "(dates, draws, factors) with two draws or more, and (dates, factors)",
            "stack the scenarios of each date along the first axis",
        )
    for name, values in (("forecasts", drawn), ("outcomes", came)):
        if not np.isfinite(values).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
            raise DataGapError(
                f"{name}{list(at)} is not finite", "finite numbers", "leave the date out knowingly"
            )
        if np.abs(values).max() > LARGEST_NUMBER:
            raise SchemaError(
                f"{name} reach {np.abs(values).max():.8g}",
                f"numbers of at most {LARGEST_NUMBER:g}, whose powers are finite",
                "mend the data, or change the unit",
            )
    return drawn, came


def energy_score(forecasts: npt.ArrayLike, outcomes: npt.ArrayLike) -> FloatArray:
    """Return the energy score of the joint forecast of each date, shape (n,): smaller is better.

    It ranks joint laws of spot, vol and basis: scale the factors to a common unit first (their standard
    deviations), because it adds their squares.

    Parameters
    ----------
    forecasts : array-like, shape (dates, draws, factors)
        Equally weighted draws of the joint law of each date.
    outcomes : array-like, shape (dates, factors)
        What came.

    Returns
    -------
    array, shape (dates,)
        0 or more, in the unit of the factors.

    Raises
    ------
    SchemaError, DataGapError
        Other shapes, fewer than two draws, or values that are not finite.

    Notes
    -----
    ``E|X - y| - E|X - X'|/2``, with the second mean over pairs of different draws, so that the score is
    unbiased in their number. Cost n m² d.

    References
    ----------
    Gneiting and Raftery (2007), section 4.3.

    Examples
    --------
    >>> energy_score([[[0.0, 0.0], [2.0, 0.0]]], [[1.0, 0.0]]).tolist()
    [0.0]
    """
    drawn, came = _read(forecasts, outcomes)
    scores = np.empty(drawn.shape[0])
    for date, (cloud, point) in enumerate(zip(drawn, came, strict=True)):
        m = cloud.shape[0]
        near = np.sqrt(np.add.reduce((cloud - point) ** 2, axis=1))
        spread = 0.0
        for shift in range(1, m):
            gaps = cloud[shift:] - cloud[:-shift]
            spread += float(np.add.reduce(np.sqrt(np.add.reduce(gaps * gaps, axis=1))))
        scores[date] = float(np.add.reduce(near)) / m - spread / (m * (m - 1.0))
    return scores


def _scores_of_ranks(drawn: FloatArray, came: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return normal scores of the outcomes among the draws, and of the draws among themselves."""
    m = drawn.shape[1]
    below = np.add.reduce(drawn < came[:, None, :], axis=1)
    equal = np.add.reduce(drawn == came[:, None, :], axis=1)
    outcome = np.asarray(ndtri((below + 0.5 * equal + 0.5) / (m + 1.0)), dtype=np.float64)
    ranks = rankdata(drawn, axis=1)  # ties share their mean rank: a factor that does not move has no order
    return outcome, np.asarray(ndtri((ranks - 0.5) / m), dtype=np.float64)


def factor_dependence(
    forecasts: npt.ArrayLike,
    outcomes: npt.ArrayLike,
    *,
    names: list[str] | None = None,
    lags: int | None = None,
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Return whether each pair of factors moved together as the model said: a t-statistic a pair.

    Hedged books live on dependence: a model whose factors are right one by one may still be wrong here.

    Parameters
    ----------
    forecasts : array-like, shape (dates, draws, factors)
        Equally weighted draws of the joint law of each date.
    outcomes : array-like, shape (dates, factors)
    names : list of str, optional
        Names of the factors.
    lags : int, optional
        Lags of the long-run variance; ⌊4(n/100)^(2/9)⌋ where absent.
    alpha : float
        Level of each decision, in (0, 1); pairs are not adjusted for their number.

    Returns
    -------
    DataFrame
        One row a pair: ``came`` and ``forecast`` (mean product of normal scores: the correlation of ranks),
        ``statistic``, ``p_value`` (two-sided, normal), ``decision``.

    Raises
    ------
    SchemaError, DataGapError
        Other shapes, fewer than two factors or 20 dates, names of another number or not distinct.
    ParameterError
        lags or alpha outside their domain.

    Notes
    -----
    z is the normal score of the rank of the outcome among the draws, so that margins drop out; d_t = z_i
    z_j less the mean over the draws of the same product, t = d̄/√(v/n) with the long-run variance of Newey and
    West.

    References
    ----------
    Newey and West (1987); Diebold, Hahn and Tay (1999), on joint laws and their probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> grid = np.linspace(-1.0, 1.0, 9)
    >>> forecasts = np.tile(np.column_stack([grid, grid]), (40, 1, 1))
    >>> came = np.column_stack([np.tile(grid, 5)[:40], -np.tile(grid, 5)[:40]])
    >>> factor_dependence(forecasts, came, names=["spot", "vol"])["decision"].tolist()
    ['rejected']
    """
    drawn, came = _read(forecasts, outcomes)
    n, factors, level = drawn.shape[0], drawn.shape[2], check_alpha(alpha)
    labels = [f"factor {i}" for i in range(factors)] if names is None else [str(name) for name in names]
    if factors < 2 or n < 20 or len(labels) != factors:
        raise SchemaError(
            f"{factors} factors with {len(labels)} names on {n} dates",
            "two factors or more, a name each, and 20 dates or more",
            "pass the joint law, with enough dates to judge it",
        )
    if len(set(labels)) < factors:
        raise SchemaError(f"names {labels}", "a name of its own for each factor", "rename the factors")
    used = math.floor(4.0 * (n / 100.0) ** (2.0 / 9.0)) if lags is None else lags
    if isinstance(used, bool) or not isinstance(used, int) or not 0 <= used < n:
        raise ParameterError(f"lags is {lags!r}", f"a whole number from 0 to {n - 1}", "leave the default")
    outcome, within = _scores_of_ranks(drawn, came)
    rows: dict[str, dict[str, Any]] = {}
    for i in range(factors):
        for j in range(i + 1, factors):
            expected = np.add.reduce(within[:, :, i] * within[:, :, j], axis=1) / drawn.shape[1]
            product = outcome[:, i] * outcome[:, j]
            gap = product - expected
            mean, variance = float(np.add.reduce(gap)) / n, long_run_variance(gap, used)
            statistic = mean / math.sqrt(variance / n) if variance > 0.0 else math.nan
            p_value = 2.0 * float(norm.sf(abs(statistic)))
            rows[f"{labels[i]} / {labels[j]}"] = {
                "came": float(np.add.reduce(product)) / n,
                "forecast": float(np.add.reduce(expected)) / n,
                "statistic": statistic,
                "p_value": p_value,
                "decision": "not_evaluable"
                if math.isnan(statistic)
                else "rejected"
                if p_value <= level
                else "not_rejected",
            }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("pair")
