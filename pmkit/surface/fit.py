"""From quotes to a surface: own vols by inverting mids, then one slice an expiry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, overload

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.status import Status
from pmkit.core.time import parse_utc, year_fraction
from pmkit.core.types import FloatArray
from pmkit.market.quotes import Quotes
from pmkit.pricing import implied_vol
from pmkit.surface.forwards import ForwardCurve, forward_curve
from pmkit.surface.smile import LinearSurface, SmileSlice
from pmkit.surface.svi_fit import SVI_MIN_POINTS, fit_svi
from pmkit.surface.svi_surface import SviSlice, SviSurface

__all__ = ["MIN_POINTS", "OwnVols", "fit", "own_vols"]

#: Fewest usable options that make a slice.
MIN_POINTS = 3
#: Vols above this are noise of a tick on an option about to settle, not information.
_MAX_IV = 5.0
#: Within this many standard deviations of the forward the tighter of call and put is taken.
_NEAR_THE_MONEY = 0.25


@dataclass(frozen=True, kw_only=True)
class OwnVols:
    """Implied vols of the options with a two-sided quote.

    Attributes
    ----------
    frame : pandas.DataFrame
        instrument, expiry, strike, is_call, forward, tau, k, mid, spread (coin), iv.
    ledger : tuple of (instrument, reason, detail)
        Options without an own vol: ``below_intrinsic`` or another status of the inversion,
        ``vol_out_of_range``, ``no_forward``.
    """

    frame: pd.DataFrame
    ledger: tuple[tuple[str, str, str], ...]

    @property
    def by_name(self) -> dict[str, float]:
        """Implied vol (decimal) by option name."""
        return dict(zip(self.frame["instrument"], self.frame["iv"].astype(float), strict=True))


def own_vols(quotes: Quotes, curve: ForwardCurve) -> OwnVols:
    """Return the implied vols (decimal) of the option mids of one underlying, on the forwards of ``curve``.

    Mids below the intrinsic value on the forward have none; they and every other failure stand in the ledger.
    """
    frame = quotes.of_underlying(curve.underlying)
    options = frame[(frame["kind"] == "option") & frame["mid"].notna()]
    ledger = [
        (str(name), "no_forward", "its expiry has no forward")
        for name in options.loc[~options["expiry"].isin(list(curve.quotes)), "instrument"]
    ]
    options = options[options["expiry"].isin(list(curve.quotes))]
    forward = np.array([curve.quotes[e].price for e in options["expiry"]], dtype=np.float64)
    tau = np.array([year_fraction(curve.as_of, e) for e in options["expiry"]], dtype=np.float64)
    strike, mid = options["strike"].to_numpy(), options["mid"].to_numpy()
    is_call = options["is_call"].to_numpy(dtype=bool)
    iv, status = (np.empty(0), np.empty(0, dtype=np.int8))
    if len(options):
        iv, status = implied_vol(
            mid, forward, strike, tau, is_call=is_call, return_status=True, settlement="inverse"
        )
    for i in np.flatnonzero((status != Status.OK) | (iv > _MAX_IV)):
        name = str(options["instrument"].iloc[i])
        if status[i] == Status.OK:
            ledger.append((name, "vol_out_of_range", f"mid {mid[i]:g} implies {iv[i]:.2f}"))
            continue
        intrinsic = max(0.0, (1.0 if is_call[i] else -1.0) * (1.0 - strike[i] / forward[i]))
        ledger.append((name, Status(int(status[i])).label, f"mid {mid[i]:g}, intrinsic {intrinsic:.6g}"))
    good = (status == Status.OK) & (iv <= _MAX_IV)
    table = options[["instrument", "expiry", "strike", "is_call", "mid"]].assign(
        forward=forward, tau=tau, k=np.log(strike / forward), spread=options["ask"] - options["bid"], iv=iv
    )
    return OwnVols(frame=table[good], ledger=tuple(ledger))


def _chosen(vols: pd.DataFrame) -> pd.DataFrame:
    """Return the out-of-the-money options of an expiry, near the money the tighter side, by strike."""
    vols = vols.sort_values(["strike", "is_call"], kind="stable")
    tau = float(vols["tau"].iloc[0])
    outside = np.where(vols["is_call"], vols["k"] >= 0.0, vols["k"] <= 0.0)
    nearest = vols.iloc[int(np.argmin(np.abs(vols["k"].to_numpy())))]
    reach = _NEAR_THE_MONEY * float(nearest["iv"]) * np.sqrt(tau)
    near = vols["k"].abs().to_numpy() <= reach
    # vega of call and put agree, so the narrower coin spread is the narrower vol spread
    order = np.where(near, vols["spread"], np.where(outside, 0.0, np.inf))
    chosen = vols.assign(order=order, itm=~outside).query("order < inf")
    return chosen.sort_values(["strike", "order", "itm"], kind="stable").drop_duplicates("strike")


def _slice(expiry: pd.Timestamp, chosen: pd.DataFrame) -> SmileSlice:
    """Return the slice through the chosen options."""
    tau = float(chosen["tau"].iloc[0])
    return SmileSlice(
        expiry=expiry,
        tau=tau,
        forward=float(chosen["forward"].iloc[0]),
        k=chosen["k"].to_numpy(dtype=np.float64, copy=True),
        w=(chosen["iv"] ** 2 * tau).to_numpy(dtype=np.float64, copy=True),
        instruments=tuple(chosen["instrument"]),
    )


def _linear(vols: OwnVols, curve: ForwardCurve) -> LinearSurface:
    slices, left_out = [], {}
    for expiry in curve.quotes:
        here = vols.frame[vols.frame["expiry"] == expiry]
        one = _slice(expiry, _chosen(here)) if len(here) else None
        if one is None or one.k.size < MIN_POINTS:
            points = 0 if one is None else one.k.size
            left_out[expiry] = f"{points} usable out-of-the-money options, {MIN_POINTS} are needed"
        else:
            slices.append(one)
    return LinearSurface(slices=tuple(slices), curve=curve, left_out=left_out)


def _error_bars(chosen: pd.DataFrame) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return error bars, bids and asks in total variance.

    The bar is half the spread over vega; a spread narrower than a tenth of the median counts as that much. A
    bid below the intrinsic value is total variance 0, an ask without a vol is infinite.
    """
    iv, tau, k = (chosen[c].to_numpy(dtype=np.float64) for c in ("iv", "tau", "k"))
    spread, mid = (chosen[c].to_numpy(dtype=np.float64) for c in ("spread", "mid"))
    sd = iv * np.sqrt(tau)
    d1 = -k / sd + 0.5 * sd
    vega = np.exp(-0.5 * d1 * d1) / np.sqrt(2.0 * np.pi)
    wide = spread[spread > 0.0]
    floored = np.maximum(spread, 0.1 * float(np.median(wide)) if wide.size else 1.0)
    ends = []
    for price, missing in ((mid - 0.5 * spread, 0.0), (mid + 0.5 * spread, np.inf)):
        vol, status = implied_vol(
            price, chosen["forward"].to_numpy(), chosen["strike"].to_numpy(), tau,
            is_call=chosen["is_call"].to_numpy(dtype=bool), return_status=True, settlement="inverse",
        )  # fmt: skip
        ends.append(np.where(status == Status.OK, vol**2 * tau, missing))
    return sd * floored / np.maximum(vega, 1e-300), ends[0], ends[1]


def _svi(vols: OwnVols, curve: ForwardCurve) -> SviSurface:
    slices, left_out, statuses = [], {}, {}
    for expiry in curve.quotes:
        here = vols.frame[vols.frame["expiry"] == expiry]
        if not len(here):
            left_out[expiry] = f"0 usable out-of-the-money options, {SVI_MIN_POINTS} are needed"
            statuses[expiry] = "too_few_points"
            continue
        chosen = _chosen(here)
        quotes = _slice(expiry, chosen)
        error, bid, ask = _error_bars(chosen)
        fitted = fit_svi(quotes.k, quotes.w, error, w_bid=bid, w_ask=ask)
        if fitted.usable and fitted.svi is not None:
            slices.append(SviSlice(quotes=quotes, svi=fitted.svi, fit=fitted))
        else:
            left_out[expiry], statuses[expiry] = fitted.detail, fitted.status
    return SviSurface(slices=tuple(slices), curve=curve, left_out=left_out, left_out_status=statuses)


_MODELS: dict[str, Callable[[OwnVols, ForwardCurve], LinearSurface | SviSurface]] = {
    "linear": _linear,
    "svi": _svi,
}


@overload
def fit(
    quotes: Quotes,
    model: Literal["linear"] = "linear",
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
) -> LinearSurface: ...


@overload
def fit(
    quotes: Quotes,
    model: Literal["svi"],
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
) -> SviSurface: ...


@overload
def fit(
    quotes: Quotes,
    model: str,
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
) -> LinearSurface | SviSurface: ...


def fit(
    quotes: Quotes,
    model: str = "linear",
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
) -> LinearSurface | SviSurface:
    """Return the surface of total variance through the option quotes of one underlying.

    The model ``"linear"`` passes through its quotes as they are; ``"svi"`` fits raw SVI to each expiry alone,
    weighted by vega over spread. Absence of static arbitrage is **not** guaranteed by either, neither between
    strikes nor between expiries; :meth:`SviSurface.arbitrage` says where there is some.

    Parameters
    ----------
    quotes : Quotes
    model : {"linear", "svi"}
    underlying : str, optional
        Needed only where the quotes hold several.
    as_of : str or Timestamp, optional
        Instant from which times count; that of the quotes where None.
    curve, vols : optional
        Forwards and own vols where they are known already.

    Raises
    ------
    ParameterError
        Unknown model, or several underlyings and none named.
    DataGapError
        Unknown underlying, no perpetual, or no expiry with three usable options (``"svi"``: five).

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> surface = fit(read_quotes(datasets.path("deribit-btc-2026-08-01")))
    >>> len(surface.slices), surface.model
    (13, 'linear')
    """
    if model not in _MODELS:
        raise ParameterError(
            f"model {model!r}", f"one of {', '.join(map(repr, _MODELS))}", "name one of these models"
        )
    if underlying is None:
        if len(quotes.underlyings) != 1:
            raise ParameterError(
                f"quotes of {', '.join(quotes.underlyings)}",
                "the name of one underlying",
                "say underlying=...",
            )
        underlying = quotes.underlyings[0]
    if underlying not in quotes.underlyings:
        raise DataGapError(
            f"no quotes of {underlying!r} in {quotes.source}",
            f"one of {', '.join(quotes.underlyings)}",
            "correct the name",
        )
    instant = quotes.as_of if as_of is None else parse_utc(as_of)
    curve = forward_curve(quotes, underlying, as_of=instant) if curve is None else curve
    return _MODELS[model](own_vols(quotes, curve) if vols is None else vols, curve)
