"""What one contract of each line of a risk unit gains in every scenario, and its deltas and vega, in USD."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pmkit.core.errors import ConventionError
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Future, Instrument, Option
from pmkit.margin.accounts.contract_marks import option_discounts
from pmkit.margin.engine.risk_matrix import percent
from pmkit.margin.schemas import OkxPmParameters
from pmkit.margin.schemas.groups import for_coin
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import black76, greeks
from pmkit.scenarios import TermScaling

__all__ = ["Scenario", "UnitCells", "unit_cells", "unit_scenarios"]

_VOLS = (("down", -1.0), ("same", 0.0), ("up", 1.0))


class Scenario(NamedTuple):
    """One scenario: measure, label, move of the index, sign of the vol shock, days passed, rate shock."""

    measure: str
    label: str
    move: float = 0.0
    vol: float = 0.0
    days: float = 0.0
    rate: float = 0.0


def unit_scenarios(table: OkxPmParameters, coin: str) -> tuple[Scenario, ...]:
    """Return every scenario of a coin: spot and vol shocks, a day passed, rate shocks, extreme moves.

    Examples
    --------
    >>> from pmkit.margin.parameters import load_parameter_sets
    >>> table = load_parameter_sets("okx-pm")[-1].table("BTC")
    >>> found = unit_scenarios(table, "BTC")
    >>> len(found), found[0].label, found[-1].label
    (26, '-12%, vol down', '+24% extreme')
    """
    up = for_coin(table.spot_moves, coin).moves
    moves = [*(-m for m in reversed(up)), 0.0, *up]
    extreme = for_coin(table.extreme_moves, coin).rate
    return (
        *(
            Scenario("MR1", f"{percent(move)}, vol {word}", move, vol)
            for move in moves
            for word, vol in _VOLS
        ),
        Scenario("MR2", f"{table.theta_days:g} days pass", days=table.theta_days),
        Scenario("MR5", "rates down", rate=-table.rate_shock),
        Scenario("MR5", "rates up", rate=table.rate_shock),
        *(Scenario("MR6", f"{percent(m)} extreme", m) for m in (-extreme, extreme)),
    )


@dataclass(frozen=True, kw_only=True)
class UnitCells:
    """The lines of a risk unit, one contract each, in USD.

    Attributes
    ----------
    pnl : ndarray, shape (lines, scenarios)
        Gain positive.
    delta : ndarray, shape (lines,)
        Delta times mark or forward.
    vega : ndarray, shape (lines,)
        Change of value for one vol point; 0 but for options.
    expiries : tuple of str
        Group of each line: its expiry, or ``"perpetual"``.
    tau : ndarray, shape (lines,)
        Years to expiry, 0 for perpetuals.
    """

    pnl: FloatArray
    delta: FloatArray
    vega: FloatArray
    expiries: tuple[str, ...]
    tau: FloatArray


def unit_cells(
    instruments: Sequence[Instrument],
    scenarios: Sequence[Scenario],
    snapshot: MarketSnapshot,
    table: OkxPmParameters,
) -> UnitCells:
    """Return the cells of the lines of one coin.

    Notes
    -----
    The index S moves to ``S' = S (1 + m)``; every mark and forward moves by the same amount ``S m``. A linear
    contract gains ``size S m``. An inverse future of N USD gains ``N (1/F - 1/F') S'``, a coin-settled option
    ``c' S' - c S`` with its value c in coin.

    Raises
    ------
    ConventionError
        A scenario would take a forward to zero or below.
    """
    coin = instruments[0].underlying
    spot = snapshot.spot(coin)
    move = np.array([s.move for s in scenarios])
    marks = np.array([_forward(i, snapshot) for i in instruments])
    lowest = float(move.min()) * spot
    for instrument, mark in zip(instruments, marks, strict=True):
        if mark + lowest <= 0.0:
            raise ConventionError(
                f"{instrument.name}: a fall of {-lowest:g} USD takes its price of {mark:g} to zero",
                "a price nearer to the index",
                "correct the mark, or use smaller moves",
            )
    size = np.array([i.multiplier for i in instruments])
    inverse = np.array([i.is_inverse for i in instruments])
    option = np.array([isinstance(i, Option) for i in instruments])
    linear = size[:, None] * spot * move[None, :]
    moved = marks[:, None] + spot * move[None, :]
    coined = size[:, None] * (1.0 / marks[:, None] - 1.0 / moved) * spot * (1.0 + move[None, :])
    pnl = np.where(inverse[:, None], coined, linear)
    delta = np.where(inverse, size, size * marks)
    vega = np.zeros(len(instruments))
    if option.any():
        held = [i for i in instruments if isinstance(i, Option)]
        pnl[option], unit_delta, vega[option] = _options(held, scenarios, snapshot, table, spot)
        pnl[option] *= size[option, None]
        delta[option] = size[option] * unit_delta * marks[option]
        vega[option] *= size[option]
    idle = np.array([s.measure in ("MR2", "MR5") for s in scenarios])
    pnl[np.ix_(~option, idle)] = 0.0
    return UnitCells(
        pnl=np.ascontiguousarray(pnl),
        delta=delta,
        vega=vega,
        expiries=tuple(
            i.expiry.isoformat() if isinstance(i, (Future, Option)) else "perpetual" for i in instruments
        ),
        tau=np.array(
            [snapshot.tau(i.expiry) if isinstance(i, (Future, Option)) else 0.0 for i in instruments]
        ),
    )


def _forward(instrument: Instrument, snapshot: MarketSnapshot) -> float:
    """Return the mark of a future or perpetual and the forward of an option, USD."""
    if isinstance(instrument, Option):
        return snapshot.forward(instrument.underlying, instrument.expiry)
    return snapshot.mark(instrument).price


def _options(
    held: Sequence[Option],
    scenarios: Sequence[Scenario],
    snapshot: MarketSnapshot,
    table: OkxPmParameters,
    spot: float,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return P&L of one unit by scenario, delta, and vega for a vol point, all in USD."""
    term = TermScaling(
        reference_days=table.vega_reference_days,
        short_power=table.short_term_vega_power,
        long_power=table.long_term_vega_power,
        floor_days=table.vega_floor_days,
    )
    forward = np.array([snapshot.forward(o.underlying, o.expiry) for o in held])
    strike = np.array([o.strike for o in held])
    tau = np.array([snapshot.tau(o.expiry) for o in held])
    iv = np.array([snapshot.iv(o) for o in held])
    is_call = np.array([o.is_call for o in held])
    inverse = np.array([o.is_inverse for o in held])
    df = option_discounts(held, snapshot)
    scale = np.array([term.scale(snapshot.days(o.expiry)) for o in held])
    move, vol, days, rate = (
        np.array([getattr(s, name) for s in scenarios]) for name in ("move", "vol", "days", "rate")
    )
    range_of = np.where(vol > 0.0, table.volatility_range_up, table.volatility_range_down)
    shocked = iv[:, None] * np.maximum(1.0 + scale[:, None] * (range_of * vol)[None, :], 0.0)
    left = np.maximum(tau[:, None] - days[None, :] / 365.0, 0.0)
    moved = (forward[:, None] + spot * move[None, :]) * np.exp(rate[None, :] * tau[:, None])
    then = black76(moved, strike[:, None], left, shocked, df=df[:, None], is_call=is_call[:, None])
    now = black76(forward, strike, tau, iv, df=df, is_call=is_call)
    coin = inverse[:, None]
    index = spot * (1.0 + move[None, :])
    pnl = np.where(coin, then / moved * index, then) - np.where(inverse, now / forward * spot, now)[:, None]
    found = greeks(forward, strike, tau, iv, df=df, is_call=is_call)
    delta = np.asarray(found.delta, dtype=np.float64)
    if not np.isfinite(delta).all():
        at = held[int(np.flatnonzero(~np.isfinite(delta))[0])]
        raise ConventionError(
            f"{at.name} is at its strike with no time left", "an option with a delta", "remove the line"
        )
    return pnl, delta, np.asarray(found.vega, dtype=np.float64) / 100.0


def spot_in_use(balance: float, delta: float, spot: float) -> float:
    """Return the coins of a balance that offset a short delta of derivatives, 0 or above.

    Examples
    --------
    >>> spot_in_use(2.0, -60_000.0, 50_000.0), spot_in_use(2.0, 60_000.0, 50_000.0)
    (1.2, 0.0)
    """
    return max(min(balance, -delta / spot), 0.0) if math.isfinite(balance) else 0.0
