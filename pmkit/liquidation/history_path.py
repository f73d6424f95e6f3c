"""Dated markets from daily closes: a snapshot at each close, options marked off a given vol and smile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, LookAheadError
from pmkit.core.protocols import VolSurface
from pmkit.core.provenance import Provenance
from pmkit.core.time import parse_utc, year_fraction
from pmkit.core.types import FloatArray
from pmkit.liquidation.moved import HIGHEST_VOL, MovedSurface
from pmkit.margin.accounts.numbers import checked_number
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import ForwardQuote, MarketSnapshot, UnderlyingMarket

__all__ = ["Expiries", "history_path"]

Expiries = Iterable[str | pd.Timestamp] | Callable[[pd.Timestamp], Iterable[str | pd.Timestamp]]

_SOURCE = "index (no history of the basis)"


class _Flat:
    """A vol of 1 for all strikes and expiries."""

    model = "flat"

    def w(self, k: npt.ArrayLike, tau: npt.ArrayLike) -> FloatArray:
        """Return tau in the common shape of both arguments."""
        both: FloatArray = np.asarray(tau, dtype=np.float64) + 0.0 * np.asarray(k, dtype=np.float64)
        return both

    def iv(self, strike: npt.ArrayLike, tau: npt.ArrayLike) -> FloatArray:
        """Return 1 in the common shape of both arguments."""
        return self.w(strike, tau) / np.asarray(tau, dtype=np.float64)


def history_path(
    history: PriceHistory,
    vols: pd.DataFrame,
    first: str,
    last: str,
    *,
    expiries: Expiries,
    simulated: bool,
    smiles: Mapping[str, VolSurface] | None = None,
    reference_days: float = 30.0,
    close_hour: float = 24.0,
) -> tuple[MarketSnapshot, ...]:
    """Return one snapshot a close of a price history, with options marked off given vols, oldest first.

    Use it to lead an account through a real market of the past for which no quotes exist.

    Parameters
    ----------
    history : PriceHistory
        Daily closes, USD.
    vols : DataFrame
        At-the-money implied vol of ``reference_days`` by naive day and underlying, annualised decimals, such
        as ``VolPath.frame``; its columns are the underlyings of the path.
    first, last : str
        Days of the first and the last close, both included.
    expiries : iterable of str or Timestamp, or callable
        Expiries (UTC) that get a forward, or what gives them for the instant of a snapshot. Those that have
        passed are left out.
    simulated : bool
        Whether the vols were made by a model; snapshots then say so.
    smiles : mapping of str to VolSurface, optional
        Surface whose smile and term structure are scaled to the vol of the day; flat where left out.
    reference_days : float
        Tenor of ``vols`` in days, above 0.
    close_hour : float
        Hours from the start of a day to its close (24: the close is the end of the day, UTC), 0 to 48.

    Returns
    -------
    tuple of MarketSnapshot

    Raises
    ------
    DataGapError
        No close between the days, a close or vol that is missing, an underlying that the history lacks.
    ConventionError
        A vol that is not positive or above 5.
    ParameterError
        ``reference_days`` or ``close_hour`` outside its range.
    LookAheadError
        ``last`` before ``first``.

    Notes
    -----
    Forwards and perpetuals are the index: there is no basis, no funding and no discount. With σ the vol of
    the day and w₀ the total variance of the smile, w(k, τ) = w₀(k, τ)·(σ/σ₀)², σ₀² = w₀(0, τ₀)/τ₀ at the
    reference tenor: shape and term structure stay those of the smile, in log-moneyness.

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> known = load_history("crypto-daily-2020-2023")
    >>> vols = pd.DataFrame({"BTC": 0.9}, index=pd.date_range("2021-05-18", "2021-05-19"))
    >>> path = history_path(known, vols, "2021-05-18", "2021-05-19", expiries=["2021-06-25T08:00Z"],
    ...     simulated=True)
    >>> [(s.as_of.isoformat()[:10], round(s.spot("BTC"))) for s in path]
    [('2021-05-19', 42909), ('2021-05-20', 37002)]
    """
    checked_number("reference_days", reference_days, low=0.0, open_low=True)
    close = pd.Timedelta(hours=checked_number("close_hour", close_hour, low=0.0, high=48.0))
    begin, end = (parse_utc(day).tz_localize(None).normalize() for day in (first, last))
    if end < begin:
        raise LookAheadError(
            f"last is {end.date()}, before first {begin.date()}", "a later day", "swap the two days"
        )
    names = [str(name) for name in vols.columns]
    _check_assets(history, names)
    closes = history.prices.loc[begin:end, names]
    if closes.empty:
        raise DataGapError(
            f"no close of {history.source} from {begin.date()} to {end.date()}",
            f"days between {history.prices.index[0].date()} and {history.last_date.date()}",
            "choose other days",
        )
    seen, levels = (frame.to_dict(orient="index") for frame in (closes, vols.reindex(closes.index)))
    given = None if callable(expiries) else tuple(expiries)
    path = []
    for day in closes.index:
        as_of = (day + close).tz_localize("UTC")
        wanted = given if given is not None else expiries(as_of)  # type: ignore[operator]
        alive = tuple(sorted({e for e in (parse_utc(one, column="expiries") for one in wanted) if e > as_of}))
        markets = {
            name: _market(
                name,
                _seen(f"close of {name}", seen[day][name], day),
                _vol(name, levels[day][name], day),
                alive,
                as_of,
                (smiles or {}).get(name),
                reference_days,
            )
            for name in names
        }
        path.append(_snapshot(as_of, markets, history, simulated))
    return tuple(path)


def _check_assets(history: PriceHistory, names: list[str]) -> None:
    absent = [name for name in names if name not in history.assets]
    if absent or not names:
        raise DataGapError(
            f"no closes of {absent[0]!r} in {history.source}" if absent else "the vols have no column",
            f"one of {', '.join(history.assets)}",
            "choose a history that holds it, or leave the column out",
        )


def _seen(what: str, value: float, day: pd.Timestamp) -> float:
    if not np.isfinite(value):
        raise DataGapError(
            f"no {what} on {day.date()}", "a number on every day of the path", "choose other days"
        )
    return float(value)


def _vol(name: str, value: float, day: pd.Timestamp) -> float:
    seen = _seen(f"implied vol of {name}", value, day)
    if not 0.0 < seen <= HIGHEST_VOL:
        raise ConventionError(
            f"implied vol of {name} on {day.date()} is {seen:g}",
            f"an annualised decimal in (0, {HIGHEST_VOL:g}], 0.65 for 65 %",
            "divide by 100 if the vols are in percent",
        )
    return seen


def _market(
    name: str,
    spot: float,
    vol: float,
    expiries: tuple[pd.Timestamp, ...],
    as_of: pd.Timestamp,
    smile: VolSurface | None,
    reference_days: float,
) -> UnderlyingMarket:
    """Return an underlying whose forwards are its index and whose smile is scaled to the vol of the day."""
    base: VolSurface = _Flat() if smile is None else smile
    tau = reference_days / 365.0
    own = float(np.sqrt(float(np.asarray(base.w(0.0, tau))) / tau))
    # MovedSurface reads arrays of expiries: one stands for all where there is none
    taus = np.array([year_fraction(as_of, e) for e in expiries] or [tau])
    surface = MovedSurface(
        base=base,
        level=vol / own,
        days=0.0,
        taus=taus,
        shifts=np.zeros(taus.size),
        forwards=np.full(taus.size, spot),
    )
    return UnderlyingMarket(
        name=name,
        spot=spot,
        spot_source="close",
        perpetual=spot,
        perpetual_source=_SOURCE,
        forwards={expiry: ForwardQuote(spot, _SOURCE) for expiry in expiries},
        option_iv={},
        surface=surface,
        iv_source="vol of the day on a given smile",
    )


def _snapshot(
    as_of: pd.Timestamp, markets: Mapping[str, UnderlyingMarket], history: PriceHistory, simulated: bool
) -> MarketSnapshot:
    origin = "simulated" if simulated else "given"
    vols = {name: float(np.sqrt(np.asarray(m.surface.w(0.0, 1.0)))) for name, m in markets.items()}  # type: ignore[union-attr]
    return MarketSnapshot(
        as_of=as_of,
        underlyings=markets,
        source=f"{history.source}, close",
        notes=(
            f"options are marked by {origin} implied vols, not by quotes",
            "forwards and perpetuals are the index: no basis, no funding",
        ),
        provenance=Provenance(
            method="liquidation.history_path",
            data={"history": history.fingerprint},
            parameters={"one-year vol": vols},
            simulated=simulated or history.simulated,
        ),
    )
