"""Steps of a walk-forward: joint scenarios, what a model or book may return, the frame of the result."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pmkit.backtest.walk.as_of import AsOfView
from pmkit.backtest.walk.book import ConstantBook
from pmkit.backtest.walk.forecast import Forecast, RandomSource
from pmkit.backtest.walk.vol_moves import VolMoves
from pmkit.backtest.walk.walk_settings import WalkSettings
from pmkit.core.errors import DataGapError, SchemaError
from pmkit.core.types import FloatArray
from pmkit.risk.tail import tail_of

__all__ = ["DateDraws", "check_forecast", "columns_of", "figures_of", "frame_of", "scenario_pnl"]


@dataclass(frozen=True)
class DateDraws:
    """The vol moves of one date's scenarios, drawn once for all books that need the same."""

    forecast: Forecast
    settings: WalkSettings
    random: RandomSource
    drawn: dict[tuple[Any, ...], tuple[FloatArray, FloatArray]] = field(default_factory=dict)

    def joint(
        self, columns: Sequence[int], book: ConstantBook, moves: VolMoves
    ) -> tuple[FloatArray, FloatArray]:
        """Return log returns and log vol moves; few returns are repeated under several vols."""
        key = (id(moves), book.underlyings, book.option_underlyings)
        if key not in self.drawn:
            log_returns = self.forecast.log_returns[:, columns]
            repeats = max(1, -(-self.settings.n_paths // log_returns.shape[0]))
            joint = np.tile(log_returns, (repeats, 1))
            needed = book.option_underlyings
            vols = moves.draw(joint, book.underlyings, self.settings.horizon, self.random, needed=needed)
            self.drawn[key] = joint, vols
        return self.drawn[key]


def scenario_pnl(
    draws: DateDraws,
    columns: Sequence[int],
    book: ConstantBook,
    iv0: FloatArray,
    days: float,
    moves: VolMoves | None,
    known: Mapping[str, Any],
) -> FloatArray:
    """Return the P&L of the book in every scenario of returns and implied vols, shape (n,).

    Vols come from the forecast where it brings them, else from the response.
    """
    forecast = draws.forecast
    log_returns = forecast.log_returns[:, columns]
    if not book.holds_options or moves is None:
        return book.pnl(log_returns, iv0, iv0, days)
    if forecast.log_vols is not None:
        vols = iv0 * np.exp(forecast.log_vols[:, columns])
        return book.pnl(log_returns, iv0, vols, days, vol_term=forecast.vol_term, **known)
    joint, drawn = draws.joint(columns, book, moves)
    return book.pnl(joint, iv0, iv0 * np.exp(drawn), days, vol_term=moves.term, **known)


def figures_of(
    pnl: FloatArray, forecast: Forecast, came: float, settings: WalkSettings
) -> tuple[float, float, float, float]:
    """Return VaR, VaR at the ES level and ES of a scenario P&L, and the model's probability of what came."""
    scale = settings.margin_scale
    if forecast.worst:
        worst = scale * max(-float(pnl.min()), 0.0)
        return worst, worst, worst, math.nan
    tail = tail_of(pnl, settings.level)
    es_tail = tail_of(-tail.loss, settings.es_level)  # sorted already
    var, es_var, es = (
        float(scale * max(value, 0.0)) for value in (tail.threshold, es_tail.threshold, es_tail.es())
    )
    below, ties = np.count_nonzero(pnl < came), np.count_nonzero(pnl == came)
    return var, es_var, es, (below + 0.5 * ties + 0.5) / (pnl.size + 1.0)


def check_forecast(forecast: Any, name: str, view: AsOfView) -> None:
    """Refuse a forecast that is not one finite return a scenario and underlying."""
    fine = isinstance(forecast, Forecast)
    if fine:
        count = len(view.underlyings)
        moves, sigma = np.asarray(forecast.log_returns), np.asarray(forecast.sigma)
        vols = forecast.log_vols
        fine = (
            moves.ndim == 2
            and moves.shape[0] > 0
            and moves.shape[1] == count
            and sigma.shape == (count,)
            and bool(np.isfinite(moves).all())
            and bool((sigma > 0.0).all())
            and (vols is None or (vols.shape == moves.shape and bool(np.isfinite(vols).all())))
        )
    if not fine:
        raise SchemaError(
            f"model {name!r} returned no usable forecast at {view.as_of.date()}",
            f"a Forecast with finite log_returns (n, {len(view.underlyings)}) and positive sigma",
            "mend the model",
        )


def columns_of(book: ConstantBook, underlyings: tuple[str, ...], view: AsOfView) -> list[int]:
    """Return the places of the book's underlyings among those of the walk."""
    if not isinstance(book, ConstantBook):
        raise SchemaError(
            f"the book at {view.as_of.date()} is a {type(book).__name__}", "a ConstantBook", "return one"
        )
    for name in book.underlyings:
        if name not in underlyings:
            raise DataGapError(
                f"the book at {view.as_of.date()} holds {name!r}",
                f"legs on {', '.join(underlyings)}",
                "give a history that holds all underlyings of the book",
            )
    return [underlyings.index(name) for name in book.underlyings]


def frame_of(
    dates: pd.DatetimeIndex, rows: Sequence[tuple[Any, ...]], sigmas: FloatArray, underlyings: tuple[str, ...]
) -> pd.DataFrame:
    """Return the frame of a result: figures and outcome by date."""
    names = ["until", "var", "var_es_level", "es", "pnl", "refit", "pit"]
    frame = pd.DataFrame(rows, columns=names, index=dates.rename("date"))
    frame.insert(5, "hit", -frame["pnl"] > frame["var"])
    frame.insert(6, "hit_es_level", -frame["pnl"] > frame["var_es_level"])
    frame.insert(7, "sigma", sigmas[:, 0])
    for at, name in enumerate(underlyings[1:], start=1):
        frame.insert(7 + at, f"sigma_{name}", sigmas[:, at])
    return frame
