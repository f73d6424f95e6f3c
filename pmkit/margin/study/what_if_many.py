"""What many trades do to the margin of an account, each alone: thousands from one cube, or one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.progress import ProgressBar
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Option, Spot
from pmkit.instruments.portfolio import Portfolio, Position
from pmkit.margin.accounts.account import Account
from pmkit.margin.engine.measure_rule import MeasureRule
from pmkit.margin.parameters import Stale
from pmkit.margin.result import MarginResult
from pmkit.margin.rule import AnyRule
from pmkit.margin.study.what_if import booked, deals_of, rule_of, traded
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import trade_measures
from pmkit.scenarios.inputs import check_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Trades", "WhatIfMany", "what_if_many"]

#: one trade, or several at once, by name
Trades: TypeAlias = Mapping[str, "Position | Iterable[Position]"]

_ITEMS = ("im", "mm", "im_equity", "equity", "excess", "margin_ratio")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class WhatIfMany(Result):
    """Requirement before, and after each of many trades alone.

    Attributes
    ----------
    before : MarginResult
    after : DataFrame
        One row a trade: im, mm, im_equity, equity, excess and margin_ratio of the account after it, in the
        numeraire of ``before``.
    """

    before: MarginResult
    after: pd.DataFrame

    def __len__(self) -> int:
        return len(self.after)

    @property
    def change(self) -> pd.DataFrame:
        """After minus before, one row a trade and one column an item."""
        return self.after - pd.Series({name: float(getattr(self.before, name)) for name in _ITEMS})

    def to_frame(self) -> pd.DataFrame:
        """Return one row a trade: the items after it and their changes."""
        return self.after.join(self.change.add_suffix("_change"))

    def summary(self) -> pd.DataFrame:
        """Return the five trades that lower the initial requirement most and the five that raise it most."""
        ordered = self.to_frame().sort_values("im_change", kind="stable")
        shown = ordered if len(ordered) <= 10 else pd.concat([ordered.iloc[:5], ordered.iloc[-5:]])
        return shown[["im", "im_change", "mm_change", "equity_change", "excess_change"]]

    def check(self) -> None:
        """Raise where excess is not equity less requirement, or a requirement is negative."""
        gap = self.after["equity"] - self.after["im_equity"] - self.after["excess"]
        if (gap.abs() > 1e-9 * self.after["equity"].abs().clip(lower=1.0)).any():
            raise PmkitError("excess is not equity less requirement", "equality", "report this as a bug")
        if (self.after[["im", "mm"]] < 0.0).any(axis=None):
            raise PmkitError("a requirement is negative", "0 or more", "report this as a bug")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the change of the initial requirement, trades in order of it."""
        axes = new_axes(ax)
        change = self.change["im"].sort_values(kind="stable").to_numpy()
        axes.bar(np.arange(change.size), change, width=1.0)
        axes.axhline(0.0, color="black", linewidth=0.8)
        axes.set(
            xlabel="trade, in order of what it does",
            ylabel=f"change of IM, {self.before.numeraire}",
            title=f"{len(self):,} trades under {self.before.rule}",
        )
        return axes


def what_if_many(
    account: Account,
    trades: Trades,
    snapshot: MarketSnapshot,
    rule: str | AnyRule,
    *,
    stale: Stale = "error",
    threads: int = 1,
    progress: bool | None = None,
) -> WhatIfMany:
    """Return the requirement before, and after each of many trades alone, under one rule.

    Under a rule from a risk measure (``es-fhs``, ``var-hs``) every contract is revalued once, and a trade is
    one pass over the scenarios; under the others each trade is a full calculation.

    Parameters
    ----------
    account : Account
    trades : mapping of str to Position or several
        By name. ``qty`` is what is bought; ``entry_price`` the price of the trade, the mark where it is left
        out. No fees.
    snapshot : MarketSnapshot
    rule : str or rule
    stale : {"error", "warn"}
        Where the rule is given by name: what happens past the last observation of its parameters.
    threads : int
        Threads that share the trades under a rule from a measure; equal bits for any number.
    progress : bool, optional
        Whether to show a progress bar; where left out, in a terminal, after two seconds.

    Returns
    -------
    WhatIfMany

    Raises
    ------
    ParameterError
        There is no trade, or one is not made of positions or at a price that is none.
    ConventionError
        What is given is no account, no rule or no mapping of trades.
    PmkitError
        Whatever the rule raises.

    Notes
    -----
    Under a rule from a measure all accounts, also that before, are measured over the scenarios of the coins
    that account and trades hold together; :func:`pmkit.margin.what_if` draws scenarios for each account's own
    coins, so that a trade in a further coin can differ by the simulation error.
    """
    used = rule_of(rule, account, stale)
    check_kind("trades", trades, Mapping, "{name: Position or several}")
    deals = {name: deals_of(trade, name) for name, trade in trades.items()}
    if not deals:
        raise ParameterError("there is no trade", "at least one", "add one")
    if isinstance(used, MeasureRule):
        return _from_cube(account, deals, snapshot, used, threads)
    before = used.requirement(account, snapshot)
    results: dict[str, MarginResult] = {}
    with ProgressBar("trades", len(deals), progress) as bar:
        for name, deal in deals.items():
            results[name] = used.requirement(traded(account, deal, snapshot), snapshot)
            bar.advance()
    columns = {item: [float(getattr(r, item)) for r in results.values()] for item in _ITEMS}
    after = pd.DataFrame(columns, index=pd.Index(list(results), name="trade"))
    return WhatIfMany(before=before, after=after)


def _from_cube(
    account: Account,
    deals: Mapping[str, list[Position]],
    snapshot: MarketSnapshot,
    rule: MeasureRule,
    threads: int,
) -> WhatIfMany:
    """Return the result of a rule from a measure, from one cube of everything held and traded."""
    together = _together(account, deals)
    scenarios = rule.scenarios(together, snapshot)
    cube = rule.cube(together, snapshot, scenarios)
    before = rule.requirement(account, snapshot, scenarios=scenarios)
    bought = {name: _bought(deal) for name, deal in deals.items()}
    paid = {name: _paid(deal, snapshot) for name, deal in deals.items()}
    quantities = pd.DataFrame.from_dict(bought, orient="index").fillna(0.0)
    payments = pd.DataFrame.from_dict(paid, orient="index").fillna(0.0)
    table = rule.parameter_set(snapshot).table("*")
    name = rule.measure.lower()
    figures: list[FloatArray] = []
    for level in (table.im_level, table.mm_level):
        found = trade_measures(
            cube, account, quantities, level=level, measures=(name,), payments=payments, threads=threads
        )
        figures.append(np.maximum(found.after[name].to_numpy(), 0.0))
    initial = figures[0]
    maintenance = np.minimum(figures[1], initial)
    gained = np.array([_gained(deal, paid[n], account, snapshot) for n, deal in deals.items()])
    equity = before.equity + gained
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(equity > 0.0, initial / equity, np.where(initial > 0.0, math.inf, 0.0))
    columns = (initial, maintenance, initial, equity, equity - initial, ratio)
    after = pd.DataFrame(dict(zip(_ITEMS, columns, strict=True)), index=pd.Index(list(deals), name="trade"))
    return WhatIfMany(before=before, after=after)


def _together(account: Account, deals: Mapping[str, list[Position]]) -> Account:
    """Return an account that holds every contract of the account and of the trades."""
    held = {p.instrument.name: p for p in account.portfolio}
    for deal in deals.values():
        for position in deal:
            name = position.instrument.name
            held.setdefault(name, Position(instrument=position.instrument, qty=position.instrument.lot))
    return account.with_portfolio(
        Portfolio(positions=tuple(held.values()), as_of=account.as_of, name=account.portfolio.name)
    )


def _bought(deal: list[Position]) -> dict[str, float]:
    """Return quantities by instrument."""
    total: dict[str, float] = {}
    for position in deal:
        name = position.instrument.name
        total[name] = total.get(name, 0.0) + position.qty
    return total


def _paid(deal: list[Position], snapshot: MarketSnapshot) -> dict[str, float]:
    """Return what a trade adds to the balances by currency: premiums with their sign, gains against marks."""
    cash: dict[str, float] = {}
    for position in deal:
        currency = position.instrument.settlement_currency
        gain = booked(position, snapshot.mark(position.instrument).price)
        cash[currency] = cash.get(currency, 0.0) + gain
    return cash


def _gained(
    deal: list[Position], paid: Mapping[str, float], account: Account, snapshot: MarketSnapshot
) -> float:
    """Return what a trade adds to equity in USD: cash and the value of options and stock."""
    total = dict(paid)
    for position in deal:
        instrument = position.instrument
        if isinstance(instrument, (Option, Spot)):
            value = position.qty * instrument.multiplier * snapshot.mark(instrument).price
            total[instrument.settlement_currency] += value
    return math.fsum(x * account.price(currency, snapshot) for currency, x in total.items())
