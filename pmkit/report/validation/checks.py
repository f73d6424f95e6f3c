"""Checks of the implementation, run with the validation: published figures, no look-ahead, equal bits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from pmkit.backtest import BacktestResult, ConstantBook, var_tests, walk_forward
from pmkit.core.errors import PmkitError
from pmkit.market import PriceHistory
from pmkit.report.validation.config import ValidationConfig
from pmkit.report.validation.runs import ValidationRuns

__all__ = ["implementation_checks"]

#: Dates of the short runs: two fits at the usual schedule would cost more than they show.
_DATES = 30


class _Check(NamedTuple):
    check: str
    expected: str
    got: str
    passed: bool


def _golden(name: str, got: float, expected: float, tolerance: float = 5e-5) -> _Check:
    return _Check(name, f"{expected:.4f}", f"{got:.4f}", abs(got - expected) <= tolerance)


def _published() -> list[_Check]:
    """Return figures of the literature against those of this installation."""
    kupiec = var_tests.kupiec(n=250, x=5, p=0.01)
    chain = var_tests.christoffersen_independence(n00=240, n01=4, n10=4, n11=2, draws=99)
    zone = var_tests.basel_zone(n=250, x=10, p=0.01)
    below = 1.0 - var_tests.binomial_exact(n=250, x=5, p=0.01, alternative="greater").p_exact
    return [
        _golden("Kupiec's ratio, 5 hits in 250 at 1 %", kupiec.statistic, 1.9568),
        _golden(
            "Kupiec's ratio, 17 hits in 1,000 at 1 %",
            var_tests.kupiec(n=1000, x=17, p=0.01).statistic,
            4.0910,
        ),
        _golden("Christoffersen's ratio, transitions 240, 4, 4, 2", chain.statistic, 8.1520),
        _golden("P(4 hits or fewer) in 250 at 1 %", below, 0.8922),
        _Check(
            "Basel zone of 10 hits in 250",
            "red",
            str(getattr(zone, "zone", "")),
            getattr(zone, "zone", "") == "red",
        ),
    ]


def _short(
    config: ValidationConfig,
    book: ConstantBook,
    history: PriceHistory,
    run: BacktestResult,
    runs: ValidationRuns,
) -> BacktestResult:
    """Return the first dates of a run anew."""
    first, last = run.frame.index[0], run.frame.index[min(_DATES, len(run.frame)) - 1]
    return walk_forward(
        book, history, config.model, first, last, vol_path=runs.vol_path, **config.walk_settings
    )


def _perturbed(history: PriceHistory, last_true: pd.Timestamp) -> PriceHistory:
    """Return the history with every price after a date changed beyond recognition."""
    prices = history.prices.copy()
    later = prices.index > last_true
    prices.loc[later] *= np.linspace(0.5, 2.0, int(later.sum()))[:, None]
    return PriceHistory.from_frame(
        prices,
        calendar=history.calendar,
        source="perturbed",
        simulated=True,
    )


def _of_runs(config: ValidationConfig, runs: ValidationRuns) -> list[_Check]:
    """Return the checks that run the model again on the first dates of the first book."""
    book = config.books[0]
    run = runs.books[book.name].model
    figures = ["var", "var_es_level", "es", "sigma"]
    again = _short(config, book, runs.history, run, runs)
    same = run.frame.loc[again.frame.index, figures].equals(again.frame[figures])
    cut = again.frame.index[-1]
    changed = _short(config, book, _perturbed(runs.history, cut), run, runs)
    blind = changed.frame[figures].equals(again.frame[figures])
    legs = tuple(replace(leg, weight=2.0 * leg.weight) for leg in book.legs)
    double = replace(book, name="double", legs=legs)
    twice = _short(config, double, runs.history, run, runs).frame["var"] / again.frame["var"]
    gap = float((twice - 2.0).abs().max())
    dates = f"first {len(again.frame)} dates of {book.name}"
    return [
        _Check(f"run anew, {dates}", "equal bits", "equal bits" if same else "they differ", same),
        _Check(
            f"prices after {cut:%Y-%m-%d} changed, {dates}",
            "no forecast moves",
            "none moves" if blind else "forecasts move",
            blind,
        ),
        _Check(f"twice the position, {dates}", "twice the margin", f"within {gap:.1e}", gap < 1e-9),
    ]


def _identities(runs: ValidationRuns) -> list[_Check]:
    """Return whether every run keeps its identities, and hits counted by hand agree."""
    checks = []
    for name, book in runs.books.items():
        for run in (book.model, book.challenger):
            checks.append(_identity(f"identities of {name} under {run.model}", run.check))
        by_hand = int(np.count_nonzero(-book.model.frame["pnl"].to_numpy() > book.called.to_numpy()))
        checks.append(_Check(f"hits of {name}", str(by_hand), str(book.hits.x), by_hand == book.hits.x))
    return checks


def _identity(name: str, check: Callable[[], None]) -> _Check:
    try:
        check()
    except PmkitError as error:
        return _Check(name, "hold", str(error), False)
    return _Check(name, "hold", "hold", True)


def implementation_checks(config: ValidationConfig, runs: ValidationRuns) -> pd.DataFrame:
    """Return one row a check of the implementation: what, expected, got, passed.

    Published figures of the tests; the first dates run anew for equal bits, with later prices changed for
    look-ahead, and with twice the position for homogeneity; the identities of every run.
    """
    return pd.DataFrame([*_published(), *_of_runs(config, runs), *_identities(runs)])
