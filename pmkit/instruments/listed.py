"""Contracts of stock and futures exchanges, settled in cash of one currency: stocks, options, futures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pmkit.core.time import parse_utc
from pmkit.instruments.contracts import Future, Option, Spot
from pmkit.instruments.deribit import expiry_code, option_name

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["listed_future", "listed_option", "stock"]


def stock(symbol: str, *, currency: str = "USD") -> Spot:
    """Return one share of a stock or fund; a position counts shares, long positive.

    Examples
    --------
    >>> stock("XYZ").name, stock("XYZ").multiplier
    ('XYZ', 1.0)
    """
    return Spot(
        name=symbol,
        underlying=symbol,
        settlement="linear",
        settlement_currency=currency,
        multiplier=1.0,
        lot=1.0,
    )


def listed_option(
    underlying: str,
    expiry: str | pd.Timestamp,
    strike: float,
    is_call: bool,
    *,
    multiplier: float = 100.0,
    currency: str = "USD",
) -> Option:
    """Return an option settled in quote currency, named as ``SPX-18SEP26-6000-C``.

    Parameters
    ----------
    underlying : str
    expiry : str or Timestamp
        UTC instant of expiry.
    strike : float
        Quote currency, positive.
    is_call : bool
    multiplier : float
        Units of the underlying per contract.
    currency : str

    Examples
    --------
    >>> listed_option("SPX", "2026-09-18T20:00Z", 6000.0, True).name
    'SPX-18SEP26-6000-C'
    """
    instant = parse_utc(expiry, column="expiry")
    return Option(
        name=option_name(underlying, expiry_code(instant), float(strike), is_call),
        underlying=underlying,
        settlement="linear",
        settlement_currency=currency,
        multiplier=float(multiplier),
        lot=1.0,
        expiry=instant,
        strike=float(strike),
        is_call=bool(is_call),
    )


def listed_future(
    underlying: str, expiry: str | pd.Timestamp, *, multiplier: float, currency: str = "USD"
) -> Future:
    """Return a future settled in quote currency, named as ``ES-18SEP26``.

    Examples
    --------
    >>> listed_future("ES", "2026-09-18T13:30Z", multiplier=50.0).name
    'ES-18SEP26'
    """
    instant = parse_utc(expiry, column="expiry")
    return Future(
        name=f"{underlying}-{expiry_code(instant)}",
        underlying=underlying,
        settlement="linear",
        settlement_currency=currency,
        multiplier=float(multiplier),
        lot=1.0,
        expiry=instant,
    )
