"""Volatility indices at a constant time: the Cboe method, and its like on coin-settled options."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.result import Result
from pmkit.market.quotes import Quotes
from pmkit.surface.arguments import as_number, require
from pmkit.surface.inputs.forwards import forward_curve
from pmkit.surface.readouts.vix import MINUTES_PER_YEAR, VixStrip, vix_strip

__all__ = ["VixIndex", "dvol_like", "vix_index"]


@dataclass(frozen=True, kw_only=True, repr=False)
class VixIndex(Result):
    """A volatility index at a constant time, between two expiries.

    Attributes
    ----------
    label : str
        What the number is and is not.
    near, next : VixStrip
    minutes : float
        The constant time.
    """

    label: str
    near: VixStrip
    next: VixStrip
    minutes: float
    references = ("cboe2019",)

    @property
    def share(self) -> float:
        """Weight of the nearer expiry in the interpolation of total variance."""
        return (self.next.minutes - self.minutes) / (self.next.minutes - self.near.minutes)

    @property
    def total_variance(self) -> float:
        """Total variance at the constant time, linear in time between those of the expiries."""
        near, far = self.near.tau * self.near.variance, self.next.tau * self.next.variance
        return near * self.share + far * (1.0 - self.share)

    @property
    def vol(self) -> float:
        """Annualised vol, decimal."""
        return math.sqrt(self.total_variance * MINUTES_PER_YEAR / self.minutes)

    @property
    def index(self) -> float:
        """The vol in points: 100 times the decimal."""
        return 100.0 * self.vol

    def check(self) -> None:
        """Raise PmkitError where total variance does not lie between those of the expiries."""
        ends = sorted(s.tau * s.variance for s in (self.near, self.next))
        if not ends[0] * (1.0 - 1e-12) <= self.total_variance <= ends[1] * (1.0 + 1e-12):
            raise PmkitError("the index lies outside its expiries", "an interpolation", "recompute")

    def summary(self) -> pd.DataFrame:
        """Return one row: label, index in vol points, times and weight."""
        row = {
            "label": self.label,
            "index": self.index,
            "days": self.minutes / 1440.0,
            "near_days": self.near.minutes / 1440.0,
            "next_days": self.next.minutes / 1440.0,
            "near_share": self.share,
        }
        return pd.DataFrame([row])

    def to_frame(self) -> pd.DataFrame:
        """Return one row per strike of both expiries."""
        parts = [s.to_frame().assign(minutes=s.minutes) for s in (self.near, self.next)]
        return pd.concat(parts, ignore_index=True)


def vix_index(
    near: VixStrip, next: VixStrip, *, minutes: float = 43_200.0, label: str = "Cboe method"
) -> VixIndex:
    """Return the index at a constant time from the strips of two expiries about it.

    Parameters
    ----------
    near, next : VixStrip
        Expiries at most and at least ``minutes`` away.
    minutes : float
        The constant time; 30 days.
    label : str
        What the number is.

    Raises
    ------
    DataGapError
        The expiries do not enclose the constant time: the formula would extrapolate.

    Notes
    -----
    ``100 sqrt((T1 v1 (N2 - N)/(N2 - N1) + T2 v2 (N - N1)/(N2 - N1)) N365/N)``, linear in total variance.

    References
    ----------
    Cboe (2019), step 3.

    Examples
    --------
    >>> from pmkit.surface import vix_strip
    >>> K = np.arange(70.0, 131.0, 2.5)
    >>> call = np.maximum(100.0 - K, 0.0) + 2.0 * np.exp(-0.005 * (K - 100.0) ** 2)
    >>> quotes = (call, call, call - 100.0 + K, call - 100.0 + K)
    >>> a, b = (vix_strip(K, *quotes, minutes=m, rate=0.0, rate_unit="decimal") for m in (3e4, 5e4))
    >>> round(vix_index(a, b).index, 3)
    35.432
    """
    for strip in (near, next):
        require("a strip", strip, VixStrip, "make it with vix_strip")
    if not (near.minutes <= as_number("minutes", minutes) <= next.minutes and near.minutes < next.minutes):
        raise DataGapError(
            f"expiries {near.minutes:g} and {next.minutes:g} minutes away, index at {minutes:g}",
            "one expiry before and one after", "choose other expiries: the index would be extrapolated",
        )  # fmt: skip
    return VixIndex(label=label, near=near, next=next, minutes=float(minutes))


def dvol_like(quotes: Quotes, underlying: str, *, days: float = 30.0) -> VixIndex:
    """Return a 30-day volatility index in vol points from coin-settled options, by the Cboe strip.

    It is DVOL-like, not DVOL: the exchange's own choice of quotes and smile is not reproduced.

    Parameters
    ----------
    quotes : Quotes
        A chain with bids and asks in coin.
    underlying : str
    days : float
        Constant time in days, positive.

    Returns
    -------
    VixIndex

    Raises
    ------
    ParameterError
        ``days`` is not positive.
    DataGapError
        No expiry with a forward and options on one side of the constant time, or a strip without quotes.

    Notes
    -----
    Bids and asks in coin times the forward of their expiry (listed future, else parity) are prices in USD at
    a rate of 0; that forward also places ``K0``. The two expiries next to the constant time enter. Coin
    chains are coarse and a strike without a bid is skipped, so that the strip over-states by the chords
    between strikes and under-states by what lies beyond the last bid.

    References
    ----------
    Cboe (2019), steps 1 to 3.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> index = dvol_like(read_quotes(datasets.path("deribit-btc-2026-08-01")), "BTC")
    >>> index.label, round(index.index, 2)
    ('DVOL-like', 37.79)
    """
    require("quotes", quotes, Quotes, "read a file with pmkit.market.read_quotes first")
    if not 0.0 < as_number("days", days) < math.inf:
        raise ParameterError(f"days is {days!r}", "a positive number of days", "correct the argument")
    frame = quotes.of_underlying(underlying)
    options = frame[frame["kind"] == "option"]
    forwards = forward_curve(quotes, underlying).quotes
    target = days * 1440.0
    ahead: list[tuple[float, Any]] = [
        ((expiry - quotes.as_of).total_seconds() / 60.0, expiry)
        for expiry in forwards
        if expiry > quotes.as_of and (options["expiry"] == expiry).any()
    ]
    before = [pair for pair in ahead if pair[0] <= target]
    after = [pair for pair in ahead if pair[0] > target]
    if not (before and after):
        raise DataGapError(
            f"{len(before)} expiries of {underlying} within {days:g} days and {len(after)} beyond",
            "at least one of each", "choose another number of days",
        )  # fmt: skip
    strips = []
    for minutes, expiry in (before[-1], after[0]):
        F = forwards[expiry].price
        chain = options[options["expiry"] == expiry]
        both = [
            chain[chain["is_call"] == flag].set_index("strike")[["bid", "ask"]].add_suffix(name)
            for flag, name in ((True, "_call"), (False, "_put"))
        ]
        table = both[0].join(both[1], how="outer").sort_index()
        for side in ("_call", "_put"):
            # a bid without an ask has no mid: it is left out like an option without a bid
            table.loc[table[f"ask{side}"].isna(), f"bid{side}"] = math.nan
        usd = [
            F * table[c].to_numpy(dtype=np.float64) for c in ("bid_call", "ask_call", "bid_put", "ask_put")
        ]
        strips.append(
            vix_strip(table.index.to_numpy(), *usd, minutes=minutes, rate=0.0, rate_unit="decimal", forward=F)
        )
    return vix_index(strips[0], strips[1], minutes=target, label="DVOL-like")
