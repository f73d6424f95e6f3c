"""The reference backtest of several test files: an index of 1999-2018 against two volatility forecasts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from pmkit.backtest import HitSeries

Run = tuple[HitSeries, np.ndarray, np.ndarray]


@pytest.fixture(scope="session")
def reference_runs() -> dict[tuple[str, float], Run]:
    """Hits, VaR and losses in per cent by model (250-day deviation, exponential) and tail probability."""
    from arch.data import sp500

    price = sp500.load()["Adj Close"]
    returns = (100.0 * np.log(price / price.shift(1))).iloc[1:]
    variance, smooth = float((returns.iloc[:250] ** 2).mean()), []
    for value in returns.iloc[250:]:
        smooth.append(variance**0.5)
        variance = 0.94 * variance + 0.06 * value**2
    forecasts = {
        "sd": returns.rolling(250).std(ddof=1).shift(1).iloc[250:].to_numpy(),
        "ew": np.array(smooth),
    }
    loss, runs = -returns.iloc[250:].to_numpy(), {}
    for model, p in (("sd", 0.01), ("sd", 0.025), ("ew", 0.025), ("ew", 0.05)):
        var = -forecasts[model] * norm.ppf(p)
        runs[model, p] = (HitSeries.from_losses(loss, var, p), var, loss)
    return runs
