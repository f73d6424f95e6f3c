"""The front door: the promised names resolve, and `dir(pmkit)` lists them and nothing else."""

from __future__ import annotations

import importlib
import inspect
from functools import reduce

import pytest

import pmkit as pm

ROOMS = (
    "backtest",
    "datasets",
    "estimation",
    "instruments",
    "liquidation",
    "margin",
    "market",
    "optimize",
    "pricing",
    "report",
    "risk",
    "scenarios",
    "surface",
)
CLASSES = (
    "Account",
    "BacktestResult",
    "FactorModel",
    "MarginResult",
    "MarketSnapshot",
    "PmkitError",
    "PmkitWarning",
    "PnLCube",
    "Portfolio",
    "PriceHistory",
    "Quotes",
    "RiskFigure",
    "ScenarioSet",
)
PROMISED = (
    "Account.from_csv",
    "Account.from_frame",
    "Account.from_records",
    "Portfolio.from_csv",
    "Portfolio.from_frame",
    "Portfolio.from_records",
    "Portfolio.to_frame",
    "MarginResult.explain",
    "PnLCube.account_pnl",
    "backtest.var_tests.basel_zone",
    "backtest.var_tests.christoffersen",
    "backtest.var_tests.kupiec",
    "backtest.walk_forward",
    "datasets.list",
    "datasets.load",
    "estimation.fit_volatility",
    "margin.compare",
    "margin.rule",
    "market.load_history",
    "market.load_snapshot",
    "pricing.black76",
    "pricing.greeks",
    "pricing.implied_vol",
    "risk.expected_shortfall",
    "risk.revalue",
    "risk.value_at_risk",
    "scenarios.filtered_historical",
    "scenarios.grid",
    "scenarios.historical",
)
RESULTS = ("Account", "BacktestResult", "MarginResult", "PnLCube", "RiskFigure", "ScenarioSet")
RESULT_METHODS = ("summary", "to_frame", "to_dict", "cite", "_repr_html_")


def test_dir_lists_the_curated_names() -> None:
    assert [name for name in dir(pm) if not name.startswith("_")] == sorted(ROOMS + CLASSES)


def test_export_list_equals_dir() -> None:
    assert set(pm.__all__) - {"__version__"} == set(ROOMS + CLASSES)


@pytest.mark.parametrize("name", ROOMS + CLASSES)
def test_curated_name_resolves(name: str) -> None:
    found = getattr(pm, name)
    assert inspect.ismodule(found) if name in ROOMS else inspect.isclass(found)


@pytest.mark.parametrize("path", PROMISED)
def test_promised_name_is_callable_and_described(path: str) -> None:
    found = reduce(getattr, path.split("."), pm)
    assert callable(found)
    assert inspect.getdoc(found)


@pytest.mark.parametrize("name", RESULTS)
def test_results_show_themselves_alike(name: str) -> None:
    kind = getattr(pm, name)
    assert [method for method in RESULT_METHODS if not callable(getattr(kind, method, None))] == []


def test_unknown_name_is_refused_by_name() -> None:
    with pytest.raises(AttributeError, match="no_such_room"):
        _ = pm.no_such_room


@pytest.mark.parametrize("room", [room for room in ROOMS if room != "datasets"])
def test_room_exports_what_it_lists(room: str) -> None:
    module = importlib.import_module(f"pmkit.{room}")
    assert module.__all__
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
