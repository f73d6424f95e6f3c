"""One risk unit of OKX: the measures MR1 to MR7 and MR9 of the lines of one coin (clauses OKX-2 to 11)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmkit.core.types import FloatArray, IntArray
from pmkit.margin.result import WorstScenario
from pmkit.margin.rules.okx.cells import Scenario, UnitCells, spot_in_use
from pmkit.margin.schemas import OkxPmParameters
from pmkit.margin.schemas.groups import for_coin
from pmkit.pricing import combine

__all__ = ["MEASURES", "RiskUnit", "UnitCharge", "depeg_charge", "vega_span"]

MEASURES = ("MR1", "MR2", "MR3", "MR4", "MR5", "MR6", "MR7", "MR9")
#: pairs of quotes whose opposite deltas offset, in the order in which they are taken
_PAIRS = (("USDT", "USD"), ("USDT", "USDC"), ("USDC", "USD"))


def depeg_charge(deltas: Mapping[str, float], prices: Mapping[str, float], table: OkxPmParameters) -> float:
    """Return the charge in USD for deltas of one coin that offset across USDT, USDC and USD (OKX-10).

    Parameters
    ----------
    deltas : mapping of str to float
        Delta in USD by quote currency.
    prices : mapping of str to float
        USD per unit of the stablecoins; 1 where absent.
    table : OkxPmParameters

    Examples
    --------
    >>> from pmkit.margin.parameters import load_parameter_sets
    >>> table = load_parameter_sets("okx-pm")[-1].table("BTC")
    >>> round(depeg_charge({"USDT": 10e6, "USD": -10e6}, {"USDT": 0.985}, table), 6)
    202500.0
    """
    left = {name: float(deltas.get(name, 0.0)) for name in ("USDT", "USDC", "USD")}
    total = 0.0
    for one, other in _PAIRS:
        if left[one] * left[other] >= 0.0:
            continue
        offset = min(abs(left[one]), abs(left[other]))
        left[one] -= math.copysign(offset, left[one])
        left[other] -= math.copysign(offset, left[other])
        price = prices.get(one, 1.0) / prices.get(other, 1.0)
        band = next(b for b in table.depeg_bands if price >= b.price_from)
        total += band.marginal(offset)
    return total


def vega_span(vega: Mapping[str, float], points: float) -> float:
    """Return the charge in USD for vegas of one vol point that offset across expiries (OKX-5).

    Examples
    --------
    >>> vega_span({"June": 100.0, "December": -60.0}, 2.0)
    120.0
    """
    gross = math.fsum(abs(v) for v in vega.values())
    return points * (gross - abs(math.fsum(vega.values()))) / 2.0


@dataclass(frozen=True, kw_only=True)
class UnitCharge:
    """The measures of a unit by name, its requirement, and its worst scenario, USD."""

    measures: Mapping[str, float]
    mmr: float
    worst: WorstScenario
    vector: pd.Series
    spot_in_use: float


@dataclass(frozen=True, kw_only=True)
class RiskUnit:
    """Lines of one coin, revalued once, that answer for any quantities and any coin balance.

    Attributes
    ----------
    name, coin : str
    at : ndarray of int
        Positions of the lines in the portfolio.
    quotes : tuple of str
        Quote currency of each line: USDT, USDC or USD.
    """

    name: str
    coin: str
    spot: float
    at: IntArray
    quotes: tuple[str, ...]
    scenarios: tuple[Scenario, ...]
    cells: UnitCells
    prices: Mapping[str, float]
    table: OkxPmParameters

    def charge(self, quantities: FloatArray, balance: float) -> UnitCharge:
        """Return the measures of signed contracts of the whole portfolio and a coin balance.

        Notes
        -----
        ``max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, MR7) + MR9``.
        """
        t, held = self.table, quantities[self.at]
        delta = held * self.cells.delta
        used = spot_in_use(balance, math.fsum(delta), self.spot) if t.spot_offset else 0.0
        move = np.array([s.move for s in self.scenarios])
        pnl = combine(self.cells.pnl, held) + used * self.spot * move + 0.0  # no negative zeros
        found = {name: self._loss(pnl, name) for name in ("MR1", "MR2", "MR5", "MR6")}
        mr6 = t.extreme_share * found["MR6"][0]
        by_expiry = self._by(self.cells.expiries, delta)
        rate = for_coin(t.minimum_rate, self.coin).rate
        raw = rate * math.fsum(np.abs(delta))
        measures = {
            "MR1": found["MR1"][0],
            "MR2": found["MR2"][0],
            "MR3": vega_span(self._by(self.cells.expiries, held * self.cells.vega), t.vega_span_points),
            "MR4": self._basis(by_expiry),
            "MR5": found["MR5"][0],
            "MR6": mr6,
            "MR7": for_coin(t.minimum_tiers, self.coin).marginal(raw),
            "MR9": depeg_charge(self._by(self.quotes, delta), self.prices, t),
        }
        stress = max(measures[name] for name in ("MR1", "MR2", "MR6"))
        # of measures that tie but for rounding the first is named
        binding = next(name for name in ("MR1", "MR2", "MR6") if measures[name] >= stress * (1.0 - 1e-12))
        at = found[binding][1]
        core = math.fsum([stress, measures["MR3"], measures["MR4"], measures["MR5"]])
        return UnitCharge(
            measures=measures,
            mmr=max(core, measures["MR7"]) + measures["MR9"],
            worst=WorstScenario(self.scenarios[at].label, float(pnl[at])),
            vector=pd.Series(pnl, index=[s.label for s in self.scenarios], name="pnl"),
            spot_in_use=used,
        )

    def _loss(self, pnl: FloatArray, measure: str) -> tuple[float, int]:
        """Return the largest loss of a measure, 0 or above, and where it is; ties go to no vol shock."""
        rows = [i for i, s in enumerate(self.scenarios) if s.measure == measure]
        at = min(rows, key=lambda i: (pnl[i], abs(self.scenarios[i].vol)))
        return max(-float(pnl[at]), 0.0) + 0.0, at  # no negative zeros

    def _basis(self, by_expiry: Mapping[str, float]) -> float:
        """Return the basis charge: deltas of each expiry times a move that grows with time, no offset."""
        annual = for_coin(self.table.basis_annual, self.coin).rate
        least = for_coin(self.table.basis_minimum, self.coin).rate
        years = dict(zip(self.cells.expiries, self.cells.tau, strict=True))
        return math.fsum(
            abs(delta) * max(annual * float(years[expiry]), least) for expiry, delta in by_expiry.items()
        )

    @staticmethod
    def _by(groups: tuple[str, ...], values: FloatArray) -> dict[str, float]:
        parts: dict[str, list[float]] = {}
        for group, value in zip(groups, values, strict=True):
            parts.setdefault(group, []).append(float(value))
        return {group: math.fsum(found) for group, found in parts.items()}
