"""Steps of a walk-forward: joint scenarios, what a model or book may return, the frame of the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pmkit.backtest.walk.as_of import AsOfView
from pmkit.backtest.walk.book import ConstantBook
from pmkit.backtest.walk.forecasters import Forecast, RandomSource
from pmkit.backtest.walk.vol_moves import VolMoves
from pmkit.backtest.walk.walk_settings import WalkSettings
from pmkit.core.errors import DataGapError, SchemaError
from pmkit.core.types import FloatArray

__all__ = ["check_forecast", "columns_of", "frame_of", "scenarios_of"]


def scenarios_of(
    log_returns: FloatArray,
    book: ConstantBook,
    iv0: FloatArray,
    moves: VolMoves | None,
    settings: WalkSettings,
    random: RandomSource,
) -> tuple[FloatArray, FloatArray]:
    """Return the joint scenarios of returns and implied vols; few returns are repeated under several vols."""
    if not book.holds_options or moves is None:
        return log_returns, iv0
    repeats = max(1, -(-settings.n_paths // log_returns.shape[0]))
    joint = np.tile(log_returns, (repeats, 1))
    needed = book.option_underlyings
    return joint, iv0 * np.exp(moves.draw(joint, book.underlyings, settings.horizon, random, needed=needed))


def check_forecast(forecast: Any, name: str, view: AsOfView) -> None:
    """Refuse a forecast that is not one finite return a scenario and underlying."""
    fine = isinstance(forecast, Forecast)
    if fine:
        count = len(view.underlyings)
        moves, sigma = np.asarray(forecast.log_returns), np.asarray(forecast.sigma)
        fine = (
            moves.ndim == 2
            and moves.shape[0] > 0
            and moves.shape[1] == count
            and sigma.shape == (count,)
            and bool(np.isfinite(moves).all())
            and bool((sigma > 0.0).all())
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
    names = ["until", "var", "var_es_level", "es", "pnl", "refit"]
    frame = pd.DataFrame(rows, columns=names, index=dates.rename("date"))
    frame.insert(5, "hit", -frame["pnl"] > frame["var"])
    frame.insert(6, "hit_es_level", -frame["pnl"] > frame["var_es_level"])
    frame.insert(7, "sigma", sigmas[:, 0])
    for at, name in enumerate(underlyings[1:], start=1):
        frame.insert(7 + at, f"sigma_{name}", sigmas[:, at])
    return frame
