"""A book of one currency with the cells, deltas and worst entries that both variants need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pmkit.core.types import BoolArray, FloatArray
from pmkit.instruments.contracts import Option
from pmkit.instruments.portfolio import Portfolio
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.coin_rule import Charge
from pmkit.margin.engine.many import HeldLines, LineCharge, summed
from pmkit.margin.engine.matrix_cells import coin_deltas, matrix_terms, unit_cells
from pmkit.margin.engine.risk_matrix import (
    MatrixOutcome,
    MatrixSpec,
    evaluate,
    rounded_loss,
    row_vols,
    shaped,
    worst_rows,
)
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Step, WorstScenario
from pmkit.margin.schemas import ClassicParameters, RiskMatrixParameters
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios import TermScaling

__all__ = ["MatrixBook", "revalued", "standard_matrix"]


def standard_matrix(table: RiskMatrixParameters | ClassicParameters) -> MatrixSpec:
    """Return the standard table: price moves, vol shocks and the power law by which they reach the tenors."""
    return MatrixSpec(
        price_range=table.price_range,
        buckets_per_side=table.buckets_per_side,
        vol_up=table.volatility_range_up,
        vol_down=table.volatility_range_down,
        vol_term=TermScaling(
            reference_days=table.vega_reference_days,
            short_power=table.short_term_vega_power,
            long_power=table.long_term_vega_power,
            floor_days=table.vega_floor_days,
        ),
    )


def revalued(
    book: Portfolio, currency: str, snapshot: MarketSnapshot, spec: MatrixSpec, parameters: ParameterSet
) -> dict[str, Any]:
    """Return the arguments of a :class:`MatrixBook`: cells and deltas of the contracts of one currency."""
    terms = matrix_terms(book.instruments, snapshot)
    return {
        "book": book,
        "currency": currency,
        "spot": snapshot.spot(currency),
        "spec": spec,
        "cells": unit_cells(spec, terms),
        "unit_delta": coin_deltas(terms),
        "is_option": np.array([isinstance(i, Option) for i in book.instruments], dtype=bool),
        "parameters": parameters,
    }


@dataclass(frozen=True, kw_only=True)
class MatrixBook(ABC):
    """A book of one currency, revalued once, that answers for quantities of its own and of many accounts.

    Attributes
    ----------
    cells : ndarray, shape (instruments, scenarios)
        Coin P&L of one contract.
    unit_delta : ndarray, shape (instruments,)
        Coins per contract.
    """

    book: Portfolio
    currency: str
    spot: float
    spec: MatrixSpec
    cells: FloatArray
    unit_delta: FloatArray
    is_option: BoolArray
    parameters: ParameterSet

    @abstractmethod
    def charge(self, quantities: FloatArray) -> Charge:
        """Return the charge of signed contracts, shape (instruments,)."""

    @abstractmethod
    def amounts(
        self, worst_case: float, rows: Sequence[int], quantities: Sequence[float]
    ) -> tuple[float, float]:
        """Return initial and maintenance margin in coin from the worst case and the lines behind it."""

    def charge_many(self, lines: HeldLines) -> list[LineCharge]:
        """Return what each of many accounts is charged for its lines in this book."""
        parts = shaped(self.spec, summed(self.cells, lines), self.spot)
        listed = self.spec.rows
        worst = worst_rows(parts.dampened, row_vols(listed)).tolist()
        rows, quantities = lines.rows.tolist(), lines.quantity.tolist()
        charges = []
        for account, (held, at) in enumerate(zip(lines, worst, strict=True)):
            loss = rounded_loss(self.spec, float(parts.final[account, at]))
            initial, maintenance = self.amounts(loss, rows[held], quantities[held])
            scenario = WorstScenario(listed[at].label, float(parts.dampened[account, at]))
            charges.append(LineCharge(initial, maintenance, scenario))
        return charges

    @cached_property
    def _unit_delta_list(self) -> list[float]:
        return list(self.unit_delta.tolist())

    @cached_property
    def _is_option_list(self) -> list[bool]:
        return list(self.is_option.tolist())

    def matrix(self, quantities: FloatArray) -> MatrixOutcome:
        """Return the matrix of signed contracts."""
        return evaluate(self.spec, self.cells, quantities, self.spot)

    def _worst_steps(self, outcome: MatrixOutcome, clauses: Mapping[str, str]) -> list[Step]:
        status = origin(self.parameters, "price_range", "volatility_range_up", "volatility_range_down")
        cells = outcome.frame["dampened"].to_numpy(dtype=np.float64)
        steps = []
        for table, clause in clauses.items():
            rows = [at for at, row in enumerate(self.spec.rows) if row.table == table]
            if rows:
                worst = rows[int(np.argmin(cells[rows]))]
                what = f"worst {table} entry: {self.spec.rows[worst].label}"
                steps.append(Step(clause, what, float(cells[worst]), self.currency, status))
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
