"""Which quotes a surface is fitted to: checks in a fixed order, a ledger of every quote that fails one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.status import Status
from pmkit.core.time import year_fraction
from pmkit.core.types import BoolArray, FloatArray
from pmkit.market.quotes import LEDGER_COLUMNS, Quotes
from pmkit.pricing import implied_vol
from pmkit.surface.arguments import as_number, check_curve, require
from pmkit.surface.inputs.forwards import ForwardCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["FILTER_ORDER", "FilteredQuotes", "QuoteFilter", "filter_quotes"]

#: Reasons in the order of the checks; a quote stands in the ledger with the first that it fails.
FILTER_ORDER = (
    "crossed",
    "no_ask",
    "zero_bid",
    "stale",
    "wide",
    "no_forward",
    "below_intrinsic",
    "above_bound",
    "vol_cliff",
    "delta_window",
)


@dataclass(frozen=True, kw_only=True)
class QuoteFilter:
    """Thresholds of the checks, in the order in which they are made.

    Attributes
    ----------
    min_bid_ticks : float
        Least bid in ticks, where the source tells the tick; a missing or zero bid always fails.
    max_age : Timedelta or str
        Oldest quote, where the source stamps each.
    max_parity_gap : float
        How far a call-put pair may lie outside put-call parity on the curve, in units of its two spreads,
        before both quotes count as stale; more than 0 for the error of forward and discount factor.
    max_relative_spread : float
        Greatest (ask - bid)/mid of the option, below 2.
    information_floor : float
        Least time value as a share of the forward; below, the quote says nothing about volatility.
    max_vol_drop : float
        Greatest relative gap between the vols of neighbouring out-of-the-money strikes, going outwards from
        the money; beyond, the outer quote is a cliff (a cabinet price, a slip).
    min_delta, max_delta : float
        Window of the forward delta of the call at the strike, on the option's own vol.

    Examples
    --------
    >>> QuoteFilter(max_relative_spread=0.5).max_relative_spread
    0.5
    """

    min_bid_ticks: float = 2.0
    max_age: pd.Timedelta | str = "15min"
    max_parity_gap: float = 0.1
    max_relative_spread: float = 1.0
    information_floor: float = 1e-10
    max_vol_drop: float = 0.5
    min_delta: float = 0.01
    max_delta: float = 0.99

    def __post_init__(self) -> None:
        try:
            age = pd.Timedelta(self.max_age)
            if pd.isna(age) or age < pd.Timedelta(0):
                raise ValueError
        except (ValueError, TypeError):
            raise ParameterError(
                f"max_age is {self.max_age!r}", "a duration of 0 or more, such as '15min'", "correct it"
            ) from None
        object.__setattr__(self, "max_age", age)
        ranges = {
            "min_bid_ticks": (0.0, math.inf),
            "max_parity_gap": (0.0, math.inf),
            "max_relative_spread": (0.0, 2.0),
            "information_floor": (0.0, 1.0),
            "max_vol_drop": (0.0, 1.0),
            "min_delta": (0.0, 1.0),
            "max_delta": (self.min_delta, 1.0),
        }
        for name, (least, most) in ranges.items():
            value = getattr(self, name)
            if not least <= as_number(name, value) <= most:
                raise ParameterError(
                    f"{name} is {value!r}", f"a number from {least:g} to {most:g}", "correct the threshold"
                )


@dataclass(frozen=True, kw_only=True, repr=False)
class FilteredQuotes(Result):
    """Quotes that passed every check, and the reason for each that did not.

    Attributes
    ----------
    quotes : Quotes
        What is left: futures and perpetuals untouched, options that passed.
    ledger : pandas.DataFrame
        instrument, expiry, reason, detail of every dropped option, in the order of the source.
    options : int
        Options before.
    filter : QuoteFilter
    """

    quotes: Quotes
    ledger: pd.DataFrame
    options: int
    filter: QuoteFilter = field(default_factory=QuoteFilter)

    def counts(self) -> dict[str, int]:
        """Return the number of dropped options by reason, in the order of the checks, zeros included."""
        found = self.ledger["reason"].value_counts()
        return {reason: int(found.get(reason, 0)) for reason in FILTER_ORDER}

    def summary(self) -> pd.DataFrame:
        """Return one row per expiry: options, kept, and dropped by reason."""
        kept = self.quotes.frame[self.quotes.frame["kind"] == "option"].groupby("expiry").size()
        dropped = self.ledger.groupby(["expiry", "reason"]).size().unstack(fill_value=0)
        table = dropped.reindex(columns=list(FILTER_ORDER), fill_value=0)
        table = table.reindex(sorted(set(table.index) | set(kept.index)), fill_value=0)
        table.columns.name = None
        kept = kept.reindex(table.index, fill_value=0)
        table.insert(0, "kept", kept)
        table.insert(0, "options", table.sum(axis=1))
        return table

    def to_frame(self) -> pd.DataFrame:
        """Return the ledger."""
        return self.ledger.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the options kept and dropped for each reason, one bar an expiry, and return the axes."""
        axes = new_axes(ax, (7.0, 3.5))
        table = self.summary().drop(columns="options")
        names = [f"{expiry:%Y-%m-%d}" for expiry in table.index]
        bottom = np.zeros(len(names))
        for reason in table.columns[table.sum() > 0]:
            count = table[reason].to_numpy(dtype=np.float64)
            axes.bar(names, count, bottom=bottom, label=str(reason).replace("_", " "))
            bottom += count
        axes.set_ylabel("options")
        axes.tick_params("x", rotation=60)
        axes.legend(frameon=False, fontsize="small")
        return axes

    def check(self) -> None:
        """Raise PmkitError where options kept and dropped do not add up to the options before."""
        kept = int((self.quotes.frame["kind"] == "option").sum())
        if kept + len(self.ledger) != self.options or self.ledger["instrument"].duplicated().any():
            raise ParameterError(
                f"{kept} options kept and {len(self.ledger)} ledger rows",
                f"{self.options} in all, each option once",
                "let filter_quotes make the object",
            )


def filter_quotes(
    quotes: Quotes,
    curve: ForwardCurve,
    *,
    filter: QuoteFilter | None = None,
) -> FilteredQuotes:
    """Return the options of one underlying that pass every check, and the ledger of those that do not.

    Parameters
    ----------
    quotes : Quotes
    curve : ForwardCurve
        Forwards and discount factors of the underlying; an expiry without a forward drops out by name.
    filter : QuoteFilter, optional
        Thresholds; the defaults where None.

    Returns
    -------
    FilteredQuotes

    Raises
    ------
    DataGapError
        No option passes. Unfiltered quotes are never used instead.
    ConventionError
        Quotes and curve are of different settlement.

    Notes
    -----
    The order is fixed: crossed (or no ask), zero bid, stale, wide, no forward, below intrinsic (or without
    time value), above the upper bound, vol cliff, delta window. A quote is stale by its stamp, or where the
    call-put pair at its strike contradicts the forward of its expiry by more than ``max_parity_gap`` spreads;
    which of the two is stale cannot be told, so both go. Vols are those of the mids; in-the-money mids are
    inverted through parity.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface.inputs.forwards import forward_curve
    >>> quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    >>> found = filter_quotes(quotes, forward_curve(quotes, "BTC"))
    >>> found.options, found.counts()["zero_bid"], found.counts()["below_intrinsic"]
    (868, 93, 12)
    """
    settings = QuoteFilter() if filter is None else filter
    require("filter", settings, QuoteFilter, "build one: QuoteFilter(max_relative_spread=0.5), say")
    check_curve(quotes, curve)
    frame = quotes.of_underlying(curve.underlying)
    options = frame[frame["kind"] == "option"]
    walk = _Walk(options, quotes, curve, settings)
    ledger = pd.DataFrame(
        {
            "instrument": options["instrument"],
            "expiry": options["expiry"],
            "reason": walk.reason,
            "detail": walk.detail,
        }
    )[~walk.alive].reset_index(drop=True)
    if not walk.alive.any():
        counts = ", ".join(f"{n} {reason}" for reason, n in ledger["reason"].value_counts().items())
        raise DataGapError(
            f"none of {len(options)} {curve.underlying} options in {quotes.source} passes ({counts})",
            "at least one",
            "look at the ledger of forward_curve, or loosen the thresholds if they are at fault",
        )
    gone = set(ledger["instrument"])
    before = quotes.ledger[~quotes.ledger["instrument"].isin(gone)]
    left = Quotes(
        frame=quotes.frame[~quotes.frame["instrument"].isin(gone)],
        ledger=pd.concat([before, ledger[list(LEDGER_COLUMNS)]], ignore_index=True),
        as_of=quotes.as_of,
        source=quotes.source,
        labels=quotes.labels,
        settlement=quotes.settlement,
        exercise=quotes.exercise,
        spots=quotes.spots,
    )
    return FilteredQuotes(quotes=left, ledger=ledger, options=len(options), filter=settings)


class _Walk:
    """One pass over the options: who is still alive, and why the others are not."""

    def __init__(
        self, options: pd.DataFrame, quotes: Quotes, curve: ForwardCurve, settings: QuoteFilter
    ) -> None:
        size = len(options)
        self.alive: BoolArray = np.ones(size, dtype=bool)
        self.reason, self.detail = np.full(size, "", dtype=object), np.full(size, "", dtype=object)
        self.options, self.settings = options, settings
        self.bid, self.ask, self.mid, self.strike, self.tick = (
            options[c].to_numpy(dtype=np.float64) for c in ("bid", "ask", "mid", "strike", "tick")
        )
        self.is_call = options["is_call"].to_numpy(dtype=bool)
        codes, expiries = pd.factorize(options["expiry"])
        self.group = codes
        prices = [curve.quotes[e].price if e in curve.quotes else math.nan for e in expiries]
        self.forward = np.array(prices, dtype=np.float64)[codes]
        self.df = np.array([curve.discount(e) for e in expiries], dtype=np.float64)[codes]
        self.tau = np.array([year_fraction(curve.as_of, e) for e in expiries], dtype=np.float64)[codes]
        self.status_of = [curve.status.get(e, "no estimate") for e in expiries]
        self.inverse = quotes.settlement == "inverse"
        self._sides(quotes)
        self._spreads_and_forwards()
        self._vols()

    def _drop(self, failed: BoolArray, reason: str, detail: list[str] | FloatArray, text: str = "") -> None:
        for i in np.flatnonzero(failed & self.alive):
            self.reason[i] = reason
            self.detail[i] = detail[i] if isinstance(detail, list) else text.format(detail[i])
        self.alive &= ~failed

    def _sides(self, quotes: Quotes) -> None:
        bid, ask = self.bid, self.ask
        both = [f"bid {b:g} above ask {a:g}" for b, a in zip(bid, ask, strict=True)]
        self._drop(bid > ask, "crossed", both)
        text = ["neither bid nor ask" if np.isnan(b) else f"bid {b:g}" for b in bid]
        self._drop(np.isnan(ask), "no_ask", text)
        self._drop(np.isnan(bid), "zero_bid", ask, "no bid, ask {:g}")
        small = bid < self.settings.min_bid_ticks * self.tick * (1.0 - 1e-9)
        self._drop(small, "zero_bid", bid / self.tick, "bid of {:g} ticks")
        if "quoted_at" in self.options:
            age = (quotes.as_of - self.options["quoted_at"]).dt.total_seconds().to_numpy(dtype=np.float64)
            limit = pd.Timedelta(self.settings.max_age).total_seconds()
            self._drop(~(age <= limit), "stale", age / 60.0, "quoted {:.1f} minutes before")
        gap = self._parity_gap()
        self._drop(gap > self.settings.max_parity_gap, "stale", gap, "parity missed by {:.2f} spreads")

    def _parity_gap(self) -> FloatArray:
        """Return how far the pair of each option is outside parity, in spreads; 0 without a pair."""
        usable = self.alive & np.isfinite(self.forward)
        at = pd.DataFrame({"group": self.group, "strike": self.strike, "bid": self.bid, "ask": self.ask})
        at["row"] = np.arange(len(at))
        call, put = at[usable & self.is_call], at[usable & ~self.is_call]
        pair = call.merge(put, on=["group", "strike"], suffixes=("_c", "_p"))
        gap = np.zeros(len(at))
        if not len(pair):
            return gap
        rows = pair["row_c"].to_numpy()
        F, D, K = self.forward[rows], self.df[rows], self.strike[rows]
        value = 1.0 - K / F if self.inverse else D * (F - K)
        low = (pair["bid_c"] - pair["ask_p"]).to_numpy()
        high = (pair["ask_c"] - pair["bid_p"]).to_numpy()
        outside = np.maximum(np.maximum(low - value, value - high), 0.0)
        rounding = 1e-12 * np.maximum(np.abs(value), 1.0)
        outside = np.where(outside > rounding, outside, 0.0)
        spreads = outside / np.maximum(high - low, 1e-300)
        for side in ("row_c", "row_p"):
            gap[pair[side].to_numpy()] = spreads
        return gap

    def _spreads_and_forwards(self) -> None:
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = (self.ask - self.bid) / self.mid
        self._drop(relative > self.settings.max_relative_spread, "wide", relative, "spread {:.3f} of the mid")
        statuses = [f"its expiry has no forward: {self.status_of[g]}" for g in self.group]
        self._drop(~np.isfinite(self.forward), "no_forward", statuses)

    def _vols(self) -> None:
        from scipy.special import ndtr

        alive = np.flatnonzero(self.alive)
        iv, status = np.full(self.alive.size, np.nan), np.zeros(self.alive.size, dtype=np.int8)
        if alive.size:
            iv[alive], status[alive] = implied_vol(
                self.mid[alive], self.forward[alive], self.strike[alive], self.tau[alive],
                df=1.0 if self.inverse else self.df[alive], is_call=self.is_call[alive], return_status=True,
                settlement="inverse" if self.inverse else "linear",
            )  # fmt: skip
        scale = self.forward if self.inverse else 1.0 / self.df
        side = np.where(self.is_call, 1.0, -1.0)
        intrinsic = np.maximum(side * (self.forward - self.strike), 0.0)
        time_value = self.mid * scale - intrinsic
        low = np.isin(status, (Status.BELOW_INTRINSIC, Status.NO_INFORMATION))
        low |= self.alive & (time_value <= self.settings.information_floor * self.forward)
        self._drop(low, "below_intrinsic", time_value, "time value {:.6g} in quote currency, undiscounted")
        names = [Status(int(s)).label for s in status]
        self._drop(status != Status.OK, "above_bound", names)
        cliff, ratio = self._cliffs(iv)
        self._drop(cliff, "vol_cliff", ratio, "vol {:.2f} times that of the strike nearer the money")
        total = iv * np.sqrt(self.tau)
        with np.errstate(invalid="ignore", divide="ignore"):
            delta = ndtr(np.log(self.forward / self.strike) / total + 0.5 * total)
        outside = (delta < self.settings.min_delta) | (delta > self.settings.max_delta)
        self._drop(outside, "delta_window", delta, "forward delta of the call {:.4f}")

    def _cliffs(self, iv: FloatArray) -> tuple[BoolArray, FloatArray]:
        """Return which out-of-the-money quotes are off a cliff, walking outwards from the money."""
        cliff, ratio = np.zeros(iv.size, dtype=bool), np.ones(iv.size)
        outside = self.alive & np.where(
            self.is_call, self.strike >= self.forward, self.strike <= self.forward
        )
        least = 1.0 - self.settings.max_vol_drop
        for group in np.unique(self.group[outside]):
            for call in (True, False):
                rows = np.flatnonzero(outside & (self.group == group) & (self.is_call == call))
                rows = rows[np.argsort(np.abs(np.log(self.strike[rows] / self.forward[rows])), kind="stable")]
                inner = math.nan
                for i in rows:
                    ratio[i] = iv[i] / inner if inner == inner else 1.0
                    cliff[i] = min(ratio[i], 1.0 / ratio[i]) < least
                    if not cliff[i]:
                        inner = iv[i]
        return cliff, ratio
