"""``es-fhs`` and ``var-hs``: expected shortfall of filtered, value at risk of plain historical simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from pmkit.core.types import FloatArray
from pmkit.margin.accounts.account import Account
from pmkit.margin.engine.measure_rule import Measure, MeasureRule, moving_coins
from pmkit.margin.schemas import ExpectedShortfallParameters, HistoricalVarParameters, MeasureParameters
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import RiskFigure, estimation_error, expected_shortfall, value_at_risk, window_error
from pmkit.scenarios import ScenarioSet, filtered_historical, historical

__all__ = ["EsFhs", "VarHs"]


@dataclass(frozen=True, kw_only=True)
class EsFhs(MeasureRule):
    """Expected shortfall of filtered historical simulation over two days, IM at 99 % and MM at 97.5 %.

    Attributes
    ----------
    estimation_error : bool
        Compute the standard error from a block bootstrap of the history with refit; takes seconds.

    Notes
    -----
    Every choice is an assumption of this package, dated and named in the parameter set. Clauses ES-1 to
    ES-16.
    """

    name: ClassVar[str] = "es-fhs"
    measure: ClassVar[Measure] = "ES"
    prefix: ClassVar[str] = "ES"
    schema: ClassVar[type[MeasureParameters]] = ExpectedShortfallParameters
    citations: ClassVar[tuple[str, ...]] = ("glosten1993", "baroneadesi1999", "acerbi2002", "politis1994")

    estimation_error: bool = False

    def _generate(
        self, parameters: Any, history: PriceHistory, snapshot: MarketSnapshot, underlyings: tuple[str, ...]
    ) -> ScenarioSet:
        table: ExpectedShortfallParameters = parameters
        return filtered_historical(
            history,
            snapshot,
            underlyings=list(underlyings),
            horizon=table.horizon_days,
            n_paths=table.n_paths,
            model=table.model,
            dist=table.dist,
            vol_anchor=table.vol_anchor,
            response=table.response,
            dynamics=table.dynamics,
            seed=table.seed,
        )

    def _figure(self, pnl: FloatArray, level: float, used: ScenarioSet) -> RiskFigure:
        return expected_shortfall(pnl, level, used.weights, scenarios=used)

    def _value(self, pnl: FloatArray, level: float, used: ScenarioSet) -> float:
        return expected_shortfall(pnl, level, used.weights).value

    def _estimation(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        history: PriceHistory | None,
        table: Any,
        pnl: FloatArray,
        used: ScenarioSet,
    ) -> dict[float, float]:
        values: ExpectedShortfallParameters = table
        if not self.estimation_error or not len(account.portfolio):
            return {}
        found = estimation_error(
            self.known_history(history, snapshot),
            snapshot,
            account.portfolio,
            account.balances(snapshot),
            levels=(values.im_level, values.mm_level),
            n_boot=values.bootstrap_replications,
            n_paths=values.bootstrap_paths,
            underlyings=list(moving_coins(account, snapshot)),
            horizon=values.horizon_days,
            model=values.model,
            dist=values.dist,
            vol_anchor=values.vol_anchor,
            response=values.response,
            dynamics=values.dynamics,
            seed=values.seed,
        )
        return found.se


@dataclass(frozen=True, kw_only=True)
class VarHs(MeasureRule):
    """Value at risk of historical simulation over two days, IM at 99 % and MM at 97.5 %.

    Notes
    -----
    Same numeraire, factors and revaluation as ``es-fhs``; no filter, so the volatility of the scenarios is
    that of the history. Clauses HS-1 to HS-6.
    """

    name: ClassVar[str] = "var-hs"
    measure: ClassVar[Measure] = "VaR"
    prefix: ClassVar[str] = "HS"
    schema: ClassVar[type[MeasureParameters]] = HistoricalVarParameters
    citations: ClassVar[tuple[str, ...]] = ("acerbi2002", "politis1994")

    def _generate(
        self, parameters: Any, history: PriceHistory, snapshot: MarketSnapshot, underlyings: tuple[str, ...]
    ) -> ScenarioSet:
        table: HistoricalVarParameters = parameters
        return historical(
            history,
            snapshot,
            underlyings=list(underlyings),
            horizon=table.horizon_days,
            replications=table.replications,
            response=table.response,
            dynamics=table.dynamics,
            seed=table.seed,
        )

    def _figure(self, pnl: FloatArray, level: float, used: ScenarioSet) -> RiskFigure:
        # Each window is there a fixed number of times: only the residuals inside a window are random.
        windows = None if used.dates is None else used.dates[:, 0]
        return value_at_risk(pnl, level, used.weights, scenarios=used, strata=windows)

    def _value(self, pnl: FloatArray, level: float, used: ScenarioSet) -> float:
        return value_at_risk(pnl, level, used.weights).value

    def _estimation(
        self,
        account: Account,
        snapshot: MarketSnapshot,
        history: PriceHistory | None,
        table: Any,
        pnl: FloatArray,
        used: ScenarioSet,
    ) -> dict[float, float]:
        values: HistoricalVarParameters = table
        if not len(account.portfolio):
            return {}
        found = window_error(
            pnl,
            used,
            (values.im_level, values.mm_level),
            values.bootstrap_replications,
            mean_block=values.bootstrap_mean_block,
            seed=values.seed,
        )
        return found.se
