"""Options by expiry under a list of scenarios, perpetuals and coins beside them: one book, many rules."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from pmkit.core.types import BoolArray, FloatArray, IntArray
from pmkit.instruments.contracts import Option
from pmkit.margin.accounts.account import Account
from pmkit.margin.conformance.feeds import CollateralFeed, ExpiryFeed, Feeds
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.risk_matrix import (
    ExpiryOptions,
    ExpiryTransform,
    MatrixRow,
    expiry_values,
    percent,
    weighted_rows,
    worst_row,
)
from pmkit.margin.engine.usd_rule import UsdCharge, UsdRule
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Step, WorstScenario
from pmkit.margin.schemas import ExpiryMatrixParameters
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios import TermScaling

__all__ = [
    "BASIS_ROW",
    "ExpiryMatrixBook",
    "ExpiryMatrixRule",
    "HeldBook",
    "PricedExpiry",
    "naked_shorts",
    "scenario_rows",
    "shocked_vols",
]

#: name of the basis contingency where it is worse than every scenario
BASIS_ROW = "basis contingency"
_SIGN = {"up": 1.0, "same": 0.0, "down": -1.0, "linear skew": 0.0, "abs skew": 0.0}


def scenario_rows(scenarios: tuple[tuple[Any, ...], ...]) -> tuple[MatrixRow, ...]:
    """Return labelled rows from (move, vol word) or (move, vol word, weight).

    Examples
    --------
    >>> [row.label for row in scenario_rows(((0.18, "up", 1.0), (-0.66, "up", 0.21), (0.0, "abs skew", 1.0)))]
    ['+18%, vol up', '-66% tail, vol up', 'abs skew']
    """
    rows = []
    for move, word, *rest in scenarios:
        weight = rest[0] if rest else 1.0
        skew = word.endswith("skew")
        table = "skew" if skew else "regular" if weight == 1.0 else "tail"
        label = word if skew else f"{percent(move)}{' tail' if table == 'tail' else ''}, vol {word}"
        rows.append(MatrixRow(table, label, move, _SIGN[word], weight))
    return tuple(rows)


@dataclass(frozen=True, kw_only=True)
class PricedExpiry:
    """Options of one expiry with everything that does not depend on quantities."""

    at: IntArray  # positions of its options in the portfolio
    size: FloatArray  # units of underlying per contract
    options: ExpiryOptions
    feed: ExpiryFeed
    marks: FloatArray  # value of one unit without a shock
    values: FloatArray  # options × scenarios
    basis: FloatArray  # options × (up, down)
    transform: ExpiryTransform


@dataclass(frozen=True, kw_only=True)
class HeldBook:
    """A book at given quantities: sizes by expiry, marks, worst entry."""

    sizes: list[FloatArray]
    marks: list[float]
    perpetuals: float
    coin_values: FloatArray
    amounts: FloatArray
    frame: pd.DataFrame
    worst: WorstScenario


def expiry_options(
    held: list[Option], snapshot: MarketSnapshot, feed: ExpiryFeed, window: float, discount: float
) -> ExpiryOptions:
    """Return the options of one expiry with its forward split into what moves and what is fixed."""
    first = held[0]
    tau = snapshot.tau(first.expiry)
    forward = snapshot.forward(first.underlying, first.expiry)
    fixed = feed.fixed
    if fixed is None:
        fixed = forward * max(window - tau * 365.0 * 86_400.0, 0.0) / window
    return ExpiryOptions(
        strike=np.array([o.strike for o in held], dtype=np.float64),
        is_call=np.array([o.is_call for o in held], dtype=bool),
        iv=np.array([snapshot.iv(o) for o in held], dtype=np.float64),
        tau=tau,
        moving=max(forward - fixed, 0.0),
        fixed=min(fixed, forward),
        discount=discount,
    )


def naked_shorts(strikes: FloatArray, sizes: FloatArray) -> float:
    """Return the net short units over strikes, calls and puts of one strike taken together."""
    return math.fsum(max(-math.fsum(sizes[strikes == strike]), 0.0) for strike in np.unique(strikes))


def shocked_vols(
    options: ExpiryOptions, words: Sequence[str], table: ExpiryMatrixParameters, floor: float
) -> FloatArray:
    """Return the shocked vols, shape (options, scenarios); columns of other words keep the marked ones.

    Notes
    -----
    ``up``: ``max(iv (1 + range_up g), floor)``; ``down``: ``iv max(1 - range_down g, 0)``, ``g`` the power
    law in days to expiry.
    """
    scale = TermScaling(
        reference_days=table.vega_reference_days,
        short_power=table.short_term_vega_power,
        long_power=table.long_term_vega_power,
        floor_days=table.vega_floor_days,
    ).scale(options.tau * 365.0)
    up = np.maximum(options.iv * (1.0 + table.volatility_range_up * scale), floor)
    down = options.iv * max(1.0 - table.volatility_range_down * scale, 0.0)
    vols = {"up": up, "down": down}
    return np.stack([vols.get(word, options.iv) for word in words], axis=1)


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
    def finish(self, held: HeldBook) -> UsdCharge:
        """Return the charge once worst entry and amounts are known."""

    def charge(self, quantities: FloatArray, amounts: FloatArray) -> UsdCharge:
        """Return the charge of signed contracts and coin balances (clauses 3 to 12)."""
        sizes = [quantities[e.at] * e.size for e in self.expiries]
        marks = [math.fsum(s * e.marks) for s, e in zip(sizes, self.expiries, strict=True)]
        perpetuals = math.fsum(quantities * self.perpetual_size)
        values = amounts * self.coin_prices / self.feeds.stable
        move = np.array([row.move for row in self.rows])
        weight = np.array([row.weight for row in self.rows])
        moved = perpetuals * self.perpetual + math.fsum(values[self.moving])
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
            sizes=sizes,
            marks=marks,
            perpetuals=perpetuals,
            coin_values=values,
            amounts=amounts,
            frame=frame,
            worst=WorstScenario(str(frame.index[at]), float(frame["final"].to_numpy()[at])),
        )
        return self.finish(held)

    def _basis(self, sizes: list[FloatArray], marks: list[float]) -> float:
        """Return the basis contingency, 0 or below: the worse side of every expiry, never offset."""
        t = self.parameters.table(self.underlying)
        parts = []
        for size, mark, e in zip(sizes, marks, self.expiries, strict=True):
            up, down = (math.fsum(size * e.basis[:, side]) - mark for side in (0, 1))
            parts.append(min(up, down, 0.0) * (t.basis_add_factor + t.basis_mult_factor * e.options.tau))
        return math.fsum(parts) + 0.0

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
        for size, e in zip(held.sizes, self.expiries, strict=True):
            lowest = min(both, e.feed.forward_confidence, e.feed.rate_confidence, e.feed.vol_confidence)
            terms.append(self.penalty(lowest, t) * math.fsum(np.abs(size)) * self.spot)
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

    def first_steps(self, held: HeldBook) -> list[Step]:
        """Return the steps that both generations share, up to the worst entry."""
        frame = held.frame
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

    def result(
        self, held: HeldBook, im: float, mm: float, addons: Mapping[str, float], steps: list[Step]
    ) -> UsdCharge:
        """Return the charge with the pieces that both generations report alike."""
        vector = held.frame.loc[held.frame["table"] != "basis", "final"].rename("pnl")
        return UsdCharge(
            im=im,
            mm=mm,
            equity=math.fsum([*held.marks, *held.coin_values]),
            option_value=math.fsum(held.marks),
            addons={name: value for name, value in addons.items() if value != 0.0},
            worst=held.worst,
            vector=vector,
            steps=tuple(steps),
            figures={"matrix": held.frame},
        )


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
