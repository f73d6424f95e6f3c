"""A snapshot after a move of spot, vol or time: what a rule sees when it is asked again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, SchemaError
from pmkit.core.protocols import VolSurface
from pmkit.core.provenance import Provenance
from pmkit.core.time import SECONDS_PER_DAY, days_between
from pmkit.core.types import Dynamics, FloatArray
from pmkit.instruments import Option, parse_contract
from pmkit.margin.accounts.numbers import checked_number
from pmkit.market.snapshot import ForwardQuote, MarketSnapshot, UnderlyingMarket

__all__ = ["MovedSurface", "moved_snapshot"]

#: a snapshot takes no implied vol above this (decimal): moves beyond it are held here, and counted
HIGHEST_VOL = 5.0


@dataclass(frozen=True, kw_only=True)
class MovedSurface:
    """A surface read at other log-moneyness, level and time; a :class:`pmkit.core.protocols.VolSurface`.

    Attributes
    ----------
    base : VolSurface
    level : float
        Factor on implied vol.
    days : float
        Days that have passed.
    taus, shifts : ndarray
        Years to expiry from now, ascending, and what is added to ln(K/F) before the base is read there;
        linear between, flat beyond.
    forwards : ndarray
        Moved forward at each of ``taus``, USD.
    """

    base: VolSurface
    level: float
    days: float
    taus: FloatArray
    shifts: FloatArray
    forwards: FloatArray

    @property
    def model(self) -> str:
        """Name of the base model, marked as moved."""
        return f"{self.base.model} (moved)"

    def w(self, k: npt.ArrayLike, tau: npt.ArrayLike) -> FloatArray:
        """Return total variance at k = ln(K/F) of the moved forward; arguments broadcast."""
        now = np.asarray(tau, dtype=np.float64)
        then = now + self.days / 365.0
        at = np.asarray(k, dtype=np.float64) + np.interp(now, self.taus, self.shifts)
        moved: FloatArray = np.asarray(self.base.w(at, then)) * self.level**2 * now / then
        return moved

    def iv(self, strike: npt.ArrayLike, tau: npt.ArrayLike) -> FloatArray:
        """Return annualised implied vol (decimal) at strikes; arguments broadcast."""
        now = np.asarray(tau, dtype=np.float64)
        log_forward = np.interp(now, self.taus, np.log(self.forwards))
        k = np.log(np.asarray(strike, dtype=np.float64)) - log_forward
        vol: FloatArray = np.sqrt(self.w(k, now) / now)
        return vol


def moved_snapshot(
    snapshot: MarketSnapshot,
    *,
    dynamics: Dynamics,
    spot: float | Mapping[str, float] = 0.0,
    vol: float | Mapping[str, float] = 0.0,
    days: float = 0.0,
) -> MarketSnapshot:
    """Return the snapshot after relative moves of spot and vol and after days have passed.

    Parameters
    ----------
    snapshot : MarketSnapshot
    dynamics : {"sticky_strike", "sticky_moneyness"}
        What a spot move does to the smile; required.
    spot : float or mapping of str to float
        Relative move of the index, above −1, for all underlyings or by name (0 where not named).
    vol : float or mapping of str to float
        Relative move of every implied vol, above −1.
    days : float
        Days that pass, 0 or more. Expiries that pass with them are gone.

    Returns
    -------
    MarketSnapshot
        Same listing and ledger; ``notes`` say what was moved, and how many vols were held at 5 (500 %).

    Raises
    ------
    ParameterError
        A spot or vol move of −100 % or less, or days below 0.
    ConventionError
        ``sticky_delta``, which needs a rule for vol and time together.
    DataGapError
        The smile must move and there is no surface.

    Notes
    -----
    As :func:`pmkit.risk.revalue` with ``S' = S(1 + x)``: forwards move with the index, their carry runs off
    with time, a perpetual keeps its premium. Under ``sticky_moneyness`` an own vol is multiplied by the
    surface's at ``ln(K/F')`` over that at ``ln(K/F)``.

    Examples
    --------
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 60_000.0})
    >>> later = moved_snapshot(snap, spot=-0.1, days=1.5, dynamics="sticky_strike")
    >>> later.spot("BTC"), later.as_of.isoformat()
    (54000.0, '2026-08-02T12:00:00+00:00')
    """
    if dynamics not in ("sticky_strike", "sticky_moneyness"):
        raise ConventionError(
            f"smile dynamics {dynamics!r} of a moved snapshot",
            "sticky_strike or sticky_moneyness",
            "name one of the two",
        )
    checked_number("days", days, low=0.0)
    as_of = snapshot.as_of + pd.Timedelta(seconds=round(days * SECONDS_PER_DAY))
    passed = days_between(snapshot.as_of, as_of)
    markets = {
        name: _moved_market(snapshot, seen, as_of, passed, dynamics, _of(spot, name), _of(vol, name))
        for name, seen in snapshot.underlyings.items()
    }
    words = f"moved by spot {spot!r}, vol {vol!r}, {days:g} days, {dynamics}"
    held = sum(iv == HIGHEST_VOL for seen in markets.values() for iv in seen.option_iv.values())
    if held:
        words += f"; {held} vols held at {HIGHEST_VOL:g}"
    return replace(
        snapshot,
        as_of=as_of,
        underlyings=markets,
        notes=(*snapshot.notes, words),
        provenance=Provenance(
            method="liquidation.moved_snapshot",
            data={"snapshot": snapshot.fingerprint},
            parameters={"moves": words},
            simulated=snapshot.provenance.simulated,
        ),
    )


def _of(moves: float | Mapping[str, float], name: str) -> float:
    move = moves.get(name, 0.0) if isinstance(moves, Mapping) else moves
    return checked_number(f"move of {name}", move, low=-1.0, open_low=True)


def _moved_market(
    snapshot: MarketSnapshot,
    seen: UnderlyingMarket,
    as_of: pd.Timestamp,
    days: float,
    dynamics: Dynamics,
    spot: float,
    vol: float,
) -> UnderlyingMarket:
    alive = {expiry: quote for expiry, quote in seen.forwards.items() if expiry > as_of}
    forwards, shifts, taus = {}, [], []
    for expiry, quote in alive.items():
        before = snapshot.tau(expiry)
        after = before - days / 365.0
        run_off = math.log(quote.price / seen.spot) * (after / before - 1.0)
        price = quote.price * (1.0 + spot) * math.exp(run_off)
        forwards[expiry] = ForwardQuote(price, f"{quote.source}, moved")
        # sticky strike reads the base at its own ln(K/F): what ln F has moved by is added back
        shifts.append(math.log(price / quote.price) if dynamics == "sticky_strike" else 0.0)
        taus.append(after)
    level = 1.0 + vol
    if dynamics == "sticky_strike" or (spot == 0.0 and days == 0.0):
        own = {name: iv * level for name, iv in seen.option_iv.items()}
    else:
        own = _smile_moves(snapshot, seen, forwards, level)
    own = {name: min(iv, HIGHEST_VOL) for name, iv in own.items()}
    surface = seen.surface
    if surface is not None and forwards:
        surface = MovedSurface(
            base=surface,
            level=level,
            days=days,
            taus=np.array(taus),
            shifts=np.array(shifts),
            forwards=np.array([quote.price for quote in forwards.values()]),
        )
    return replace(
        seen,
        spot=seen.spot * (1.0 + spot),
        perpetual=seen.perpetual * (1.0 + spot),
        forwards=forwards,
        option_iv=own,
        surface=surface,
        discounts={
            expiry: df ** ((snapshot.tau(expiry) - days / 365.0) / snapshot.tau(expiry))
            for expiry, df in seen.discounts.items()
            if expiry > as_of
        },
    )


def _smile_moves(
    snapshot: MarketSnapshot,
    seen: UnderlyingMarket,
    forwards: Mapping[pd.Timestamp, ForwardQuote],
    level: float,
) -> dict[str, float]:
    """Return own vols times the surface's vol at ln(K/F') over that at ln(K/F), at the tenor before the move.

    Options whose names say nothing of strike and expiry are left to the moved surface.
    """
    if seen.surface is None:
        raise DataGapError(
            f"sticky_moneyness must move the smile of {seen.name} and the snapshot has no surface",
            "a fitted surface",
            "load a chain with options, or use dynamics='sticky_strike'",
        )
    by_expiry: dict[pd.Timestamp, list[tuple[str, float]]] = {}
    for name in seen.option_iv:
        option = _option_of(name, snapshot.as_of)
        if option is not None and option.expiry in forwards:
            by_expiry.setdefault(option.expiry, []).append((name, option.strike))
    moved: dict[str, float] = {}
    for expiry, lines in by_expiry.items():
        tau, before = snapshot.tau(expiry), snapshot.forward(seen.name, expiry)
        strikes = np.array([strike for _, strike in lines])
        after = np.asarray(seen.surface.w(np.log(strikes / forwards[expiry].price), tau))
        base = np.asarray(seen.surface.w(np.log(strikes / before), tau))
        own = np.array([seen.option_iv[name] for name, _ in lines])
        moved |= zip([name for name, _ in lines], (own * level * np.sqrt(after / base)).tolist(), strict=True)
    # in the order of the chain, as the fingerprint and the reader expect
    return {name: moved[name] for name in seen.option_iv if name in moved}


@lru_cache(maxsize=65_536)
def _option_of(name: str, as_of: pd.Timestamp) -> Option | None:
    """Return the option that a name stands for, None for other names; a path asks for each many times."""
    try:
        found = parse_contract(name, as_of)
    except SchemaError:
        return None
    return found if isinstance(found, Option) else None
