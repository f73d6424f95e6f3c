"""The variance of one expiry by the Cboe strip, with its rules of selection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.core.time import parse_utc
from pmkit.core.types import BoolArray, FloatArray
from pmkit.surface.arguments import as_number
from pmkit.surface.inputs.forwards_linear import vix_forward

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MINUTES_PER_YEAR", "VixStrip", "minutes_to", "vix_strip"]

MINUTES_PER_YEAR = 525_600.0

#: A rate above this is taken for a percentage that was not divided by 100.
_LARGEST_RATE = 0.25


def minutes_to(as_of: str | pd.Timestamp, settlement: str | pd.Timestamp) -> float:
    """Return the minutes from an instant to a settlement, both UTC.

    Raises
    ------
    ConventionError
        An instant without a zone, or not in UTC.
    ParameterError
        The settlement is not later.

    Examples
    --------
    >>> minutes_to("2026-11-20T15:46:00Z", "2026-12-14T14:30:00Z")
    34484.0
    """
    start, end = parse_utc(as_of), parse_utc(settlement)
    minutes = float((end - start).total_seconds()) / 60.0
    if minutes <= 0.0:
        raise ParameterError(
            f"settlement {end.isoformat()} is not after {start.isoformat()}",
            "a later instant", "drop the expired options",
        )  # fmt: skip
    return minutes


@dataclass(frozen=True, kw_only=True, repr=False)
class VixStrip(Result):
    """Variance of one expiry by the Cboe strip.

    Attributes
    ----------
    minutes : float
        Minutes to settlement.
    rate : float
        Continuously compounded, decimal.
    forward, k0 : float
        Forward price, and the strike at or next below it.
    strike, delta_k, price, contribution : ndarray
        Strikes that survive the selection, their widths, mids, and terms of the sum.
    ledger : tuple of (strike, side, reason)
        Out-of-the-money options that do not enter.
    """

    minutes: float
    rate: float
    forward: float
    k0: float
    strike: FloatArray
    delta_k: FloatArray
    price: FloatArray
    contribution: FloatArray
    ledger: tuple[tuple[float, str, str], ...]
    references = ("cboe2019",)

    @property
    def tau(self) -> float:
        """Years of 525 600 minutes."""
        return self.minutes / MINUTES_PER_YEAR

    @property
    def total(self) -> float:
        """Sum of the contributions ``dK/K² exp(rate tau) Q(K)``."""
        return math.fsum(self.contribution)

    @property
    def correction(self) -> float:
        """What the distance of the forward from ``k0`` takes off the variance per year."""
        return (self.forward / self.k0 - 1.0) ** 2 / self.tau

    @property
    def variance(self) -> float:
        """Variance per year, decimal squared."""
        return 2.0 / self.tau * self.total - self.correction

    def summary(self) -> pd.DataFrame:
        """Return one row: time, forward, k0, strikes in and out, variance, vol."""
        row = {
            "tau": self.tau,
            "forward": self.forward,
            "k0": self.k0,
            "strikes": self.strike.size,
            "left_out": len(self.ledger),
            "variance": self.variance,
            "vol": math.sqrt(self.variance),
        }
        return pd.DataFrame([row])

    def to_frame(self) -> pd.DataFrame:
        """Return one row per strike: width, mid, contribution."""
        return pd.DataFrame(
            {
                "strike": self.strike,
                "delta_k": self.delta_k,
                "price": self.price,
                "contribution": self.contribution,
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw what each strike adds to the sum, and the forward, and return the axes."""
        axes = new_axes(ax, (6.0, 3.5))
        axes.vlines(self.strike, 0.0, self.contribution)
        axes.axvline(self.forward, linestyle=":", color="black", label="forward")
        axes.set_xlabel("strike")
        axes.set_ylabel("contribution to the sum")
        axes.legend(frameon=False)
        return axes


def _decimal_rate(rate: float, unit: str) -> float:
    if unit not in ("decimal", "percent"):
        raise ParameterError(
            f"rate_unit is {unit!r}", "'decimal' or 'percent'", "say in which unit the rate is quoted"
        )
    decimal = as_number("rate", rate) / (100.0 if unit == "percent" else 1.0)
    if not math.isfinite(decimal) or abs(decimal) > _LARGEST_RATE:
        raise ConventionError(
            f"rate is {rate!r} in the unit {unit!r}, {100.0 * decimal:g} % a year",
            f"a rate within {100 * _LARGEST_RATE:.0f} % either way",
            "divide by 100 what is quoted in per cent, or say rate_unit='percent'",
        )
    return decimal


def _side(strike: FloatArray, bid: FloatArray, name: str, ledger: list[tuple[float, str, str]]) -> list[int]:
    """Return the places that enter, walking away from the money; two zero bids in a row end the walk."""
    kept: list[int] = []
    zero_before = stopped = False
    for place in range(strike.size):
        empty = not bid[place] > 0.0
        if stopped:
            ledger.append((float(strike[place]), name, "beyond two consecutive strikes without a bid"))
            continue
        if empty:
            ledger.append((float(strike[place]), name, "no bid"))
            stopped = zero_before
        else:
            kept.append(place)
        zero_before = empty
    return kept


def vix_strip(
    strike: npt.ArrayLike,
    call_bid: npt.ArrayLike,
    call_ask: npt.ArrayLike,
    put_bid: npt.ArrayLike,
    put_ask: npt.ArrayLike,
    *,
    minutes: float,
    rate: float,
    rate_unit: Literal["decimal", "percent"],
    forward: float | None = None,
) -> VixStrip:
    """Return the variance per year of one expiry by the rules of the Cboe Volatility Index.

    Parameters
    ----------
    strike : array_like, shape (n,)
        Every listed strike, ascending: an absent strike would hide a pair of zero bids.
    call_bid, call_ask, put_bid, put_ask : array_like, shape (n,)
        Quote currency per unit, 0 or more. A NaN is an absent quote; a bid of 0 or NaN is no bid.
    minutes : float
        Minutes to settlement, positive: see :func:`minutes_to`.
    rate : float
        Continuously compounded, in the unit named.
    rate_unit : {"decimal", "percent"}
        0.0003 or 0.03: the publications print per cent.
    forward : float, optional
        Forward of the expiry; by parity at the strike where call and put differ least where None.

    Returns
    -------
    VixStrip

    Raises
    ------
    ParameterError
        Shapes, order or domain; an ask below its bid; no unit of the rate; a variance that is not positive.
    ConventionError
        A rate beyond 25 % a year.
    DataGapError
        No pair for the forward, no strike at or below it, no two-sided quote there, or an empty side.

    Notes
    -----
    ``variance = (2/T) sum dK/K² e^{RT} Q(K) - (F/K0 - 1)²/T``. ``F = K + e^{RT} (C - P)`` where ``|C - P|``
    of the mids is least; ``K0`` is the strike at or next below ``F`` and takes the average of put and call.
    Away from it, puts below and calls above enter unless they have no bid; two consecutive strikes without
    one end the side, whatever is bid beyond. ``dK`` is half the distance between the neighbours that survive,
    at an end the distance to the only one.

    References
    ----------
    Cboe (2019), steps 1 and 2.

    Examples
    --------
    >>> K = np.array([80.0, 90.0, 100.0, 110.0, 120.0])
    >>> C, P = np.array([20.1, 10.9, 4.0, 1.0, 0.2]), np.array([0.1, 0.9, 4.0, 11.0, 20.2])
    >>> one = vix_strip(K, C - .05, C + .05, P - .05, P + .05, minutes=43_200, rate=0.0, rate_unit="decimal")
    >>> one.forward, one.k0, round(one.variance ** 0.5, 4)
    (100.0, 100.0, 0.3894)
    """
    K, cb, ca, pb, pa = (
        np.asarray(a, dtype=np.float64) for a in (strike, call_bid, call_ask, put_bid, put_ask)
    )
    if K.ndim != 1 or any(a.shape != K.shape for a in (cb, ca, pb, pa)):
        raise ParameterError(
            f"shapes {[a.shape for a in (K, cb, ca, pb, pa)]} of strike, call and put quotes",
            "five rows of one length", "list one bid and one ask per strike and side",
        )  # fmt: skip
    if not ((K > 0.0).all() and np.isfinite(K).all() and (np.diff(K) > 0.0).all()):
        raise ParameterError(
            "strikes are not positive and ascending", "each strike once, lowest first", "sort"
        )
    for name, bid, ask in (("call", cb, ca), ("put", pb, pa)):
        bad = (bid < 0.0) | (ask < 0.0) | (ask < bid) | np.isinf(bid) | np.isinf(ask)
        if bad.any():
            at = int(np.flatnonzero(bad)[0])
            raise ParameterError(
                f"{name} at strike {K[at]:g} is quoted {bid[at]:g} to {ask[at]:g}",
                "0 <= bid <= ask, NaN where absent", "filter crossed and negative quotes first",
            )  # fmt: skip
    if not 0.0 < as_number("minutes", minutes) < math.inf:
        raise ParameterError(
            f"minutes is {minutes!r}", "a positive number of minutes", "drop what has expired"
        )
    decimal = _decimal_rate(rate, rate_unit)
    tau = minutes / MINUTES_PER_YEAR
    growth = math.exp(decimal * tau)
    call, put = _mid(cb, ca), _mid(pb, pa)
    both = (cb > 0.0) & (pb > 0.0)
    F = as_number("forward", forward) if forward is not None else _parity(K, call, put, both, growth)
    if not (math.isfinite(F) and F > 0.0):
        raise ParameterError(f"forward is {F!r}", "a positive price", "correct it, or leave it to parity")
    centre = int(np.searchsorted(K, F, side="right")) - 1
    if centre < 0 or math.isnan(call[centre] + put[centre]):
        what = "no strike" if centre < 0 else f"no two-sided call and put at strike {K[centre]:g}"
        raise DataGapError(
            f"{what} at or below the forward {F:g}", "both quotes at K0", "load a fuller chain"
        )
    ledger: list[tuple[float, str, str]] = []
    below, above = slice(centre - 1 if centre else None, None, -1), slice(centre + 1, None)
    puts = K[below][_side(K[below], pb[below], "put", ledger)] if centre else np.array([])
    calls = K[above][_side(K[above], cb[above], "call", ledger)]
    if not (puts.size and calls.size):
        raise DataGapError(
            f"{puts.size} puts below and {calls.size} calls above K0 = {K[centre]:g} have a bid",
            "at least one of each", "load a fuller chain",
        )  # fmt: skip
    used = np.isin(K, np.concatenate([puts, [K[centre]], calls]))
    price = np.where(K[centre] > K, put, call)
    price[centre] = 0.5 * (call[centre] + put[centre])
    kept, mids = K[used], price[used]
    if np.isnan(mids).any():
        raise ParameterError(
            f"strike {kept[np.isnan(mids)][0]:g} has a bid but no ask", "both sides where there is a bid",
            "set its bid to NaN to leave it out",
        )  # fmt: skip
    width = np.concatenate([[kept[1] - kept[0]], 0.5 * (kept[2:] - kept[:-2]), [kept[-1] - kept[-2]]])
    made = VixStrip(
        minutes=float(minutes), rate=decimal, forward=F, k0=float(K[centre]), strike=kept, delta_k=width,
        price=mids, contribution=width / kept**2 * growth * mids, ledger=tuple(sorted(ledger)),
    )  # fmt: skip
    if not made.variance > 0.0:
        raise ParameterError(
            f"the strip has a variance of {made.variance:g} with the forward {F:g} and K0 = {K[centre]:g}",
            "a positive variance", "correct the forward or the quotes: they contradict each other",
        )  # fmt: skip
    return made


def _mid(bid: FloatArray, ask: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (np.where(np.isnan(bid) & ~np.isnan(ask), 0.0, bid) + ask))


def _parity(K: FloatArray, call: FloatArray, put: FloatArray, quoted: BoolArray, growth: float) -> float:
    if not quoted.any():
        raise DataGapError(
            "no strike has a call and a put with a bid", "at least one, for the forward", "give forward=..."
        )
    return vix_forward(K[quoted], call[quoted], put[quoted], df=1.0 / growth)[0]
