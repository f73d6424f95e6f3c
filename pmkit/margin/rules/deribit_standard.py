"""``deribit-standard``: every position by itself, no netting, amounts in coin (clauses DST)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Option
from pmkit.instruments.portfolio import Portfolio
from pmkit.margin.engine.coin_rule import Charge, Charger, CoinRule, charge_of_lines
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Basis
from pmkit.margin.schemas import StandardParameters
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["DeribitStandard", "future_margin", "short_option_margin"]


def short_option_margin(
    table: StandardParameters, strike: float, spot: float, mark: float, is_call: bool
) -> tuple[float, float]:
    """Return initial and maintenance margin of one coin of a written option, in coin, the mark included.

    Parameters
    ----------
    table : StandardParameters
    strike, spot : float
        USD.
    mark : float
        Mark of the option, coin.
    is_call : bool

    Notes
    -----
    Call: IM = max(a − OTM/S, b) + mark, MM = c + mark. Put: MM = max(c, e·mark) + mark, and IM is at least
    MM.

    Examples
    --------
    >>> table = StandardParameters(option_im_rate=0.15, option_im_floor=0.10, option_mm_rate=0.075,
    ...     put_mm_mark_rate=0.075, future_im_rate=0.02, future_im_slope=5e-5, future_mm_rate=0.01,
    ...     future_mm_slope=5e-5)
    >>> [round(x, 6) for x in short_option_margin(table, 62_000.0, 60_000.0, 0.03, True)]
    [0.146667, 0.105]
    """
    otm = max(strike - spot, 0.0) if is_call else max(spot - strike, 0.0)
    initial = max(table.option_im_rate - otm / spot, table.option_im_floor) + mark
    if is_call:
        return initial, table.option_mm_rate + mark
    maintenance = max(table.option_mm_rate, table.put_mm_mark_rate * mark) + mark
    return max(initial, maintenance), maintenance


def future_margin(table: StandardParameters, size: float) -> tuple[float, float]:
    """Return initial and maintenance margin of a futures position of ``size`` coins (either sign), in coin.

    Examples
    --------
    >>> table = StandardParameters(option_im_rate=0.15, option_im_floor=0.10, option_mm_rate=0.075,
    ...     put_mm_mark_rate=0.075, future_im_rate=0.02, future_im_slope=5e-5, future_mm_rate=0.01,
    ...     future_mm_slope=5e-5)
    >>> [round(x, 12) for x in future_margin(table, -100.0)]
    [2.5, 1.5]
    """
    q = abs(size)
    return (
        q * (table.future_im_rate + table.future_im_slope * q),
        q * (table.future_mm_rate + table.future_mm_slope * q),
    )


@dataclass(frozen=True, kw_only=True)
class _StandardBook:
    book: Portfolio
    currency: str
    spot: float
    marks: tuple[float, ...]
    parameters: ParameterSet

    def charge(self, quantities: FloatArray) -> Charge:
        table: StandardParameters = self.parameters.table(self.currency)
        rows = []
        for instrument, qty, mark in zip(self.book.instruments, quantities, self.marks, strict=True):
            size = float(qty) * instrument.multiplier
            if isinstance(instrument, Option):
                clause = "DST-3" if size >= 0.0 else "DST-1" if instrument.is_call else "DST-2"
                short = max(-size, 0.0)
                pair = short_option_margin(table, instrument.strike, self.spot, mark, instrument.is_call)
                initial, maintenance = short * pair[0], short * pair[1]
            else:
                clause = "DST-4"
                initial, maintenance = future_margin(table, size / mark)
            rows.append((instrument.name, clause, float(qty), initial, maintenance))
        clauses = {
            "DST-1": ("written calls", ("option_im_rate", "option_im_floor", "option_mm_rate")),
            "DST-2": ("written puts", ("option_im_rate", "option_mm_rate", "put_mm_mark_rate")),
            "DST-4": ("futures and perpetuals", ("future_im_rate", "future_im_slope", "future_mm_rate")),
        }  # fmt: skip
        return charge_of_lines(rows, clauses, self.currency, self.parameters)


@dataclass(frozen=True, kw_only=True)
class DeribitStandard(CoinRule):
    """Deribit's margin per position, the baseline without netting.

    Notes
    -----
    Basis ``cash``: the requirement of a written option holds its mark, and so does equity (negative), so that
    ``im_equity = im + net option value`` charges the premium once. Clauses DST-1 to DST-7 of the rule's page.
    """

    name: ClassVar[str] = "deribit-standard"
    basis: ClassVar[Basis] = "cash"
    citations: ClassVar[tuple[str, ...]] = ("deribitstandard", "deribit2022futures")
    money_clause: ClassVar[Mapping[str, str]] = {"standard": "DST-5"}

    variant: str = "standard"

    def charger(
        self, book: Portfolio, currency: str, snapshot: MarketSnapshot, table: ParameterSet
    ) -> Charger:
        """Return the book of one currency, ready to be charged."""
        marks = tuple(snapshot.mark(instrument).price for instrument in book.instruments)
        return _StandardBook(
            book=book, currency=currency, spot=snapshot.spot(currency), marks=marks, parameters=table
        )
