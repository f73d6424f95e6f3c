"""``okx-standard-usd`` (clauses OKS): written options settled in stablecoins, one by one, amounts in USD."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pmkit.core.errors import ConventionError
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Option
from pmkit.margin.accounts.account import Account
from pmkit.margin.accounts.contract_marks import unit_marks
from pmkit.margin.conformance.feeds import CollateralFeed
from pmkit.margin.engine.coin_rule import charge_of_lines
from pmkit.margin.engine.usd_rule import TetherRule, UsdCharge
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Basis
from pmkit.margin.schemas import OkxStandardParameters
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["OkxStandardUsd", "written_linear_margin"]


def written_linear_margin(
    table: OkxStandardParameters, strike: float, forward: float, spot: float, mark: float, is_call: bool
) -> tuple[float, float]:
    """Return initial and maintenance margin of one coin of a written linear option, USD, the mark included.

    Parameters
    ----------
    table : OkxStandardParameters
    strike, forward, spot, mark : float
        USD; the forward is the mark of the same expiry, spot the index.
    is_call : bool

    Notes
    -----
    ``IM = max(a, b - OTM/F) f S + mark``; call ``MM = c f S + mark``, put ``MM = max(c S, c mark) f + mark``.

    Examples
    --------
    >>> table = OkxStandardParameters(im_floor=0.10, im_rate=0.15, mm_rate=0.03, margin_factor=1.0)
    >>> [round(x, 6) for x in written_linear_margin(table, 61_000.0, 61_000.0, 60_000.0, 500.0, True)]
    [9500.0, 2300.0]
    """
    otm = max(strike - forward, 0.0) if is_call else max(forward - strike, 0.0)
    initial = max(table.im_floor, table.im_rate - otm / forward) * table.margin_factor * spot + mark
    base = spot if is_call else max(spot, mark)
    maintenance = table.mm_rate * base * table.margin_factor + mark
    return max(initial, maintenance), maintenance


@dataclass(frozen=True, kw_only=True)
class _WrittenUsdBook:
    options: tuple[Option, ...]
    forwards: FloatArray
    spots: FloatArray
    marks: FloatArray
    prices: FloatArray
    parameters: ParameterSet

    def charge(self, quantities: FloatArray, amounts: FloatArray) -> UsdCharge:
        """Return the charge of signed contracts (clauses OKS-7 and OKS-8)."""
        rows = []
        lines = zip(self.options, quantities, self.forwards, self.spots, self.marks, strict=True)
        for option, qty, forward, spot, mark in lines:
            size = float(qty) * option.multiplier
            table = self.parameters.table(option.underlying)
            pair = written_linear_margin(
                table, option.strike, float(forward), float(spot), float(mark), option.is_call
            )
            clause = "OKS-5" if size >= 0.0 else "OKS-7" if option.is_call else "OKS-8"
            short = max(-size, 0.0)
            rows.append((option.name, clause, float(qty), short * pair[0], short * pair[1]))
        keys = ("im_floor", "im_rate", "mm_rate", "margin_factor")
        clauses = {"OKS-7": ("written calls", keys), "OKS-8": ("written puts", keys)}
        found = charge_of_lines(rows, clauses, "USD", self.parameters)
        units = np.array([o.multiplier for o in self.options], dtype=np.float64)
        value = math.fsum(quantities * units * self.marks)
        return UsdCharge(
            im=found.im,
            mm=found.mm,
            equity=math.fsum([value, *(amounts * self.prices)]),
            option_value=value,
            steps=found.steps,
            figures=found.figures,
        )


@dataclass(frozen=True, kw_only=True)
class OkxStandardUsd(TetherRule):
    """OKX's margin of options settled in stablecoins outside portfolio margin: no netting, in USD.

    Notes
    -----
    Basis ``cash``, as under ``okx-standard``. Futures and perpetuals are refused.
    """

    name: ClassVar[str] = "okx-standard-usd"
    basis: ClassVar[Basis] = "cash"
    citations: ClassVar[tuple[str, ...]] = ("okxoption",)
    money_clauses: ClassVar[tuple[str, str]] = ("OKS-6", "OKS-6")

    variant: str = "usd"

    def book(
        self, account: Account, balances: Mapping[str, CollateralFeed], snapshot: MarketSnapshot,
        parameters: ParameterSet, underlyings: tuple[str, ...],
    ) -> _WrittenUsdBook:  # fmt: skip
        """Return the options with forwards, indexes and marks.

        Raises
        ------
        ConventionError
            A perpetual.
        """
        options = []
        for instrument in account.portfolio.instruments:
            if not isinstance(instrument, Option):
                raise ConventionError(
                    f"{instrument.name} is a {instrument.kind}",
                    f"options: {self.name} knows no others",
                    "margin perpetuals under leverage-brackets, or all of it under okx-pm",
                    **account.portfolio.place(instrument.name),
                )
            options.append(instrument)
        return _WrittenUsdBook(
            options=tuple(options),
            forwards=np.array([snapshot.forward(o.underlying, o.expiry) for o in options]),
            spots=np.array([snapshot.spot(o.underlying) for o in options]),
            marks=unit_marks(options, snapshot),
            prices=np.array([account.price(c, snapshot) for c in balances], dtype=np.float64),
            parameters=parameters,
        )
