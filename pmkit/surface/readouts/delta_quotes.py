"""A smile read off by delta: at the money, risk reversal, smile butterfly, and the broker's strangle."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.pricing import black76
from pmkit.surface.arguments import as_number
from pmkit.surface.readouts.curves import VarianceCurve, check_tau, variance_curve
from pmkit.surface.readouts.deltas import (
    BISECTIONS,
    DeltaKind,
    check_kind,
    k_of_delta,
    positive_forward,
    strike_from_delta,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["AtmKind", "BrokerStrangle", "DeltaQuotes", "broker_strangle", "delta_quotes", "market_butterfly"]

AtmKind = Literal["forward", "delta_neutral", "spot"]
"""Strike at the forward; strike of the straddle without delta (of the kind named); strike at the spot."""


def _atm_k(curve: VarianceCurve, atm: str, adjusted: bool, forward: float, spot: float | None) -> float:
    if atm == "forward":
        return 0.0
    if atm == "spot":
        if spot is None or not (math.isfinite(spot) and spot > 0.0):
            raise ParameterError(f"spot is {spot!r}", "a positive price for atm='spot'", "give spot=...")
        return math.log(spot / forward)
    if atm != "delta_neutral":
        raise ParameterError(
            f"atm is {atm!r}", f"one of {', '.join(get_args(AtmKind))}", "name the kind of at the money"
        )
    # the straddle has no delta where d1 is 0 (premium-adjusted: d2), at k = w/2 (or -w/2)
    side = -0.5 if adjusted else 0.5

    def gap(k: float) -> float:
        return abs(k) - 0.5 * float(curve.w(np.array(k)))

    low, high = 0.0, side * curve.sd**2
    for _ in range(100):
        if gap(high) >= 0.0:
            break
        low, high = high, 2.0 * high
    else:
        raise ParameterError("no delta-neutral strike", "a wing of slope below 2", "repair the smile")
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (low, middle) if gap(middle) >= 0.0 else (middle, high)
    return 0.5 * (low + high)


@dataclass(frozen=True, kw_only=True, repr=False)
class DeltaQuotes(Result):
    """A smile in the words of a trader: at the money, risk reversal and smile butterfly by delta.

    Attributes
    ----------
    kind, atm_kind : str
        Kind of delta and of at the money.
    delta : float
        Positive decimal.
    tau, forward : float
        Years of 365 days; price.
    atm, call, put : float
        Vols at the money and at the call and put of that delta, annualised decimals.
    atm_strike, call_strike, put_strike : float
        In the unit of the forward.
    """

    kind: str
    atm_kind: str
    delta: float
    tau: float
    forward: float
    atm: float
    call: float
    put: float
    atm_strike: float
    call_strike: float
    put_strike: float
    references = ("reiswich2012",)

    @property
    def risk_reversal(self) -> float:
        """Vol of the call less that of the put, decimal."""
        return self.call - self.put

    @property
    def butterfly(self) -> float:
        """Smile butterfly: mean vol of call and put less that at the money, decimal."""
        return 0.5 * (self.call + self.put) - self.atm

    def summary(self) -> pd.DataFrame:
        """Return one row: kinds, delta, at the money, risk reversal, butterfly, strikes."""
        row = {
            "kind": self.kind,
            "atm_kind": self.atm_kind,
            "delta": self.delta,
            "tau": self.tau,
            "atm": self.atm,
            "risk_reversal": self.risk_reversal,
            "butterfly": self.butterfly,
            "put_strike": self.put_strike,
            "atm_strike": self.atm_strike,
            "call_strike": self.call_strike,
        }
        return pd.DataFrame([row])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the three vols over their strikes, and return the axes."""
        axes = new_axes(ax, (6.0, 3.5))
        strikes = [self.put_strike, self.atm_strike, self.call_strike]
        vols = [self.put, self.atm, self.call]
        axes.plot(strikes, vols, "o-")
        for name, strike, vol in zip(("put", "at the money", "call"), strikes, vols, strict=True):
            axes.annotate(name, (strike, vol), textcoords="offset points", xytext=(4, 4))
        axes.set_xlabel("strike")
        axes.set_ylabel("implied vol")
        axes.set_title(f"delta {self.delta:g} ({self.kind}), {self.tau:.4g} years")
        return axes


def delta_quotes(
    source: Any,
    delta: float = 0.25,
    *,
    kind: DeltaKind,
    atm: AtmKind = "delta_neutral",
    forward: float = 1.0,
    tau: float | None = None,
    spot: float | None = None,
    df_foreign: float | None = None,
    outside: str = "raise",
) -> DeltaQuotes:
    """Return at-the-money vol, risk reversal and smile butterfly (decimals) of a smile at a delta.

    Parameters
    ----------
    source : slice, VolSurface or callable
        As :func:`pmkit.surface.variance_curve`.
    delta : float
        Positive decimal, used for the call and, with minus, for the put.
    kind : {"spot", "forward", "pa_spot", "pa_forward"}
        Required: the quotes mean nothing without it. Coin-settled options: ``"pa_forward"``.
    atm : {"forward", "delta_neutral", "spot"}
        ``"delta_neutral"`` is neutral in the delta of ``kind``.
    forward, tau, df_foreign, outside
        As :func:`strike_of_delta`.
    spot : float, optional
        Needed for ``atm="spot"``.

    Returns
    -------
    DeltaQuotes

    Raises
    ------
    ParameterError
        A kind that is not known, a delta that is not positive or not reached, no time.

    References
    ----------
    Reiswich and Wystup (2012).

    Examples
    --------
    >>> from pmkit.surface import RawSvi
    >>> q = delta_quotes(RawSvi(a=0.02, b=0.1, rho=-0.3, m=0.0, sigma=0.1), kind="pa_forward", tau=30 / 365)
    >>> round(q.atm, 4), round(q.risk_reversal, 4), round(q.butterfly, 4)
    (0.6099, -0.0797, 0.0548)
    """
    if not (isinstance(delta, (int, float)) and delta > 0.0):
        raise ParameterError(f"delta is {delta!r}", "a positive decimal such as 0.25", "correct the argument")
    F, curve = positive_forward(forward), variance_curve(source, tau, outside=outside)
    time = check_tau(None if math.isnan(curve.tau) else curve.tau)
    _, adjusted = check_kind(kind)
    places = [
        k_of_delta(curve, -float(delta), kind, df_foreign),
        _atm_k(curve, atm, adjusted, F, spot),
        k_of_delta(curve, float(delta), kind, df_foreign),
    ]
    put, middle, call = (math.sqrt(float(curve.w(np.array(k))) / time) for k in places)
    strikes = [F * math.exp(k) for k in places]
    return DeltaQuotes(
        kind=kind, atm_kind=atm, delta=float(delta), tau=time, forward=F, atm=middle, call=call, put=put,
        put_strike=strikes[0], atm_strike=strikes[1], call_strike=strikes[2],
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class BrokerStrangle:
    """A strangle quoted by one vol for both strikes.

    Attributes
    ----------
    iv : float
        At-the-money vol plus market butterfly, annualised decimal.
    put_strike, call_strike : float
        Strikes of the delta at that one vol.
    value : float
        Undiscounted price of put and call together at that one vol, quote currency.
    """

    iv: float
    put_strike: float
    call_strike: float
    value: float


def broker_strangle(
    forward: float,
    tau: float,
    atm: float,
    butterfly: float,
    *,
    kind: DeltaKind,
    delta: float = 0.25,
    df_foreign: float | None = None,
) -> BrokerStrangle:
    """Return strikes and undiscounted value of the strangle that a market butterfly stands for.

    Parameters
    ----------
    forward : float
    tau : float
        Years of 365 days.
    atm, butterfly : float
        At-the-money vol and market butterfly, annualised decimals; their sum is positive.
    kind : {"spot", "forward", "pa_spot", "pa_forward"}
    delta : float
        Positive decimal.
    df_foreign : float, optional
        Discount factor of the underlying; the spot kinds need it.

    Raises
    ------
    ParameterError
        An argument outside its domain.

    Notes
    -----
    One vol sets both strikes; a smile agrees with the quote where it gives the two options the same *sum* of
    prices. That is not the smile butterfly where the risk reversal is large: see :func:`market_butterfly`.

    References
    ----------
    Reiswich and Wystup (2012).

    Examples
    --------
    >>> F = 1.3465 * 0.966001 / 0.971049
    >>> one = broker_strangle(F, 1.0, 0.1825, 0.0095, kind="spot", df_foreign=0.966001)
    >>> round(one.put_strike, 4), round(one.call_strike, 4)
    (1.205, 1.5449)
    """
    for what, value in (("atm", atm), ("butterfly", butterfly)):
        if not math.isfinite(as_number(what, value)) or (what == "atm" and value <= 0.0):
            raise ParameterError(
                f"{what} is {value:g}", "a vol as a decimal, that at the money positive", "write 0.2 for 20 %"
            )
    iv = atm + butterfly
    put, call = (
        float(
            strike_from_delta(s * delta, forward, tau, iv, kind=kind, is_call=s > 0.0, df_foreign=df_foreign)
        )
        for s in (-1.0, 1.0)
    )
    value = float(black76(forward, put, tau, iv, is_call=False)) + float(black76(forward, call, tau, iv))
    return BrokerStrangle(iv=iv, put_strike=put, call_strike=call, value=value)


def market_butterfly(
    source: Any,
    delta: float = 0.25,
    *,
    kind: DeltaKind,
    atm: AtmKind = "delta_neutral",
    forward: float = 1.0,
    tau: float | None = None,
    spot: float | None = None,
    df_foreign: float | None = None,
    outside: str = "raise",
) -> tuple[float, BrokerStrangle]:
    """Return the market (broker) butterfly of a smile, decimal, and the strangle it stands for.

    Parameters
    ----------
    source, delta, kind, atm, forward, tau, spot, df_foreign, outside
        As :func:`delta_quotes`.

    Raises
    ------
    ParameterError
        As :func:`delta_quotes`.
    DataGapError
        No single vol gives the strangle the value that the smile gives it.

    Notes
    -----
    The vol ``s`` solves ``P(K_p(s), s) + C(K_c(s), s) = P(K_p(s), iv(K_p)) + C(K_c(s), iv(K_c))``; the
    butterfly is ``s`` less the at-the-money vol.

    Examples
    --------
    >>> from pmkit.surface import RawSvi
    >>> smile = RawSvi(a=0.02, b=0.1, rho=-0.3, m=0.0, sigma=0.1)
    >>> market, _ = market_butterfly(smile, kind="pa_forward", tau=30 / 365)
    >>> round(market, 4)
    0.0508
    """
    quotes = delta_quotes(
        source, delta, kind=kind, atm=atm, forward=forward, tau=tau, spot=spot, df_foreign=df_foreign,
        outside=outside,
    )  # fmt: skip
    curve = variance_curve(source, tau, outside="extend")

    def strangle(iv: float) -> BrokerStrangle:
        return broker_strangle(
            forward, quotes.tau, iv, 0.0, kind=kind, delta=float(delta), df_foreign=df_foreign
        )

    def gap(iv: float) -> float:
        one = strangle(iv)
        strikes = np.array([one.put_strike, one.call_strike])
        smile = np.sqrt(curve.w(np.log(strikes / forward)) / quotes.tau)
        prices = np.asarray(black76(forward, strikes, quotes.tau, smile, is_call=np.array([False, True])))
        return one.value - math.fsum(prices)

    middle = 0.5 * (quotes.call + quotes.put)
    iv = _root(gap, middle)
    return iv - quotes.atm, strangle(iv)


def _root(gap: Callable[[float], float], start: float) -> float:
    """Return the root nearest a start value, looked for between a quarter and four times it."""
    for width in (1.02, 1.1, 1.5, 4.0):
        low, high = start / width, start * width
        below, above = gap(low), gap(high)
        if below * above <= 0.0:
            break
    else:
        raise DataGapError(
            f"no vol between {start / 4.0:g} and {start * 4.0:g} gives the strangle its value on the smile",
            "a smile with moderate wings", "repair the smile",
        )  # fmt: skip
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        inside = gap(middle)
        low, high = (middle, high) if inside * below > 0.0 else (low, middle)
    return 0.5 * (low + high)
