"""Variant ``xpm``, illustrative: matrices of several coins, equity in them, combined in USD (clauses DPX)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Future, Option, Perpetual
from pmkit.margin.accounts.account import STABLECOINS, Account
from pmkit.margin.engine.base import collected, origin
from pmkit.margin.engine.cross_account import (
    Charged,
    CrossAccountRule,
    Holdings,
    holdings,
    require_contracts,
)
from pmkit.margin.engine.usd_rule import UsdCharge
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Origin, Step, WorstScenario
from pmkit.margin.rules.deribit_pm.spm import DeltaShock, charge_above_threshold, spm_book
from pmkit.margin.rules.deribit_pm.xpm_pairs import Pair, PairCharge, PairsWorst, together
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["DeribitXpm"]

_ILLUSTRATIVE = (
    "illustrative: the venue does not publish how the currency pairs are combined, nor the haircuts; the"
    " combination is assumed, and figures of BTC and ETH from different dates stand side by side"
)


@dataclass(frozen=True, kw_only=True)
class _XpmBook:
    """An account by pair, revalued once, that answers for any quantities and balances."""

    held: Holdings
    pairs: tuple[Pair, ...]
    parameters: ParameterSet

    def charge(self, quantities: FloatArray, amounts: FloatArray, owed: dict[str, float]) -> UsdCharge:
        """Return the charge of contracts, balances and obligations in USD (clauses DPX-2 to DPX-7)."""
        found = [pair.charge(self.held, quantities, amounts) for pair in self.pairs]
        worsts = self._worsts(found)
        added = {
            f"{pair.coin} {what}": amount
            for pair, one in zip(self.pairs, found, strict=True)
            for what, amount in pair.added(one).items()
        }
        matrix_margin = math.fsum([*(w.loss for w in worsts), *added.values()])
        factor = max((pair.table.mm_factor for pair in self.pairs), default=1.0)
        totals = (math.fsum([matrix_margin, *owed.values()]), factor * matrix_margin)
        equity = self.held.equity(quantities, amounts)
        counted = math.fsum(
            self._counted(c, float(x)) for c, x in zip(self.held.currencies, equity, strict=True)
        )
        steps = self._steps(found, worsts, matrix_margin, factor, owed, totals, (math.fsum(equity), counted))
        figures = {
            f"matrix {p.coin}": f.outcome.frame.assign(usd=f.usd)
            for p, f in zip(self.pairs, found, strict=True)
        }
        worst = WorstScenario("no scenarios", math.nan)
        vector = pd.Series(dtype="float64")
        if worsts:
            name = "; ".join(w.scenario.name for w in worsts)
            worst = WorstScenario(name, math.fsum(w.scenario.pnl for w in worsts))
            vector = pd.concat([w.vector for w in worsts])
        return UsdCharge(
            im=totals[0],
            mm=totals[1],
            equity=counted,
            option_value=self.held.option_value(quantities),
            addons={**{what: amount for what, amount in added.items() if amount > 0.0}, **owed},
            worst=worst,
            vector=vector,
            steps=steps,
            figures=figures,
        )

    def _worsts(self, found: Sequence[PairCharge]) -> list[PairsWorst]:
        """Return the worst case of the pairs together, where there are any, and of each pair apart."""
        both = list(zip(self.pairs, found, strict=True))
        joined = [x for x in both if x[0].table.combination == "together"]
        groups = [joined] if joined else []
        groups += [[x] for x in both if x[0].table.combination == "apart"]
        return [together([p for p, _ in group], [f for _, f in group]) for group in groups]

    def _counted(self, currency: str, usd: float) -> float:
        """Return what the equity of a currency counts: assets of a coin less its haircut, debts in full."""
        rates = [pair.table.haircut for pair in self.pairs if pair.coin == currency]
        return usd * (1.0 - rates[0]) if rates and usd > 0.0 else usd

    def _steps(
        self,
        found: Sequence[PairCharge],
        worsts: Sequence[PairsWorst],
        matrix_margin: float,
        factor: float,
        owed: dict[str, float],
        totals: tuple[float, float],
        equity: tuple[float, float],
    ) -> tuple[Step, ...]:
        def usd(clause: str, what: str, value: float, status: Origin = "assumed") -> Step:
            return Step(clause, what, value, "USD", status)

        steps: list[Step] = []
        for pair, one in zip(self.pairs, found, strict=True):
            label = f"{pair.coin} worst case alone: {one.outcome.worst_label}"
            steps += [
                Step("DPX-2", f"{pair.coin} equity in the matrix", one.position, pair.coin, "assumed"),
                usd("DPX-3", label, one.outcome.worst_case * pair.book.spot),
                *(usd("DPX-5", f"{pair.coin} {k.replace('_', ' ')}", x) for k, x in pair.added(one).items()),
            ]
        steps += [usd("DPX-4", f"worst case: {w.scenario.name}", w.loss) for w in worsts]
        steps += [
            usd("DPX-6", "risk matrix margin", matrix_margin),
            Step("DPX-6", "maintenance factor", factor, "1", origin(self.parameters, "mm_factor")),
            *(Step("DPX-6", f"{k.replace('_', ' ')} (input)", v, "USD", "data") for k, v in owed.items()),
            usd("DPX-6", "initial margin", totals[0]),
            usd("DPX-6", "maintenance margin", totals[1]),
            usd("DPX-7", "equity", equity[0]),
            usd("DPX-7", "equity after haircuts", equity[1]),
        ]
        return tuple(steps)


@dataclass(frozen=True, kw_only=True)
class DeribitXpm(CrossAccountRule):
    """Deribit's portfolio margin of a cross-collateral account, illustrative: its combination is assumed.

    Attributes
    ----------
    delta_shock : callable
        Reading of the delta shock: ``(one-sided delta, index, table) -> coin``.

    Notes
    -----
    By pair the matrix of ``spm``, to which coin balance and unsettled profit add
    ``E m / (1 + m)`` coins; gains count by ``pnl_offset`` up to ``max_offsetable_pnl``; coins become USD at
    the index. Pairs with ``combination = "together"`` are added scenario by scenario, each index moving by
    its own range times the same bucket; ``"apart"`` adds the worst cases. ``figures["matrix BTC"]`` holds
    the cells of a pair, in coin and after all steps in USD.
    """

    name: ClassVar[str] = "deribit-pm"
    citations: ClassVar[tuple[str, ...]] = ("deribit2024pme", "deribithelp")

    variant: str = "xpm"
    delta_shock: DeltaShock = field(default=charge_above_threshold, repr=False)

    def __post_init__(self) -> None:
        if self.variant != "xpm":
            raise ParameterError(
                f"variant {self.variant!r} of DeribitXpm", "'xpm'", "pm.margin.rule makes the other variants"
            )
        CrossAccountRule.__post_init__(self)

    def check_scope(self, account: Account) -> None:
        """Raise for a contract that is not settled in its coin."""
        require_contracts(
            account,
            f"{self.name} {self.variant}",
            lambda i: isinstance(i, (Option, Future, Perpetual)) and i.is_inverse,
            "coin-settled options, futures and perpetuals",
        )

    def charged(self, account: Account, snapshot: MarketSnapshot, parameters: ParameterSet) -> Charged:
        """Return the charge of the account; every currency counts."""
        book = self._book(account, snapshot, parameters)
        owed = {
            name: math.fsum(x * account.price(c, snapshot) for c, x in amounts.items())
            for name, amounts in (
                ("mmp_margin", account.mmp_margin), ("open_order_margin", account.open_order_margin),
            )
            if any(amounts.values())
        }  # fmt: skip
        found = book.charge(book.held.quantities, book.held.amounts, owed)
        at_par = [c for c in book.held.currencies if c in STABLECOINS and c not in ("USD", *snapshot.fx)]
        notes = (_ILLUSTRATIVE, *([f"{' and '.join(at_par)} counted at 1 USD"] if at_par else []))
        return Charged(found, {}, notes)

    def line_im_equity(self, account: Account, snapshot: MarketSnapshot) -> FloatArray:
        """Return the initial margin of each position, then of each coin balance, held alone, USD.

        Returns
        -------
        ndarray, shape (positions + coin balances,)
            A position brings its unsettled profit with it; obligations are left out.
        """
        with collected():
            parameters = self.parameter_set(snapshot)
        book = self._book(account, snapshot, parameters)
        quantities, amounts = book.held.quantities, book.held.amounts
        coins = [pair.settled for pair in book.pairs if amounts[pair.settled] != 0.0]
        lines = [*np.diag(quantities), *np.zeros((len(coins), quantities.size))]
        balances = [*np.zeros((quantities.size, amounts.size)), *np.diag(amounts)[coins]]
        return np.array([book.charge(q, x, {}).im for q, x in zip(lines, balances, strict=True)])

    def _book(self, account: Account, snapshot: MarketSnapshot, parameters: ParameterSet) -> _XpmBook:
        held = holdings(account, snapshot)
        pairs = []
        for place, coin in enumerate(held.currencies):
            if coin in STABLECOINS:
                continue
            lines = [at for at, settled in enumerate(held.settles) if settled == place]
            pairs.append(
                Pair(
                    coin=coin,
                    lines=np.array(lines, dtype=np.int64),
                    settled=place,
                    table=parameters.table(coin),
                    book=spm_book(
                        account.portfolio.of_underlying(coin), coin, snapshot, parameters, self.delta_shock
                    ),
                )
            )
        return _XpmBook(held=held, pairs=tuple(pairs), parameters=parameters)
