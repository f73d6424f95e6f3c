"""A history, a snapshot with expiries inside and beyond the horizon, and a model with plain residuals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmkit.core.random import stream
from pmkit.market import MarketSnapshot, PriceHistory, load_history


@pytest.fixture(scope="session")
def real_history() -> PriceHistory:
    return load_history("crypto-daily-2020-2023")


@pytest.fixture(scope="session")
def history() -> PriceHistory:
    """400 simulated days of two correlated assets."""
    noise = stream(11, "history").standard_t(5, (400, 3)) * np.sqrt(3 / 5)
    returns = 0.03 * (0.8 * noise[:, [2, 2]] + 0.6 * noise[:, :2])
    prices = pd.DataFrame(
        [40_000.0, 2_000.0] * np.exp(np.cumsum(returns, axis=0)),
        index=pd.date_range("2022-11-27", periods=400),
        columns=["BTC", "ETH"],
    )
    return PriceHistory.from_frame(prices, simulated=True)


@pytest.fixture(scope="session")
def snapshot() -> MarketSnapshot:
    """Eighteen hours after the last close of both histories."""
    curve = {"2024-01-01T20:00:00Z": 1.0, "2024-01-02T08:00:00Z": 1.0002, "2024-01-03T08:00:00Z": 1.0004}
    curve |= {"2024-01-26T08:00:00Z": 1.005, "2024-03-29T08:00:00Z": 1.02, "2024-12-27T08:00:00Z": 1.08}
    spot = {"BTC": 42_000.0, "ETH": 2_300.0}
    return MarketSnapshot.from_marks(
        "2024-01-01T18:00:00Z",
        spot,
        forwards={u: {e: s * f for e, f in curve.items()} for u, s in spot.items()},
    )
