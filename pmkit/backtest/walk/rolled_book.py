"""A book whose options are held until shortly before expiry and then rolled: strikes stand, time runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from pmkit.backtest.walk.as_of import AsOfView, naive_day
from pmkit.backtest.walk.book import ConstantBook
from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.provenance import fingerprint

__all__ = ["RolledBook"]


@dataclass(frozen=True, kw_only=True)
class RolledBook:
    """A callable book for :func:`walk_forward`: legs are struck at a roll, held, and struck anew.

    Attributes
    ----------
    legs : ConstantBook
        The legs on the day of a roll: tenor, moneyness and weight as then set.
    anchor : date
        A day on which the book was rolled; others follow every ``hold_days`` dates of the history before and
        after it.
    hold_days : int
        Dates between two rolls, less than the shortest tenor.

    Raises
    ------
    ParameterError
        No options, or a holding period that reaches an expiry.

    Notes
    -----
    On a date d dates (c calendar days) after the roll at price S₀ a leg of moneyness m and tenor T has tenor
    T - c, moneyness m S₀/S and weight w S/S₀: the number of contracts stands. P&L is per unit of notional at
    the roll. All of it follows from prices up to the date, so the book has no memory to keep.

    Examples
    --------
    >>> book = RolledBook(
    ...     legs=ConstantBook.preset("short_straddle_30d"), anchor="2021-01-01", hold_days=23)
    >>> book.name
    'short_straddle_30d, held 23 days'
    """

    legs: ConstantBook
    anchor: Any
    hold_days: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "anchor", naive_day(self.anchor, "anchor"))
        whole = not isinstance(self.hold_days, bool) and isinstance(self.hold_days, int)
        if not self.legs.holds_options or not whole or not 1 <= self.hold_days < self.legs.shortest_tenor:
            raise ParameterError(
                f"{self.legs.name!r} held for {self.hold_days!r} days, shortest tenor "
                f"{self.legs.shortest_tenor:g}",
                "options, and a whole number of days from 1 on that ends before the shortest tenor",
                "roll earlier, or use longer options",
            )

    @property
    def name(self) -> str:
        """Name of the legs, with the days that they are held."""
        return f"{self.legs.name}, held {self.hold_days} days"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of legs, anchor and holding period."""
        return fingerprint(self.legs.fingerprint, str(self.anchor.date()), self.hold_days)

    def get_state(self) -> dict[str, Any]:
        """Return nothing: the book follows from the date."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Nothing to take up."""

    def last_roll(self, view: AsOfView) -> Any:
        """Return the date of the roll in force at ``view.as_of``.

        Raises
        ------
        DataGapError
            The anchor is no date known by then, or the roll lies before the history.
        """
        dates = view.dates()
        if self.anchor > view.as_of or self.anchor not in dates:
            raise DataGapError(
                f"anchor {self.anchor.date()} is no date of the history up to {view.as_of.date()}",
                f"one of {dates[0].date()} to {view.as_of.date()}",
                "anchor the rolls on the first date of the walk or before",
            )
        held = (view.position - int(dates.get_indexer(pd.DatetimeIndex([self.anchor]))[0])) % self.hold_days
        return dates[view.position - held]

    def __call__(self, view: AsOfView) -> ConstantBook:
        """Return the book as it stands at the close of the date."""
        rolled = self.last_roll(view)
        age = float((view.as_of - rolled).days)
        legs = []
        for leg in self.legs.legs:
            grown = view.price(leg.underlying, view.as_of) / view.price(leg.underlying, rolled)
            moved = replace(leg, weight=leg.weight * grown)
            if leg.kind == "option":
                tenor = (leg.tenor_days or math.nan) - age
                moved = replace(moved, tenor_days=tenor, moneyness=leg.moneyness / grown)
            legs.append(moved)
        return replace(self.legs, name=self.name, legs=tuple(legs))
