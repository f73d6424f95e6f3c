"""One coin under ``xpm``: its matrix with equity in it, and how several coins are added (DPX-2 to DPX-5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray, IntArray
from pmkit.margin.engine.cross_account import Holdings
from pmkit.margin.engine.risk_matrix import MatrixOutcome, evaluate_rows, row_vols, worst_row
from pmkit.margin.result import WorstScenario
from pmkit.margin.rules.deribit_pm.spm import SpmBook, SpmShocks
from pmkit.margin.schemas import XpmParameters
from pmkit.pricing import combine

__all__ = ["Pair", "PairCharge", "PairsWorst", "together"]


class PairCharge(NamedTuple):
    """One pair under the matrix: equity that moves in it (coins), cells, delta shocks, USD by scenario."""

    position: float
    outcome: MatrixOutcome
    shocks: SpmShocks
    usd: FloatArray


class PairsWorst(NamedTuple):
    """A worst case in USD, positive, with the scenario behind it and the P&L of every scenario."""

    loss: float
    scenario: WorstScenario
    vector: pd.Series


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The contracts of an account on one coin and settled in it, revalued once."""

    coin: str
    lines: IntArray
    settled: int  # place of the coin among the currencies
    book: SpmBook
    table: XpmParameters

    def charge(self, held: Holdings, quantities: FloatArray, amounts: FloatArray) -> PairCharge:
        """Return the matrix of signed contracts and balances (clauses DPX-2 and DPX-3)."""
        spec, spot = self.book.spec, self.book.spot
        position = 0.0
        if self.table.equity_side_impact == "both":
            profit = (quantities * held.profit)[self.lines] / spot
            position = math.fsum([float(amounts[self.settled]), *profit.tolist()])
        move = np.array([row.move for row in spec.rows])
        pnl = position * (move / (1.0 + move))
        if self.lines.size:
            pnl = pnl + combine(self.book.cells, quantities[self.lines])
        outcome = evaluate_rows(spec, pnl, spot)
        lines = np.flatnonzero(quantities[self.lines])
        shocks = self.book.shocks(lines.tolist(), quantities[self.lines][lines].tolist())
        usd = outcome.frame["final"].to_numpy(dtype=np.float64) * spot
        return PairCharge(position, outcome, shocks, usd)

    def added(self, found: PairCharge) -> dict[str, float]:
        """Return roll shock, delta shock and correlation contingency, USD."""
        empty = not found.shocks.net and found.position == 0.0
        coins = {
            "roll_shock": found.shocks.roll,
            "delta_shock": found.shocks.shock,
            "correlation_contingency": 0.0 if empty else self.table.correlation_contingency,
        }
        return {what: amount * self.book.spot for what, amount in coins.items()}

    def rounded(self, found: PairCharge, row: int) -> float:
        """Return the P&L of a scenario in USD from coins rounded as the rule rounds them."""
        final = float(found.outcome.frame["final"].iloc[row])
        return round(final, self.table.worst_case_decimals) * self.book.spot


def together(pairs: Sequence[Pair], found: Sequence[PairCharge]) -> PairsWorst:
    """Return the worst case of pairs whose equal scenarios are added (clause DPX-4)."""
    shapes = {(p.table.buckets_per_side, p.table.extended_moves) for p in pairs}
    if len(shapes) > 1:
        raise ParameterError(
            f"{' and '.join(p.coin for p in pairs)} differ in buckets_per_side or extended_moves",
            "equal scenarios of the pairs that are combined together",
            'make them equal, or use combination="apart"',
        )
    rows = [p.book.spec.rows for p in pairs]
    labels = [
        "; ".join(f"{p.coin}: {row.label}" for p, row in zip(pairs, x, strict=True))
        for x in zip(*rows, strict=True)
    ]
    usd = found[0].usd.copy()
    for more in found[1:]:
        usd += more.usd
    at = worst_row(usd, row_vols(rows[0]))
    loss = max(-math.fsum(p.rounded(f, at) for p, f in zip(pairs, found, strict=True)), 0.0)
    vector = pd.Series(usd, index=pd.Index(labels, name="scenario"), name="pnl")
    return PairsWorst(loss, WorstScenario(labels[at], float(usd[at])), vector)
