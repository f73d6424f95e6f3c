"""Several books under one model in one pass: forecasts and draws are made once for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import Parameter, signature
from typing import Any

from pmkit.backtest.walk.forecasters import forecast_model
from pmkit.backtest.walk.walk_forward import walk_forward
from pmkit.backtest.walk.walk_result import BacktestResult
from pmkit.backtest.walk.walk_run import Book, Track, WalkPlan, run_tracks
from pmkit.backtest.walk.walk_settings import WalkSettings, check_settings
from pmkit.core.errors import ParameterError
from pmkit.market.history import PriceHistory

__all__ = ["walk_books"]

#: Options of a walk with their defaults, without what belongs to one book or one run alone.
_OPTIONS = {
    name: one.default
    for name, one in signature(walk_forward).parameters.items()
    if one.kind is Parameter.KEYWORD_ONLY
    and name not in ("vol_path", "checkpoint", "checkpoint_every", "progress")
}


def walk_books(
    books: Mapping[str, Book | str | tuple[Book | str, Any]],
    history: PriceHistory,
    model: str = "fhs",
    start: Any = None,
    end: Any = None,
    **options: Any,
) -> dict[str, BacktestResult]:
    """Return the walk-forward of each book by name, to the bits of one :func:`walk_forward` after the other.

    Use it where a model is judged on many books, or on one book under several paths of implied vols. Books on
    the same underlyings go through the dates together: the model is fitted and asked once for all of them.

    Parameters
    ----------
    books : mapping of str to book, or to a pair of book and ``vol_path``
        Books and implied vols as for :func:`walk_forward`.
    history, model, start, end
        As for :func:`walk_forward`; the model by name, so that every group of books starts from a fresh one.
    **options
        Further arguments of :func:`walk_forward`, the same for all books; ``vol_path`` stands beside its book
        and there are no checkpoints.

    Returns
    -------
    dict of str to BacktestResult
        In the order of the books.

    Raises
    ------
    ParameterError
        No book, a model that is no name, or an option that :func:`walk_forward` does not have.
    PmkitError
        As :func:`walk_forward`.

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> history = load_history("crypto-daily-2020-2023")
    >>> straddles = {size: ("short_straddle_30d", size) for size in ("low", "high")}
    >>> runs = walk_books(straddles, history, "hs", "2021-05-18", "2021-05-19", n_paths=400)
    >>> [int(run.frame["hit"].sum()) for run in runs.values()]
    [1, 1]
    """
    if not books:
        raise ParameterError("there is no book", "one or more", "hand over books by name")
    if not isinstance(model, str):
        raise ParameterError(
            f"the model is a {type(model).__name__}",
            "the name of a model, of which every group of books gets a fresh one",
            "use walk_forward for an object",
        )
    foreign = [name for name in options if name not in _OPTIONS]
    if foreign:
        raise ParameterError(
            f"option {foreign[0]!r} is given", f"some of {', '.join(_OPTIONS)}", "leave it out, or correct it"
        )
    chosen = {**_OPTIONS, **options}
    settings = check_settings(*(chosen[name] for name in WalkSettings._fields))
    tracks = {}
    for name, given in books.items():
        book, vol_path = given if isinstance(given, tuple) else (given, None)
        tracks[name] = Track.of(book, history, vol_path, chosen["response"], settings.seed)
    plan = {name: chosen[name] for name in ("parameters", "engine", "min_tail", "error_below")}
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, track in tracks.items():
        groups.setdefault(track.clock.underlyings, []).append(name)
    found: dict[str, BacktestResult] = {}
    for names in groups.values():
        fresh = forecast_model(model, settings.window, chosen["parameters"], chosen["engine"])
        shared = WalkPlan(history=history, model=fresh, settings=settings, start=start, end=end, **plan)
        results = run_tracks([tracks[name] for name in names], shared)
        found |= dict(zip(names, results, strict=True))
    return {name: found[name] for name in books}
