"""Options by expiry under a list of scenarios, perpetuals and coins beside them: one book, many rules."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from pmkit.core.types import BoolArray, FloatArray
from pmkit.instruments.contracts import Option
from pmkit.margin.accounts.account import Account
from pmkit.margin.conformance.feeds import CollateralFeed, ExpiryFeed, Feeds
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.expiry_options import PricedExpiry, expiry_options, naked_shorts, scenario_rows
from pmkit.margin.engine.risk_matrix import (
    ExpiryOptions,
    ExpiryTransform,
    MatrixRow,
    expiry_values,
    weighted_rows,
    worst_row,
)
from pmkit.margin.engine.usd_rule import UsdCharge, UsdRule
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Step, WorstScenario
from pmkit.margin.schemas import ExpiryMatrixParameters
from pmkit.market.snapshot import MarketSnapshot

__all__ = [
    "BASIS_ROW",
    "Amounts",
    "ExpiryMatrixBook",
    "ExpiryMatrixRule",
    "HeldBook",
    "PricedExpiry",
]

#: name of the basis contingency where it is worse than every scenario
BASIS_ROW = "basis contingency"


@dataclass(frozen=True, kw_only=True)
class HeldBook:
    """A book at given quantities: what the contingencies need, and the worst entry.

    Attributes
    ----------
    marks, gross : list of float
        By expiry: value without a shock in USD, and units held, longs and shorts added up.
    naked : float
        Net short units over the strikes of every expiry.
    perpetuals : float
        Signed units.
    coin_values, amounts : list of float
        Balances in USD and in units.
    worst : WorstScenario
    """

    marks: list[float]
    gross: list[float]
    naked: float
    perpetuals: float
    coin_values: list[float]
    amounts: list[float]
    worst: WorstScenario


class Amounts(NamedTuple):
    """What a book is charged: requirements and add-ons in USD, initial factor, (low, high) parts."""

    im: float
    mm: float
    addons: Mapping[str, float]
    factor: float
    parts: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class ExpiryMatrixBook(ABC):
    """One underlying revalued over its scenarios; the generations differ in contingencies and factors."""

    underlying: str
    spot: float
    perpetual: float
    feeds: Feeds
    parameters: ParameterSet
    rows: tuple[MatrixRow, ...]
    expiries: tuple[PricedExpiry, ...]
    perpetual_size: FloatArray  # units per contract, 0 for options
    coin_prices: FloatArray
    moving: BoolArray
    prefix: ClassVar[str]

    @abstractmethod
    def finish(self, held: HeldBook) -> Amounts:
        """Return the charge once worst entry and amounts are known."""

    @abstractmethod
    def last_steps(self, held: HeldBook, found: Amounts) -> list[Step]:
        """Return the steps after the worst entry."""

    def charge(self, quantities: FloatArray, amounts: FloatArray) -> UsdCharge:
        """Return the charge of signed contracts and coin balances (clauses 3 to 12)."""
        sizes = [quantities[e.at] * e.size for e in self.expiries]
        marks = [math.fsum(s * e.marks) for s, e in zip(sizes, self.expiries, strict=True)]
        perpetuals = math.fsum(quantities * self.perpetual_size)
        values = amounts * self.coin_prices / self.feeds.stable
        move, weight, moved = self.moves, self.weights, self.straight(perpetuals, values)
        pnl = weighted_rows(
            [e.values for e in self.expiries], sizes, marks, [e.transform for e in self.expiries],
            moved * move, weight,
        )  # fmt: skip
        basis = self._basis(sizes, marks)
        vol = np.array([row.vol for row in self.rows])
        frame = pd.DataFrame(
            {
                "table": [*(row.table for row in self.rows), "basis"],
                "move": [*move, 0.0],
                "vol": [*vol.astype(np.int64), 0],
                "weight": [*weight, 1.0],
                "final": [*pnl, basis],
            },
            index=pd.Index([*(row.label for row in self.rows), BASIS_ROW], name="scenario"),
        )
        at = worst_row(frame["final"].to_numpy(), frame["vol"].to_numpy().astype(np.float64))
        held = HeldBook(
            marks=marks,
            gross=[math.fsum(np.abs(size)) for size in sizes],
            naked=math.fsum(
                naked_shorts(e.options.strike, size) for e, size in zip(self.expiries, sizes, strict=True)
            ),
            perpetuals=perpetuals,
            coin_values=values.tolist(),
            amounts=amounts.tolist(),
            worst=WorstScenario(str(frame.index[at]), float(frame["final"].to_numpy()[at])),
        )
        found = self.finish(held)
        return UsdCharge(
            im=found.im,
            mm=found.mm,
            equity=math.fsum([*held.marks, *held.coin_values]),
            option_value=math.fsum(held.marks),
            addons={name: value for name, value in found.addons.items() if value != 0.0},
            worst=held.worst,
            vector=frame.loc[frame["table"] != "basis", "final"].rename("pnl"),
            steps=(*self._first_steps(held, frame), *self.last_steps(held, found)),
            figures={"matrix": frame},
        )

    @cached_property
    def moves(self) -> FloatArray:
        """Relative price move of each scenario."""
        return np.array([row.move for row in self.rows])

    @cached_property
    def weights(self) -> FloatArray:
        """Weight of each scenario."""
        return np.array([row.weight for row in self.rows])

    def straight(self, perpetuals: float, values: FloatArray) -> float:
        """Return the USD value that moves in proportion to the price: perpetuals and moving collateral."""
        return perpetuals * self.perpetual + math.fsum(values[self.moving])

    def _basis(self, sizes: list[FloatArray], marks: list[float]) -> float:
        """Return the basis contingency, 0 or below: the worse side of every expiry, never offset."""
        lines = zip(self.expiries, sizes, marks, strict=True)
        return math.fsum(self.basis_part(e, size, e.basis, mark) for e, size, mark in lines) + 0.0

    def basis_part(self, expiry: PricedExpiry, size: FloatArray, values: FloatArray, mark: float) -> float:
        """Return the basis contingency of one expiry, 0 or below.

        Parameters
        ----------
        expiry : PricedExpiry
        size : ndarray, shape (lines,)
            Signed units.
        values : ndarray, shape (lines, 2)
            Value of a unit of each line with the forward up and down.
        mark : float
            Value of the expiry without a shock, USD.
        """
        t = self.parameters.table(self.underlying)
        up, down = (math.fsum(size * values[:, side]) - mark for side in (0, 1))
        rate: float = t.basis_add_factor + t.basis_mult_factor * expiry.options.tau
        return min(up, down, 0.0) * rate

    def doubt(self, held: HeldBook, straight: float) -> list[float]:
        """Return the confidence terms: units that move in a straight line, then every expiry, USD.

        The confidence of the perpetual enters all of them as soon as one is held.
        """
        t = self.parameters.table(self.underlying)
        seen = self.feeds.underlying(self.underlying)
        both = (
            min(seen.spot_confidence, seen.perpetual_confidence) if held.perpetuals else seen.spot_confidence
        )
        terms = [self.penalty(both, t) * straight * self.spot]
        for gross, e in zip(held.gross, self.expiries, strict=True):
            lowest = min(both, e.feed.forward_confidence, e.feed.rate_confidence, e.feed.vol_confidence)
            terms.append(self.penalty(lowest, t) * gross * self.spot)
        return terms

    @staticmethod
    def penalty(confidence: float, table: ExpiryMatrixParameters) -> float:
        """Return the share of the amount that a confidence below the threshold costs."""
        doubtful = confidence < table.confidence_threshold
        return (1.0 - confidence) * table.confidence_margin if doubtful else 0.0

    def peg_loss(self, table: ExpiryMatrixParameters) -> float:
        """Return what a settlement currency below its threshold adds to the initial factor."""
        return max(table.peg_loss_threshold - self.feeds.stable, 0.0) * table.peg_loss_factor

    def step(self, clause: int, what: str, value: float, *keys: str, unit: str = "USD") -> Step:
        """Return a step of this generation with the origin of the keys behind it."""
        return Step(f"{self.prefix}-{clause}", what, value, unit, origin(self.parameters, *keys))

    def _first_steps(self, held: HeldBook, frame: pd.DataFrame) -> list[Step]:
        """Return the steps that both generations share, up to the worst entry."""
        steps = [self.step(3, "value of options", math.fsum(held.marks)),
                 self.step(3, "value of collateral", math.fsum(held.coin_values))]  # fmt: skip
        for table in dict.fromkeys(row.table for row in self.rows):
            cells = frame.loc[frame["table"] == table, "final"]
            keys = ("scenarios", "volatility_range_up", "volatility_range_down", "vega_reference_days")
            steps.append(self.step(6, f"worst {table} entry: {cells.idxmin()}", float(cells.min()), *keys))
        basis = float(frame["final"].to_numpy()[-1])
        steps.append(self.step(7, BASIS_ROW, basis, "basis_add_factor", "basis_mult_factor", "basis_move_up"))
        steps.append(self.step(8, f"worst entry: {held.worst.name}", held.worst.pnl))
        return steps


class ExpiryMatrixRule(UsdRule):
    """Grouping by expiry and revaluation over the scenarios; subclasses give vols, discount and transform."""

    citations: ClassVar[tuple[str, ...]] = ("derive2026", "derivedocs")

    @abstractmethod
    def vols(self, options: ExpiryOptions, words: Sequence[str], table: Any) -> FloatArray:
        """Return the vol of every option in every scenario, shape (options, scenarios)."""

    @abstractmethod
    def transform(
        self, options: ExpiryOptions, words: Sequence[str], feed: ExpiryFeed, table: Any
    ) -> ExpiryTransform:
        """Return what becomes of the shocked value of an expiry."""

    def discount(self, feed: ExpiryFeed, tau: float) -> float:
        """Return the discount factor inside the option price: 1."""
        return 1.0

    def common(
        self,
        account: Account,
        balances: Mapping[str, CollateralFeed],
        snapshot: MarketSnapshot,
        parameters: ParameterSet,
        underlying: str,
    ) -> dict[str, Any]:
        """Return the fields of the book that do not depend on the generation."""
        table, feeds = parameters.table(underlying), self._feeds()
        held = account.portfolio.instruments
        groups: dict[pd.Timestamp, list[int]] = {}
        for at, instrument in enumerate(held):
            if isinstance(instrument, Option):
                groups.setdefault(instrument.expiry, []).append(at)
        expiries = []
        for expiry, lines in sorted(groups.items()):
            options = [o for o in (held[i] for i in lines) if isinstance(o, Option)]
            feed = feeds.expiry(underlying, expiry)
            expiries.append(self._priced(options, lines, snapshot, feed, table))
        return {
            "underlying": underlying,
            "spot": snapshot.spot(underlying),
            "perpetual": snapshot.market(underlying).perpetual,
            "feeds": feeds,
            "parameters": parameters,
            "rows": scenario_rows(table.scenarios),
            "expiries": tuple(expiries),
            "perpetual_size": np.array(
                [0.0 if isinstance(i, Option) else i.multiplier for i in held], dtype=np.float64
            ),
            "coin_prices": np.array([feed.price for feed in balances.values()], dtype=np.float64),
        }

    def _priced(
        self,
        held: list[Option],
        lines: list[int],
        snapshot: MarketSnapshot,
        feed: ExpiryFeed,
        table: ExpiryMatrixParameters,
    ) -> PricedExpiry:
        discount = self.discount(feed, snapshot.tau(held[0].expiry))
        options = expiry_options(held, snapshot, feed, table.settlement_window_seconds, discount)
        words = [str(row[1]) for row in table.scenarios]
        factors = np.array([1.0 + row[0] for row in table.scenarios])
        still = np.array([1.0, 1.0 + table.basis_move_up, 1.0 + table.basis_move_down])
        marked = expiry_values(options, still, np.repeat(options.iv[:, None], 3, axis=1))
        return PricedExpiry(
            at=np.array(lines, dtype=np.int64),
            size=np.array([o.multiplier for o in held], dtype=np.float64),
            options=options,
            feed=feed,
            marks=marked[:, 0].copy(),
            values=expiry_values(options, factors, self.vols(options, words, table)),
            basis=marked[:, 1:].copy(),
            transform=self.transform(options, words, feed, table),
        )
