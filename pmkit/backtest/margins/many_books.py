"""Many books under one model: coverage of each, and what their common dates allow to say of all together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.backtest.es.process import Betting, average_e_processes, e_process
from pmkit.backtest.es.wealth import EProcess
from pmkit.backtest.margins.coverage import MarginCoverage, margin_coverage
from pmkit.backtest.margins.many_accounts import ManyAccounts, many_accounts
from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.es_series import TailSeries
from pmkit.backtest.walk.walk_result import BacktestResult
from pmkit.core.errors import ConventionError, ParameterError, PmkitError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ManyBooks", "many_books"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ManyBooks(Result):
    """Books of one model along the same dates: coverage, adjusted p-values, bootstrap of dates, wealth.

    Attributes
    ----------
    coverage : MarginCoverage
        Breaches by book, group and date, on every date.
    accounts : ManyAccounts
        Exact p-value of each book, adjusted for their number, and the rate of all with whole dates resampled.
    processes : mapping of str to EProcess
        Wealth of a bet against the margin of each book.
    average : EProcess
        Their mean: one monitor for all books.
    model, title : str
        Model, and whether the P&L is model-marked.
    apart : int
        Steps between the dates used by ``accounts`` and ``processes``: the horizon.
    """

    coverage: MarginCoverage
    accounts: ManyAccounts
    processes: Mapping[str, EProcess]
    average: EProcess
    model: str
    title: str
    apart: int = 1
    provenance: Provenance = field(default_factory=lambda: Provenance(method="backtest.many_books"))
    references: tuple[str, ...] = ("benjamini2001", "efron1993", "wang2022", "vovk2021", "cpmi2012")

    @property
    def objections(self) -> tuple[str, ...]:
        """Which of the three looks at the books object: ``books``, ``rate``, ``wealth``; empty if none."""
        found = {
            "books": bool(self.accounts.table["rejected"].any()),
            "rate": not self.accounts.covers,
            "wealth": self.average.largest >= 1.0 / self.accounts.alpha,
        }
        return tuple(name for name, objects in found.items() if objects)

    def summary(self) -> pd.DataFrame:
        """Return one row: books, dates, breaches against expectation, rate, rejected books, wealth."""
        row = self.accounts.summary().reset_index(drop=True).rename(columns={"accounts": "books"})
        crossed = self.average.crossing(1.0 / self.accounts.alpha)
        reached = "" if crossed is None or self.average.dates is None else self.average.dates[crossed - 1]
        row["wealth"] = self.average.final
        row["largest wealth"] = self.average.largest
        row["objected on"] = f"{reached:%Y-%m-%d}" if isinstance(reached, pd.Timestamp) else ""
        row["objections"] = ", ".join(self.objections)
        row.index = pd.Index([self.model], name="model")
        return row

    def to_frame(self) -> pd.DataFrame:
        """Return one row a book, lowest p-value first: coverage, breaches, p-values, wealth.

        ``n``, ``breaches``, ``coverage`` and the sizes of breaches are of every date; ``n_apart`` and
        ``breaches_apart`` are those that share no days and stand behind the p-values.
        """
        table = self.accounts.table.rename(columns={"n": "n_apart", "breaches": "breaches_apart"})
        found = table.join(self.coverage.by_account())
        found["wealth"] = pd.Series({name: path.final for name, path in self.processes.items()})
        found["largest_wealth"] = pd.Series({name: path.largest for name, path in self.processes.items()})
        sizes = ["mean_breach", "max_breach", "mean_breach_of_margin", "max_breach_of_margin"]
        order = ["n", "breaches", "coverage", *sizes, "n_apart", "breaches_apart", "p_value", "p_adjusted"]
        return found[[*order, "rejected", "wealth", "largest_wealth"]].rename_axis("book")

    def check(self) -> None:
        """Raise unless the parts cover the same books and dates, and wealth averages to the average."""
        self.coverage.check()
        self.accounts.check()
        names = set(self.coverage.margin.columns)
        mean = np.mean([path.wealth for path in self.processes.values()], axis=0)
        same = names == set(self.processes) == set(self.accounts.table.index)
        if not same or not np.allclose(mean, self.average.wealth, rtol=1e-9):
            raise PmkitError("the parts are of other books", "one set of books", "let many_books build it")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the wealth of each bet and of their mean, and the wealth that objects."""
        axes = new_axes(ax)
        for path in (*self.processes.values(), self.average):
            days = range(1, path.n + 1) if path.dates is None else path.dates.to_numpy()
            mean = path is self.average
            axes.plot(
                days,
                np.maximum(path.wealth, 1e-4),
                label="mean" if mean else None,
                color="#D55E00" if mean else "0.7",
                linewidth=1.8 if mean else 0.7,
            )
        axes.axhline(1.0 / self.accounts.alpha, color="0.3", linewidth=0.8, linestyle="--")
        axes.set(yscale="log", ylabel="wealth of the bet against the margin", title=self.title)
        axes.legend(frameon=False)
        return axes


def _common(runs: Mapping[str, BacktestResult]) -> BacktestResult:
    """Return the first run, after checking that all are of one model, level, horizon and range of dates."""
    if not isinstance(runs, Mapping) or not runs:
        raise ParameterError(
            "there is no run", "a mapping of names to BacktestResult", "pass what walk_books returned"
        )
    for name, run in runs.items():
        if not isinstance(run, BacktestResult):
            raise ParameterError(
                f"run {name!r} is of type {type(run).__name__}", "a BacktestResult", "walk forward first"
            )
    first = next(iter(runs.values()))
    for name, run in runs.items():
        for word in ("model", "level", "horizon"):
            mine, other = getattr(run, word), getattr(first, word)
            if mine != other:
                raise ConventionError(
                    f"{word} of {name!r} is {mine!r}, of the first book {other!r}",
                    "books under one model, at one level and horizon",
                    "walk them together with walk_books",
                )
        if not run.frame.index.equals(first.frame.index):
            raise SchemaError(
                f"{name!r} has other dates than the first book ({len(run.frame)} against {len(first.frame)})",
                "the same dates for all books",
                "walk them together with walk_books",
            )
    return first


def many_books(
    runs: Mapping[str, BacktestResult],
    *,
    groups: Mapping[str, str] | None = None,
    betting: Betting = "gree",
    alpha: float = 0.05,
    draws: int = 2_000,
    seed: int = 0,
) -> ManyBooks:
    """Return coverage of each book under one model, and inference on all of them on their common dates.

    Use it on random or real books of :func:`walk_books`: a margin that covers each coin alone may fail on
    offsets, and twenty books that fail on one day are one piece of evidence, not twenty.

    Parameters
    ----------
    runs : mapping of str to BacktestResult
        Books under one model, at one level and horizon, over the same dates.
    groups : mapping of str to str, optional
        Group of each book, for ``coverage.by_group()``.
    betting : {"gree", "grel", "grem", "constant"}
        How the bet against the margin is chosen, as in :func:`pmkit.backtest.es_tests.e_process`.
    alpha : float
        False discovery rate, one minus the confidence of the rate, and inverse of the wealth that objects.
    draws : int
        Bootstrap samples of dates, 99 or more.
    seed : int
        Root seed.

    Returns
    -------
    ManyBooks

    Raises
    ------
    ParameterError
        No run, or something else than one; settings outside their domain.
    ConventionError, SchemaError
        Books under several models, levels or horizons, or over other dates; a book without a group.

    Notes
    -----
    Three looks at once. The exact binomial p-value of each book is adjusted for their number under any
    dependence. The rate of all is judged with whole dates resampled. The mean of bets on I/p is a bet itself
    whatever the dependence, and may be read on any day. Losses over h days share days: p-values, bootstrap
    and bets then use every h-th date alone, coverage all.

    References
    ----------
    Benjamini and Yekutieli (2001), theorem 1.3; Efron and Tibshirani (1993); Wang, Wang and Ziegel (2022);
    Vovk and Wang (2021), proposition 3.1.

    Examples
    --------
    >>> from pmkit.backtest import random_books, walk_books
    >>> from pmkit.market import load_history
    >>> drawn = random_books(["BTC", "ETH"], count=3, kinds=["long_short"], seed=1)
    >>> books = {book.name: book for book in drawn}
    >>> history = load_history("crypto-daily-2020-2023")
    >>> found = many_books(walk_books(books, history, "hs", "2022-01-01", "2022-12-30"))
    >>> found.accounts.total, found.objections
    (7, ())
    """
    first, level = _common(runs), check_alpha(alpha)
    p = round(1.0 - first.level, 12)
    margin = pd.DataFrame({name: run.frame["var"] for name, run in runs.items()})
    pnl = pd.DataFrame({name: run.frame["pnl"] for name, run in runs.items()})
    apart = slice(0, None, first.horizon)
    thin = margin_coverage(margin.iloc[apart], pnl.iloc[apart])
    processes = {}
    for name in runs:
        asked = margin[name].iloc[apart].to_numpy(dtype=np.float64)
        series = TailSeries(
            loss=-pnl[name].iloc[apart].to_numpy(dtype=np.float64),
            var=asked,
            es=np.where(asked > 0.0, asked, 1.0),  # only VaR is bet against, and an ES of 0 is refused
            level=1.0 - p,
            horizon=first.horizon,
            step=first.horizon,
            dates=pd.DatetimeIndex(margin.index[apart]),
        )
        processes[name] = e_process(series, measure="var", betting=betting)
    marked = any(run.model_marked for run in runs.values())
    last = math.ceil(len(margin) / first.horizon)
    return ManyBooks(
        coverage=margin_coverage(margin, pnl, groups=groups),
        accounts=many_accounts(thin, p=p, alpha=level, draws=draws, seed=seed),
        processes=processes,
        average=average_e_processes(list(processes.values())),
        model=first.model,
        title=f"{len(runs)} books, {first.model}, {last} dates apart"
        + (", P&L model-marked" if marked else ""),
        apart=first.horizon,
        provenance=Provenance(
            method="backtest.many_books",
            data={name: run.provenance.id for name, run in runs.items()},
            parameters={"alpha": level, "draws": draws, "betting": betting},
            seed=seed,
            simulated=any(run.provenance.simulated for run in runs.values()),
        ),
    )
