"""Does margin cover losses: walk-forwards with an as-of clock, hit series, tests of VaR models, overlap."""

from pmkit.backtest import es_tests, var_tests
from pmkit.backtest.as_of import AsOfClock, AsOfView
from pmkit.backtest.book import ConstantBook
from pmkit.backtest.coverage import MarginCoverage, margin_coverage
from pmkit.backtest.es_series import PitSeries, TailSeries
from pmkit.backtest.es_wealth import EProcess
from pmkit.backtest.forecasters import FitRecord, Forecast, ForecastModel
from pmkit.backtest.hits import HitCounts, HitSeries
from pmkit.backtest.impulse_response import ImpulseResponse, impulse_response
from pmkit.backtest.legs import Leg
from pmkit.backtest.many_accounts import ManyAccounts, many_accounts
from pmkit.backtest.model_sets import ModelSet, beats_benchmark, model_confidence_set
from pmkit.backtest.murphy import MurphyDiagram, elementary_es_score, elementary_var_score, murphy
from pmkit.backtest.overlap import OffsetOutcomes
from pmkit.backtest.overlap_law import OverlapCounts, overlap_counts, variance_inflation
from pmkit.backtest.overlapping import overlapping_independence, overlapping_pof
from pmkit.backtest.procyclicality import (
    Procyclicality,
    ProcyclicalityFrontier,
    procyclicality,
    procyclicality_frontier,
)
from pmkit.backtest.test_result import BacktestTest
from pmkit.backtest.vol_moves import VolMoves
from pmkit.backtest.vol_path import VolPath, simulate_vol_path
from pmkit.backtest.vol_scenarios import VolScenarioRuns, run_vol_scenarios
from pmkit.backtest.walk_forward import walk_forward
from pmkit.backtest.walk_result import BacktestResult

__all__ = [
    "AsOfClock",
    "AsOfView",
    "BacktestResult",
    "BacktestTest",
    "ConstantBook",
    "EProcess",
    "FitRecord",
    "Forecast",
    "ForecastModel",
    "HitCounts",
    "HitSeries",
    "ImpulseResponse",
    "Leg",
    "ManyAccounts",
    "MarginCoverage",
    "ModelSet",
    "MurphyDiagram",
    "OffsetOutcomes",
    "OverlapCounts",
    "PitSeries",
    "Procyclicality",
    "ProcyclicalityFrontier",
    "TailSeries",
    "VolMoves",
    "VolPath",
    "VolScenarioRuns",
    "beats_benchmark",
    "elementary_es_score",
    "elementary_var_score",
    "es_tests",
    "impulse_response",
    "many_accounts",
    "margin_coverage",
    "model_confidence_set",
    "murphy",
    "overlap_counts",
    "overlapping_independence",
    "overlapping_pof",
    "procyclicality",
    "procyclicality_frontier",
    "run_vol_scenarios",
    "simulate_vol_path",
    "var_tests",
    "variance_inflation",
    "walk_forward",
]
