"""``leverage-brackets`` (clauses LBR): tiered margin of linear perpetuals, underlying by underlying."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Perpetual
from pmkit.margin.accounts.account import Account
from pmkit.margin.conformance.feeds import CollateralFeed
from pmkit.margin.engine.base import origin
from pmkit.margin.engine.brackets import Brackets
from pmkit.margin.engine.usd_rule import TetherRule, UsdCharge
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Step
from pmkit.margin.schemas import BracketParameters
from pmkit.margin.schemas.groups import for_coin
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["LeverageBrackets"]


@dataclass(frozen=True, kw_only=True)
class _BracketBook:
    coins: tuple[str, ...]  # underlying of each line
    unit: FloatArray  # USD of notional per contract
    tables: Mapping[str, Brackets]
    leverage: float
    prices: FloatArray
    parameters: ParameterSet

    def charge(self, quantities: FloatArray, amounts: FloatArray) -> UsdCharge:
        """Return the charge of signed contracts (clauses LBR-2 to LBR-4)."""
        rows = {}
        for coin, table in self.tables.items():
            lines = [i for i, name in enumerate(self.coins) if name == coin]
            notional = abs(math.fsum(quantities[lines] * self.unit[lines]))
            rows[coin] = {
                "notional": notional,
                "bracket": table.index(notional) + 1,
                "im": table.initial(notional, self.leverage),
                "mm": table.maintenance(notional),
            }
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["notional", "bracket", "im", "mm"])
        status = origin(self.parameters, "brackets")
        steps = [
            Step(clause, f"{coin} {what}", float(row[key]), "USD", status)
            for coin, row in rows.items()
            for clause, what, key in (
                ("LBR-2", "notional", "notional"),
                ("LBR-3", "maintenance margin", "mm"),
                ("LBR-4", "initial margin", "im"),
            )
        ]
        return UsdCharge(
            im=math.fsum(frame["im"]),
            mm=math.fsum(frame["mm"]),
            equity=math.fsum(amounts * self.prices),
            option_value=0.0,
            steps=tuple(steps),
            figures={"underlyings": frame},
        )


@dataclass(frozen=True, kw_only=True)
class LeverageBrackets(TetherRule):
    """Tiered margin of perpetuals without offset between underlyings, the baseline of crypto venues.

    Attributes
    ----------
    leverage : float
        Leverage that the account has chosen, 1 or more; the largest that a bracket allows where it is more.

    Notes
    -----
    Lines of one underlying net; the size of the net notional picks the bracket. See
    :class:`pmkit.margin.engine.brackets.Brackets` for the formula.

    Examples
    --------
    >>> LeverageBrackets(leverage=20.0).variant
    'illustrative'
    """

    name: ClassVar[str] = "leverage-brackets"
    citations: ClassVar[tuple[str, ...]] = ("bracketsnote",)
    money_clauses: ClassVar[tuple[str, str]] = ("LBR-5", "LBR-5")

    variant: str = "illustrative"
    leverage: float = math.inf

    def book(
        self, account: Account, balances: Mapping[str, CollateralFeed], snapshot: MarketSnapshot,
        parameters: ParameterSet, underlyings: tuple[str, ...],
    ) -> _BracketBook:  # fmt: skip
        """Return the account with the notional of one contract of each line.

        Raises
        ------
        ConventionError
            A line that is not a perpetual.
        """
        held = account.portfolio.instruments
        for instrument in held:
            if not isinstance(instrument, Perpetual):
                raise ConventionError(
                    f"{instrument.name} is an {instrument.kind}",
                    f"perpetuals: {self.name} knows no others",
                    "margin options under another rule",
                    **account.portfolio.place(instrument.name),
                )
        table: BracketParameters = parameters.table("*")
        return _BracketBook(
            coins=tuple(i.underlying for i in held),
            unit=np.array([i.multiplier * snapshot.mark(i).price for i in held], dtype=np.float64),
            tables={
                coin: Brackets(rows=for_coin(table.brackets, coin).rows)
                for coin in account.portfolio.underlyings
            },
            leverage=self.leverage,
            prices=np.array([account.price(c, snapshot) for c in balances], dtype=np.float64),
            parameters=parameters,
        )
