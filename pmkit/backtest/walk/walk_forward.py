"""Walk-forward: at each close a forecast from the past alone, then the loss that came."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

import pandas as pd

from pmkit.backtest.walk.forecast import ForecastModel
from pmkit.backtest.walk.forecasters import forecast_model
from pmkit.backtest.walk.vol_moves import VolMoves
from pmkit.backtest.walk.vol_path import VolPath
from pmkit.backtest.walk.walk_result import BacktestResult
from pmkit.backtest.walk.walk_run import Book, Track, WalkPlan, run_tracks
from pmkit.backtest.walk.walk_settings import check_settings
from pmkit.market.history import PriceHistory
from pmkit.scenarios.response import FactorResponse

__all__ = ["Book", "walk_forward"]


def walk_forward(
    book: Book | str,
    history: PriceHistory,
    model: str | ForecastModel = "fhs",
    start: Any = None,
    end: Any = None,
    *,
    horizon: int = 1,
    window: int = 365,
    refit_every: int = 20,
    level: float = 0.99,
    es_level: float = 0.975,
    n_paths: int = 5000,
    vol_path: VolPath | pd.DataFrame | str | None = None,
    response: VolMoves | FactorResponse | str | None = None,
    seed: int = 20260801,
    margin_scale: float = 1.0,
    shift: int = 0,
    parameters: Mapping[str, Any] | None = None,
    engine: Literal["arch", "newton"] = "arch",
    min_tail: float = 10.0,
    error_below: float = 3.0,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 50,
    progress: Callable[[int, int], None] | None = None,
) -> BacktestResult:
    """Return VaR and ES for each date of a history, forecast from its past alone, with the P&L that came.

    At the close of date t the model sees returns up to t; the figures are for the P&L from t to t +
    ``horizon``, which is recorded under t. P&L is per unit of notional.

    Parameters
    ----------
    book : ConstantBook, name of a preset, or callable
        A callable is handed the :class:`AsOfView` of each date and returns the book for it; its underlyings
        are then all assets of ``history`` (cut it with ``history.select`` first).
    history : PriceHistory
        Daily closes.
    model : {"fhs", "hs", "gjr-t", "fhs-joint", "evt", "ewma-normal", "matrix"} or object
        Filtered historical, plain historical, parametric, filtered with a correlation that moves, filtered
        with Pareto tails, normal with exponential weights, the worst cell of a fixed table; or an object with
        ``name``, ``fit`` and ``forecast`` as in :class:`ForecastModel`.
    start, end : date, optional
        First and last date t, both included. By default the first date with a full window before it, and the
        last date whose outcome is known.
    horizon : int
        Dates from t to the end of the P&L, 1 or more. Above 1 the outcomes overlap.
    window : int
        Returns that the model uses, the last one ending at t.
    refit_every : int
        Dates between fits; between them the filter runs on with the parameters held.
    level, es_level : float
        Levels of VaR, and of ES with its own VaR, in (0.5, 1).
    n_paths : int
        Simulated paths a date where there is simulation: beyond one day, with options, and for ``gjr-t``.
    vol_path : VolPath, DataFrame or {"low", "base", "high", "har", "heston", "jumps"}, optional
        Implied vols by which options are marked: a path, or a size of vol-of-vol or a law
        (:func:`pmkit.backtest.vol_law_paths`) by name; simulated with base vol-of-vol where None. A DataFrame
        counts as observed.
    response : VolMoves, FactorResponse or str, optional
        How the margin model moves implied vol: a law, or a set of :func:`pmkit.scenarios.factor_response` by
        object or id; the shipped estimate where None. Used only where options are held.
    seed : int
        Root seed, 0 or more. Each date draws from its own stream.
    margin_scale : float
        Factor on VaR and ES after the model, for tests of the tests; above 0.
    shift : int
        Days by which forecasts are stale: the figures at t are those that the model gave at t - shift.
    parameters : mapping, optional
        Of the model by name. For ``fhs`` and ``gjr-t`` known GJR-t parameters in decimal-return units, bare
        or by underlying: nothing is fitted. ``decay`` of ``fhs-joint`` and ``ewma-normal``, ``tail_share`` of
        ``evt``, ``price``, ``vol_up``, ``vol_down`` and ``steps`` of ``matrix``.
    engine : {"arch", "newton"}
        Who maximises the likelihood at a refit. ``newton`` is tens of times faster.
    min_tail, error_below : float
        Independent observations n·p/h beyond the level below which the ES tail is called thin in
        ``warnings``, and below which it is refused. For VaR it is only said: a quantile is judged by its
        hits.
    checkpoint : path, optional
        File from which a run that was stopped goes on, to the same bits; it is written every
        ``checkpoint_every`` dates and at the end. Models and callable books must be :class:`Resumable`.
    checkpoint_every : int
        Dates between two writes, 1 or more.
    progress : callable, optional
        Told after each date how many of how many are done.

    Returns
    -------
    BacktestResult

    Raises
    ------
    DataGapError
        A start before the first date with a full window (named), an end whose outcome is not known, missing
        prices or vols.
    LookAheadError
        A model asks for data after its date.
    ThinTailError
        The ES tail rests on fewer than ``error_below`` independent observations.
    ParameterError, ConventionError, SchemaError
        Arguments outside their domain, vols in percent, unsorted dates, a model that returns something else,
        a checkpoint of another run.

    Notes
    -----
    VaR is the left-continuous empirical quantile, ES the tail mean with fractional weight, as in
    :func:`pmkit.risk.expected_shortfall`; both are floored at 0. The empirical quantile of a window of n has
    a hit probability slightly above 1 - level even for independent returns: 4/366 at n = 365 and 99 %. The
    margin model's response of vol to spot is a fixed parameter set; the shipped one was observed after
    2020-2023, which the result says.

    References
    ----------
    Barone-Adesi, Giannopoulos and Vosper (1999); Glosten, Jagannathan and Runkle (1993), equation (8a);
    Acerbi and Tasche (2002).

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> history = load_history("crypto-daily-2020-2023")
    >>> result = walk_forward("long_btc", history, "hs", "2021-05-18", "2021-05-19")
    >>> result.frame[["var", "pnl", "hit"]].round(4).values.tolist()
    [[0.0993, -0.1377, True], [0.1024, 0.1022, False]]
    """
    settings = check_settings(
        horizon, window, refit_every, level, es_level, n_paths, seed, margin_scale, shift
    )
    track = Track.of(book, history, vol_path, response, seed)
    under_test = (
        forecast_model(model, settings.window, parameters, engine) if isinstance(model, str) else model
    )
    plan = WalkPlan(
        history=history,
        model=under_test,
        settings=settings,
        start=start,
        end=end,
        parameters=parameters,
        engine=engine,
        min_tail=min_tail,
        error_below=error_below,
    )
    return run_tracks(
        [track], plan, checkpoint=checkpoint, checkpoint_every=checkpoint_every, progress=progress
    )[0]
