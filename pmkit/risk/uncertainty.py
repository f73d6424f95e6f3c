"""How sure a risk figure is: the date that matters most, and the error from a finite history."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.progress import ProgressBar
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import FloatArray
from pmkit.estimation import stationary_blocks
from pmkit.instruments import Portfolio
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk.revalue import revalue
from pmkit.risk.tail import SAME, tail_of
from pmkit.scenarios.refit import refit_scenarios
from pmkit.scenarios.scenario_set import ScenarioSet

__all__ = ["EstimationError", "Influence", "estimation_error", "leave_one_date_out", "window_error"]

Measure = Literal["ES", "VaR"]
_FEWEST_REPLICATES = 2


class Influence(NamedTuple):
    """The date whose removal changes a figure most: ISO day, figure without it, figure with it."""

    date: str
    value: float
    base: float

    @property
    def change(self) -> float:
        """Figure without the date minus figure with it."""
        return self.value - self.base


def leave_one_date_out(
    pnl: npt.ArrayLike, scenarios: ScenarioSet, level: float = 0.99, measure: Measure = "ES"
) -> Influence:
    """Return the history date whose removal changes VaR or ES most, and the figure without it.

    Paths that contain the date are left out. That is what a history without the day would have given, because
    days are drawn independently (filtered simulation) or are the windows themselves (historical simulation);
    the fitted parameters stay as they are.

    Parameters
    ----------
    pnl : array_like, shape (scenarios,)
        Profit by scenario, gain positive.
    scenarios : ScenarioSet
        With ``dates``.
    level : float
    measure : {"ES", "VaR"}

    Returns
    -------
    Influence

    Raises
    ------
    DataGapError
        The set has no dates, as a grid.
    ParameterError
        P&L of another length, unknown measure, or a level outside (0.5, 1).

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> from pmkit.scenarios.historical import historical
    >>> snap = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0})
    >>> past = load_history("crypto-daily-2020-2023")
    >>> scen = historical(past, snap, underlyings=["BTC"], horizon=1, replications=1)
    >>> leave_one_date_out(scen.column("spot", "BTC"), scen).date
    '2020-03-12'
    """
    if scenarios.dates is None or scenarios.history_dates is None:
        raise DataGapError(
            f"scenarios {scenarios.name!r} hold no dates",
            "historical or filtered scenarios",
            "leave the influence out for hypothetical sets",
        )
    if measure not in ("ES", "VaR"):
        raise ParameterError(f"measure is {measure!r}", "'ES' or 'VaR'", "name one of the two")
    tail = tail_of(pnl, level, scenarios.weights)
    dates = scenarios.dates[tail.order]
    # a path that holds a date twice is left out once
    ordered = np.sort(dates, axis=1)
    first = np.ones(ordered.shape, dtype=bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    repeated = np.broadcast_to(tail.weight[:, None], ordered.shape)
    gone = np.bincount(ordered[first], repeated[first], minlength=len(scenarios.history_dates))
    base = tail.es() if measure == "ES" else tail.threshold
    best = Influence("", base, base)
    # beyond this row nothing can enter the tail even after the heaviest date has gone
    reach = int(np.searchsorted(np.cumsum(tail.weight), (1.0 - level) + float(gone.max()) + SAME)) + 1
    top, loss, weight = dates[:reach], tail.loss[:reach], tail.weight[:reach]
    for date in np.unique(top[: tail.at + 1]):
        kept = ~(top == date).any(axis=1)
        value = _measure_of(loss[kept], weight[kept] / (1.0 - float(gone[date])), level, measure)
        if abs(value - base) > abs(best.value - base) or not best.date:
            best = Influence(f"{scenarios.history_dates[int(date)]:%Y-%m-%d}", value, base)
    return best


def _measure_of(loss: FloatArray, weight: FloatArray, level: float, measure: str) -> float:
    """VaR or ES from the upper part of a sorted loss vector whose weights are shares of the whole."""
    p = 1.0 - level
    at = min(int(np.searchsorted(np.cumsum(weight), p + SAME, side="right")), loss.size - 1)
    threshold = float(loss[at])
    if measure == "VaR":
        return threshold
    excess = np.maximum(loss[: at + 1] - threshold, 0.0)
    return threshold + float(np.add.reduce(weight[: at + 1] * excess)) / p


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class EstimationError(Result):
    """Spread of a risk figure over bootstrap replicates of the history.

    Attributes
    ----------
    values : pandas.DataFrame
        One row a replicate, one column a level: the figure.
    measure : {"ES", "VaR"}
    failed : int
        Replicates whose volatility fit did not converge; left out of ``values``.
    """

    values: pd.DataFrame
    measure: str
    failed: int = 0
    references: tuple[str, ...] = ("politis1994",)

    @property
    def se(self) -> dict[float, float]:
        """Standard error by level: standard deviation over replicates."""
        return {float(str(level)): float(column.std(ddof=1)) for level, column in self.values.items()}

    def summary(self) -> pd.DataFrame:
        """Return one row a level: standard error, mean, 5 % and 95 % quantile over replicates."""
        frame = pd.DataFrame(
            {
                "se": self.values.std(ddof=1),
                "mean": self.values.mean(),
                "q05": self.values.quantile(0.05),
                "q95": self.values.quantile(0.95),
            }
        )
        frame.index.name = f"{self.measure}, {len(self.values)} replicates, {self.failed} failed"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return one row a replicate and one column a level."""
        return self.values


def estimation_error(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    book: Portfolio,
    balances: Mapping[str, float] | None = None,
    levels: float | Sequence[float] = (0.975, 0.99),
    n_boot: int = 40,
    *,
    measure: Measure = "ES",
    numeraire: str = "USD",
    n_paths: int = 20_000,
    progress: bool | None = None,
    **design: Any,
) -> EstimationError:
    """Return the spread of ES or VaR over bootstrap replicates of the history with refitted models.

    Parameters
    ----------
    history : PriceHistory
    snapshot : MarketSnapshot
    book : Portfolio
    balances : mapping of str to float, optional
        Collateral that is revalued with the positions.
    levels : float or sequence of float
    n_boot : int
        Replicates, 2 or more; the relative error of the standard error is about ``1/sqrt(2 n_boot)``.
    measure : {"ES", "VaR"}
    numeraire : str
    n_paths : int
        Paths a replicate.
    progress : bool, optional
        Whether to show a progress bar; where left out, in a terminal, after two seconds.
    **design
        Further arguments of :func:`pmkit.scenarios.refit_scenarios`: give those of the base run.

    Returns
    -------
    EstimationError

    Raises
    ------
    ParameterError
        Fewer than two replicates, or arguments of another kind.
    DataGapError
        Fewer than two replicates could be fitted.

    Notes
    -----
    Days are resampled in blocks of mean length 20, the volatility models fitted again, and the book revalued
    on the new residual pool with the same random numbers. About 0.1 s a replicate for 60 instruments.

    References
    ----------
    Politis and Romano (1994), section 2.

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> snap = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0})
    >>> past = load_history("crypto-daily-2020-2023")
    >>> row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 100, "as_of": snap.as_of}
    >>> kind = {"underlyings": ["BTC"], "n_boot": 3, "n_paths": 1000, "vol_anchor": "filter"}
    >>> len(estimation_error(past, snap, Portfolio.from_records([row]), **kind).values)
    3
    """
    _check_replicates(n_boot, measure)
    chosen = [float(levels)] if isinstance(levels, (int, float)) else [float(x) for x in levels]
    rows: list[list[float]] = []
    failed = 0
    with ProgressBar("refits", n_boot, progress) as bar:
        for replicate in range(n_boot):
            scenarios = refit_scenarios(history, snapshot, replicate, n_paths=n_paths, **design)
            bar.advance()
            if not scenarios.provenance.parameters["converged"]:
                failed += 1
                continue
            pnl = revalue(book, snapshot, scenarios).account_pnl(book, balances=balances, numeraire=numeraire)
            tails = [tail_of(pnl, level) for level in chosen]
            rows.append([tail.es() if measure == "ES" else tail.threshold for tail in tails])
    if len(rows) < _FEWEST_REPLICATES:
        raise DataGapError(
            f"{failed} of {n_boot} refits did not converge",
            "at least two that do",
            "use more replicates or another model",
        )
    values = pd.DataFrame(rows, columns=pd.Index(chosen, name="level"))
    if not all(math.isfinite(x) for row in rows for x in row):
        raise PmkitError("a replicate's figure is not finite", "finite figures", "report this as a bug")
    return EstimationError(values=values, measure=measure, failed=failed)


def window_error(
    pnl: npt.ArrayLike,
    scenarios: ScenarioSet,
    levels: float | Sequence[float] = (0.975, 0.99),
    n_boot: int = 200,
    *,
    measure: Measure = "VaR",
    mean_block: float = 20.0,
    seed: int = 0,
) -> EstimationError:
    """Return the spread of VaR or ES over bootstrap replicates of the windows of a historical simulation.

    Windows are resampled in blocks and carry their own scenarios with them, so nothing is revalued: a
    replicate is another set of weights. There is no model to fit again.

    Parameters
    ----------
    pnl : array_like, shape (scenarios,)
        Profit by scenario, gain positive.
    scenarios : ScenarioSet
        From :func:`pmkit.scenarios.historical`: a scenario's first date names its window.
    levels : float or sequence of float
    n_boot : int
        Replicates, 2 or more.
    measure : {"VaR", "ES"}
    mean_block : float
        Mean length of a block in days, from 1 to the number of windows.
    seed : int

    Returns
    -------
    EstimationError

    Raises
    ------
    DataGapError
        The scenarios have no dates.
    ParameterError
        Fewer than two replicates, unknown measure, P&L of another length, or a block outside its range.

    References
    ----------
    Politis and Romano (1994), section 2.

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> from pmkit.scenarios.historical import historical
    >>> snap = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0})
    >>> past = load_history("crypto-daily-2020-2023")
    >>> scen = historical(past, snap, underlyings=["BTC"], horizon=1, replications=1)
    >>> round(window_error(scen.column("spot", "BTC"), scen, 0.975, n_boot=50).se[0.975], 3)
    0.005
    """
    _check_replicates(n_boot, measure)
    if scenarios.dates is None:
        raise DataGapError(
            f"scenarios {scenarios.name!r} hold no dates",
            "scenarios of a historical simulation",
            "leave the error out for hypothetical sets",
        )
    chosen = [float(levels)] if isinstance(levels, (int, float)) else [float(x) for x in levels]
    base = tail_of(pnl, chosen[0], scenarios.weights)
    names, window = np.unique(scenarios.dates[:, 0], return_inverse=True)
    window = window[base.order]
    rows = []
    for replicate in range(n_boot):
        drawn = stationary_blocks(len(names), mean_block, stream(seed, "windows", replicate))
        weight = base.weight * np.bincount(drawn, minlength=len(names))[window]
        kept = weight > 0.0
        loss, weight = base.loss[kept], weight[kept] / float(np.add.reduce(weight))
        rows.append([_measure_of(loss, weight, level, measure) for level in chosen])
    return EstimationError(values=pd.DataFrame(rows, columns=pd.Index(chosen, name="level")), measure=measure)


def _check_replicates(n_boot: int, measure: str) -> None:
    if isinstance(n_boot, bool) or not isinstance(n_boot, int) or n_boot < _FEWEST_REPLICATES:
        raise ParameterError(f"n_boot is {n_boot!r}", "a whole number of replicates, 2 or more", "correct it")
    if measure not in ("ES", "VaR"):
        raise ParameterError(f"measure is {measure!r}", "'ES' or 'VaR'", "name one of the two")
