"""Does margin cover losses: walk-forwards with an as-of clock, hit series, tests of VaR models, overlap."""

from pmkit.backtest import es_tests, var_tests
from pmkit.backtest.compare.model_sets import ModelSet, beats_benchmark, model_confidence_set
from pmkit.backtest.compare.murphy import MurphyDiagram, elementary_es_score, elementary_var_score, murphy
from pmkit.backtest.es.wealth import EProcess
from pmkit.backtest.factors.joint_law import energy_score, factor_dependence
from pmkit.backtest.factors.pnl_attribution import PnlAttribution, pnl_attribution
from pmkit.backtest.factors.uniformity import factor_laws, uniformity
from pmkit.backtest.margins.called import called_margin
from pmkit.backtest.margins.coverage import MarginCoverage, margin_coverage
from pmkit.backtest.margins.impulse_response import ImpulseResponse, impulse_response
from pmkit.backtest.margins.many_accounts import ManyAccounts, many_accounts
from pmkit.backtest.margins.many_books import ManyBooks, many_books
from pmkit.backtest.margins.overlap_law import OverlapCounts, overlap_counts, variance_inflation
from pmkit.backtest.margins.overlapping import overlapping_independence, overlapping_pof
from pmkit.backtest.margins.overlapping_quantile import overlapping_quantile
from pmkit.backtest.margins.procyclicality import (
    Procyclicality,
    ProcyclicalityFrontier,
    procyclicality,
    procyclicality_frontier,
)
from pmkit.backtest.margins.random_books import random_books
from pmkit.backtest.series.es_series import PitSeries, TailSeries
from pmkit.backtest.series.hits import HitCounts, HitSeries
from pmkit.backtest.series.overlap import OffsetOutcomes
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.walk.as_of import AsOfClock, AsOfView
from pmkit.backtest.walk.battery import Battery, every_test
from pmkit.backtest.walk.book import ConstantBook
from pmkit.backtest.walk.forecast import FitRecord, Forecast, ForecastModel
from pmkit.backtest.walk.forecasters import forecast_models
from pmkit.backtest.walk.legs import Leg
from pmkit.backtest.walk.panel_result import PanelWalk
from pmkit.backtest.walk.rolled_book import RolledBook
from pmkit.backtest.walk.sensitivity import WalkSensitivity, walk_sensitivity
from pmkit.backtest.walk.vol_laws.catalogue import VOL_LAWS, vol_law_paths
from pmkit.backtest.walk.vol_laws.har_law import HarVolLaw
from pmkit.backtest.walk.vol_laws.heston_law import HestonVolLaw, heston_expected_variance, heston_log_skew
from pmkit.backtest.walk.vol_laws.jump_law import JumpVolLaw
from pmkit.backtest.walk.vol_laws.sizes import simulate_vol_path
from pmkit.backtest.walk.vol_laws.vol_law import VolLaw
from pmkit.backtest.walk.vol_moves import VolMoves
from pmkit.backtest.walk.vol_path import VolPath
from pmkit.backtest.walk.vol_scenarios import VolScenarioRuns, run_vol_scenarios
from pmkit.backtest.walk.walk_books import walk_books
from pmkit.backtest.walk.walk_forward import walk_forward
from pmkit.backtest.walk.walk_many import walk_many
from pmkit.backtest.walk.walk_panel import walk_panel
from pmkit.backtest.walk.walk_result import BacktestResult
from pmkit.backtest.walk.walk_store import load_walks, save_walks

__all__ = [
    "VOL_LAWS",
    "AsOfClock",
    "AsOfView",
    "BacktestResult",
    "BacktestTest",
    "Battery",
    "ConstantBook",
    "EProcess",
    "FitRecord",
    "Forecast",
    "ForecastModel",
    "HarVolLaw",
    "HestonVolLaw",
    "HitCounts",
    "HitSeries",
    "ImpulseResponse",
    "JumpVolLaw",
    "Leg",
    "ManyAccounts",
    "ManyBooks",
    "MarginCoverage",
    "ModelSet",
    "MurphyDiagram",
    "OffsetOutcomes",
    "OverlapCounts",
    "PanelWalk",
    "PitSeries",
    "PnlAttribution",
    "Procyclicality",
    "ProcyclicalityFrontier",
    "RolledBook",
    "TailSeries",
    "VolLaw",
    "VolMoves",
    "VolPath",
    "VolScenarioRuns",
    "WalkSensitivity",
    "beats_benchmark",
    "called_margin",
    "elementary_es_score",
    "elementary_var_score",
    "energy_score",
    "es_tests",
    "every_test",
    "factor_dependence",
    "factor_laws",
    "forecast_models",
    "heston_expected_variance",
    "heston_log_skew",
    "impulse_response",
    "load_walks",
    "many_accounts",
    "many_books",
    "margin_coverage",
    "model_confidence_set",
    "murphy",
    "overlap_counts",
    "overlapping_independence",
    "overlapping_pof",
    "overlapping_quantile",
    "pnl_attribution",
    "procyclicality",
    "procyclicality_frontier",
    "random_books",
    "run_vol_scenarios",
    "save_walks",
    "simulate_vol_path",
    "uniformity",
    "var_tests",
    "variance_inflation",
    "vol_law_paths",
    "walk_books",
    "walk_forward",
    "walk_many",
    "walk_panel",
    "walk_sensitivity",
]
