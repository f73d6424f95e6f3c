"""What a part is given and what it answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple, Protocol

import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError
from pmkit.margin.accounts.account import Account
from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.addons.tail import MeasuredTail
from pmkit.margin.greek_charges.exposures import exposures
from pmkit.margin.result import MarginResult
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["Part", "PartCharge", "PartInput", "by_underlying"]


class PartCharge(NamedTuple):
    """Charge of a part in USD and the figures behind it by name.

    Positive, but for parts that replace an estimate or take a mean and may ask for less.
    """

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
    before : mapping of str to PartCharge
        Charges of the parts that stand before this one, by name.
    tail : callable or None
        Returns the scenarios behind a rule from a risk measure; None for other rules.
    """

    account: Account
    snapshot: MarketSnapshot
    result: MarginResult
    im_usd: float
    requirement: Callable[[Account], float] = field(repr=False)
    before: Mapping[str, PartCharge] = field(default_factory=dict)
    tail: Callable[[], MeasuredTail] | None = field(default=None, repr=False)

    @cached_property
    def exposures(self) -> pd.DataFrame:
        """Delta, gamma and vega by position, USD; computed once for all parts."""
        return exposures(self.account.portfolio, self.snapshot)

    @cached_property
    def measured(self) -> MeasuredTail:
        """Scenarios, P&L and levels behind the base rule's answer; computed once for all parts.

        Raises
        ------
        ConventionError
            The base rule does not come from a risk measure.
        """
        if self.tail is None:
            raise ConventionError(
                f"{self.result.rule} is no rule from a risk measure",
                "es-fhs, var-hs or another that has scenarios with weights",
                "take such a rule as the base, or leave the part out",
            )
        return self.tail()

    @property
    def so_far(self) -> tuple[float, float]:
        """IM and MM of the base rule with the charges of the parts before, USD."""
        rate = self.snapshot.usd_price(self.result.numeraire)
        charges = list(self.before.values())
        im = math.fsum([self.im_usd, *(charge.im for charge in charges)])
        return im, math.fsum([self.result.mm_equity * rate, *(charge.mm for charge in charges)])

    def following(self, name: str, charge: PartCharge) -> PartInput:
        """Return the input of the next part, with what was computed for all of them."""
        made = replace(self, before={**self.before, name: charge})
        for key in ("exposures", "measured"):
            if key in self.__dict__:
                made.__dict__[key] = self.__dict__[key]
        return made

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
