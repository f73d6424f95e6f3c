"""Rows and picture of a walk-forward's result: refit log, outcomes of tests, P&L against margin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.var.traffic_light import BaselOutcome
from pmkit.backtest.walk.forecast import FitRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmkit.backtest.walk.walk_result import BacktestResult

__all__ = ["outcome_picture", "refit_frame", "test_row"]

_PARAMETERS = ("mu", "omega", "alpha", "gamma", "beta", "nu")


def refit_frame(records: Sequence[tuple[pd.Timestamp, FitRecord]]) -> pd.DataFrame:
    """Return the refit log: one row a fit and underlying with date, status, log-likelihood and parameters."""
    rows = [
        {
            "date": date,
            "underlying": record.underlying,
            "status": record.status,
            "used": record.used,
            "loglik": record.loglik,
            **{name: float(record.params.get(name, math.nan)) for name in _PARAMETERS},
            "flags": "; ".join(record.flags),
        }
        for date, record in records
    ]
    columns = ["date", "underlying", "status", "used", "loglik", *_PARAMETERS, "flags"]
    return pd.DataFrame(rows, columns=columns)


def test_row(level: float, name: str, offset: str, outcome: BacktestTest) -> dict[str, Any]:
    """Return one row of the table of tests."""
    return {
        "level": level,
        "test": name,
        "offset": offset,
        "n": outcome.n,
        "x": outcome.x,
        "expected": outcome.expected,
        "statistic": outcome.statistic,
        "p_asymptotic": outcome.p_asymptotic,
        "p_exact": outcome.p_exact,
        "zone": outcome.zone if isinstance(outcome, BaselOutcome) else "",
        "decision": outcome.decision,
    }


def outcome_picture(
    result: BacktestResult, ax: Axes | None = None, events: Mapping[str, Any] | None = None
) -> Axes:
    """Return axes with P&L, minus VaR, the hits, and named dates."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(9.0, 4.0), layout="constrained")
    frame = result.frame
    days = frame["until"].to_numpy()
    hit = frame["hit"].to_numpy()
    pnl = 100.0 * frame["pnl"].to_numpy()
    ax.vlines(days, 0.0, pnl, color="0.6", linewidth=0.8, label=f"P&L over {result.horizon} day(s)")
    ax.plot(
        days,
        -100.0 * frame["var"].to_numpy(),
        color="#0072B2",
        linewidth=1.2,
        label=f"−VaR {result.level:.8g}",
    )
    ax.plot(days[hit], pnl[hit], "o", color="#D55E00", markersize=4, label=f"hits: {int(hit.sum())}")
    for name, date in (events or {}).items():
        at: Any = pd.Timestamp(date)
        ax.axvline(at, color="0.3", linewidth=0.8, linestyle="--")
        ax.annotate(
            name,
            (at, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, -10),
            textcoords="offset points",
            fontsize=8,
        )
    ax.set_title(result.title, fontsize=9)
    ax.set_ylabel(f"% of notional, {result.numeraire}")
    ax.set_xlabel("end of the P&L")
    ax.legend(fontsize=8, loc="lower right", ncols=3)
    return ax
