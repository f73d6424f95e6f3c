"""Variant ``classic``: one table, a futures and a short-option contingency (clauses DPC)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import pandas as pd

from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Option
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.coin_rule import Charge
from pmkit.margin.result import Step
from pmkit.margin.rules.deribit_pm.book import MatrixBook
from pmkit.margin.schemas import ClassicParameters

__all__ = ["ClassicBook"]


@dataclass(frozen=True, kw_only=True)
class ClassicBook(MatrixBook):
    """A book under the variant ``classic``."""

    table: ClassicParameters

    def charge(self, quantities: FloatArray) -> Charge:
        """Return the charge of signed contracts (clauses DPC-2 to DPC-7)."""
        t, coin = self.table, self.currency
        outcome = self.matrix(quantities)
        found = self._contingencies(range(quantities.size), quantities.tolist())
        initial, maintenance = self._margins(outcome.worst_case, found)
        steps = self._worst_steps(outcome, {"standard": "DPC-4"})
        steps += [
            Step("DPC-4", f"worst case: {outcome.worst_label}", outcome.worst_case, coin),
            Step("DPC-5", "futures contingency", found.futures, coin,
                 origin(self.parameters, "futures_contingency")),
            Step("DPC-6", "options contingency", found.options, coin, "assumed"),
            Step("DPC-7", "initial factor", t.im_factor, "1", origin(self.parameters, "im_factor")),
        ]  # fmt: skip
        addons = {"futures_contingency": found.futures, "options_contingency": found.options}
        strikes = pd.DataFrame(found.strikes, columns=["expiry", "strike", "net", "share", "short"])
        return self._charge(outcome, initial, maintenance, addons, steps, {"strikes": strikes})

    def amounts(
        self, worst_case: float, rows: Sequence[int], quantities: Sequence[float]
    ) -> tuple[float, float]:
        """Return initial and maintenance margin of lines whose worst case is known, in coin."""
        return self._margins(worst_case, self._contingencies(rows, quantities))

    def _margins(self, worst_case: float, found: _Contingencies) -> tuple[float, float]:
        maintenance = math.fsum([worst_case, found.futures, found.options])
        return self.table.im_factor * maintenance, maintenance

    def _contingencies(self, rows: Iterable[int], quantities: Sequence[float]) -> _Contingencies:
        """Return what futures and short options cost beside the matrix, with one row a strike.

        A row holds net contracts, the share that counts, and the short that is charged.
        """
        sizes: list[float] = []
        net: dict[tuple[str, float], list[float]] = {}
        for row, quantity in zip(rows, quantities, strict=True):
            place = self._places[row]
            if place is None:
                sizes.append(abs(self._unit_delta_list[row] * quantity))
            else:
                net.setdefault(place[:2], []).append(quantity * place[2])
        strikes = []
        for (expiry, strike), held in sorted(net.items()):
            total = math.fsum(held)
            share = min(abs(self.spot - strike) / (self.table.atm_range * self.spot), 1.0)
            strikes.append((expiry, strike, total, share, max(-total * share, 0.0)))
        return _Contingencies(
            futures=self.table.futures_contingency * math.fsum(sizes),
            options=self.table.short_option_contingency * math.fsum(row[-1] for row in strikes),
            strikes=tuple(strikes),
        )

    @cached_property
    def _places(self) -> list[tuple[str, float, float] | None]:
        """Expiry, strike and multiplier of each option, None for futures and perpetuals."""
        days: dict[pd.Timestamp, str] = {}
        places: list[tuple[str, float, float] | None] = []
        for instrument in self.book.instruments:
            if not isinstance(instrument, Option):
                places.append(None)
                continue
            expiry = instrument.expiry
            if expiry not in days:
                days[expiry] = f"{expiry:%Y-%m-%d}"
            places.append((days[expiry], instrument.strike, instrument.multiplier))
        return places


class _Contingencies(NamedTuple):
    """Charges for futures and for short options in coin, and the rows of strikes behind the latter."""

    futures: float
    options: float
    strikes: tuple[tuple[str, float, float, float, float], ...]
