"""The points a slice is fitted to: one option a strike, with error bars and the vols of bid and ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.status import Status
from pmkit.core.types import BoolArray, FloatArray, IntArray
from pmkit.pricing import implied_vol
from pmkit.surface.inputs.forwards import ForwardCurve
from pmkit.surface.inputs.own_vols import OwnVols
from pmkit.surface.slices.smile import SmileSlice

__all__ = ["LeftOut", "SliceQuotes", "slice_quotes"]

#: Expiries without a slice: status and reason.
LeftOut = Mapping[pd.Timestamp, tuple[str, str]]

#: Within this many standard deviations of the forward the tighter of call and put is taken.
_NEAR_THE_MONEY = 0.25


@dataclass(frozen=True, kw_only=True)
class SliceQuotes(SmileSlice):
    """Points of one expiry with their error bars, and total variance of bid and ask.

    Attributes
    ----------
    error : ndarray, shape (points,)
        Half the spread in total variance, floored at a tenth of the median spread; positive.
    w_bid, w_ask : ndarray, shape (points,)
        0 where the bid is below the intrinsic value, infinite where the ask has no vol.
    """

    error: FloatArray
    w_bid: FloatArray
    w_ask: FloatArray

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("error", "w_bid", "w_ask"):
            array = getattr(self, name)
            if array.shape != self.k.shape:
                raise ParameterError(
                    f"{name} of shape {array.shape} at {self.expiry.date()}",
                    f"shape {self.k.shape} like k",
                    "give one number per point",
                )
            array.flags.writeable = False
        wrong = np.flatnonzero(~((self.error > 0.0) & np.isfinite(self.error)))
        if wrong.size:
            raise ParameterError(
                f"error[{wrong[0]}] of {self.expiry.date()} is {self.error[wrong[0]]:g}",
                "finite and positive numbers",
                "drop the point, or give it the error of its spread",
            )

    def inside(self, w: npt.ArrayLike) -> FloatArray:
        """Return True for every point whose total variance ``w`` lies between bid and ask."""
        values = np.asarray(w, dtype=np.float64)
        return np.asarray((self.w_bid <= values) & (values <= self.w_ask))

    def take(self, chosen: npt.ArrayLike) -> SliceQuotes:
        """Return the points of a mask or of indices, such as every second strike."""
        index = np.asarray(chosen)
        positions = np.flatnonzero(index) if index.dtype == np.bool_ else index
        names = tuple(self.instruments[i] for i in positions) if self.instruments else ()
        return replace(
            self,
            instruments=names,
            k=self.k[positions],
            w=self.w[positions],
            error=self.error[positions],
            w_bid=self.w_bid[positions],
            w_ask=self.w_ask[positions],
        )


def slice_quotes(
    vols: OwnVols, curve: ForwardCurve, least: int
) -> tuple[tuple[SliceQuotes, ...], dict[pd.Timestamp, tuple[str, str]]]:
    """Return the points of every expiry with at least ``least`` of them, and the others with the reason.

    Out-of-the-money options, near the money the tighter of call and put; one option a strike. An expiry
    without a forward is left out with the status that the curve gives it.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> from pmkit.surface import forward_curve, own_vols
    >>> quotes = read_quotes(datasets.path("deribit-eth-2026-05-21"))
    >>> curve = forward_curve(quotes, "ETH")
    >>> points, left_out = slice_quotes(own_vols(quotes, curve), curve, 5)
    >>> len(points), points[0].k.size, left_out
    (12, 11, {})
    """
    found, left_out = [], {}
    for expiry, status in curve.status.items():
        if expiry not in curve.quotes:
            name = f"{curve.underlying} {expiry:%Y-%m-%d}"
            reasons = [detail for what, _, detail in curve.ledger if what == name]
            left_out[expiry] = (status, reasons[0] if reasons else "its expiry has no forward")
    table = _Columns.of(vols)
    for expiry in curve.quotes:
        chosen = table.chosen(expiry)
        if chosen.size < least:
            why = f"{chosen.size} usable out-of-the-money options, {least} are needed"
            left_out[expiry] = ("too_few_points", why)
        else:
            found.append(table.points(expiry, chosen))
    return tuple(found), left_out


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """The columns of own vols as arrays, and the rows of each expiry."""

    strike: FloatArray
    is_call: BoolArray
    k: FloatArray
    iv: FloatArray
    tau: FloatArray
    forward: FloatArray
    bid: FloatArray
    ask: FloatArray
    spread: FloatArray
    instrument: npt.NDArray[np.object_]
    rows: Mapping[pd.Timestamp, IntArray]

    @classmethod
    def of(cls, vols: OwnVols) -> _Columns:
        frame = vols.frame
        numbers = ("strike", "k", "iv", "tau", "forward", "bid", "ask", "spread")
        return cls(
            **{name: frame[name].to_numpy(dtype=np.float64) for name in numbers},
            is_call=frame["is_call"].to_numpy(dtype=np.bool_),
            instrument=frame["instrument"].to_numpy(dtype=object),
            rows={pd.Timestamp(e): np.asarray(i) for e, i in frame.groupby("expiry").indices.items()},  # type: ignore[arg-type]
        )

    def chosen(self, expiry: pd.Timestamp) -> IntArray:
        """Return the out-of-the-money options of an expiry, near the money the tighter side, by strike."""
        rows = self.rows.get(expiry)
        if rows is None:
            return np.empty(0, dtype=np.int64)
        rows = rows[np.lexsort((self.is_call[rows], self.strike[rows]))]
        k = self.k[rows]
        outside = np.where(self.is_call[rows], k >= 0.0, k <= 0.0)
        nearest = rows[int(np.argmin(np.abs(k)))]
        near = np.abs(k) <= _NEAR_THE_MONEY * float(self.iv[nearest]) * np.sqrt(self.tau[rows[0]])
        # vega of call and put agree, so the narrower spread is the narrower vol spread
        order = np.where(near, self.spread[rows], np.where(outside, 0.0, np.inf))
        strike = self.strike[rows]
        by_strike = np.lexsort((~outside, order, strike))
        by_strike = by_strike[order[by_strike] < np.inf]
        _, first = np.unique(strike[by_strike], return_index=True)
        return np.asarray(rows[by_strike[first]])

    def points(self, expiry: pd.Timestamp, rows: IntArray) -> SliceQuotes:
        """Return the points of an expiry at these rows."""
        tau = float(self.tau[rows[0]])
        error, bid, ask = self._error_bars(rows)
        return SliceQuotes(
            expiry=expiry,
            tau=tau,
            forward=float(self.forward[rows[0]]),
            k=self.k[rows],
            w=self.iv[rows] ** 2 * tau,
            instruments=tuple(self.instrument[rows]),
            error=error,
            w_bid=bid,
            w_ask=ask,
        )

    def _error_bars(self, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return error bars, bids and asks in total variance.

        Premiums are shares of the discounted forward. The bar is half the spread over vega; a spread narrower
        than a tenth of the median counts as that much. A bid below the intrinsic value is total variance 0,
        an ask without a vol is infinite.
        """
        iv, tau, k, spread = self.iv[rows], self.tau[rows], self.k[rows], self.spread[rows]
        sd = iv * np.sqrt(tau)
        d1 = -k / sd + 0.5 * sd
        vega = np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
        wide = spread[spread > 0.0]
        floored = np.maximum(spread, 0.1 * float(np.median(wide)) if wide.size else 1.0)
        ends = []
        for price, missing in ((self.bid, 0.0), (self.ask, np.inf)):
            vol, status = implied_vol(
                price[rows], self.forward[rows], self.strike[rows], tau, is_call=self.is_call[rows],
                return_status=True, settlement="inverse",
            )  # fmt: skip
            ends.append(np.where(status == Status.OK, vol**2 * tau, missing))
        return sd * floored / np.maximum(vega, 1e-300), ends[0], ends[1]
