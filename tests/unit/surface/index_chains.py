"""Simulated index chains with the faults of real ones: ticks, missing sides, stale quotes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pmkit.core.random import stream
from pmkit.pricing import black76

AS_OF = pd.Timestamp("2026-07-01T20:00:00Z")
SPOT, RATE, DIVIDEND = 5000.0, 0.045, 0.013
DAYS = (30, 79, 170, 352)


def ssvi(k: np.ndarray, tau: float, skew: float = -0.6) -> np.ndarray:
    """Return total variance of Heston-like SSVI with 18 % at-the-money vol."""
    theta = 0.18**2 * tau
    lt = 1.2 * theta
    phi = (1.0 - (1.0 - np.exp(-lt)) / lt) / lt * 2.0
    return theta / 2.0 * (1.0 + skew * phi * k + np.sqrt((phi * k + skew) ** 2 + 1.0 - skew**2))


def make_chain(
    *,
    tick: float = 0.05,
    spread: float = 0.01,
    missing: float = 0.0,
    stale: float = 0.0,
    days: tuple[int, ...] = DAYS,
    step: float = 25.0,
    seed: int = 1,
) -> tuple[pd.DataFrame, dict[pd.Timestamp, tuple[float, float]]]:
    """Return an index chain and forward and discount factor by expiry.

    ``spread`` is the relative half spread, ``missing`` the share of quotes that lose a side, ``stale`` the
    share of strikes whose call was quoted when the index stood 1 % higher.
    """
    rng = stream(seed, "index chain")
    parts, truth = [], {}
    for d in days:
        expiry = AS_OF + pd.Timedelta(days=d)
        tau = d / 365.0
        F, D = SPOT * np.exp((RATE - DIVIDEND) * tau), float(np.exp(-RATE * tau))
        strike = np.arange(3500.0, 6600.0, step)
        vol = np.sqrt(ssvi(np.log(strike / F), tau) / tau)
        old = rng.random(strike.size) < stale
        for cp in "CP":
            level = np.where(old & (cp == "C"), 1.01 * F, F)
            price = black76(level, strike, tau, vol, df=D, is_call=cp == "C")
            half = np.maximum(spread * np.minimum(price, 200.0), tick)
            bid = np.floor((price - half) / tick + 1e-9) * tick
            ask = np.ceil((price + half) / tick - 1e-9) * tick
            lost = rng.random(strike.size) < missing
            side = rng.random(strike.size) < 0.5
            parts.append(
                pd.DataFrame(
                    {
                        "expiration": f"{expiry:%Y-%m-%d}",
                        "cp": cp,
                        "strike": strike,
                        "bid": np.where(lost & side, 0.0, np.maximum(bid, 0.0)),
                        "ask": np.where(lost & ~side, 0.0, ask),
                        "spot_last": SPOT,
                        "spot_time_utc": AS_OF.isoformat(),
                        "symbol": "SPX",
                        "tick_size": tick,
                    }
                )
            )
        truth[expiry] = (float(F), D)
    return pd.concat(parts, ignore_index=True), truth
