"""Cells and deltas of a risk matrix: one contract of each instrument under every move, all in one call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pmkit.core.types import BoolArray, FloatArray
from pmkit.instruments.contracts import Instrument, Option
from pmkit.margin.accounts.contract_marks import unit_marks
from pmkit.margin.engine.risk_matrix import MatrixSpec
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import black76, greeks
from pmkit.scenarios import ScenarioSet, table

__all__ = ["MatrixTerms", "coin_deltas", "matrix_scenarios", "matrix_terms", "unit_cells"]


def matrix_scenarios(spec: MatrixSpec, underlying: str) -> ScenarioSet:
    """Return the scenarios of a matrix for one underlying: instantaneous, vol held at the strike.

    Examples
    --------
    >>> from pmkit.scenarios import TermScaling
    >>> shocks = {"vol_up": 0.5, "vol_down": 0.25, "vol_term": TermScaling()}
    >>> spec = MatrixSpec(price_range=0.16, buckets_per_side=4, **shocks)
    >>> scen = matrix_scenarios(spec, "BTC")
    >>> len(scen), scen.label(0)
    (27, '-16%, vol down')
    """
    return table(
        [(row.label, row.move, row.vol) for row in spec.rows],
        dynamics="sticky_strike",
        vol_term=spec.vol_term,
        min_vol_up=spec.min_vol_up,
        underlyings=[underlying],
        name="risk matrix",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class MatrixTerms:
    """What the cells of a book need of the market: marks of straight contracts, terms of options.

    Attributes
    ----------
    instruments : tuple of Instrument
    straight, options : list of int
        Positions of futures and perpetuals, and of options.
    marks : ndarray, shape (straight,)
        USD.
    forward, tau, strike, iv, days : ndarray, shape (options,)
    is_call : ndarray of bool, shape (options,)
    """

    instruments: tuple[Instrument, ...]
    straight: list[int]
    options: list[int]
    marks: FloatArray
    forward: FloatArray
    tau: FloatArray
    strike: FloatArray
    iv: FloatArray
    days: FloatArray
    is_call: BoolArray

    @property
    def size(self) -> FloatArray:
        """Multiplier of each instrument."""
        return np.array([i.multiplier for i in self.instruments], dtype=np.float64)


def matrix_terms(instruments: Sequence[Instrument], snapshot: MarketSnapshot) -> MatrixTerms:
    """Return the terms of coin-settled options, futures and perpetuals.

    Raises
    ------
    DataGapError, SchemaError
        A contract without forward or vol, unknown or expired.
    """
    straight = [row for row, i in enumerate(instruments) if not isinstance(i, Option)]
    options = [i for i in instruments if isinstance(i, Option)]
    for option in options:
        snapshot.check_tradable(option)
    months = {(o.underlying, o.expiry) for o in options}
    seen = {k: (snapshot.forward(*k), snapshot.tau(k[1]), snapshot.days(k[1])) for k in months}
    terms = np.array([seen[o.underlying, o.expiry] for o in options], dtype=np.float64).reshape(-1, 3).T
    return MatrixTerms(
        instruments=tuple(instruments),
        straight=straight,
        options=[row for row, i in enumerate(instruments) if isinstance(i, Option)],
        marks=unit_marks([instruments[row] for row in straight], snapshot),
        forward=terms[0].copy(),
        tau=terms[1].copy(),
        strike=np.array([o.strike for o in options], dtype=np.float64),
        iv=snapshot.ivs(options),
        days=terms[2].copy(),
        is_call=np.array([o.is_call for o in options], dtype=bool),
    )


def unit_cells(spec: MatrixSpec, terms: MatrixTerms) -> FloatArray:
    """Return the P&L in coin of one contract of each instrument, shape (instruments, cells).

    Parameters
    ----------
    spec : MatrixSpec
    terms : MatrixTerms

    Notes
    -----
    What :func:`pmkit.risk.revalue` gives for :func:`matrix_scenarios`, written out: forwards and perpetual
    move by ``1 + m``; an option is worth ``B76(F', K, tau, iv')/F'`` coins with
    ``iv' = iv max(1 + v g(days), 0)``, at least the floor where ``v > 0``; a future of N USD gains
    ``N (1/P - 1/P')`` coins.
    """
    rows = spec.rows
    factor = np.array([1.0 + row.move for row in rows])
    cells = np.zeros((len(terms.instruments), len(rows)))
    size = terms.size[:, None]
    if terms.straight:
        before = terms.marks[:, None]
        after = before * factor
        cells[terms.straight] = size[terms.straight] / before * ((after - before) / after)
    if terms.options:
        shock = np.array([row.vol for row in rows])
        scale = {days: spec.vol_term.scale(days) for days in set(terms.days.tolist())}
        shocks = shock * np.array([[scale[days]] for days in terms.days.tolist()])
        vols = terms.iv[:, None] * np.maximum(1.0 + shocks, 0.0)
        vols = np.where(shock > 0.0, np.maximum(vols, spec.min_vol_up), vols)
        moved = terms.forward[:, None] * factor
        strike, tau, is_call = (x[:, None] for x in (terms.strike, terms.tau, terms.is_call))
        then = black76(moved, strike, tau, vols, is_call=is_call) / moved
        now = black76(terms.forward, terms.strike, terms.tau, terms.iv, is_call=terms.is_call)
        now /= terms.forward
        held = size[terms.options]
        cells[terms.options] = then * held - now[:, None] * held
    return cells


def coin_deltas(terms: MatrixTerms) -> FloatArray:
    """Return the delta in coins of one contract of each instrument, shape (instruments,).

    Black's delta for options, size over mark for inverse futures. Black's delta of a coin-settled option is
    that of its USD value; the coin value held in the premium is not taken off.
    """
    deltas = terms.size
    if terms.straight:
        deltas[terms.straight] /= terms.marks
    if terms.options:
        found = greeks(terms.forward, terms.strike, terms.tau, terms.iv, is_call=terms.is_call)
        deltas[terms.options] *= found.delta
    return deltas
