"""Haircuts that follow the market: the fall of a price until the sale, and what selling costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

from pmkit.core.errors import DataGapError
from pmkit.margin.accounts.account import STABLECOINS
from pmkit.margin.accounts.numbers import checked_number, checked_share
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["DynamicHaircut", "dynamic_haircut", "dynamic_haircuts"]


class DynamicHaircut(NamedTuple):
    """A haircut as a share of value, its two parts, and the days that the sale takes."""

    haircut: float
    market: float
    spread: float
    sale_days: float


def dynamic_haircut(
    iv: float,
    *,
    level: float = 0.99,
    days: float = 1.0,
    half_spread: float = 0.0,
    value: float = 0.0,
    daily_volume: float = math.inf,
    participation: float = 0.1,
    floor: float = 0.0,
) -> DynamicHaircut:
    """Return the haircut that covers a fall of the price at a level, sale time and half the spread included.

    Parameters
    ----------
    iv : float
        Volatility of the currency against USD, annualised decimal, 0 or more.
    level : float
        Confidence of the fall, 0.99 and alike.
    days : float
        Days from the missed payment to the first sale, 0 or more.
    half_spread : float
        Half the relative bid-ask spread at sale, 0 to 1.
    value : float
        Value to be sold, USD, 0 or more.
    daily_volume : float
        Traded value a day, USD, above 0; infinite where liquidity plays no part.
    participation : float
        Share of the volume that the sale may make up, above 0 to 1.
    floor : float
        Least haircut, 0 to 1.

    Returns
    -------
    DynamicHaircut

    Raises
    ------
    ParameterError
        A number outside its range.

    Notes
    -----
    With ``T = value/(participation volume)`` days of even sale, the proceeds of a random walk have the
    variance of ``h = days + T/3`` days. The haircut is ``1 − exp(−z σ √(h/365)) + half_spread``, at most 1,
    with z the normal quantile: no fat tail, so that the level is nominal. Calendar days, 365 a year.

    References
    ----------
    Almgren and Chriss (2001).

    Examples
    --------
    >>> [round(x, 6) for x in dynamic_haircut(0.6, days=1.0, value=3e6, daily_volume=1e7)]
    [0.098164, 0.098164, 0.0, 3.0]
    """
    checked_number("iv", iv, low=0.0)
    checked_number("level", level, low=0.5, high=1.0 - 1e-12)
    checked_number("days", days, low=0.0)
    checked_share("half_spread", half_spread)
    checked_number("value", value, low=0.0)
    if daily_volume != math.inf:
        checked_number("daily_volume", daily_volume, low=0.0, open_low=True)
    checked_number("participation", participation, low=0.0, high=1.0, open_low=True)
    checked_share("floor", floor)
    sale = value / (participation * daily_volume)
    horizon = (days + sale / 3.0) / 365.0
    market = -math.expm1(-NormalDist().inv_cdf(level) * iv * math.sqrt(horizon))
    return DynamicHaircut(min(max(market + half_spread, floor), 1.0), market, half_spread, sale)


def dynamic_haircuts(
    balances: Mapping[str, float],
    snapshot: MarketSnapshot,
    *,
    iv: Mapping[str, float] | None = None,
    daily_volume: Mapping[str, float] | None = None,
    half_spread: Mapping[str, float] | None = None,
    level: float = 0.99,
    days: float = 1.0,
    participation: float = 0.1,
) -> dict[str, DynamicHaircut]:
    """Return the dynamic haircut of every coin that is held, by currency, as shares of value.

    Parameters
    ----------
    balances : mapping of str to float
        Units by currency; debts and stablecoins are left out, as no depeg is modelled.
    snapshot : MarketSnapshot
        Prices, and the 30-day at-the-money implied vol where ``iv`` does not name the coin.
    iv : mapping of str to float, optional
        Volatility by currency, annualised decimal.
    daily_volume : mapping of str to float, optional
        Traded value a day by currency, USD; infinite where it is not named.
    half_spread : mapping of str to float, optional
        Half the relative spread by currency; 0 where it is not named.
    level, days, participation
        As :func:`dynamic_haircut`.

    Raises
    ------
    DataGapError
        A coin without a vol: neither given nor in a surface of the snapshot.
    ParameterError
        A number outside its range.

    Examples
    --------
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 60_000.0})
    >>> found = dynamic_haircuts({"BTC": 10.0, "USDC": 5e4}, snap, iv={"BTC": 0.5})
    >>> {coin: round(one.haircut, 6) for coin, one in found.items()}
    {'BTC': 0.059067}
    """
    found = {}
    for currency, amount in balances.items():
        if amount <= 0.0 or currency in STABLECOINS:
            continue
        vol = (iv or {}).get(currency)
        if vol is None:
            seen = snapshot.market(currency)
            if seen.surface is None:
                raise DataGapError(
                    f"no volatility of collateral {currency}",
                    "a vol in iv, or a surface in the snapshot",
                    f"pass iv={{{currency!r}: 0.6}} or load a chain of {currency}",
                )
            vol = snapshot.atm_iv(currency, 30.0)
        found[currency] = dynamic_haircut(
            vol,
            level=level,
            days=days,
            half_spread=(half_spread or {}).get(currency, 0.0),
            value=amount * snapshot.spot(currency),
            daily_volume=(daily_volume or {}).get(currency, math.inf),
            participation=participation,
        )
    return found
