"""What a part of a rule from a risk measure looks at: the scenarios behind the figure, whole or in pieces."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, PmkitWarning
from pmkit.core.types import FloatArray, IntArray
from pmkit.margin.accounts.account import Account
from pmkit.margin.engine.measure_rule import Measure, MeasureRule, moving_coins
from pmkit.margin.schemas import MeasureParameters
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import PnLCube, expected_shortfall, revalue, value_at_risk
from pmkit.scenarios import ScenarioSet, historical

__all__ = ["MeasuredTail", "StressFigure", "measured_tail"]


class StressFigure(NamedTuple):
    """A measure over the windows of a stress period in USD, 0 or more, and the windows behind it."""

    im: float
    mm: float
    windows: int


@dataclass(frozen=True, kw_only=True)
class MeasuredTail:
    """The scenarios, P&L and levels behind one answer of a rule from a risk measure, in USD.

    Attributes
    ----------
    account : Account
    snapshot : MarketSnapshot
    measure : {"ES", "VaR"}
    table : MeasureParameters
        Levels, horizon, response, dynamics and seed of the base rule.
    scenarios : ScenarioSet
    cube : PnLCube
    history : PriceHistory
        What was known of the prices at the snapshot.
    pnl : ndarray, shape (scenarios,)
        Of the account with its balances, gain positive.
    """

    account: Account
    snapshot: MarketSnapshot
    measure: Measure
    table: MeasureParameters
    scenarios: ScenarioSet = field(repr=False)
    cube: PnLCube = field(repr=False)
    history: PriceHistory = field(repr=False)
    pnl: FloatArray = field(repr=False)

    def value(self, level: float, rows: IntArray | None = None, pnl: FloatArray | None = None) -> float:
        """Return the measure of the base rule at a level in USD, 0 or more.

        Parameters
        ----------
        level : float
        rows : ndarray of int, optional
            Scenarios to look at, their weights normalised; all where left out.
        pnl : ndarray, shape (scenarios,), optional
            Another P&L over the same scenarios.
        """
        values, weights = self.pnl if pnl is None else pnl, self.scenarios.weights
        if rows is not None:
            values, weights = values[rows], weights[rows] / math.fsum(weights[rows])
        measured = expected_shortfall if self.measure == "ES" else value_at_risk
        return max(measured(values, level, weights).value, 0.0)

    def by_underlying(self) -> dict[str, FloatArray]:
        """Return the P&L of each underlying with the balance of its coin, USD; they add up to the whole."""
        book, balances = self.account.portfolio, self.account.balances(self.snapshot)
        found = {}
        for name in moving_coins(self.account, self.snapshot):
            part = book.of_underlying(name) if name in book.underlyings else book.with_positions(())
            own = {name: balances[name]} if balances.get(name, 0.0) != 0.0 else {}
            found[name] = self.cube.account_pnl(part, balances=own)
        return found

    def dates(self) -> tuple[IntArray, pd.DatetimeIndex]:
        """Return the days behind each scenario, shape (scenarios, days), and the dates that they count.

        Raises
        ------
        ConventionError
            The scenarios do not come from dated days.
        """
        if self.scenarios.dates is None or self.scenarios.history_dates is None:
            raise ConventionError(
                f"scenarios {self.scenarios.name!r} are not made of dated days",
                "scenarios from a price history",
                "leave the part out, or take es-fhs or var-hs as the base",
            )
        return self.scenarios.dates, self.scenarios.history_dates

    def stressed(
        self, start: str, end: str, replications: int, level: float, mm_level: float
    ) -> StressFigure:
        """Return the measure over the windows of a period, their moves unscaled, in USD.

        Raises
        ------
        DataGapError
            The known history does not hold the period.
        """
        first, last = pd.Timestamp(start), pd.Timestamp(end)
        known = self.history.prices.index
        if first < known[0] or last > known[-1]:
            raise DataGapError(
                f"the history holds {known[0].date()} to {known[-1].date()}",
                f"the stress period from {start} to {end}",
                "move the period, or hand over a longer history",
            )
        with warnings.catch_warnings():
            # a stress period is old by intention
            warnings.simplefilter("ignore", PmkitWarning)
            made = historical(
                self.history.window(first, last),
                self.snapshot,
                underlyings=list(moving_coins(self.account, self.snapshot)),
                horizon=self.table.horizon_days,
                replications=replications,
                response=self.table.response,
                dynamics=self.table.dynamics,
                seed=self.table.seed,
            )
        cube = revalue(list(self.account.instruments), self.snapshot, made)
        balances = self.account.balances(self.snapshot)
        pnl = cube.account_pnl(self.account.portfolio, balances=balances)
        there = MeasuredTail(**{**self.__dict__, "scenarios": made, "cube": cube, "pnl": pnl})
        return StressFigure(there.value(level), there.value(mm_level), len(made) // replications)


def measured_tail(
    base: MeasureRule, account: Account, snapshot: MarketSnapshot, history: PriceHistory | None
) -> MeasuredTail:
    """Return what parts see of the base rule's answer; scenarios and cube come from the rule's memory."""
    with warnings.catch_warnings():
        # the requirement has given these warnings already
        warnings.simplefilter("ignore", PmkitWarning)
        used = base.scenarios(account, snapshot, history=history)
    cube = base.cube(account, snapshot, used)
    given: dict[str, Any] = {"account": account, "snapshot": snapshot, "scenarios": used, "cube": cube}
    return MeasuredTail(
        **given,
        measure=base.measure,
        table=base.parameter_set(snapshot).table("*"),
        history=base.known_history(history, snapshot),
        pnl=np.asarray(cube.account_pnl(account.portfolio, balances=account.balances(snapshot))),
    )
