"""What is seen of one underlying at one instant: prices, vols, discount factors and funding, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from pmkit.core.errors import ConventionError, SchemaError
from pmkit.core.protocols import VolSurface

__all__ = ["ForwardQuote", "Mark", "UnderlyingMarket", "check_fx"]


class ForwardQuote(NamedTuple):
    """Forward price of one expiry in quote currency and where it came from."""

    price: float
    source: str


class Mark(NamedTuple):
    """Mark of one contract: price in its unit of quotation, implied vol where it has one, and the source."""

    price: float
    iv: float
    source: str


@dataclass(frozen=True, kw_only=True)
class UnderlyingMarket:
    """Everything seen of one underlying.

    Attributes
    ----------
    name : str
    spot : float
        Index or its stand-in, USD per unit.
    spot_source : str
        ``"index"``, ``"perpetual mid"`` or ``"given"``.
    perpetual : float
        Mark price of the perpetual, USD.
    perpetual_source : str
    forwards : mapping of Timestamp to ForwardQuote
        By expiry, ascending.
    option_iv : mapping of str to float
        Implied vol by option name, from its own quotes (decimal, annualised).
    surface : VolSurface or None
        Fitted to the chain; prices options without an own vol and moves the smile.
    funding : float or None
        Last 8-hour funding rate, decimal, long pays where positive; None where the source has none.
    discounts : mapping of Timestamp to float
        Discount factor of quote currency by expiry; options in quote currency are not discounted where none
        is given, options in coin never.
    """

    name: str
    spot: float
    spot_source: str
    perpetual: float
    perpetual_source: str
    forwards: Mapping[pd.Timestamp, ForwardQuote] = field(default_factory=dict)
    option_iv: Mapping[str, float] = field(default_factory=dict)
    surface: VolSurface | None = None
    funding: float | None = None
    iv_source: str = "mid"
    discounts: Mapping[pd.Timestamp, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        prices = {"spot": self.spot, "perpetual": self.perpetual}
        prices |= {f"forward {e:%Y-%m-%d}": f.price for e, f in self.forwards.items()}
        for what, price in prices.items():
            if not (math.isfinite(price) and price > 0.0):
                raise SchemaError(
                    f"{what} of {self.name} is {price!r}",
                    "a positive price in USD",
                    "correct the market data",
                )
        for expiry, df in self.discounts.items():
            if not (math.isfinite(df) and df > 0.0):
                raise SchemaError(
                    f"discount factor of {self.name} {expiry:%Y-%m-%d} is {df!r}",
                    "a positive number such as 0.98",
                    "correct the market data",
                )
        if self.funding is not None:
            _check_funding(self.name, self.funding)
        for name, iv in self.option_iv.items():
            if not (math.isfinite(iv) and iv > 0.0):
                raise SchemaError(
                    f"implied vol of {name} is {iv!r}", "a positive decimal", "correct or drop the quote"
                )
            if iv > 5.0:
                raise ConventionError(
                    f"implied vol of {name} is {iv:g}: looks like percent",
                    "a decimal such as 0.55",
                    "divide by 100",
                )


def _check_funding(name: str, rate: float) -> None:
    """Raise where an 8-hour funding rate is no number, or so large that it is in percent or a year's."""
    if not math.isfinite(rate):
        raise SchemaError(f"funding of {name} is {rate!r}", "a finite decimal", "correct or drop it")
    if abs(rate) > 0.05:
        raise ConventionError(
            f"funding of {name} is {rate:g} for 8 hours: looks like percent or like an annual rate",
            "a decimal such as 0.0001",
            "divide by 100, or an annual rate by 1095",
        )


def check_fx(fx: Mapping[str, float], spots: Mapping[str, float]) -> None:
    """Raise where the USD price of a currency is not positive, or the currency is a coin with a spot.

    Raises
    ------
    SchemaError
        A price that is not positive and finite, or USD at another price than 1.
    ConventionError
        A currency that is priced twice.
    """
    for currency, price in fx.items():
        if not (math.isfinite(price) and price > 0.0) or (currency == "USD" and price != 1.0):
            raise SchemaError(
                f"fx of {currency} is {price!r}", "a positive price in USD, 1 for USD", "correct it"
            )
        if currency in spots:
            raise ConventionError(
                f"{currency} has a spot of {spots[currency]:g} and an fx of {price:g} USD",
                "one price",
                f"leave fx of {currency} out: the price of a coin is its spot",
            )
