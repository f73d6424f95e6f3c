"""``deribit-pm``: the risk matrix of one coin, variants ``spm`` (clauses DPM) and ``classic`` (DPC)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pmkit.core.errors import RuleVersionError
from pmkit.instruments.portfolio import Portfolio
from pmkit.margin.engine.coin_many import SharedCoinRule
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Basis
from pmkit.margin.rules.deribit_pm.book import MatrixBook, revalued, standard_matrix
from pmkit.margin.rules.deribit_pm.classic import ClassicBook
from pmkit.margin.rules.deribit_pm.spm import DeltaShock, charge_above_threshold, spm_book
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["DeribitPm"]


@dataclass(frozen=True, kw_only=True)
class DeribitPm(SharedCoinRule):
    """Deribit's portfolio margin of a segregated account.

    Attributes
    ----------
    delta_shock : callable
        Reading of the delta shock: ``(one-sided delta, index, table) -> coin``. The default reads ``m_inc``
        per coin of delta, which is an assumption.

    Notes
    -----
    ``spm``: the worst entry of a standard and an extended table, plus roll and delta shock; maintenance is a
    fraction of that, and obligations are in the initial margin only. ``classic``: one table, a futures and a
    short-option contingency; the roll of strikes against each other is not published and left out.
    """

    name: ClassVar[str] = "deribit-pm"
    basis: ClassVar[Basis] = "pnl"
    citations: ClassVar[tuple[str, ...]] = ("deribit2024pme", "deribithelp", "deribitdeck")
    money_clause: ClassVar[Mapping[str, str]] = {"spm": "DPM-14", "classic": "DPC-7"}

    variant: str = "spm"
    delta_shock: DeltaShock = field(default=charge_above_threshold, repr=False)

    def __post_init__(self) -> None:
        if self.variant == "xpm":
            raise RuleVersionError(
                "variant 'xpm' of deribit-pm is margined over the whole account, which DeribitPm does not do",
                "'spm' or 'classic'",
                'pm.margin.rule("deribit-pm", variant="xpm") makes the rule of that variant',
            )
        SharedCoinRule.__post_init__(self)

    def charger(
        self, book: Portfolio, currency: str, snapshot: MarketSnapshot, table: ParameterSet
    ) -> MatrixBook:
        """Return the book of one currency, revalued once over the matrix."""
        if self.variant == "spm":
            return spm_book(book, currency, snapshot, table, self.delta_shock)
        values = table.table(currency)
        return ClassicBook(**revalued(book, currency, snapshot, standard_matrix(values), table), table=values)
