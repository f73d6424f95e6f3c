"""Forward and discount of each expiry: the listed future, else robust parity on near-the-money pairs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.types import FloatArray, Settlement
from pmkit.market.quotes import Quotes
from pmkit.market.snapshot import ForwardQuote
from pmkit.surface.arguments import require
from pmkit.surface.inputs.forward_curve import ForwardCurve
from pmkit.surface.inputs.forwards_linear import line_without_stale, parity_line, vix_forward
from pmkit.surface.inputs.forwards_parity import ParityForward, parity_forward, without_stale

__all__ = ["Contradicting", "ForwardCurve", "ForwardMethod", "forward_curve", "spot_of"]

ForwardMethod = Literal["auto", "parity", "vix"]
Contradicting = Literal["refuse", "drop"]


def _pairs(options: pd.DataFrame) -> list[FloatArray]:
    """Return strikes, ascending, with bid and ask of the call and of the put where both have a mid."""
    strike, bid, ask, mid = (options[c].to_numpy(dtype=np.float64) for c in ("strike", "bid", "ask", "mid"))
    is_call = options["is_call"].to_numpy()
    usable = ~np.isnan(mid)
    sides = []
    for flag in (True, False):
        rows = np.flatnonzero(usable & (is_call == flag))
        sides.append(rows[np.argsort(strike[rows], kind="stable")])
    call, put = (sides[n][i] for n, i in enumerate(np.nonzero(strike[sides[0], None] == strike[sides[1]])))
    return [strike[call], bid[call], ask[call], bid[put], ask[put]]


def spot_of(quotes: Quotes, underlying: str) -> float:
    """Return the index level that the source gives, else the mid of the perpetual, in quote currency.

    Raises
    ------
    DataGapError
        The quotes hold neither.
    """
    if underlying in quotes.spots:
        return float(quotes.spots[underlying])
    frame = quotes.of_underlying(underlying)
    mids = frame.loc[frame["kind"] == "perpetual", "mid"].dropna()
    if mids.empty:
        raise DataGapError(
            f"no two-sided quote of {underlying}-PERPETUAL in {quotes.source}",
            "the perpetual (or the spot row of a surface file), which stands for the index",
            "add its row",
            file=quotes.source,
        )
    return float(mids.iloc[0])


def forward_curve(
    quotes: Quotes,
    underlying: str,
    *,
    as_of: pd.Timestamp | None = None,
    method: ForwardMethod = "auto",
    discount: Mapping[pd.Timestamp, float] | None = None,
    contradicting: Contradicting = "refuse",
) -> ForwardCurve:
    """Return forward (quote currency) and discount factor of every expiry, or the reason why there is none.

    Parameters
    ----------
    quotes : Quotes
    underlying : str
    as_of : Timestamp, optional
        Instant from which times count; that of the quotes where None.
    method : {"auto", "parity", "vix"}
        ``auto``: mid of the listed future, else parity. ``parity``: put-call parity also where a future is
        listed. ``vix``: the pair with the least ``|C - P|`` alone.
    discount : mapping of Timestamp to float, optional
        Known discount factors by expiry (options in quote currency); the rest are estimated.
    contradicting : {"refuse", "drop"}
        What to do where call-put pairs contradict each other: no forward for the expiry, or leave pairs out,
        the furthest first, until the rest agree, at most a fifth of those near the money, each named in the
        ledger (``stale_pairs``).

    Returns
    -------
    ForwardCurve
        Sources are ``"listed future"``, ``"forward row"`` (surface files), ``"parity"``, ``"parity, moved
        into its bounds"`` or ``"vix rule"``. A parity estimate that contradicts its own bids and asks is not
        used: the expiry stands in the ledger with the strikes at fault.

    Raises
    ------
    DataGapError
        No perpetual of the underlying, and no index level.
    ConventionError
        American options, or a discount factor for coin-settled ones.
    ParameterError
        Unknown method, or options that have expired at ``as_of``.
    SchemaError
        A strike that is not positive.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> curve = forward_curve(read_quotes(datasets.path("deribit-btc-2026-08-01")), "BTC")
    >>> len(curve.quotes), set(f.source for f in curve.quotes.values())
    (13, {'listed future'})
    """
    require("quotes", quotes, Quotes, "read a file with pmkit.market.read_quotes first")
    instant = quotes.as_of if as_of is None else as_of
    _check(quotes, underlying, method, discount, contradicting)
    spot = spot_of(quotes, underlying)
    frame = quotes.of_underlying(underlying)
    listed = frame[(frame["kind"] == "future") & frame["mid"].notna()].set_index("expiry")["mid"]
    label = "forward row" if quotes.labels and quotes.settlement == "inverse" else "listed future"
    options = frame[frame["kind"] == "option"]
    expiries: list[Any] = sorted(set(listed.index) | set(options["expiry"].unique()))
    _refuse_strikes(options, quotes)
    _refuse_expired(expiries, instant, quotes)
    by_expiry = dict(tuple(options.groupby("expiry")))
    collected = _Collected()
    guess = spot
    for expiry in expiries:
        pairs = _pairs(by_expiry.get(expiry, options.iloc[:0]))
        future = float(listed[expiry]) if expiry in listed.index else None
        known = None if discount is None else discount.get(expiry)
        estimate = _estimate(pairs, quotes.settlement, method, guess, future, known, contradicting)
        if estimate is not None:
            collected.parity[expiry] = estimate
        name = f"{underlying} {expiry:%Y-%m-%d}"
        if future is not None and method == "auto":
            collected.listed(expiry, name, ForwardQuote(future, label), estimate, known, quotes.settlement)
        else:
            collected.implied(expiry, name, estimate, pairs[0].size, method)
        if expiry in collected.found:
            guess = collected.found[expiry].price
    return ForwardCurve(
        underlying=underlying,
        spot=spot,
        as_of=instant,
        quotes=collected.found,
        parity=collected.parity,
        ledger=tuple(collected.ledger),
        df=collected.df,
        status=collected.status,
        settlement=quotes.settlement,
    )


def _check(
    quotes: Quotes,
    underlying: str,
    method: str,
    discount: Mapping[pd.Timestamp, float] | None,
    contradicting: str,
) -> None:
    if quotes.exercise == "american":
        raise ConventionError(
            f"American options on {underlying} in {quotes.source}",
            "European options: for American ones put-call parity is an inequality and gives no forward",
            "use the European index options, or forwards and vols from an American pricer",
        )
    if method not in ("auto", "parity", "vix"):
        raise ParameterError(
            f"method is {method!r}", "'auto', 'parity' or 'vix'", "name one of these methods"
        )
    if contradicting not in ("refuse", "drop"):
        raise ParameterError(
            f"contradicting is {contradicting!r}", "'refuse' or 'drop'", "say what to do with stale pairs"
        )
    if discount and quotes.settlement == "inverse":
        raise ConventionError(
            "discount factors for coin-settled options",
            "none: their premium is in coin and the forward carries the rate",
            "leave discount out",
        )
    for expiry, df in (discount or {}).items():
        if not (math.isfinite(df) and df > 0.0):
            raise ParameterError(
                f"discount factor of {expiry:%Y-%m-%d} is {df!r}", "a positive number", "correct it"
            )


def _refuse_strikes(options: pd.DataFrame, quotes: Quotes) -> None:
    wrong = options[~(options["strike"] > 0.0)]
    if len(wrong):
        raise SchemaError(
            f"strike of {wrong['instrument'].iloc[0]} is {float(wrong['strike'].iloc[0]):g}",
            "a positive strike",
            "correct the quote or drop it",
            file=quotes.source,
        )


def _refuse_expired(expiries: list[Any], instant: pd.Timestamp, quotes: Quotes) -> None:
    gone = [e for e in expiries if e <= instant]
    if gone:
        raise ParameterError(
            f"{len(gone)} expiries of {quotes.source} from {gone[0].isoformat()} have passed",
            f"expiries after as_of {instant.isoformat()}",
            "drop them, or ask for an earlier instant",
        )


def _estimate(
    pairs: list[FloatArray],
    settlement: Settlement,
    method: str,
    guess: float,
    future: float | None,
    df: float | None,
    contradicting: str,
) -> ParityForward | None:
    """Return the estimate of one expiry, or None where the pairs are fewer than three."""
    K, cb, ca, pb, pa = pairs
    if K.size < 3:
        return None
    call, put = 0.5 * (cb + ca), 0.5 * (pb + pa)
    if settlement == "inverse":
        found = parity_forward(K, cb, ca, pb, pa, start=guess)
        if contradicting == "drop" and not found.feasible:
            estimate = partial(parity_forward, start=guess)
            found = without_stale([K, cb, ca, pb, pa], estimate, lambda one, at: 1.0 - at / one.price)
        if method == "vix":
            at = int(np.argmin(np.abs(call - put)))
            found = replace(found, price=float(K[at] / (1.0 - (call - put)[at])))
        return found
    known = future if method == "auto" and df is None else None
    line = parity_line if contradicting == "refuse" else line_without_stale
    found = line(K, cb, ca, pb, pa, df=df, forward=known)
    if method == "vix":
        found = replace(found, price=vix_forward(K, call, put, df=found.df)[0])
    return found


class _Collected:
    """What the walk over the expiries gathers."""

    def __init__(self) -> None:
        self.found: dict[pd.Timestamp, ForwardQuote] = {}
        self.parity: dict[pd.Timestamp, ParityForward] = {}
        self.ledger: list[tuple[str, str, str]] = []
        self.df: dict[pd.Timestamp, float] = {}
        self.status: dict[pd.Timestamp, str] = {}

    def listed(
        self,
        expiry: pd.Timestamp,
        name: str,
        quote: ForwardQuote,
        estimate: ParityForward | None,
        df: float | None,
        settlement: Settlement,
    ) -> None:
        """Take the listed future; options in quote currency need a discount factor besides."""
        if settlement == "linear":
            if df is None and estimate is not None and estimate.feasible:
                df = estimate.df
            if df is None:
                why = "too few call-put pairs" if estimate is None else _contradiction(estimate)
                self.ledger.append((name, "no_discount", f"a listed future, but no discount factor: {why}"))
                self.status[expiry] = "too_few_points" if estimate is None else estimate.status
                return
            self.df[expiry] = df
            if estimate is not None:
                self._dropped(name, estimate, estimate.pairs)
        elif estimate is not None and estimate.feasible and not _within(quote.price, estimate):
            text = (
                f"the {quote.source} at {quote.price:.2f} is used, {estimate.pairs} call-put pairs say "
                f"{estimate.lower:.2f} to {estimate.upper:.2f}"
            )
            self.ledger.append((name, "future_outside_parity", text))
        self.found[expiry], self.status[expiry] = quote, "ok"

    def implied(
        self, expiry: pd.Timestamp, name: str, estimate: ParityForward | None, pairs: int, method: str
    ) -> None:
        """Take the estimate by parity where its quotes do not contradict it."""
        if estimate is None:
            self.status[expiry] = "too_few_points"
            text = f"no listed future and {pairs} call-put pairs, 3 are needed"
            self.ledger.append((name, "no_forward", text))
            return
        self.status[expiry] = estimate.status
        if estimate.feasible:
            source = "parity" if estimate.status == "ok" else "parity, moved into its bounds"
            self.found[expiry] = ForwardQuote(estimate.price, "vix rule" if method == "vix" else source)
            self.df[expiry] = estimate.df
            self._dropped(name, estimate, pairs)
            return
        reason = "no_forward"
        if math.isnan(estimate.intercept):
            reason = "discount_out_of_range" if estimate.status == "at_bound" else "parity_infeasible"
        text = f"no listed future and parity contradicts bid and ask: {_contradiction(estimate)}"
        if estimate.status == "at_bound":
            text = f"no listed future and the discount factor of parity is {estimate.df:.4f}"
        self.ledger.append((name, reason, text))

    def _dropped(self, name: str, estimate: ParityForward, pairs: int) -> None:
        if estimate.dropped:
            strikes = ", ".join(f"{k:g}" for k in estimate.dropped)
            text = f"{len(estimate.dropped)} of {pairs} call-put pairs contradict the rest: strikes {strikes}"
            self.ledger.append((name, "stale_pairs", text))


def _within(price: float, estimate: ParityForward) -> bool:
    return estimate.lower <= price <= estimate.upper


def _contradiction(estimate: ParityForward) -> str:
    if estimate.at_fault:
        strikes = ", ".join(f"{k:g}" for k in estimate.at_fault)
        return f"off by {estimate.slack:.2f} at strikes {strikes}"
    return f"{estimate.price:.2f} outside {estimate.lower:.2f} to {estimate.upper:.2f}"
