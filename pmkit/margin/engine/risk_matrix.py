"""Risk-matrix margins: one engine for tables of price moves and vol shocks, tail rows included.

Two roads lead to the cells. Contracts whose value follows the market's own conventions are revalued by
:func:`pmkit.margin.engine.matrix_cells.unit_cells`; options whose rule fixes part of the forward, discounts,
or shocks the smile are revalued here, expiry by expiry. After that the road is one: expiry values are
transformed, summed over the book, weighted, and the worst entry is taken.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd

from pmkit.core.types import FloatArray, IntArray
from pmkit.pricing import black76, combine
from pmkit.scenarios import TermScaling

__all__ = [
    "ExpiryOptions",
    "ExpiryTransform",
    "MatrixOutcome",
    "MatrixRow",
    "MatrixSpec",
    "ShapedCells",
    "evaluate",
    "evaluate_rows",
    "expiry_values",
    "percent",
    "rounded_loss",
    "row_vols",
    "shaped",
    "weighted_rows",
    "worst_row",
    "worst_rows",
]

ExpiryTransform = Callable[[FloatArray, float | FloatArray], FloatArray]
"""P&L of one expiry by scenario from its shocked values by scenario and its value without a shock.

Several accounts stand in rows, with a column of their values.
"""


class MatrixRow(NamedTuple):
    """One scenario: table, label, relative price move, vol shock (relative, or its sign), and weight."""

    table: str
    label: str
    move: float
    vol: float
    weight: float = 1.0


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

    @cached_property
    def rows(self) -> list[MatrixRow]:
        """Every scenario: standard table move by move, then tail rows."""
        vols = (("vol down", -self.vol_down), ("vol same", 0.0), ("vol up", self.vol_up))
        standard = [
            MatrixRow("standard", f"{percent(move)}, {word}", move, vol)
            for move in self.standard_moves
            for word, vol in vols
        ]
        tail = [
            MatrixRow("extended", f"{percent(move)} extended, vol up", move, self.vol_up)
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


def percent(move: float) -> str:
    """Return a relative move in per cent with its sign, at most four places.

    Examples
    --------
    >>> percent(-0.045), percent(0.0)
    ('-4.5%', '0%')
    """
    text = f"{100.0 * move:+.4f}".rstrip("0").rstrip(".")
    return "0%" if move == 0.0 else f"{text}%"


def evaluate(spec: MatrixSpec, cells: FloatArray, quantities: FloatArray, spot: float) -> MatrixOutcome:
    """Return what the rule makes of the cells of one currency.

    Parameters
    ----------
    spec : MatrixSpec
    cells : ndarray, shape (instruments, cells)
        Coin P&L of one contract, from :func:`pmkit.margin.engine.matrix_cells.unit_cells`.
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
    pnl = combine(cells, quantities) if cells.size else np.zeros(len(spec.rows))
    return evaluate_rows(spec, pnl, spot)


def evaluate_rows(spec: MatrixSpec, pnl: FloatArray, spot: float) -> MatrixOutcome:
    """Return what the rule makes of the coin P&L of a book by scenario; see :func:`evaluate`."""
    rows = spec.rows
    parts = shaped(spec, pnl, spot)
    vol = row_vols(rows)
    frame = pd.DataFrame(
        {
            "table": [row.table for row in rows],
            "move": [row.move for row in rows],
            "vol": vol.astype(np.int64),
            "pnl": pnl,
            "adjusted": parts.adjusted,
            "cap": parts.cap,
            "dampened": parts.dampened,
            "final": parts.final,
        },
        index=pd.Index([row.label for row in rows], name="scenario"),
    )
    at = worst_row(parts.dampened, vol)
    return MatrixOutcome(
        frame=frame,
        worst_case=rounded_loss(spec, float(parts.final[at])),
        worst_label=rows[at].label,
        worst_pnl=float(parts.dampened[at]),
    )


class ShapedCells(NamedTuple):
    """Summed cells after each step; the cap has one entry a scenario, the others the shape of the sums."""

    adjusted: FloatArray
    cap: FloatArray
    dampened: FloatArray
    final: FloatArray


def shaped(spec: MatrixSpec, pnl: FloatArray, spot: float) -> ShapedCells:
    """Return what tail rescale, dampener and gain offset make of summed cells, scenarios on the last axis.

    The formulas are those of :func:`evaluate`.
    """
    rows = spec.rows
    move = np.array([row.move for row in rows])
    extended = np.array([row.table == "extended" for row in rows])
    safe = np.where(extended, move, 1.0)
    edge = 1.0 + np.sign(move) * spec.price_range
    rescale = spec.extended_factor * spec.price_range / np.abs(safe) * (1.0 + safe) / edge
    adjusted = np.where(extended, pnl * rescale, pnl)
    multiple = np.maximum(np.abs(move) / spec.price_range, 1.0) - 1.0
    cap = np.where(extended, multiple * spec.dampener_usd / (edge * spot), 0.0)
    dampened = np.sign(adjusted) * np.maximum(np.abs(adjusted) - cap, 0.0) + 0.0  # no negative zeros
    gain = np.minimum(dampened * spec.gain_offset, spec.max_gain_usd / spot)
    return ShapedCells(adjusted, cap, dampened, np.where(dampened > 0.0, gain, dampened))


def rounded_loss(spec: MatrixSpec, final: float) -> float:
    """Return the positive loss of a cell, rounded as the rule rounds it."""
    loss = max(-final, 0.0)
    return loss if spec.decimals is None else round(loss, spec.decimals)


def row_vols(rows: Sequence[MatrixRow]) -> FloatArray:
    """Return the sign of the vol shock of each row: -1, 0 or 1."""
    return np.sign([row.vol for row in rows])


def worst_rows(pnl: FloatArray, vol: FloatArray) -> IntArray:
    """Return :func:`worst_row` of each row of a matrix (accounts, scenarios).

    Examples
    --------
    >>> worst_rows(np.array([[0.0, -3.0, -3.0], [-4.0, 1.0, -4.0]]), np.array([1.0, -1.0, 0.0])).tolist()
    [2, 2]
    """
    # the first lowest entry, once scenarios without a vol shock come first
    order = np.argsort(np.abs(vol), kind="stable")
    found: IntArray = order[np.argmin(pnl[:, order], axis=1)]
    return found


def worst_row(pnl: FloatArray, vol: FloatArray) -> int:
    """Return the position of the lowest entry; of equal ones the first without a vol shock names it.

    Examples
    --------
    >>> worst_row(np.array([0.0, -3.0, -3.0]), np.array([1.0, -1.0, 0.0]))
    2
    """
    return int(np.lexsort((np.abs(vol), pnl))[0])


@dataclass(frozen=True, kw_only=True)
class ExpiryOptions:
    """Options of one expiry as a rule revalues them: arrays over options, scalars of the expiry.

    Attributes
    ----------
    strike, iv : ndarray, shape (options,)
        USD and decimal.
    is_call : ndarray of bool, shape (options,)
    tau : float
        Years of 365 days.
    moving, fixed : float
        Part of the forward that follows the price move, and part that the settlement average has fixed, USD.
    discount : float
        Discount factor inside the price.
    """

    strike: FloatArray
    is_call: FloatArray
    iv: FloatArray
    tau: float
    moving: float
    fixed: float = 0.0
    discount: float = 1.0

    @property
    def forward(self) -> float:
        """Forward without a shock, USD."""
        return self.moving + self.fixed


def expiry_values(options: ExpiryOptions, factors: FloatArray, vols: FloatArray) -> FloatArray:
    """Return the value in USD of one unit of each option in each scenario, shape (options, scenarios).

    Parameters
    ----------
    options : ExpiryOptions
    factors : ndarray, shape (scenarios,)
        Price factors, 1 for no move. They multiply the moving part of the forward alone.
    vols : ndarray, shape (options, scenarios)
        Shocked vols, decimal.

    Notes
    -----
    ``discount * B76(moving * x + fixed, K, tau, iv')``; the intrinsic value where ``iv' sqrt(tau) = 0``.
    """
    if not options.strike.size:
        return np.zeros((0, factors.size))
    forwards = options.moving * factors + options.fixed
    strike, is_call = options.strike[:, None], options.is_call[:, None]
    values = black76(forwards[None, :], strike, options.tau, vols, df=options.discount, is_call=is_call)
    return np.ascontiguousarray(values)


def weighted_rows(
    values: Sequence[FloatArray],
    sizes: Sequence[FloatArray],
    marks: Sequence[float],
    transforms: Sequence[ExpiryTransform],
    straight: FloatArray,
    weights: FloatArray,
) -> FloatArray:
    """Return the P&L of a book by scenario: expiries transformed one by one, summed, weighted.

    Parameters
    ----------
    values : sequence of ndarray, shape (options, scenarios)
        Unit values by expiry, from :func:`expiry_values`.
    sizes : sequence of ndarray, shape (options,)
        Signed units held, by expiry.
    marks : sequence of float
        Value of each expiry without a shock, USD.
    transforms : sequence of callable
        What becomes of the shocked value of an expiry, see :data:`ExpiryTransform`.
    straight : ndarray, shape (scenarios,)
        P&L of everything that moves in proportion to the price.
    weights : ndarray, shape (scenarios,)
        Factor of each scenario after the sum, 1 for none.
    """
    total = straight.copy()
    for unit, size, mark, transform in zip(values, sizes, marks, transforms, strict=True):
        total += transform(combine(unit, size), mark)
    return total * weights + 0.0  # no negative zeros
