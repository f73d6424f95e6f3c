"""Implied vol that follows realised vol with a residual of its own, at three sizes of that residual."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pmkit.backtest.walk.vol_laws.vol_law import check_numbers, finished_path, law_input
from pmkit.backtest.walk.vol_path import HIGHEST_VOL, VolPath
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.core.types import FloatArray
from pmkit.market.history import PriceHistory

__all__ = ["VOL_OF_VOL", "simulate_vol_path"]

#: Daily sd of the log residual of implied vol under each name; assumed, each twice the one before.
VOL_OF_VOL: dict[str, float] = {"low": 0.02, "base": 0.04, "high": 0.08}


def simulate_vol_path(
    history: PriceHistory,
    *,
    vol_of_vol: str | float = "base",
    underlyings: Sequence[str] | None = None,
    premium: float = 1.10,
    decay: float = 0.97,
    level_weight: float = 0.8,
    prior_vol: float = 0.70,
    prior_days: float = 365.0,
    persistence: float = 0.95,
    df: float = 5.0,
    correlation: float = 0.7,
    seed: int = 20260801,
) -> VolPath:
    """Return simulated 30-day implied vols along a price history, each from data up to its own date.

    Use it to mark options where no quotes exist, and run all three sizes: what changes between them is no
    finding (:func:`pmkit.backtest.run_vol_scenarios`). For three different laws of the vol take
    :func:`pmkit.backtest.vol_law_paths`.

    Parameters
    ----------
    history : PriceHistory
        Prices without gaps for the chosen underlyings.
    vol_of_vol : {"low", "base", "high"} or float
        Daily sd of the residual of log vol: 0.02, 0.04, 0.08, or a number of 0 or more.
    underlyings : sequence of str, optional
        All assets where None.
    premium : float
        Implied over realised vol, assumed; above 0.
    decay : float
        Decay of the exponentially weighted squared returns, in (0, 1).
    level_weight : float
        Weight of the recent level against the long-run level, in logs, in [0, 1].
    prior_vol, prior_days : float
        Annual vol assumed before the first return, and how many days it weighs in the long-run level.
    persistence : float
        Daily autocorrelation of the residual, in [0, 1): 0.95 halves a deviation in 13.5 days.
    df : float
        Degrees of freedom of the Student t innovations, above 2.
    correlation : float
        Share of variance of the innovations that all underlyings have in common, in [0, 1].
    seed : int
        Root seed. The same innovations serve all sizes of vol-of-vol.

    Returns
    -------
    VolPath
        ``simulated`` is True and ``assumptions`` holds every number above.

    Raises
    ------
    ParameterError
        A parameter outside its domain.
    DataGapError
        Missing prices or an unknown asset.

    Notes
    -----
    With A periods a year: v_t = λ v_{t-1} + (1-λ) A r_t², v_0 = prior²; L_t = (m·prior² + A Σ r²)/(m + t);
    ln iv_t = ln premium + w·½ ln v_t + (1-w)·½ ln L_t + x_t; x_t = φ x_{t-1} + s ε_t, x_0 = 0, with ε a t
    variable of variance 1. All numbers are assumptions, chosen to be plausible and not fitted to quotes. The
    law has no leverage: vol rises after a large move of either sign.

    Examples
    --------
    >>> import pandas as pd
    >>> days = pd.date_range("2021-01-01", periods=40)
    >>> prices = pd.DataFrame({"BTC": np.full(40, 100.0)}, index=days)
    >>> path = simulate_vol_path(PriceHistory.from_frame(prices), vol_of_vol=0.0)
    >>> round(float(path.frame["BTC"].iloc[0]), 4), round(float(path.frame["BTC"].iloc[-1]), 4)
    (0.77, 0.4739)
    """
    if isinstance(vol_of_vol, str):
        if vol_of_vol not in VOL_OF_VOL:
            raise ParameterError(
                f"vol_of_vol is {vol_of_vol!r}",
                f"one of {', '.join(map(repr, VOL_OF_VOL))}, or a daily sd",
                "name one of them",
            )
        size, label = VOL_OF_VOL[vol_of_vol], vol_of_vol
    else:
        size, label = float(vol_of_vol), f"{vol_of_vol:g}"
    assumptions = check_numbers(
        {
            "vol_of_vol": (size, 0.0 <= size < 1.0, "[0, 1)"),
            "premium": (premium, 0.0 < premium < 10.0, "(0, 10)"),
            "decay": (decay, 0.0 < decay < 1.0, "(0, 1)"),
            "level_weight": (level_weight, 0.0 <= level_weight <= 1.0, "[0, 1]"),
            "prior_vol": (prior_vol, 0.0 < prior_vol <= HIGHEST_VOL, "(0, 5], a decimal"),
            "prior_days": (prior_days, 0.0 < prior_days < math.inf, "a positive number"),
            "persistence": (persistence, 0.0 <= persistence < 1.0, "[0, 1)"),
            "df": (df, 2.0 < df < math.inf, "above 2"),
            "correlation": (correlation, 0.0 <= correlation <= 1.0, "[0, 1]"),
        }
    )
    given = law_input(history, underlyings)
    common = _innovations(seed, "common", df, given.days)
    columns = {}
    for at, name in enumerate(given.names):
        own = _innovations(seed, name, df, given.days)
        noise = math.sqrt(correlation) * common + math.sqrt(1.0 - correlation) * own
        columns[name] = _path(
            given.squares(at), noise, size, premium, decay, level_weight, prior_vol, prior_days, persistence
        )
    return finished_path(
        history,
        given,
        columns,
        label=f"{label} vol-of-vol",
        method="simulate_vol_path",
        seed=seed,
        assumptions=assumptions,
        references=(),
    )


def _innovations(seed: int, name: str, df: float, days: int) -> FloatArray:
    """Return t variables of variance 1, one a date; a longer history begins with the same ones."""
    return stream(seed, "vol path", name).standard_t(df, days) * math.sqrt((df - 2.0) / df)


def _path(
    squares: FloatArray,
    noise: FloatArray,
    size: float,
    premium: float,
    decay: float,
    level_weight: float,
    prior_vol: float,
    prior_days: float,
    persistence: float,
) -> FloatArray:
    """Return implied vols of one underlying by one pass forward in time, so that no date sees a later one."""
    recent = prior_vol**2
    total = prior_days * prior_vol**2
    residual = 0.0
    vols = np.empty(noise.size)
    for t in range(noise.size):
        if t > 0:
            recent = decay * recent + (1.0 - decay) * squares[t - 1]
            total += squares[t - 1]
            residual = persistence * residual + size * noise[t]
        long_run = total / (prior_days + t)
        log_level = 0.5 * (level_weight * math.log(recent) + (1.0 - level_weight) * math.log(long_run))
        vols[t] = premium * math.exp(log_level + residual)
    return vols
