"""``okx-pm`` (clauses OKX): portfolio margin by risk unit, borrowing, and the account in USD."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Future, Instrument, Option, Perpetual
from pmkit.margin.accounts.account import STABLECOINS, Account
from pmkit.margin.engine.base import collected, origin
from pmkit.margin.engine.cross_account import (
    Charged,
    CrossAccountRule,
    Holdings,
    holdings,
    refuse_obligations,
    require_contracts,
)
from pmkit.margin.engine.usd_rule import UsdCharge
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import Step, WorstScenario
from pmkit.margin.rules.okx.cells import unit_cells, unit_scenarios
from pmkit.margin.rules.okx.unit import MEASURES, RiskUnit, UnitCharge
from pmkit.margin.schemas import OkxPmParameters
from pmkit.margin.schemas.groups import for_coin
from pmkit.market.snapshot import MarketSnapshot

__all__ = ["OkxPm"]

_STEPS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("OKX-3", "MR1", "spot shock", ("spot_moves", "volatility_range_up", "volatility_range_down")),
    ("OKX-4", "MR2", "time decay", ("theta_days",)),
    ("OKX-5", "MR3", "vega across expiries", ("vega_span_points",)),
    ("OKX-6", "MR4", "basis", ("basis_annual", "basis_minimum")),
    ("OKX-7", "MR5", "interest rates", ("rate_shock",)),
    ("OKX-8", "MR6", "extreme move", ("extreme_moves", "extreme_share")),
    ("OKX-9", "MR7", "minimum charge", ("minimum_rate", "minimum_tiers")),
    ("OKX-10", "MR9", "stablecoin hedge", ("depeg_bands",)),
)


@dataclass(frozen=True, kw_only=True)
class _OkxBook:
    held: Holdings
    units: tuple[RiskUnit, ...]
    table: OkxPmParameters
    parameters: ParameterSet

    def charge(self, quantities: FloatArray, amounts: FloatArray) -> UsdCharge:
        """Return the charge of signed contracts and balances (clauses OKX-2 to OKX-13)."""
        t, names = self.table, self.held.currencies
        found = {unit.name: unit.charge(quantities, self._balance(unit.coin, amounts)) for unit in self.units}
        frame = pd.DataFrame.from_dict(
            {
                name: {**c.measures, "MMR": c.mmr, "IMR": t.im_factor * c.mmr, "spot in use": c.spot_in_use}
                for name, c in found.items()
            },
            orient="index",
            columns=[*MEASURES, "MMR", "IMR", "spot in use"],
        )
        equity = self.held.equity(quantities, amounts)
        borrowed = {c: max(-float(x), 0.0) for c, x in zip(names, equity, strict=True)}
        owed = math.fsum(borrowed.values())
        borrowing = (t.borrow_mm_rate * owed, t.borrow_im_rate * owed)
        used = {unit.coin: found[unit.name].spot_in_use for unit in self.units}
        adjusted = math.fsum(
            self._adjusted(c, float(x), float(p), used.get(c, 0.0))
            for c, x, p in zip(names, equity, self.held.prices, strict=True)
        )
        worst, vector = self._worst(found)
        addons = {name: math.fsum(frame[name]) for name in ("MR3", "MR4", "MR5", "MR9") if frame[name].any()}
        if owed > 0.0:
            addons["MR8"] = borrowing[1]
        totals = (math.fsum([*frame["MMR"], borrowing[0]]), math.fsum([*frame["IMR"], borrowing[1]]))
        return UsdCharge(
            im=totals[1],
            mm=totals[0],
            equity=adjusted,
            option_value=self.held.option_value(quantities),
            addons=addons,
            worst=worst,
            vector=vector,
            steps=self._steps(found, owed, borrowing, (math.fsum(equity), adjusted), totals),
            figures={"units": frame, "borrowed": pd.Series(borrowed, dtype="float64", name="USD")},
        )

    def _balance(self, coin: str, amounts: FloatArray) -> float:
        if coin not in self.held.currencies:
            return 0.0
        return float(amounts[self.held.currencies.index(coin)])

    def _adjusted(self, currency: str, usd: float, price: float, used: float) -> float:
        """Return what the equity of one currency counts: debts and coins in use in full, the rest cut."""
        if usd <= 0.0:
            return usd
        full = min(used * price, usd)
        return full + (usd - full) * float(for_coin(self.table.collateral_rate, currency).rate)

    def _worst(self, found: Mapping[str, UnitCharge]) -> tuple[WorstScenario, pd.Series]:
        several = len(found) > 1
        names, vectors = [], []
        for name, charge in found.items():
            prefix = f"{name} " if several else ""
            names.append(prefix + charge.worst.name)
            vectors.append(charge.vector.set_axis([f"{prefix}{label}" for label in charge.vector.index]))
        if not vectors:
            return WorstScenario("no scenarios", math.nan), pd.Series(dtype="float64")
        vector = pd.concat(vectors)
        vector.index.name = "scenario"
        return (
            WorstScenario("; ".join(names), math.fsum(c.worst.pnl for c in found.values())),
            vector.rename("pnl"),
        )

    def _steps(
        self,
        found: Mapping[str, UnitCharge],
        owed: float,
        borrowing: tuple[float, float],
        equity: tuple[float, float],
        totals: tuple[float, float],
    ) -> tuple[Step, ...]:
        def step(clause: str, what: str, value: float, *keys: str) -> Step:
            return Step(clause, what, value, "USD", origin(self.parameters, *keys))

        options = {
            u.name: any(isinstance(self.held.instruments[i], Option) for i in u.at) for u in self.units
        }
        steps = []
        for name, charge in found.items():
            steps += [
                # futures have no vol, so that only the published moves matter to them
                step(clause, f"{name} {measure} {word}", charge.measures[measure],
                     *(keys if options[name] or measure != "MR1" else ("spot_moves",)))
                for clause, measure, word, keys in _STEPS
            ]  # fmt: skip
            steps.append(step("OKX-11", f"{name} maintenance margin", charge.mmr))
            steps.append(
                step("OKX-12", f"{name} initial margin", self.table.im_factor * charge.mmr, "im_factor")
            )
        steps += [
            step("OKX-13", "borrowed", owed),
            step("OKX-13", "MR8 borrowing, maintenance", borrowing[0], "borrow_mm_rate"),
            step("OKX-13", "MR8 borrowing, initial", borrowing[1], "borrow_im_rate"),
            step("OKX-14", "equity", equity[0]),
            step("OKX-14", "adjusted equity", equity[1], "collateral_rate"),
            step("OKX-15", "maintenance margin", totals[0]),
            step("OKX-15", "initial margin", totals[1]),
        ]
        return tuple(steps)


@dataclass(frozen=True, kw_only=True)
class OkxPm(CrossAccountRule):
    """OKX's portfolio margin: every coin a risk unit, units summed, debts charged, all in USD.

    Prices of USDT and USDC are those of the snapshot's ``fx``, 1 USD where it has none.

    Notes
    -----
    By unit ``MMR = max(max(MR1, MR2, MR6) + MR3 + MR4 + MR5, MR7) + MR9`` and ``IMR = 1.3 MMR``; the account
    adds ``MR8`` on what it has borrowed. Spot moves and factors are published, the vol shocks of options,
    MR3, MR5 and much of MR7 and MR9 are not: ``explain()`` marks them as assumed. ``figures["units"]`` holds
    the measures by unit.
    """

    name: ClassVar[str] = "okx-pm"
    citations: ClassVar[tuple[str, ...]] = ("okx2021", "okx2025", "okxapi")

    variant: str = "unified"

    def check_scope(self, account: Account) -> None:
        """Raise for a contract in another currency than coin or a stablecoin, and for obligations."""
        require_contracts(
            account,
            self.name,
            lambda i: (
                isinstance(i, (Option, Future, Perpetual))
                and (i.is_inverse or i.settlement_currency in STABLECOINS)
            ),
            f"options, futures and perpetuals settled in coin, {', '.join(STABLECOINS)}",
        )
        refuse_obligations(account, self.name)

    def charged(self, account: Account, snapshot: MarketSnapshot, parameters: ParameterSet) -> Charged:
        """Return the charge of the account; every currency counts."""
        book = self.book(account, snapshot, parameters)
        found = book.charge(book.held.quantities, book.held.amounts)
        at_par = [c for c in book.held.currencies if c in STABLECOINS and c not in ("USD", *snapshot.fx)]
        notes = [f"{' and '.join(at_par)} counted at 1 USD"] if at_par else []
        if any(isinstance(i, Option) for i in book.held.instruments):
            notes.append("the vol shocks, MR3 and MR5 of options are not published: assumed")
        return Charged(found, {}, tuple(notes))

    def line_im_equity(self, account: Account, snapshot: MarketSnapshot) -> FloatArray:
        """Return the initial margin of each position held alone, without balances and debts, USD.

        Returns
        -------
        ndarray, shape (positions,)
        """
        with collected():
            parameters = self.parameter_set(snapshot)
        book = self.book(account, snapshot, parameters)
        values = np.zeros(book.held.quantities.size)
        for unit in book.units:
            for line in unit.at:
                alone = np.zeros(values.size)
                alone[line] = book.held.quantities[line]
                values[line] = book.table.im_factor * unit.charge(alone, 0.0).mmr
        return values

    def book(self, account: Account, snapshot: MarketSnapshot, parameters: ParameterSet) -> _OkxBook:
        """Return the account by risk unit, revalued once and ready to be charged for any quantities."""
        table: OkxPmParameters = parameters.table("*")
        held = account.portfolio.instruments
        groups: dict[str, list[int]] = {}
        for line, instrument in enumerate(held):
            groups.setdefault(_unit_name(instrument, table.merged_units), []).append(line)
        prices = {currency: snapshot.usd_price(currency) for currency in STABLECOINS}
        return _OkxBook(
            held=holdings(account, snapshot),
            units=tuple(
                _unit(name, lines, [held[line] for line in lines], snapshot, table, prices)
                for name, lines in groups.items()
            ),
            table=table,
            parameters=parameters,
        )


def _quote(instrument: Instrument) -> str:
    """Return the currency in which a contract is quoted: USD for coin-settled ones."""
    return "USD" if instrument.is_inverse else instrument.settlement_currency


def _unit_name(instrument: Instrument, merged: bool) -> str:
    coin = instrument.underlying
    return coin if merged else f"{coin}-{_quote(instrument)}"


def _unit(
    name: str,
    lines: list[int],
    held: list[Instrument],
    snapshot: MarketSnapshot,
    table: OkxPmParameters,
    prices: Mapping[str, float],
) -> RiskUnit:
    coin = held[0].underlying
    scenarios = unit_scenarios(table, coin)
    return RiskUnit(
        name=name,
        coin=coin,
        spot=snapshot.spot(coin),
        at=np.array(lines, dtype=np.int64),
        quotes=tuple(_quote(i) for i in held),
        scenarios=scenarios,
        cells=unit_cells(held, scenarios, snapshot, table),
        prices=prices,
        table=table,
    )
