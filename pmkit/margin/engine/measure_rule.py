"""Requirements in USD from the loss distribution of the whole account: what the rules of that kind share."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ObligationWarning
from pmkit.core.types import FloatArray
from pmkit.instruments.contracts import Instrument, Spot
from pmkit.margin.accounts.account import STABLECOINS, Account
from pmkit.margin.engine.base import RuleBase, check_account, collected
from pmkit.margin.parameters import ParameterSet
from pmkit.margin.result import MarginResult, Step, WorstScenario
from pmkit.margin.schemas import MeasureParameters
from pmkit.market.history import PriceHistory, load_history
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import (
    PnLCube,
    RiskFigure,
    leave_one_date_out,
    revalue,
    tail_check,
)
from pmkit.scenarios import ScenarioSet, factor_response

__all__ = ["DEFAULT_HISTORY", "Measure", "MeasureRule", "moving_coins"]

Measure = Literal["ES", "VaR"]

#: Data set of the price history where none is handed over.
DEFAULT_HISTORY = "crypto-daily-2020-2023"


@dataclass(frozen=True, kw_only=True)
class MeasureRule(RuleBase, ABC):
    """Base of the rules from a risk measure: USD, collateral revalued in the scenarios, full revaluation.

    Attributes
    ----------
    overrides : mapping of str to object
        Values that replace those of the parameter set; its id then says that it was modified.
    """

    measure: ClassVar[Measure]
    prefix: ClassVar[str]
    schema: ClassVar[type[MeasureParameters]]
    citations: ClassVar[tuple[str, ...]]

    variant: str = "base"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    _kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def option_names(cls) -> tuple[str, ...]:
        """Return the keys of the parameter table, all of which may be replaced."""
        return tuple(cls.schema.model_fields)

    def parameter_set(self, snapshot: MarketSnapshot, underlying: str | None = None) -> ParameterSet:
        """Return the set in force with the overrides applied."""
        found = RuleBase.parameter_set(self, snapshot, underlying)
        return found.with_values("*", **self.overrides) if self.overrides else found

    # -- scenarios and cube ---------------------------------------------------------------------------------
    @abstractmethod
    def _generate(
        self, parameters: Any, history: PriceHistory, snapshot: MarketSnapshot, underlyings: tuple[str, ...]
    ) -> ScenarioSet:
        """Return the scenarios of the rule."""

    @abstractmethod
    def _figure(self, pnl: FloatArray, level: float, used: ScenarioSet) -> RiskFigure:
        """Return the risk measure of a P&L vector over the scenarios, its tail named."""

    @abstractmethod
    def _value(self, pnl: FloatArray, level: float, used: ScenarioSet) -> float:
        """Return the same number without names and errors, for the many lines of an account."""

    def known_history(self, history: PriceHistory | None, snapshot: MarketSnapshot) -> PriceHistory:
        """Return what was known of the prices at the snapshot."""
        if history is None:
            if "history" not in self._kept:
                self._kept["history"] = load_history(DEFAULT_HISTORY)
            history = self._kept["history"]
        whole: PriceHistory = history
        # A close stands at midnight at the end of its date, so the snapshot's own day is not over yet.
        return whole.until(f"{snapshot.as_of - pd.Timedelta(days=1):%Y-%m-%d}")

    def scenarios(
        self, account: Account, snapshot: MarketSnapshot, *, history: PriceHistory | None = None
    ) -> ScenarioSet:
        """Return the scenarios of the rule for the coins that move the account; kept for the next call.

        Warns
        -----
        HistoryEndsWarning
            The history ends before the snapshot.
        """
        parameters, known = self.parameter_set(snapshot), self.known_history(history, snapshot)
        names = moving_coins(account, snapshot)
        key = (known.fingerprint, names, parameters.checksum)
        kept = self._kept.get("scenarios")
        if kept is None or kept[0] != key or kept[3] is not snapshot:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                made = self._generate(parameters.table("*"), known, snapshot, names)
            kept = (key, made, [(entry.message, entry.category) for entry in caught], snapshot)
            self._kept["scenarios"] = kept
        for message, category in kept[2]:
            warnings.warn(message, category, stacklevel=2)
        found: ScenarioSet = kept[1]
        return found

    def cube(self, account: Account, snapshot: MarketSnapshot, scenarios: ScenarioSet) -> PnLCube:
        """Return the account's contracts over the scenarios, from memory where they were revalued already."""
        wanted = _instruments(account, snapshot)
        kept = self._kept.get("cube")
        # The very objects must be the same: the surface behind a snapshot is not part of its fingerprint.
        if kept is None or kept[1] is not snapshot or kept[0].scenarios is not scenarios or not (
            set(wanted) <= set(kept[0].instruments)
        ):  # fmt: skip
            kept = (revalue(wanted, snapshot, scenarios), snapshot)
            self._kept["cube"] = kept
        found: PnLCube = kept[0]
        return found

    # -- the rule -------------------------------------------------------------------------------------------
    def requirement(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        *,
        history: PriceHistory | None = None,
        state: Any = None,
        scenarios: ScenarioSet | None = None,
    ) -> MarginResult:
        """Return IM and MM of an account in USD, positive.

        Parameters
        ----------
        account : Account
        snapshot : MarketSnapshot
        history : PriceHistory, optional
            Daily prices; the shipped history where left out. Prices after the snapshot are not looked at.
        state : optional
            Not used: the rule has no memory.
        scenarios : ScenarioSet, optional
            Scenarios to use instead of the rule's own.

        Returns
        -------
        MarginResult
            ``figures`` holds ``im`` and ``mm`` (:class:`pmkit.risk.RiskFigure` with errors and the most
            influential date), ``vol_anchor`` (frame by coin), ``settled`` (names) and ``tail`` (observations
            by level).

        Raises
        ------
        DataGapError, LookAheadError, SchemaError, ConventionError
            The account is empty, newer than the snapshot, holds what the snapshot does not list, or
            collateral without a price.
        ThinTailError
            Too few independent observations lie beyond the level.

        Warns
        -----
        ThinTailWarning, HistoryEndsWarning
        """
        with collected() as texts:
            check_account(account, snapshot)
            if any(account.mmp_margin.values()) or any(account.open_order_margin.values()):
                text = f"market-maker-protection and open-order margin are no part of {self.name}"
                warnings.warn(ObligationWarning(text), stacklevel=2)
            parameters = self.parameter_set(snapshot)
            table: MeasureParameters = parameters.table("*")
            own = scenarios is None
            used = self.scenarios(account, snapshot, history=history) if scenarios is None else scenarios
            tail = {
                level: tail_check(used, level, table.min_tail, table.error_below)
                for level in (table.im_level, table.mm_level)
            }
            cube = self.cube(account, snapshot, used)
            balances = account.balances(snapshot)
            pnl = cube.account_pnl(account.portfolio, balances=balances)
            spread = self._estimation(account, snapshot, history, table, pnl, used) if own else {}
            figures: dict[str, Any] = {
                name: self._with_errors(self._figure(pnl, level, used), pnl, used, spread.get(level))
                for name, level in (("im", table.im_level), ("mm", table.mm_level))
            }
            figures["settled"] = tuple(i.name for i in account.instruments if i.name in cube.settled)
            figures["tail"] = tail
            if "anchor_level" in used.provenance.parameters:
                figures["vol_anchor"] = _anchor_table(used)
        initial, maintenance = figures["im"], figures["mm"]
        worst = int(np.argmin(pnl))
        return self.stated(
            account,
            snapshot,
            parameters,
            texts,
            numeraire="USD",
            im=max(0.0, float(initial)),
            mm=min(max(0.0, float(maintenance)), max(0.0, float(initial))),
            basis="pnl",
            net_option_value=_option_value_usd(account, snapshot),
            equity=account.equity(snapshot),
            collateral_treatment="revalued",
            worst_scenario=WorstScenario(used.label(worst), float(pnl[worst])),
            scenario_vector=pd.Series(pnl, name="pnl"),
            steps=self._steps(table, used, figures),
            figures=figures,
            notes=used.notes,
            provenance=replace(
                self.provenance(account, snapshot, parameters, data={"scenarios": used.fingerprint}),
                seed=used.provenance.seed,
                simulated=used.provenance.simulated,
            ),
        )

    def line_im_equity(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        *,
        history: PriceHistory | None = None,
        scenarios: ScenarioSet | None = None,
    ) -> FloatArray:
        """Return ``im_equity`` in USD of each position alone, then of each coin balance that can lose.

        Collateral that is revalued is a line like any other: what it hedges shows as netting.

        Returns
        -------
        ndarray, shape (positions + coin balances,)
        """
        with collected():
            used = self.scenarios(account, snapshot, history=history) if scenarios is None else scenarios
            level = self.parameter_set(snapshot).table("*").im_level
        cube = self.cube(account, snapshot, used)
        lines = list(cube.line_pnl(account.portfolio)) if len(account.portfolio) else []
        nothing = account.portfolio.with_positions(())
        lines += [
            cube.account_pnl(nothing, balances={currency: amount})
            for currency, amount in account.balances(snapshot).items()
            if amount != 0.0 and currency not in STABLECOINS
        ]
        figures = [self._value(line, level, used) for line in lines]
        return np.maximum(np.array(figures, dtype=np.float64), 0.0)

    # -- inside ---------------------------------------------------------------------------------------------
    def _with_errors(
        self, figure: RiskFigure, pnl: FloatArray, used: ScenarioSet, spread: float | None
    ) -> RiskFigure:
        """Return the figure with the estimation error and the most influential date filled in."""
        if used.dates is None:
            return figure.with_errors(se_estimation=spread)
        left = leave_one_date_out(pnl, used, figure.level, self.measure)
        return figure.with_errors(
            se_estimation=spread, influential_date=left.date, value_without_date=left.value
        )

    @abstractmethod
    def _estimation(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        history: PriceHistory | None,
        table: Any,
        pnl: FloatArray,
        used: ScenarioSet,
    ) -> dict[float, float]:
        """Return the estimation error by level; empty where it was not asked for."""

    def _steps(
        self, table: MeasureParameters, used: ScenarioSet, figures: Mapping[str, Any]
    ) -> tuple[Step, ...]:
        clause = self._clauses()
        steps = [
            Step(clause["horizon"], "horizon", float(used.horizon_days), "days", "assumed"),
            Step(clause["scenarios"], f"scenarios: {used.name}", float(len(used)), "1", "data"),
        ]
        if "vol_anchor" in figures:
            for coin, anchors in figures["vol_anchor"].to_dict(orient="index").items():
                start = float(anchors["anchor"])
                steps.append(Step("ES-6", f"start vol of {coin}", start, "per year", "assumed"))
                if "filter" in anchors:
                    level = float(anchors["filter"])
                    steps.append(Step("ES-6", f"level of the filter for {coin}", level, "per year", "data"))
        response = factor_response(table.response)
        for coin in (u for u in used.underlyings if u in response.underlyings):
            r, slope, per_day = response.of(coin), "log per log", "per root day"
            steps += [
                Step(clause["vol"], f"slope of vol on spot, {coin}", r.vol_slope, slope, "data"),
                Step(clause["vol"], f"residual sd of vol, {coin}", r.vol_residual_sd, per_day, "data"),
                Step(clause["basis"], f"slope of basis on spot, {coin}", r.basis_slope, slope, "data"),
                Step(clause["basis"], f"residual sd of basis, {coin}", r.basis_residual_sd, per_day, "data"),
            ]  # fmt: skip
        count = float(len(figures["settled"]))
        steps.append(Step(clause["settled"], "contracts settled inside the horizon", count, "1", "data"))
        for name, level in (("im", table.im_level), ("mm", table.mm_level)):
            figure = figures[name]
            what = f"{self.measure} at {level:.1%}"
            steps += [
                Step(clause["measure"], what, float(figure), "USD", "assumed"),
                Step(clause["errors"], f"simulation error of {what}", figure.se_simulation, "USD", "data"),
            ]
            if math.isfinite(figure.se_estimation):
                text = f"estimation error of {what}"
                steps.append(Step(clause["errors"], text, figure.se_estimation, "USD", "data"))
            if figure.influential_date:
                text = f"{what} without {figure.influential_date}"
                steps.append(Step(clause["influence"], text, figure.value_without_date, "USD", "data"))
            count = figures["tail"][level]
            if math.isfinite(count):
                text = f"independent observations beyond {level:.1%}"
                steps.append(Step(clause["tail"], text, count, "1", "data"))
        initial = max(float(figures["im"]), 0.0)
        steps.append(Step(clause["requirement"], "initial margin", initial, "USD", "assumed"))
        maintenance = min(max(float(figures["mm"]), 0.0), initial)
        steps.append(Step(clause["requirement"], "maintenance margin", maintenance, "USD", "assumed"))
        return tuple(steps)

    def _clauses(self) -> dict[str, str]:
        if self.prefix == "ES":
            numbers = {"horizon": 1, "scenarios": 5, "vol": 7, "basis": 8, "settled": 10, "measure": 12,
                       "requirement": 13, "errors": 14, "influence": 15, "tail": 16}  # fmt: skip
        else:
            numbers = {"horizon": 1, "scenarios": 2, "vol": 3, "basis": 3, "settled": 3, "measure": 4,
                       "requirement": 5, "errors": 6, "influence": 6, "tail": 6}  # fmt: skip
        return {key: f"{self.prefix}-{n}" for key, n in numbers.items()}


def moving_coins(account: Account, snapshot: MarketSnapshot) -> tuple[str, ...]:
    """Return the coins that move the account, in the order of the snapshot."""
    held = {*account.portfolio.underlyings, *(c for c, x in account.balances(snapshot).items() if x != 0.0)}
    named = tuple(u for u in snapshot.underlyings if u in held)
    return named or (next(iter(snapshot.underlyings)),)


def _instruments(account: Account, snapshot: MarketSnapshot) -> list[Instrument]:
    """Return the account's contracts; for an account of collateral alone, the coin itself."""
    if len(account.portfolio):
        return list(account.instruments)
    coin = moving_coins(account, snapshot)[0]
    return [
        Spot(
            name=coin,
            underlying=coin,
            settlement="linear",
            settlement_currency="USD",
            multiplier=1.0,
            lot=1.0,
        )
    ]


def _anchor_table(used: ScenarioSet) -> pd.DataFrame:
    """Return one row a coin: where the simulation starts; where known, the filter's level and the vols."""
    known = used.provenance.parameters
    reached, tenors = known.get("filter_level", {}), known.get("atm_vol", {})
    rows = {
        coin: {
            "anchor": level,
            **({"filter": reached[coin]} if coin in reached else {}),
            **{f"atm {tenor}": vol for tenor, vol in tenors.get(coin, {}).items()},
        }
        for coin, level in known["anchor_level"].items()
    }
    frame = pd.DataFrame.from_dict(rows, orient="index")
    frame.index.name = "coin"
    return frame


def _option_value_usd(account: Account, snapshot: MarketSnapshot) -> float:
    """Return the net value of the options in USD."""
    value = account.option_value(snapshot)
    return math.fsum(x * account.price(currency, snapshot) for currency, x in value.items())
