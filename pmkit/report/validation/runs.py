"""What a validation runs: the model, its challenger and the parts of each book along one history."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pmkit.backtest import (
    BacktestResult,
    ConstantBook,
    HitSeries,
    TailSeries,
    VolPath,
    WalkSensitivity,
    called_margin,
    simulate_vol_path,
    walk_forward,
    walk_sensitivity,
)
from pmkit.market import PriceHistory
from pmkit.report.validation.config import ValidationConfig

__all__ = ["APC_STRENGTHS", "BookRuns", "ValidationRuns", "run_validation"]

#: Strengths of the tools of a configuration: the quarters of EMIR article 28.
APC_STRENGTHS: dict[str, dict[str, float]] = {
    "none": {},
    "buffer": {"buffer": 0.25},
    "stress-weight": {"stress_weight": 0.25},
}


@dataclass(frozen=True, kw_only=True)
class BookRuns:
    """Walk-forwards of one book.

    Attributes
    ----------
    model, challenger : BacktestResult
    called : Series
        Margin after the tool against procyclicality, per unit of notional; that of the model without one.
    alone : mapping of str to Series
        Margin of the legs of each underlying alone; empty where the book has one underlying.
    """

    model: BacktestResult
    challenger: BacktestResult
    called: pd.Series
    alone: Mapping[str, pd.Series]

    @property
    def hits(self) -> HitSeries:
        """Losses strictly beyond the called margin."""
        run = self.model
        return HitSeries.from_losses(
            -run.frame["pnl"], self.called, p=round(1.0 - run.level, 12), horizon=run.horizon, step=1.0
        )

    @staticmethod
    def tail(run: BacktestResult) -> TailSeries:
        """Losses with VaR and ES at the level of ES."""
        f: Any = run.frame
        return TailSeries(
            loss=-f["pnl"],
            var=f["var_es_level"],
            es=f["es"],
            level=run.es_level,
            horizon=run.horizon,
            step=1.0,
        )


@dataclass(frozen=True, kw_only=True)
class ValidationRuns:
    """All runs of one validation.

    Attributes
    ----------
    history : PriceHistory
        Cut to the underlyings of the books.
    books : mapping of str to BookRuns
    sensitivity : WalkSensitivity or None
        Of the first book.
    vol_path : VolPath or None
        Implied vols by which options are marked.
    """

    history: PriceHistory
    books: Mapping[str, BookRuns]
    sensitivity: WalkSensitivity | None
    vol_path: VolPath | None

    @property
    def n(self) -> int:
        """Forecasts of each book."""
        return len(next(iter(self.books.values())).model.frame)


def run_validation(
    config: ValidationConfig, history: PriceHistory, progress: Callable[[str], None] | None = None
) -> ValidationRuns:
    """Return every walk-forward that the report of a configuration needs.

    Parameters
    ----------
    config : ValidationConfig
    history : PriceHistory
        Daily closes of all underlyings of the books.
    progress : callable, optional
        Told in words what begins.

    Raises
    ------
    DataGapError, ParameterError, ConventionError
        As :func:`pmkit.backtest.walk_forward`.
    """
    say = progress or (lambda _text: None)
    names = list(dict.fromkeys(name for book in config.books for name in book.underlyings))
    history = history.select(names)
    options = any(book.holds_options for book in config.books)
    vols = simulate_vol_path(history, underlyings=names, seed=config.seed) if options else None

    def walk(book: ConstantBook, model: str, what: str) -> BacktestResult:
        say(what)
        return walk_forward(
            book, history, model, config.start, config.end, vol_path=vols, **config.walk_settings
        )

    books = {}
    for book in config.books:
        run = walk(book, config.model, f"{book.name} under {config.model}")
        other = walk(book, config.challenger, f"{book.name} under {config.challenger}")
        alone = {}
        for name in book.underlyings if len(book.underlyings) > 1 else ():
            part = ConstantBook(
                name=f"{book.name}, {name} alone",
                legs=tuple(leg for leg in book.legs if leg.underlying == name),
                delta_hedged=book.delta_hedged,
                numeraire=book.numeraire,
            )
            alone[name] = walk(part, config.model, part.name).margin
        books[book.name] = BookRuns(
            model=run,
            challenger=other,
            called=called_margin(run.margin, **APC_STRENGTHS[config.apc]),
            alone=alone,
        )
    sensitivity = None
    if config.sensitivity:
        first = config.books[0]
        say(f"sensitivities of {first.name} to {', '.join(config.sensitivity)}")
        sensitivity = walk_sensitivity(
            first,
            history,
            config.model,
            config.start,
            config.end,
            values=config.sensitivity,
            base=books[first.name].model,
            vol_path=vols,
            tools=APC_STRENGTHS[config.apc],
            **config.walk_settings,
        )
    return ValidationRuns(history=history, books=books, sensitivity=sensitivity, vol_path=vols)
