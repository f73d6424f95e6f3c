"""The forward of each expiry: the listed future, else robust put-call parity on near-the-money pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.time import year_fraction
from pmkit.core.types import BoolArray, FloatArray
from pmkit.market.quotes import Quotes
from pmkit.market.snapshot import ForwardQuote

__all__ = ["ForwardCurve", "ParityForward", "forward_curve", "parity_forward"]

_MAX_ROUNDS = 50
_TOLERANCE = 1e-5
_HUBER = 1.345


@dataclass(frozen=True, kw_only=True)
class ParityForward:
    """Forward implied by coin-settled call-put pairs of one expiry.

    Attributes
    ----------
    price : float
        Robust estimate, USD.
    lower, upper : float
        Bounds that every pair used allows at its bid and ask; ``lower > upper`` says that the quotes
        contradict each other.
    pairs : int
        Pairs used.
    sd : float
        Total volatility iv·√tau read from the straddle nearest the money.
    """

    price: float
    lower: float
    upper: float
    pairs: int
    sd: float

    @property
    def feasible(self) -> bool:
        """True where the estimate lies between the bounds."""
        return self.lower <= self.price <= self.upper


def parity_forward(
    strike: npt.ArrayLike,
    call_bid: npt.ArrayLike,
    call_ask: npt.ArrayLike,
    put_bid: npt.ArrayLike,
    put_ask: npt.ArrayLike,
    start: float,
) -> ParityForward:
    """Return the forward in USD that coin-settled calls and puts at the same strikes imply.

    Parameters
    ----------
    strike : array_like, shape (n,)
        USD, positive.
    call_bid, call_ask, put_bid, put_ask : array_like, shape (n,)
        Coin per coin of notional; a pair with a NaN is left out.
    start : float
        First guess in USD, positive: the index or a neighbouring forward.

    Returns
    -------
    ParityForward

    Raises
    ------
    DataGapError
        Fewer than three complete pairs.
    ParameterError
        ``start`` is not positive.

    Notes
    -----
    ``c - p = 1 - K/F`` is a line through 1 at K = 0, so that only its slope ``-1/F`` is estimated. The pairs
    are those with ``|ln(K/F)|`` within one at-the-money standard deviation, at least three; the weights are
    ``1/spread²`` (floored at a tenth of the median spread) times Huber's, and forward and band are renewed
    until the forward moves by less than 1e-5. A pair bounds the forward by ``K/(1 - (c_bid - p_ask))`` from
    below and ``K/(1 - (c_ask - p_bid))`` from above.

    References
    ----------
    Huber (1964).

    Examples
    --------
    >>> from pmkit.pricing import black76_inverse
    >>> K = np.array([58e3, 60e3, 62e3])
    >>> c, p = (black76_inverse(60e3, K, 0.1, 0.5, is_call=side) for side in (True, False))
    >>> round(parity_forward(K, c - 1e-4, c + 1e-4, p - 1e-4, p + 1e-4, 55e3).price, 6)
    60000.0
    """
    if not (math.isfinite(start) and start > 0.0):
        raise ParameterError(f"start is {start!r}", "a positive price in USD", "give the index price")
    K, cb, ca, pb, pa = (
        np.asarray(a, dtype=np.float64) for a in (strike, call_bid, call_ask, put_bid, put_ask)
    )
    whole = np.isfinite(K) & np.isfinite(cb) & np.isfinite(ca) & np.isfinite(pb) & np.isfinite(pa)
    if int(whole.sum()) < 3:
        raise DataGapError(
            f"{int(whole.sum())} call-put pairs",
            "at least 3 strikes with both sides of both",
            "list the future",
        )
    K, cb, ca, pb, pa = K[whole], cb[whole], ca[whole], pb[whole], pa[whole]
    difference, spread = 0.5 * (cb + ca) - 0.5 * (pb + pa), (ca - cb) + (pa - pb)
    straddle = 0.5 * (cb + ca) + 0.5 * (pb + pa)
    positive = spread[spread > 0.0]
    spread = np.maximum(spread, 0.1 * float(np.median(positive)) if positive.size else 1.0)
    F, sd, band = start, math.nan, np.ones(K.size, dtype=bool)
    for _ in range(_MAX_ROUNDS):
        k = np.log(K / F)
        # at the money a straddle is worth sd·sqrt(2/pi) coins to first order
        sd = float(straddle[np.argmin(np.abs(k))]) * math.sqrt(math.pi / 2.0)
        band = _band(k, sd)
        renewed = _robust_slope(K[band], 1.0 - difference[band], spread[band])
        moved, F = abs(renewed / F - 1.0), renewed
        if moved < _TOLERANCE:
            break
    low, high = 1.0 - (cb - pa)[band], 1.0 - (ca - pb)[band]
    lower = float(np.max(np.where(low > 0.0, K[band] / np.where(low > 0.0, low, 1.0), 0.0)))
    upper = float(np.min(np.where(high > 0.0, K[band] / np.where(high > 0.0, high, 1.0), np.inf)))
    return ParityForward(price=F, lower=lower, upper=upper, pairs=int(band.sum()), sd=sd)


def _band(k: FloatArray, sd: float) -> BoolArray:
    """Return the strikes within one standard deviation, else the three nearest the money."""
    inside: BoolArray = np.abs(k) <= sd
    if int(inside.sum()) < 3:
        inside = np.abs(k) <= np.sort(np.abs(k))[2]
    return inside


def _robust_slope(K: FloatArray, y: FloatArray, spread: FloatArray) -> float:
    """Return F of ``y = K/F`` by Huber's weights on residuals in units of the spread."""
    weight = 1.0 / spread**2
    for _ in range(20):
        beta = math.fsum(weight * K * y) / math.fsum(weight * K * K)
        residual = np.abs(y - beta * K) / spread
        scale = max(1.4826 * float(np.median(residual)), 1e-12)
        weight = np.minimum(1.0, _HUBER * scale / np.maximum(residual, 1e-300)) / spread**2
    return 1.0 / beta


@dataclass(frozen=True, kw_only=True)
class ForwardCurve:
    """Forwards of one underlying by expiry, with what could not be found.

    Attributes
    ----------
    underlying : str
    spot : float
        Mid of the perpetual, USD: it stands for the index.
    as_of : pandas.Timestamp
        Instant from which times to expiry count.
    quotes : mapping of Timestamp to ForwardQuote
        Ascending by expiry.
    parity : mapping of Timestamp to ParityForward
        Estimates by parity wherever pairs exist, also where the future was preferred.
    ledger : tuple of (instrument, reason, detail)
        Expiries without a forward.
    """

    underlying: str
    spot: float
    as_of: pd.Timestamp
    quotes: dict[pd.Timestamp, ForwardQuote]
    parity: dict[pd.Timestamp, ParityForward]
    ledger: tuple[tuple[str, str, str], ...]

    def at(self, tau: npt.ArrayLike) -> FloatArray:
        """Return forwards in USD at times in years: ln F is linear in tau, from the spot at 0.

        Beyond the last expiry the carry from the spot to it goes on. A curve without expiries is flat.
        """
        years = np.asarray(tau, dtype=np.float64)
        if not self.quotes:
            return np.where(np.isnan(years), np.nan, self.spot)
        knots = np.array([0.0] + [year_fraction(self.as_of, e) for e in self.quotes])
        logs = np.log(np.array([self.spot] + [f.price for f in self.quotes.values()]))
        carry = (logs[-1] - logs[0]) / knots[-1]
        beyond = np.maximum(years - knots[-1], 0.0) * carry
        return np.asarray(np.exp(np.interp(years, knots, logs) + beyond))

    def to_frame(self) -> pd.DataFrame:
        """Return one row per expiry: forward, source, parity with bounds and pairs, difference in bp."""
        rows = []
        for expiry, quote in self.quotes.items():
            other = self.parity.get(expiry)
            rows.append(
                {
                    "expiry": expiry,
                    "tau": year_fraction(self.as_of, expiry),
                    "forward": quote.price,
                    "source": quote.source,
                    "parity": other.price if other else math.nan,
                    "lower": other.lower if other else math.nan,
                    "upper": other.upper if other else math.nan,
                    "pairs": other.pairs if other else 0,
                    "difference_bp": 1e4 * (other.price / quote.price - 1.0) if other else math.nan,
                }
            )
        return pd.DataFrame(rows)


def _pairs(options: pd.DataFrame) -> pd.DataFrame:
    usable = options[options["mid"].notna()]
    sides = {
        side: usable[usable["is_call"] == flag].set_index("strike")[["bid", "ask"]].add_suffix(f"_{side}")
        for side, flag in (("call", True), ("put", False))
    }
    return sides["call"].join(sides["put"], how="inner").sort_index()


def spot_of(quotes: Quotes, underlying: str) -> float:
    """Return the mid of the perpetual in USD, which stands for the index.

    Raises
    ------
    DataGapError
        The quotes hold no perpetual of the underlying.
    """
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


def forward_curve(quotes: Quotes, underlying: str, *, as_of: pd.Timestamp | None = None) -> ForwardCurve:
    """Return the forward of every expiry in USD: mid of the listed future, else parity, else a ledger row.

    Parameters
    ----------
    quotes : Quotes
    underlying : str
    as_of : Timestamp, optional
        Instant from which times count; that of the quotes where None.

    Returns
    -------
    ForwardCurve
        Sources are ``"listed future"``, ``"forward row"`` (surface files) or ``"parity"``. A parity estimate
        outside the bounds of its own bids and asks is not used.

    Raises
    ------
    DataGapError
        No perpetual of the underlying.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> curve = forward_curve(read_quotes(datasets.path("deribit-btc-2026-08-01")), "BTC")
    >>> len(curve.quotes), set(f.source for f in curve.quotes.values())
    (13, {'listed future'})
    """
    spot = spot_of(quotes, underlying)
    frame = quotes.of_underlying(underlying)
    listed = frame[(frame["kind"] == "future") & frame["mid"].notna()].set_index("expiry")["mid"]
    label = "forward row" if quotes.labels else "listed future"
    options = frame[frame["kind"] == "option"]
    found: dict[pd.Timestamp, ForwardQuote] = {}
    estimates: dict[pd.Timestamp, ParityForward] = {}
    ledger: list[tuple[str, str, str]] = []
    expiries: list[Any] = sorted(set(listed.index) | set(options["expiry"].unique()))
    guess = spot
    for expiry in expiries:
        pairs = _pairs(options[options["expiry"] == expiry])
        estimate: ParityForward | None = None
        if len(pairs) >= 3:
            cb, ca, pb, pa = (pairs[c].to_numpy() for c in ("bid_call", "ask_call", "bid_put", "ask_put"))
            estimate = parity_forward(pairs.index.to_numpy(), cb, ca, pb, pa, start=guess)
            estimates[expiry] = estimate
        if expiry in listed.index:
            found[expiry] = ForwardQuote(float(listed[expiry]), label)
        elif estimate is not None and estimate.feasible:
            found[expiry] = ForwardQuote(estimate.price, "parity")
        else:
            name = f"{underlying} {expiry:%Y-%m-%d}"
            if estimate is None:
                ledger.append(
                    (name, "no_forward", f"no listed future and {len(pairs)} call-put pairs, 3 are needed")
                )
            else:
                bounds = f"{estimate.price:.2f} outside {estimate.lower:.2f} to {estimate.upper:.2f}"
                ledger.append(
                    (name, "no_forward", f"no listed future and parity contradicts bid and ask: {bounds}")
                )
            continue
        guess = found[expiry].price
    return ForwardCurve(
        underlying=underlying,
        spot=spot,
        as_of=quotes.as_of if as_of is None else as_of,
        quotes=found,
        parity=estimates,
        ledger=tuple(ledger),
    )
