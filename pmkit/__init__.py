"""Portfolio margin for crypto and listed derivatives: a research toolkit for notebooks.

One picture carries it: a matrix of unit P&L (scenarios × instruments), a vector of positions, and a
functional that turns the account's P&L into a requirement. The names below are loaded when they are first
used, so that importing pmkit costs next to nothing.

Examples
--------
>>> import pmkit as pm
>>> round(float(pm.pricing.black76(100.0, 100.0, 1.0, 0.2)), 6)
7.965567
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pmkit import (
        backtest,
        estimation,
        instruments,
        liquidation,
        margin,
        market,
        optimize,
        pricing,
        report,
        risk,
        scenarios,
        surface,
    )
    from pmkit.backtest import BacktestResult
    from pmkit.core.errors import PmkitError, PmkitWarning
    from pmkit.core.protocols import FactorModel
    from pmkit.instruments import Portfolio
    from pmkit.margin import Account, MarginResult
    from pmkit.market import MarketSnapshot, PriceHistory, Quotes, datasets
    from pmkit.risk import PnLCube, RiskFigure
    from pmkit.scenarios import ScenarioSet

__version__ = "0.1.0"

__all__ = [
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
    "__version__",
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
]

#: Where each class is kept; every other name of the list is a room of its own.
_HOMES = {
    "Account": "margin",
    "BacktestResult": "backtest",
    "FactorModel": "core.protocols",
    "MarginResult": "margin",
    "MarketSnapshot": "market",
    "PmkitError": "core.errors",
    "PmkitWarning": "core.errors",
    "PnLCube": "risk",
    "Portfolio": "instruments",
    "PriceHistory": "market",
    "Quotes": "market",
    "RiskFigure": "risk",
    "ScenarioSet": "scenarios",
    "datasets": "market",
}


def __getattr__(name: str) -> Any:
    """Load a curated name on first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'pmkit' has no attribute {name!r}; it offers {', '.join(__all__)}")
    home = _HOMES.get(name)
    found = import_module(f"pmkit.{name}") if home is None else getattr(import_module(f"pmkit.{home}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the curated names, whatever else has been imported meanwhile."""
    return sorted(__all__)
