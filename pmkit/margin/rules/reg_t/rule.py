"""``reg-t``: margin by strategy for stocks and options, the baseline without netting between strategies."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from pmkit.core.errors import ConventionError
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Instrument, Option, Spot
from pmkit.instruments.portfolio import Portfolio, Position
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.coin_rule import Charge
from pmkit.margin.engine.listed_rule import BrokerageRule, ListedMarket
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Basis, Step
from pmkit.margin.rules.reg_t.candidates import candidates
from pmkit.margin.rules.reg_t.pairing import Pairing, cheapest_pairing
from pmkit.margin.rules.reg_t.strategies import Line
from pmkit.margin.schemas import StrategyParameters

__all__ = ["RegT"]

#: keys behind the charge of each clause, for the origin of a step
_KEYS = {
    "RGT-3": ("stock_im_rate", "stock_mm_rate", "short_stock_im_rate", "short_stock_mm_rate"),
    "RGT-4": ("long_dated_months", "long_dated_loan_rate"),
    "RGT-5": ("option_rate", "option_floor_rate"),
    "RGT-6": ("option_rate", "option_floor_rate"),
    "RGT-7": ("option_rate", "option_floor_rate"),
    "RGT-8": (),
    "RGT-9": ("iron_needs_equal_widths",),
    "RGT-10": ("box_rate", "box_for_european_index"),
    "RGT-11": ("stock_im_rate", "stock_mm_rate"),
    "RGT-12": ("hedged_strike_rate",),
    "RGT-13": ("hedged_strike_rate", "collar_call_rate"),
    "RGT-14": ("hedged_strike_rate",),
}


@dataclass(frozen=True, kw_only=True)
class _StrategyBook:
    portfolio: Portfolio
    lines: tuple[Line, ...]
    spots: dict[str, float]
    parameters: ParameterSet

    def charge(self, quantities: FloatArray) -> Charge:
        rows, steps = [], []
        totals = {"initial": 0.0, "maintenance": 0.0}
        for underlying, spot in self.spots.items():
            held = [
                line._replace(qty=float(qty))
                for line, qty, instrument in zip(
                    self.lines, quantities, self.portfolio.instruments, strict=True
                )
                if instrument.underlying == underlying and qty != 0.0
            ]
            table: StrategyParameters = self.parameters.table(underlying)
            admitted = candidates(table, held, spot)
            found = cheapest_pairing(held, admitted, True)
            # options alone are charged alike, so that one pairing serves both
            alike = all(s.im == s.mm for s in admitted)
            for which in totals:
                if which == "maintenance" and not alike:
                    found = cheapest_pairing(held, admitted, False)
                totals[which] += found.cost
                rows += _rows(underlying, which, held, found)
                if which == "initial":
                    steps += self._steps(underlying, found)
                steps.append(
                    Step("RGT-2", f"{underlying}: {which} of the cheapest pairing", found.cost, "USD")
                )
        columns = ["underlying", "margin", "strategy", "clause", "legs", "units", "amount"]
        return Charge(
            im=totals["initial"],
            mm=totals["maintenance"],
            steps=tuple(steps),
            figures={"pairing": pd.DataFrame(rows, columns=columns)},
        )

    def _steps(self, underlying: str, found: Pairing) -> list[Step]:
        return [
            Step(
                strategy.clause,
                f"{underlying}: {units:g} {strategy.name}",
                units * strategy.im,
                "USD",
                origin(self.parameters, *_KEYS[strategy.clause]),
            )
            for strategy, units in found.chosen
        ]


def _rows(underlying: str, which: str, held: list[Line], found: Pairing) -> list[tuple[object, ...]]:
    return [
        (
            underlying,
            which,
            strategy.name,
            strategy.clause,
            ", ".join(f"{math.copysign(n, held[i].qty):+g} {held[i].name}" for i, n in strategy.uses.items()),
            units,
            units * (strategy.im if which == "initial" else strategy.mm),
        )
        for strategy, units in found.chosen
    ]


@dataclass(frozen=True, kw_only=True)
class RegT(BrokerageRule):
    """Strategy-based margin of US stocks and options, legs paired at the least requirement, in USD.

    Notes
    -----
    Basis ``cash``: a short option is charged with its premium, its proceeds being cash; a long one that is
    paid for is charged nothing, so that ``im_equity`` is its premium. IM and MM are paired apart, each at its
    least. Clauses RGT-1 to RGT-15.

    References
    ----------
    Cboe (2000), margin manual; Rudd and Schroeder (1982).
    """

    name: ClassVar[str] = "reg-t"
    basis: ClassVar[Basis] = "cash"
    citations: ClassVar[tuple[str, ...]] = ("cboe2000margin", "rudd1982")
    accepts: ClassVar[tuple[str, tuple[type[Instrument], ...]]] = ("stocks and options", (Spot, Option))
    money_clause: ClassVar[str] = "RGT-15"

    variant: str = "margin-account"

    def book(self, seen: ListedMarket) -> _StrategyBook:
        """Return the positions as lines with their prices."""
        portfolio = seen.portfolio
        return _StrategyBook(
            portfolio=portfolio,
            lines=tuple(self._line(p, seen) for p in portfolio),
            spots={u: seen.snapshot.spot(u) for u in portfolio.underlyings},
            parameters=seen.parameters,
        )

    def _line(self, position: Position, seen: ListedMarket) -> Line:
        instrument, qty = position.instrument, position.qty
        price = seen.marks[instrument.name]
        table: StrategyParameters = seen.parameters.table(instrument.underlying)
        if not isinstance(instrument, Option):
            return Line(instrument.name, "S", 0.0, 0.0, price, qty, instrument.multiplier)
        if qty != round(qty):
            raise ConventionError(
                f"{qty:g} contracts of {instrument.name}",
                "whole contracts: strategies are formed of them",
                "round the quantity",
            )
        last = seen.snapshot.as_of + pd.DateOffset(months=table.long_dated_months)
        return Line(
            name=instrument.name,
            kind="C" if instrument.is_call else "P",
            strike=instrument.strike,
            days=seen.snapshot.days(instrument.expiry),
            price=price,
            qty=qty,
            multiplier=instrument.multiplier,
            long_dated=instrument.expiry > last,
        )
