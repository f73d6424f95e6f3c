"""``deribit-pm``: the risk matrix of one coin, variants ``spm`` (clauses DPM) and ``classic`` (DPC)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from pmkit.core.errors import RuleVersionError
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Future, Option
from pmkit.instruments.portfolio import Portfolio, Position
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.coin_rule import Charge, Charger, CoinRule
from pmkit.margin.engine.risk_matrix import MatrixOutcome, MatrixSpec, coin_delta, evaluate, unit_cells
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Basis, Origin, Step, WorstScenario
from pmkit.margin.schemas import ClassicParameters, RiskMatrixParameters
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios import TermScaling

__all__ = ["DeltaShock", "DeribitPm", "charge_above_threshold", "one_sided_delta"]

DeltaShock = Callable[[float, float, RiskMatrixParameters], float]
"""Charge in coin from the one-sided delta in coins, the index in USD and the parameter table."""


def one_sided_delta(long_options: float, rest: float) -> float:
    """Return the delta in coins that the delta shock sees: long options may only reduce the rest.

    Examples
    --------
    >>> one_sided_delta(30.0, -50.0), one_sided_delta(80.0, -50.0), one_sided_delta(-30.0, -50.0)
    (-20.0, 0.0, -50.0)
    """
    both = long_options + rest
    return min(max(both, rest), 0.0) if rest < 0.0 else max(min(both, rest), 0.0)


def charge_above_threshold(delta: float, spot: float, table: RiskMatrixParameters) -> float:
    """Return the delta shock in coin: |Δ| times a rate that grows above the threshold, up to its cap.

    The unit of ``m_inc`` is not published; "per coin of delta" is our reading.

    Examples
    --------
    >>> from pmkit.margin.parameters import select
    >>> table = select("deribit-pm", "2024-06-17", "spm").table("BTC")
    >>> [round(charge_above_threshold(delta, 50_000.0, table), 9) for delta in (-300.0, 1_400.0)]
    [0.0, 70.0]
    """
    above = max(abs(delta) - table.delta_total_liq_shock_threshold / spot, 0.0)
    return abs(delta) * min(table.m_inc * above, table.max_delta_shock)


def _term(table: RiskMatrixParameters | ClassicParameters) -> TermScaling:
    return TermScaling(
        reference_days=table.vega_reference_days,
        short_power=table.short_term_vega_power,
        long_power=table.long_term_vega_power,
        floor_days=table.vega_floor_days,
    )


def _spm_matrix(table: RiskMatrixParameters) -> MatrixSpec:
    return MatrixSpec(
        price_range=table.price_range,
        buckets_per_side=table.buckets_per_side,
        vol_up=table.volatility_range_up,
        vol_down=table.volatility_range_down,
        vol_term=_term(table),
        min_vol_up=table.min_volatility_for_shock_up,
        extended_moves=table.extended_moves,
        extended_factor=table.extended_table_factor,
        dampener_usd=table.extended_dampener,
        gain_offset=table.pnl_offset,
        max_gain_usd=table.max_offsetable_pnl,
        decimals=table.worst_case_decimals,
    )


def _classic_matrix(table: ClassicParameters) -> MatrixSpec:
    return MatrixSpec(
        price_range=table.price_range,
        buckets_per_side=table.buckets_per_side,
        vol_up=table.volatility_range_up,
        vol_down=table.volatility_range_down,
        vol_term=_term(table),
    )


@dataclass(frozen=True, kw_only=True)
class _Book:
    """A book of one currency with the cells, deltas and groups that both variants need."""

    book: Portfolio
    currency: str
    spot: float
    spec: MatrixSpec
    cells: FloatArray
    unit_delta: FloatArray
    parameters: ParameterSet

    def matrix(self, quantities: FloatArray) -> MatrixOutcome:
        return evaluate(self.spec, self.cells, quantities, self.spot)

    def _worst_steps(self, outcome: MatrixOutcome, clauses: Mapping[str, str]) -> list[Step]:
        status = origin(self.parameters, "price_range", "volatility_range_up", "volatility_range_down")
        steps = []
        for table, clause in clauses.items():
            cells = outcome.frame.loc[outcome.frame["table"] == table, "dampened"]
            if len(cells):
                worst = str(cells.idxmin())
                steps.append(
                    Step(clause, f"worst {table} entry: {worst}", float(cells.min()), self.currency, status)
                )  # fmt: skip
        return steps

    def _charge(
        self, outcome: MatrixOutcome, initial: float, maintenance: float, addons: Mapping[str, float],
        steps: list[Step], figures: Mapping[str, pd.DataFrame],
    ) -> Charge:  # fmt: skip
        return Charge(
            im=initial,
            mm=maintenance,
            addons=addons,
            worst=WorstScenario(outcome.worst_label, outcome.worst_pnl),
            vector=outcome.frame["dampened"].rename("pnl"),
            steps=tuple(steps),
            figures={"matrix": outcome.frame, **figures},
        )


@dataclass(frozen=True, kw_only=True)
class _SpmBook(_Book):
    table: RiskMatrixParameters
    tau: FloatArray  # years to expiry, 0 for the perpetual
    delta_shock: DeltaShock

    def charge(self, quantities: FloatArray) -> Charge:
        """Return the charge of signed contracts (clauses DPM-3 to DPM-14)."""
        t, coin = self.table, self.currency
        outcome = self.matrix(quantities)
        groups = self._roll(quantities)
        roll = math.fsum(groups["charge"])
        long_options, rest = self._sides(quantities)
        seen = one_sided_delta(long_options, rest)
        shock = self.delta_shock(seen, self.spot, t)
        matrix_margin = math.fsum([outcome.worst_case, shock, roll, t.correlation_contingency])
        steps = self._worst_steps(outcome, {"standard": "DPM-5", "extended": "DPM-7"})
        steps += [
            Step("DPM-9", f"worst case: {outcome.worst_label}", outcome.worst_case, coin),
            Step("DPM-10", "roll shock", roll, coin, self._roll_origin(groups)),
            Step("DPM-11", "one-sided delta", seen, coin, "assumed"),
            Step("DPM-11", "delta shock", shock, coin, "assumed"),
            Step("DPM-12", "correlation contingency", t.correlation_contingency, coin,
                 origin(self.parameters, "correlation_contingency")),
            Step("DPM-13", "risk matrix margin", matrix_margin, coin),
            Step("DPM-14", "maintenance factor", t.mm_factor, "1", origin(self.parameters, "mm_factor")),
        ]  # fmt: skip
        addons = {"roll_shock": roll, "delta_shock": shock}
        if t.correlation_contingency > 0.0:
            addons["correlation_contingency"] = t.correlation_contingency
        return self._charge(
            outcome, matrix_margin, t.mm_factor * matrix_margin, addons, steps, {"roll": groups}
        )

    def _roll(self, quantities: FloatArray) -> pd.DataFrame:
        """Return one row an expiry group: net delta in coins, rate and charge in coin."""
        groups: dict[str, list[float]] = {}
        rates: dict[str, float] = {}
        for instrument, delta, tau in zip(
            self.book.instruments, self.unit_delta * quantities, self.tau, strict=True
        ):
            dated = isinstance(instrument, (Future, Option))
            group = (
                f"{instrument.expiry:%Y-%m-%d}" if isinstance(instrument, (Future, Option)) else "perpetual"
            )
            groups.setdefault(group, []).append(float(delta))
            grown = self.table.annualised_move_risk * float(tau) if dated else 0.0
            rates[group] = max(grown, self.table.min_annualised_move)
        net = {group: math.fsum(deltas) for group, deltas in groups.items()}
        rows = {g: {"delta": net[g], "rate": rates[g], "charge": abs(net[g]) * rates[g]} for g in sorted(net)}
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["delta", "rate", "charge"])
        frame.index.name = "group"
        return frame

    def _roll_origin(self, groups: pd.DataFrame) -> Origin:
        """Return the origin of the roll shock: its minimum is confirmed, growth with time is a reading."""
        grown = bool((groups["rate"] > self.table.min_annualised_move).any())
        return "assumed" if grown else origin(self.parameters, "min_annualised_move")

    def _sides(self, quantities: FloatArray) -> tuple[float, float]:
        """Return the delta in coins of the long options, and that of everything else."""
        delta = self.unit_delta * quantities
        long_option = np.array(
            [
                isinstance(i, Option) and q > 0.0
                for i, q in zip(self.book.instruments, quantities, strict=True)
            ],
            dtype=bool,
        )
        return math.fsum(delta[long_option]), math.fsum(delta[~long_option])


@dataclass(frozen=True, kw_only=True)
class _ClassicBook(_Book):
    table: ClassicParameters

    def charge(self, quantities: FloatArray) -> Charge:
        """Return the charge of signed contracts (clauses DPC-2 to DPC-7)."""
        t, coin = self.table, self.currency
        outcome = self.matrix(quantities)
        sizes = [
            abs(float(d * q))
            for i, d, q in zip(self.book.instruments, self.unit_delta, quantities, strict=True)
            if not isinstance(i, Option)
        ]
        futures = t.futures_contingency * math.fsum(sizes)
        strikes = self._strikes(quantities)
        options = t.short_option_contingency * math.fsum(strikes["short"])
        maintenance = math.fsum([outcome.worst_case, futures, options])
        steps = self._worst_steps(outcome, {"standard": "DPC-4"})
        steps += [
            Step("DPC-4", f"worst case: {outcome.worst_label}", outcome.worst_case, coin),
            Step("DPC-5", "futures contingency", futures, coin,
                 origin(self.parameters, "futures_contingency")),
            Step("DPC-6", "options contingency", options, coin, "assumed"),
            Step("DPC-7", "initial factor", t.im_factor, "1", origin(self.parameters, "im_factor")),
        ]  # fmt: skip
        addons = {"futures_contingency": futures, "options_contingency": options}
        return self._charge(
            outcome, t.im_factor * maintenance, maintenance, addons, steps, {"strikes": strikes}
        )

    def _strikes(self, quantities: FloatArray) -> pd.DataFrame:
        """Return one row a strike: net contracts, the share that counts, and the short that is charged."""
        net: dict[tuple[str, float], list[float]] = {}
        for instrument, qty in zip(self.book.instruments, quantities, strict=True):
            if isinstance(instrument, Option):
                key = (f"{instrument.expiry:%Y-%m-%d}", instrument.strike)
                net.setdefault(key, []).append(float(qty) * instrument.multiplier)
        rows = []
        for (expiry, strike), held in sorted(net.items()):
            total = math.fsum(held)
            share = min(abs(self.spot - strike) / (self.table.atm_range * self.spot), 1.0)
            rows.append((expiry, strike, total, share, max(-total * share, 0.0)))
        return pd.DataFrame(rows, columns=["expiry", "strike", "net", "share", "short"])


@dataclass(frozen=True, kw_only=True)
class DeribitPm(CoinRule):
    """Deribit's portfolio margin of a segregated account.

    Attributes
    ----------
    delta_shock : callable
        Reading of the delta shock: ``(one-sided delta, index, table) -> coin``. The default reads ``m_inc``
        per coin of delta, which is an assumption.

    Notes
    -----
    ``spm``: the worst entry of a standard and an extended table, plus roll and delta shock; maintenance is a
    fraction of that, and obligations are in the initial margin only. ``classic``: one table, a futures and a
    short-option contingency; the roll of strikes against each other is not published and left out.
    """

    name: ClassVar[str] = "deribit-pm"
    basis: ClassVar[Basis] = "pnl"
    citations: ClassVar[tuple[str, ...]] = ("deribit2024pme", "deribithelp", "deribitdeck")
    money_clause: ClassVar[Mapping[str, str]] = {"spm": "DPM-14", "classic": "DPC-7"}

    variant: str = "spm"
    delta_shock: DeltaShock = field(default=charge_above_threshold, repr=False)

    def __post_init__(self) -> None:
        if self.variant == "xpm":
            raise RuleVersionError(
                "variant 'xpm' of deribit-pm: how the currency pairs are combined is not published",
                "'spm' or 'classic'",
                'margin the currencies apart with variant="spm"',
            )
        CoinRule.__post_init__(self)

    def charger(
        self, book: Portfolio, currency: str, snapshot: MarketSnapshot, table: ParameterSet
    ) -> Charger:
        """Return the book of one currency, revalued once over the matrix."""
        values = table.table(currency)
        spec = _spm_matrix(values) if self.variant == "spm" else _classic_matrix(values)
        deltas = [coin_delta(Position(instrument=i, qty=1.0), snapshot) for i in book.instruments]
        common: dict[str, Any] = {
            "book": book,
            "currency": currency,
            "spot": snapshot.spot(currency),
            "spec": spec,
            "cells": unit_cells(spec, book.instruments, currency, snapshot),
            "unit_delta": np.array(deltas, dtype=np.float64),
            "parameters": table,
        }
        if self.variant == "classic":
            return _ClassicBook(**common, table=values)
        tau = [snapshot.tau(i.expiry) if isinstance(i, (Future, Option)) else 0.0 for i in book.instruments]
        return _SpmBook(
            **common, table=values, tau=np.array(tau, dtype=np.float64), delta_shock=self.delta_shock
        )
