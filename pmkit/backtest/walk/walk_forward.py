"""Walk-forward: at each close a forecast from the past alone, then the loss that came."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from pmkit.backtest.walk.as_of import AsOfClock, AsOfView
from pmkit.backtest.walk.book import ConstantBook
from pmkit.backtest.walk.checkpoint import Checkpoint, WalkProgress
from pmkit.backtest.walk.forecasters import ForecastModel, forecast_model
from pmkit.backtest.walk.vol_moves import VolMoves
from pmkit.backtest.walk.vol_path import VolPath, simulate_vol_path
from pmkit.backtest.walk.walk_notes import conventions, fit_warnings, hindsight, thin_tails
from pmkit.backtest.walk.walk_result import BacktestResult, refit_frame
from pmkit.backtest.walk.walk_settings import check_settings, walk_positions
from pmkit.backtest.walk.walk_steps import check_forecast, columns_of, frame_of, scenarios_of
from pmkit.core.errors import ConventionError, SchemaError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.random import stream
from pmkit.market.history import PriceHistory
from pmkit.risk.tail import tail_of
from pmkit.scenarios.response import FactorResponse

__all__ = ["Book", "walk_forward"]

Book = ConstantBook | Callable[[AsOfView], ConstantBook]
"""A book that is the same every day, or a rule that sets it up from what is known at each close."""


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
    model : {"fhs", "hs", "gjr-t"} or object
        Filtered historical, plain historical, parametric; or an object with ``name``, ``fit`` and
        ``forecast`` as in :class:`ForecastModel`.
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
    vol_path : VolPath, DataFrame or {"low", "base", "high"}, optional
        Implied vols by which options are marked; simulated with base vol-of-vol where None. A DataFrame
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
        Known GJR-t parameters in decimal-return units, bare or by underlying: nothing is fitted.
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
    if not isinstance(book, (str, ConstantBook)) and not callable(book):
        raise ConventionError(
            f"the book is a {type(book).__name__}",
            "a ConstantBook, the name of a preset, or a callable",
            "positions expire: describe them by maturity with ConstantBook.from_legs, or take a preset",
        )
    if isinstance(book, str):
        book = ConstantBook.preset(book)
    if not isinstance(history, PriceHistory):
        raise SchemaError(
            f"history is a {type(history).__name__}",
            "a PriceHistory",
            "use pm.market.load_history, or PriceHistory.from_frame",
        )
    fixed = isinstance(book, ConstantBook)
    underlyings = (
        book.underlyings if isinstance(book, ConstantBook) else tuple(map(str, history.prices.columns))
    )
    with_options = book.holds_options if isinstance(book, ConstantBook) else True
    vols = _vol_path(vol_path, history, underlyings, seed) if with_options else None
    clock = AsOfClock(history, underlyings, vols)
    positions = walk_positions(clock, start, end, settings)
    daily = clock.periods_per_year == 365
    clock.check_complete(
        positions[0] - settings.window - settings.shift, positions[-1] + horizon, daily=daily
    )
    clock.check_vols(positions[0], positions[-1] + horizon)
    moves = VolMoves.of(response) if with_options else None
    under_test = forecast_model(model, settings.window, parameters) if isinstance(model, str) else model
    days = settings.horizon * 365.0 / clock.periods_per_year

    name = str(getattr(book, "name", getattr(book, "__name__", type(book).__name__)))
    identity = Provenance(
        method=f"backtest.walk_forward {under_test.name}",
        data={
            history.source: history.fingerprint,
            "book": str(getattr(book, "fingerprint", name)),
        },
        parameters={
            **settings._asdict(),
            "start": str(clock.dates[positions[0]].date()),
            "end": str(clock.dates[positions[-1]].date()),
            "parameters": None if parameters is None else dict(parameters),
            "constant book": fixed,
        },
        seed=settings.seed,
    )
    memory: tuple[Any, ...] = (under_test,) if fixed else (under_test, book)
    kept = None
    found = WalkProgress()
    if checkpoint is not None:
        key = fingerprint(identity.id, vols.provenance.id if vols else "", moves.name if moves else "")
        kept = Checkpoint.at(checkpoint, key, checkpoint_every, *memory)
        found = kept.load(*memory)
    for number in range(found.done, len(positions)):
        position = positions[number]
        view = clock.at(position)
        seen = view if settings.shift == 0 else clock.at(position - settings.shift)
        random = partial(stream, settings.seed, "walk_forward", str(seen.as_of.date()))
        refit = number % settings.refit_every == 0
        if refit:
            found.records += [(view.as_of, record) for record in under_test.fit(seen) or ()]
        forecast = under_test.forecast(
            seen, horizon=settings.horizon, n_paths=settings.n_paths, random=random
        )
        check_forecast(forecast, under_test.name, view)
        found.history_days = min(found.history_days, forecast.history_days)
        today = book if isinstance(book, ConstantBook) else book(view)
        columns = columns_of(today, underlyings, view)
        found.held_options = found.held_options or today.holds_options
        iv0 = view.iv()[columns]
        scenario_moves, iv1 = scenarios_of(
            forecast.log_returns[:, columns], today, iv0, moves, settings, random
        )
        term = moves.term if today.holds_options and moves is not None else None
        pnl = today.pnl(scenario_moves, iv0, iv1, days, vol_term=term)
        tail, es_tail = tail_of(pnl, settings.level), tail_of(pnl, settings.es_level)
        var, es_var, es = (
            float(settings.margin_scale * max(value, 0.0))
            for value in (tail.threshold, es_tail.threshold, es_tail.es())
        )
        outcome, before, after = clock.outcome(position, settings.horizon)
        came = float(today.pnl(outcome[None, columns], before[columns], after[None, columns], days)[0])
        found.rows.append((clock.dates[position + settings.horizon], var, es_var, es, came, refit))
        found.sigmas.append(forecast.sigma)
        last = found.done == len(positions)
        if kept is not None and (last or found.done % kept.every == 0):
            kept.save(found, *memory)
        if progress is not None:
            progress(found.done, len(positions))

    held_options = found.held_options
    thin = thin_tails(found.history_days, settings, min_tail, error_below)
    frame = frame_of(clock.dates[positions], found.rows, np.array(found.sigmas), underlyings)
    simulated_vols = held_options and vols is not None and vols.simulated
    fits = refit_frame(found.records)
    return BacktestResult(
        book=name,
        model=under_test.name,
        numeraire=book.numeraire if isinstance(book, ConstantBook) else "USD",
        horizon=settings.horizon,
        level=settings.level,
        es_level=settings.es_level,
        frame=frame,
        refits=fits,
        margin_scale=settings.margin_scale,
        shift=settings.shift,
        vol_label=vols.label if held_options and vols is not None else "",
        model_marked=simulated_vols,
        warnings=(*thin, *hindsight(moves if held_options else None, frame), *fit_warnings(fits)),
        notes=conventions(held_options, vols, moves, settings),
        provenance=replace(
            identity,
            data={
                **identity.data,
                **({"vol path": vols.provenance.id} if held_options and vols is not None else {}),
            },
            parameters={
                **identity.parameters,
                "response": moves.name if held_options and moves is not None else None,
            },
            simulated=simulated_vols or history.simulated,
        ),
    )


def _vol_path(
    given: VolPath | pd.DataFrame | str | None, history: PriceHistory, underlyings: tuple[str, ...], seed: int
) -> VolPath:
    if isinstance(given, VolPath):
        return given
    if isinstance(given, pd.DataFrame):
        return VolPath.from_frame(given)
    if given is not None and not isinstance(given, str):
        raise SchemaError(
            f"vol_path is a {type(given).__name__}", "a VolPath, a DataFrame, or a size by name", "pass one"
        )
    size = "base" if given is None else given
    return simulate_vol_path(history, vol_of_vol=size, underlyings=underlyings, seed=seed)
