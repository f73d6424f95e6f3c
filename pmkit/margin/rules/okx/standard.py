"""``okx-standard`` (clauses OKS): written options one by one outside portfolio margin, amounts in coin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pmkit.core.errors import ConventionError
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Option
from pmkit.instruments.portfolio import Portfolio
from pmkit.margin.engine.coin_rule import Charge, Charger, CoinRule, charge_of_lines
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Basis
from pmkit.margin.schemas import OkxStandardParameters
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["OkxStandard", "written_option_margin"]


def written_option_margin(
    table: OkxStandardParameters, strike: float, forward: float, mark: float, is_call: bool
) -> tuple[float, float]:
    """Return initial and maintenance margin of one coin of a written option, in coin, the mark included.

    Parameters
    ----------
    table : OkxStandardParameters
    strike, forward : float
        USD; the forward is the mark of the same expiry.
    mark : float
        Mark of the option, coin.
    is_call : bool

    Notes
    -----
    ``IM = max(a, b - OTM/F) f + mark``; call ``MM = c f + mark``, put ``MM = max(c, c mark) f + mark``.

    Examples
    --------
    >>> table = OkxStandardParameters(im_floor=0.10, im_rate=0.15, mm_rate=0.03, margin_factor=1.02)
    >>> [round(x, 6) for x in written_option_margin(table, 6_000.0, 5_900.0, 0.0575, True)]
    [0.193212, 0.0881]
    """
    otm = max(strike - forward, 0.0) if is_call else max(forward - strike, 0.0)
    initial = max(table.im_floor, table.im_rate - otm / forward) * table.margin_factor + mark
    rate = table.mm_rate if is_call else max(table.mm_rate, table.mm_rate * mark)
    maintenance = rate * table.margin_factor + mark
    return max(initial, maintenance), maintenance


@dataclass(frozen=True, kw_only=True)
class _WrittenBook:
    book: Portfolio
    currency: str
    forwards: tuple[float, ...]
    marks: tuple[float, ...]
    parameters: ParameterSet

    def charge(self, quantities: FloatArray) -> Charge:
        """Return the charge of signed contracts (clauses OKS-2 to OKS-5)."""
        table: OkxStandardParameters = self.parameters.table(self.currency)
        rows = []
        lines = zip(self.book.instruments, quantities, self.forwards, self.marks, strict=True)
        for option, qty, forward, mark in lines:
            assert isinstance(option, Option)
            size = float(qty) * option.multiplier
            clause = "OKS-5" if size >= 0.0 else "OKS-3" if option.is_call else "OKS-4"
            pair = written_option_margin(table, option.strike, forward, mark, option.is_call)
            short = max(-size, 0.0)
            rows.append((option.name, clause, float(qty), short * pair[0], short * pair[1]))
        clauses = {
            "OKS-3": ("written calls", ("im_floor", "im_rate", "mm_rate", "margin_factor")),
            "OKS-4": ("written puts", ("im_floor", "im_rate", "mm_rate", "margin_factor")),
        }
        return charge_of_lines(rows, clauses, self.currency, self.parameters)


@dataclass(frozen=True, kw_only=True)
class OkxStandard(CoinRule):
    """OKX's margin of coin-settled options outside portfolio margin: no netting, futures not included.

    Notes
    -----
    Basis ``cash``: the requirement of a written option holds its mark. A deep put whose maintenance margin
    would exceed its initial margin is charged the larger for both.
    """

    name: ClassVar[str] = "okx-standard"
    basis: ClassVar[Basis] = "cash"
    citations: ClassVar[tuple[str, ...]] = ("okxoption",)
    money_clause: ClassVar[Mapping[str, str]] = {"coin": "OKS-6"}

    variant: str = "coin"

    def charger(
        self, book: Portfolio, currency: str, snapshot: MarketSnapshot, table: ParameterSet
    ) -> Charger:
        """Return the options of one coin, ready to be charged.

        Raises
        ------
        ConventionError
            A future or a perpetual.
        """
        forwards = []
        for instrument in book.instruments:
            if not isinstance(instrument, Option):
                raise ConventionError(
                    f"{instrument.name} is a {instrument.kind}",
                    f"options: {self.name} knows no others",
                    "margin futures and perpetuals under leverage-brackets, or all of it under okx-pm",
                    **book.place(instrument.name),
                )
            forwards.append(snapshot.forward(currency, instrument.expiry))
        return _WrittenBook(
            book=book,
            currency=currency,
            forwards=tuple(forwards),
            marks=tuple(snapshot.mark(instrument).price for instrument in book.instruments),
            parameters=table,
        )
