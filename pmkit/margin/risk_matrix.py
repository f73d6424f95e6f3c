"""Risk-matrix margins: one engine for tables of price moves and vol shocks, tail rows included.

The revaluation itself is :func:`pmkit.risk.revalue`; this module only says which scenarios are asked for and
what becomes of the cells once they are summed over the positions of one currency.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Instrument, Option
from pmkit.instruments.portfolio import Position
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import combine, greeks
from pmkit.risk import revalue
from pmkit.scenarios import ScenarioSet, TermScaling, table

__all__ = ["MatrixOutcome", "MatrixSpec", "coin_delta", "evaluate", "matrix_scenarios", "unit_cells"]


@dataclass(frozen=True, kw_only=True)
class MatrixSpec:
    """What a risk matrix asks for: moves, vol shocks, tail rows and the treatment of the summed cells.

    Attributes
    ----------
    price_range : float
        Largest move of the standard table; 0.16 is ±16 %.
    buckets_per_side : int
        The standard moves are ``price_range · i / buckets_per_side``, i = −n … n.
    vol_up, vol_down : float
        Relative vol shocks at the reference tenor, both positive.
    min_vol_up : float
        Floor of the vol after the upward shock.
    vol_term : TermScaling
    extended_moves : tuple of float
        Moves beyond the range, vol up only; empty for none.
    extended_factor : float
        Multiplier of the tail rows at the edge of the range.
    dampener_usd : float
        USD taken off the size of a tail row per multiple of the range beyond it.
    gain_offset, max_gain_usd : float
        Share of a gain that may offset losses elsewhere, and its limit in USD.
    decimals : int or None
        Places to which the worst case is rounded; None for no rounding.
    """

    price_range: float
    buckets_per_side: int
    vol_up: float
    vol_down: float
    vol_term: TermScaling
    min_vol_up: float = 0.0
    extended_moves: tuple[float, ...] = ()
    extended_factor: float = 0.0
    dampener_usd: float = 0.0
    gain_offset: float = 1.0
    max_gain_usd: float = math.inf
    decimals: int | None = None

    @property
    def standard_moves(self) -> tuple[float, ...]:
        """Price moves of the standard table, ascending."""
        n = self.buckets_per_side
        return tuple(self.price_range * i / n for i in range(-n, n + 1))

    @property
    def rows(self) -> list[tuple[str, str, float, float]]:
        """Every scenario as (table, label, move, vol shock): standard table move by move, then tail rows."""
        vols = (("vol down", -self.vol_down), ("vol same", 0.0), ("vol up", self.vol_up))
        standard = [
            ("standard", f"{_percent(move)}, {word}", move, vol)
            for move in self.standard_moves
            for word, vol in vols
        ]
        tail = [
            ("extended", f"{_percent(move)} extended, vol up", move, self.vol_up)
            for move in self.extended_moves
        ]
        return standard + tail


@dataclass(frozen=True, kw_only=True)
class MatrixOutcome:
    """The matrix of one currency after every step, amounts in the numeraire of the cells.

    Attributes
    ----------
    frame : DataFrame
        One row a scenario: ``table``, ``move``, ``vol`` (−1, 0, 1), ``pnl`` (sum over positions),
        ``adjusted`` (after the tail rescale), ``cap`` (dampener), ``dampened`` and ``final`` (after the gain
        offset).
    worst_case : float
        Positive loss, rounded as the rule rounds it.
    worst_label : str
    worst_pnl : float
        The cell behind it, not rounded.
    """

    frame: pd.DataFrame = field(repr=False)
    worst_case: float
    worst_label: str
    worst_pnl: float


def _percent(move: float) -> str:
    text = f"{100.0 * move:+.4f}".rstrip("0").rstrip(".")
    return "0%" if move == 0.0 else f"{text}%"


def matrix_scenarios(spec: MatrixSpec, underlying: str) -> ScenarioSet:
    """Return the scenarios of a matrix for one underlying: instantaneous, vol held at the strike.

    Examples
    --------
    >>> shocks = {"vol_up": 0.5, "vol_down": 0.25, "vol_term": TermScaling()}
    >>> spec = MatrixSpec(price_range=0.16, buckets_per_side=4, **shocks)
    >>> scen = matrix_scenarios(spec, "BTC")
    >>> len(scen), scen.label(0)
    (27, '-16%, vol down')
    """
    return table(
        [(label, move, vol) for _, label, move, vol in spec.rows],
        dynamics="sticky_strike",
        vol_term=spec.vol_term,
        min_vol_up=spec.min_vol_up,
        underlyings=[underlying],
        name="risk matrix",
    )


def unit_cells(
    spec: MatrixSpec, instruments: Sequence[Instrument], underlying: str, snapshot: MarketSnapshot
) -> FloatArray:
    """Return the P&L in coin of one contract of each instrument, shape (instruments, cells)."""
    scenarios = matrix_scenarios(spec, underlying)
    if not instruments:
        return np.zeros((0, len(scenarios)))
    return revalue(list(instruments), snapshot, scenarios).unit_coin


def evaluate(spec: MatrixSpec, cells: FloatArray, quantities: FloatArray, spot: float) -> MatrixOutcome:
    """Return what the rule makes of the cells of one currency.

    Parameters
    ----------
    spec : MatrixSpec
    cells : ndarray, shape (instruments, cells)
        Coin P&L of one contract, from :func:`unit_cells`.
    quantities : ndarray, shape (instruments,)
        Signed contracts.
    spot : float
        Index, USD.

    Returns
    -------
    MatrixOutcome

    Notes
    -----
    With range R, tail move m, factor f and dampener A in USD, a tail row x becomes
    ``y = x f R/|m| (1 + m)/(1 + sgn(m) R)`` and then ``sgn(y) max(|y| − c, 0)`` with
    ``c = (max(|m|/R, 1) − 1) A / ((1 + sgn(m) R) S)``. Gains are cut to ``gain_offset`` and to
    ``max_gain_usd / S``.
    """
    rows = spec.rows
    pnl = combine(cells, quantities) if cells.size else np.zeros(len(rows))
    move = np.array([m for _, _, m, _ in rows])
    vol = np.sign([v for _, _, _, v in rows]).astype(np.int64)
    extended = np.array([kind == "extended" for kind, _, _, _ in rows])
    safe = np.where(extended, move, 1.0)
    edge = 1.0 + np.sign(move) * spec.price_range
    rescale = spec.extended_factor * spec.price_range / np.abs(safe) * (1.0 + safe) / edge
    adjusted = np.where(extended, pnl * rescale, pnl)
    multiple = np.maximum(np.abs(move) / spec.price_range, 1.0) - 1.0
    cap = np.where(extended, multiple * spec.dampener_usd / (edge * spot), 0.0)
    dampened = np.sign(adjusted) * np.maximum(np.abs(adjusted) - cap, 0.0) + 0.0  # no negative zeros
    gain = np.minimum(dampened * spec.gain_offset, spec.max_gain_usd / spot)
    final = np.where(dampened > 0.0, gain, dampened)
    frame = pd.DataFrame(
        {
            "table": [kind for kind, _, _, _ in rows],
            "move": move,
            "vol": vol,
            "pnl": pnl,
            "adjusted": adjusted,
            "cap": cap,
            "dampened": dampened,
            "final": final,
        },
        index=pd.Index([label for _, label, _, _ in rows], name="scenario"),
    )
    # Of equal entries the one without a vol shock names the scenario, as for a book of futures alone.
    at = int(np.lexsort((np.abs(vol), dampened))[0])
    loss = max(-float(final[at]), 0.0)
    return MatrixOutcome(
        frame=frame,
        worst_case=loss if spec.decimals is None else round(loss, spec.decimals),
        worst_label=str(frame.index[at]),
        worst_pnl=float(dampened[at]),
    )


def coin_delta(position: Position, snapshot: MarketSnapshot) -> float:
    """Return the delta of a position in coins: Black's delta for options, size over mark for inverse futures.

    Black's delta of a coin-settled option is that of its USD value; the coin value held in the premium is not
    taken off.
    """
    instrument = position.instrument
    size = position.qty * instrument.multiplier
    mark = snapshot.mark(instrument)
    if not isinstance(instrument, Option):
        return size / mark.price if instrument.is_inverse else size
    forward = snapshot.forward(instrument.underlying, instrument.expiry)
    tau = snapshot.tau(instrument.expiry)
    found = greeks(forward, instrument.strike, tau, mark.iv, is_call=instrument.is_call)
    return size * float(found.delta)
