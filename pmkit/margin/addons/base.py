"""What a part is given and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

import pandas as pd

from pmkit.core.errors import DataGapError
from pmkit.margin.accounts.account import Account
from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.greek_charges.exposures import exposures
from pmkit.margin.result import MarginResult
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["Part", "PartCharge", "PartInput", "by_underlying"]


class PartCharge(NamedTuple):
    """Charge of a part in USD, positive, and the figures behind it by name."""

    im: float
    mm: float
    figures: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class PartInput:
    """An account, its market and the base rule's answer.

    Attributes
    ----------
    account : Account
    snapshot : MarketSnapshot
    result : MarginResult
        Of the base rule, without parts.
    im_usd : float
        Its ``im_equity`` in USD: what parts add to.
    requirement : callable
        The base rule itself, for parts that need it on other accounts; returns ``im_equity`` in USD.
    """

    account: Account
    snapshot: MarketSnapshot
    result: MarginResult
    im_usd: float
    requirement: Callable[[Account], float] = field(repr=False)

    @cached_property
    def exposures(self) -> pd.DataFrame:
        """Delta, gamma and vega by position, USD; computed once for all parts."""
        return exposures(self.account.portfolio, self.snapshot)

    def net_delta(self) -> dict[str, float]:
        """Return the net delta by underlying, USD for a relative move of 1; coin collateral is no part."""
        grouped = self.exposures.groupby("underlying", sort=False)["delta"].sum()
        return {str(name): float(value) for name, value in grouped.items()}


class Part(Protocol):
    """A charge on top of a rule."""

    @property
    def name(self) -> str:
        """Name among the add-ons of the result."""
        ...

    def charge(self, given: PartInput) -> PartCharge:
        """Return the charge in USD."""
        ...


def by_underlying(what: str, values: Mapping[str, float] | float, underlying: str) -> float:
    """Return the value of an underlying, above 0, or raise where it was not given.

    Examples
    --------
    >>> by_underlying("daily volume", {"BTC": 1e9}, "BTC")
    1000000000.0
    """
    value = values.get(underlying) if isinstance(values, Mapping) else values
    if value is None:
        raise DataGapError(f"no {what} of {underlying}", "one for each underlying that is held", "add it")
    return checked_number(f"{what} of {underlying}", value, low=0.0, open_low=True)
