"""What a venue's oracles say beside prices: confidences, rates, fixed forwards, collateral prices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.provenance import fingerprint

__all__ = ["CollateralFeed", "ExpiryFeed", "Feeds", "UnderlyingFeed"]


class UnderlyingFeed(NamedTuple):
    """Confidence in the spot and in the perpetual's price, 0 to 1."""

    spot_confidence: float = 1.0
    perpetual_confidence: float = 1.0


class ExpiryFeed(NamedTuple):
    """Annual rate of an expiry, confidences 0 to 1, and the part of the forward that is fixed in USD.

    ``vol_confidence`` is the lowest of the strikes that are held. ``fixed`` None leaves the split of the
    forward near settlement to the rule.
    """

    rate: float
    forward_confidence: float = 1.0
    rate_confidence: float = 1.0
    vol_confidence: float = 1.0
    fixed: float | None = None


class CollateralFeed(NamedTuple):
    """Price of a collateral currency in USD and the confidence in it, 0 to 1."""

    price: float
    confidence: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Feeds:
    """Oracle values at one instant; what is asked for and not given is an error unless a default is set.

    Attributes
    ----------
    stable : float
        USD per unit of the settlement currency.
    underlyings : mapping of str to UnderlyingFeed
    expiries : mapping of (str, Timestamp) to ExpiryFeed
        By underlying and expiry.
    collateral : mapping of str to CollateralFeed
        Prices of currencies that the snapshot does not know, and confidences.
    default_confidence, default_rate : float or None
        Stand in for feeds that are not given; None for a refusal.

    Raises
    ------
    ParameterError
        A confidence outside 0 to 1, a price that is not positive, a rate that is not finite.

    Examples
    --------
    >>> feeds = Feeds(default_confidence=1.0, default_rate=0.05)
    >>> feeds.expiry("BTC", pd.Timestamp("2026-03-27T08:00Z")).rate, feeds.assumes
    (0.05, True)
    """

    stable: float = 1.0
    underlyings: Mapping[str, UnderlyingFeed] = field(default_factory=dict)
    expiries: Mapping[tuple[str, pd.Timestamp], ExpiryFeed] = field(default_factory=dict)
    collateral: Mapping[str, CollateralFeed] = field(default_factory=dict)
    default_confidence: float | None = None
    default_rate: float | None = None

    def __post_init__(self) -> None:
        _positive("stable", self.stable)
        for name, seen in self.underlyings.items():
            _share(f"spot confidence of {name}", seen.spot_confidence)
            _share(f"perpetual confidence of {name}", seen.perpetual_confidence)
        for (name, expiry), at in self.expiries.items():
            what = f"{name} {expiry.isoformat()}"
            _finite(f"rate of {what}", at.rate)
            _share(f"forward confidence of {what}", at.forward_confidence)
            _share(f"rate confidence of {what}", at.rate_confidence)
            _share(f"vol confidence of {what}", at.vol_confidence)
            if at.fixed is not None and not (math.isfinite(at.fixed) and at.fixed >= 0.0):
                raise ParameterError(
                    f"fixed forward of {what} is {at.fixed!r}", "0 or more, in USD", "correct the feed"
                )
        for name, priced in self.collateral.items():
            _positive(f"price of {name}", priced.price)
            _share(f"confidence of {name}", priced.confidence)
        if self.default_confidence is not None:
            _share("default_confidence", self.default_confidence)
        if self.default_rate is not None:
            _finite("default_rate", self.default_rate)

    @property
    def assumes(self) -> bool:
        """True where a default stands in for missing feeds."""
        return self.default_confidence is not None or self.default_rate is not None

    @property
    def fingerprint(self) -> str:
        """Fingerprint of every value."""
        return fingerprint(
            self.stable,
            {name: list(seen) for name, seen in self.underlyings.items()},
            {f"{name} {expiry.isoformat()}": list(at) for (name, expiry), at in self.expiries.items()},
            {name: list(priced) for name, priced in self.collateral.items()},
            [self.default_confidence, self.default_rate],
        )

    def underlying(self, name: str) -> UnderlyingFeed:
        """Return the confidences of an underlying, or raise DataGapError."""
        if name in self.underlyings:
            return self.underlyings[name]
        confidence = self._confidence(f"spot and perpetual of {name}")
        return UnderlyingFeed(confidence, confidence)

    def expiry(self, name: str, expiry: pd.Timestamp) -> ExpiryFeed:
        """Return rate and confidences of an expiry, or raise DataGapError."""
        if (name, expiry) in self.expiries:
            return self.expiries[name, expiry]
        what = f"{name} expiry {expiry.isoformat()}"
        confidence = self._confidence(what)
        if self.default_rate is None:
            raise DataGapError(
                f"no rate for {what}", "an annual rate", "give it in Feeds.expiries, or set default_rate"
            )
        return ExpiryFeed(self.default_rate, confidence, confidence, confidence)

    def balance(self, currency: str, price: float | None) -> CollateralFeed:
        """Return price and confidence of a collateral currency; ``price`` serves where only that is known."""
        if currency in self.collateral:
            return self.collateral[currency]
        if price is not None and currency in self.underlyings:
            return CollateralFeed(price, self.underlyings[currency].spot_confidence)
        if price is None:
            raise DataGapError(
                f"no price for collateral {currency}",
                "a price in USD and a confidence",
                "give both in Feeds.collateral",
            )
        return CollateralFeed(price, self._confidence(f"collateral {currency}"))

    def _confidence(self, what: str) -> float:
        if self.default_confidence is None:
            raise DataGapError(
                f"no confidence for {what}",
                "a confidence between 0 and 1",
                "give the feed, or set default_confidence",
            )
        return self.default_confidence


def _finite(what: str, value: float) -> None:
    if not math.isfinite(value):
        raise ParameterError(f"{what} is {value!r}", "a finite number", "correct the feed")


def _share(what: str, value: float) -> None:
    if not (math.isfinite(value) and 0.0 <= value <= 1.0):
        raise ParameterError(f"{what} is {value!r}", "a number from 0 to 1", "correct the feed")


def _positive(what: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0.0):
        raise ParameterError(f"{what} is {value!r}", "a positive price in USD", "correct the feed")
