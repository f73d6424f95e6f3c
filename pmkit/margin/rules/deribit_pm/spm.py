"""Variant ``spm``: standard and extended table, roll shock and one-sided delta shock (clauses DPM)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pandas as pd

from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Future, Instrument, Option
from pmkit.instruments.portfolio import Portfolio
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.coin_rule import Charge
from pmkit.margin.engine.risk_matrix import MatrixSpec
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Origin, Step
from pmkit.margin.rules.deribit_pm.book import MatrixBook, revalued, standard_matrix
from pmkit.margin.schemas import RiskMatrixParameters
from pmkit.market.snapshot import MarketSnapshot

__all__ = [
    "DeltaShock",
    "SpmBook",
    "SpmShocks",
    "charge_above_threshold",
    "one_sided_delta",
    "spm_book",
    "spm_matrix",
]

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


def spm_matrix(table: RiskMatrixParameters) -> MatrixSpec:
    """Return the standard and the extended table of the variant."""
    return replace(
        standard_matrix(table),
        min_vol_up=table.min_volatility_for_shock_up,
        extended_moves=table.extended_moves,
        extended_factor=table.extended_table_factor,
        dampener_usd=table.extended_dampener,
        gain_offset=table.pnl_offset,
        max_gain_usd=table.max_offsetable_pnl,
        decimals=table.worst_case_decimals,
    )


class SpmShocks(NamedTuple):
    """Delta by expiry group, roll shock, one-sided delta and delta shock of a book, in coins."""

    net: Mapping[str, float]
    roll: float
    seen: float
    shock: float


@dataclass(frozen=True, kw_only=True)
class SpmBook(MatrixBook):
    """A book under the variant ``spm``."""

    table: RiskMatrixParameters
    groups: tuple[str, ...]  # expiry group of each instrument
    rates: Mapping[str, float]  # roll shock per coin of delta, by group
    delta_shock: DeltaShock

    def charge(self, quantities: FloatArray) -> Charge:
        """Return the charge of signed contracts (clauses DPM-3 to DPM-14)."""
        t, coin = self.table, self.currency
        outcome = self.matrix(quantities)
        found = self.shocks(range(quantities.size), quantities.tolist())
        matrix_margin, maintenance = self._margins(outcome.worst_case, found)
        steps = self._worst_steps(outcome, {"standard": "DPM-5", "extended": "DPM-7"})
        steps += [
            Step("DPM-9", f"worst case: {outcome.worst_label}", outcome.worst_case, coin),
            Step("DPM-10", "roll shock", found.roll, coin, self._roll_origin(found.net)),
            Step("DPM-11", "one-sided delta", found.seen, coin, "assumed"),
            Step("DPM-11", "delta shock", found.shock, coin, "assumed"),
            Step("DPM-12", "correlation contingency", t.correlation_contingency, coin,
                 origin(self.parameters, "correlation_contingency")),
            Step("DPM-13", "risk matrix margin", matrix_margin, coin),
            Step("DPM-14", "maintenance factor", t.mm_factor, "1", origin(self.parameters, "mm_factor")),
        ]  # fmt: skip
        addons = {"roll_shock": found.roll, "delta_shock": found.shock}
        if t.correlation_contingency > 0.0:
            addons["correlation_contingency"] = t.correlation_contingency
        return self._charge(
            outcome, matrix_margin, maintenance, addons, steps, {"roll": self._roll_frame(found.net)}
        )

    def amounts(
        self, worst_case: float, rows: Sequence[int], quantities: Sequence[float]
    ) -> tuple[float, float]:
        """Return initial and maintenance margin of lines whose worst case is known, in coin."""
        return self._margins(worst_case, self.shocks(rows, quantities))

    def _margins(self, worst_case: float, found: SpmShocks) -> tuple[float, float]:
        t = self.table
        initial = math.fsum([worst_case, found.shock, found.roll, t.correlation_contingency])
        return initial, t.mm_factor * initial

    def shocks(self, rows: Iterable[int], quantities: Sequence[float]) -> SpmShocks:
        """Return what the deltas of lines cost: net by expiry group, and one-sided against long options."""
        unit, option = self._unit_delta_list, self._is_option_list
        groups: dict[str, list[float]] = {}
        long_options: list[float] = []
        rest: list[float] = []
        for row, quantity in zip(rows, quantities, strict=True):
            delta = unit[row] * quantity
            groups.setdefault(self.groups[row], []).append(delta)
            (long_options if option[row] and quantity > 0.0 else rest).append(delta)
        net = {group: math.fsum(deltas) for group, deltas in groups.items()}
        seen = one_sided_delta(math.fsum(long_options), math.fsum(rest))
        return SpmShocks(
            net=net,
            roll=math.fsum(abs(delta) * self.rates[group] for group, delta in net.items()),
            seen=seen,
            shock=self.delta_shock(seen, self.spot, self.table),
        )

    def _roll_frame(self, net: Mapping[str, float]) -> pd.DataFrame:
        """Return one row an expiry group: net delta in coins, rate and charge in coin."""
        rates = self.rates
        rows = {g: {"delta": net[g], "rate": rates[g], "charge": abs(net[g]) * rates[g]} for g in sorted(net)}
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["delta", "rate", "charge"])
        frame.index.name = "group"
        return frame

    def _roll_origin(self, net: Mapping[str, float]) -> Origin:
        """Return the origin of the roll shock: its minimum is confirmed, growth with time is a reading."""
        grown = any(self.rates[group] > self.table.min_annualised_move for group in net)
        return "assumed" if grown else origin(self.parameters, "min_annualised_move")


def spm_book(
    book: Portfolio,
    currency: str,
    snapshot: MarketSnapshot,
    parameters: ParameterSet,
    delta_shock: DeltaShock,
) -> SpmBook:
    """Return the book of one currency, revalued once over the standard and the extended table."""
    table = parameters.table(currency)
    return SpmBook(
        **revalued(book, currency, snapshot, spm_matrix(table), parameters),
        **_expiry_groups(book.instruments, snapshot, table),
        table=table,
        delta_shock=delta_shock,
    )


def _expiry_groups(
    instruments: Sequence[Instrument], snapshot: MarketSnapshot, table: RiskMatrixParameters
) -> dict[str, Any]:
    """Return the expiry group of each instrument, and the roll shock per coin of delta by group."""
    names: dict[pd.Timestamp, str] = {}
    rates: dict[str, float] = {}
    groups = []
    for instrument in instruments:
        if not isinstance(instrument, (Future, Option)):
            groups.append("perpetual")
            rates["perpetual"] = max(0.0, table.min_annualised_move)
            continue
        expiry = instrument.expiry
        if expiry not in names:
            names[expiry] = group = f"{expiry:%Y-%m-%d}"
            grown = table.annualised_move_risk * snapshot.tau(expiry)
            rates[group] = max(grown, table.min_annualised_move)
        groups.append(names[expiry])
    return {"groups": tuple(groups), "rates": rates}
