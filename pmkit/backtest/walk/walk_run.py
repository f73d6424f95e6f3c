"""The walk itself: books that share underlyings and model go through the dates together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from pmkit.backtest.walk.as_of import AsOfClock, AsOfView
from pmkit.backtest.walk.book import ConstantBook
from pmkit.backtest.walk.checkpoint import Checkpoint, WalkProgress
from pmkit.backtest.walk.forecast import ForecastModel
from pmkit.backtest.walk.vol_laws.catalogue import named_vol_path
from pmkit.backtest.walk.vol_moves import VolMoves
from pmkit.backtest.walk.vol_path import VolPath
from pmkit.backtest.walk.walk_notes import conventions, fit_warnings, hindsight, thin_tails
from pmkit.backtest.walk.walk_result import BacktestResult
from pmkit.backtest.walk.walk_settings import WalkSettings, walk_positions
from pmkit.backtest.walk.walk_steps import (
    DateDraws,
    check_forecast,
    columns_of,
    figures_of,
    frame_of,
    scenario_pnl,
)
from pmkit.backtest.walk.walk_tables import refit_frame
from pmkit.core.errors import ConventionError, SchemaError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.random import stream
from pmkit.core.types import FloatArray
from pmkit.market.history import PriceHistory

__all__ = ["Book", "Track", "WalkPlan", "run_tracks"]

Book = ConstantBook | Callable[[AsOfView], ConstantBook]
"""A book that is the same every day, or a rule that sets it up from what is known at each close."""

_NO_HEDGE = np.empty((0, 0))


@dataclass(kw_only=True)
class Track:
    """One book under one path of implied vols, with what it has met so far."""

    book: Book
    name: str
    clock: AsOfClock
    vols: VolPath | None
    moves: VolMoves | None
    found: WalkProgress = field(default_factory=WalkProgress)
    hedges: FloatArray = field(default_factory=lambda: _NO_HEDGE)
    opening: FloatArray = field(default_factory=lambda: _NO_HEDGE)

    @classmethod
    def of(cls, book: Book | str, history: PriceHistory, vol_path: Any, response: Any, seed: int) -> Track:
        """Return the track of a book, a preset by name, or a callable, after checking what it is."""
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
        names = (
            book.underlyings if isinstance(book, ConstantBook) else tuple(map(str, history.prices.columns))
        )
        options = not fixed or bool(getattr(book, "holds_options", True))
        vols = _vol_path(vol_path, history, names, seed) if options else None
        return cls(
            book=book,
            name=str(getattr(book, "name", getattr(book, "__name__", type(book).__name__))),
            clock=AsOfClock(history, names, vols),
            vols=vols,
            moves=VolMoves.of(response) if options else None,
        )

    @property
    def fixed(self) -> bool:
        """Whether the book is the same every day."""
        return isinstance(self.book, ConstantBook)

    def check(self, positions: Sequence[int], settings: WalkSettings) -> None:
        """Raise where prices or vols are missing on the way; weigh the hedges of a fixed book."""
        last = positions[-1] + settings.horizon
        daily = self.clock.periods_per_year == 365
        self.clock.check_complete(positions[0] - settings.window - settings.shift, last, daily=daily)
        self.clock.check_vols(positions[0], last)
        if isinstance(self.book, ConstantBook) and self.vols is not None:
            vols = self.clock.vols(positions)
            self.opening = self.book.opening(vols)
            if self.book.delta_hedged:
                self.hedges = self.book.hedge(vols)

    def step(
        self, number: int, position: int, view: AsOfView, draws: DateDraws, days: float, refit: bool
    ) -> None:
        """Add the figures of one date and the P&L that came."""
        clock, settings, found = self.clock, draws.settings, self.found
        found.history_days = min(found.history_days, draws.forecast.history_days)
        today = self.book if isinstance(self.book, ConstantBook) else self.book(view)
        columns = columns_of(today, clock.underlyings, view)
        found.held_options = found.held_options or today.holds_options
        outcome, before, after = clock.outcome(position, settings.horizon)
        iv0 = before[columns]
        known: dict[str, Any] = {}
        if self.opening.size:
            known["opening"] = self.opening[number]
        if self.hedges.size:
            known["hedge"] = self.hedges[number]
        pnl = scenario_pnl(draws, columns, today, iv0, days, self.moves, known)
        came = float(today.pnl(outcome[None, columns], iv0, after[None, columns], days, **known)[0])
        var, es_var, es, pit = figures_of(pnl, draws.forecast, came, settings)
        until = clock.dates[position + settings.horizon]
        found.rows.append((until, var, es_var, es, came, refit, pit))
        found.sigmas.append(draws.forecast.sigma)


@dataclass(frozen=True, kw_only=True)
class WalkPlan:
    """What all tracks of a run have in common."""

    history: PriceHistory
    model: ForecastModel
    settings: WalkSettings
    start: Any = None
    end: Any = None
    parameters: Mapping[str, Any] | None = None
    engine: Literal["arch", "newton"] = "arch"
    min_tail: float = 10.0
    error_below: float = 3.0

    def identity(self, track: Track, positions: Sequence[int]) -> Provenance:
        """Return the record of everything but vols and response that changes the figures of a track."""
        dates = track.clock.dates
        return Provenance(
            method=f"backtest.walk_forward {self.model.name}",
            data={
                self.history.source: self.history.fingerprint,
                "book": str(getattr(track.book, "fingerprint", track.name)),
            },
            parameters={
                **self.settings._asdict(),
                "start": str(dates[positions[0]].date()),
                "end": str(dates[positions[-1]].date()),
                "parameters": None if self.parameters is None else dict(self.parameters),
                **({} if self.engine == "arch" else {"engine": self.engine}),
                "constant book": track.fixed,
            },
            seed=self.settings.seed,
        )


def run_tracks(
    tracks: Sequence[Track],
    plan: WalkPlan,
    *,
    checkpoint: Any = None,
    checkpoint_every: int = 50,
    progress: Callable[[int, int], None] | None = None,
) -> list[BacktestResult]:
    """Return one result a track; all tracks have the same underlyings, and a checkpoint serves one alone."""
    settings, model, first = plan.settings, plan.model, tracks[0]
    clock = first.clock
    positions = walk_positions(clock, plan.start, plan.end, settings)
    for track in tracks:
        track.check(positions, settings)
    days = settings.horizon * 365.0 / clock.periods_per_year
    memory: tuple[Any, ...] = (model,) if first.fixed else (model, first.book)
    kept = None
    if checkpoint is not None:
        vols, moves = first.vols, first.moves
        identity = plan.identity(first, positions).id
        setup = str(getattr(model, "fingerprint", ""))
        key = fingerprint(identity, vols.provenance.id if vols else "", moves.name if moves else "", setup)
        kept = Checkpoint.at(checkpoint, key, checkpoint_every, *memory)
        first.found = kept.load(*memory)
    for number in range(first.found.done, len(positions)):
        position = positions[number]
        view = clock.at(position)
        seen = view if settings.shift == 0 else clock.at(position - settings.shift)
        random = partial(stream, settings.seed, "walk_forward", str(seen.as_of.date()))
        refit = number % settings.refit_every == 0
        if refit:
            first.found.records += [(view.as_of, record) for record in model.fit(seen) or ()]
        forecast = model.forecast(seen, horizon=settings.horizon, n_paths=settings.n_paths, random=random)
        check_forecast(forecast, model.name, view)
        draws = DateDraws(forecast, settings, random)
        for track in tracks:
            own = view if track is first or track.fixed else track.clock.at(position)
            track.step(number, position, own, draws, days, refit)
        done = first.found.done
        if kept is not None and (done == len(positions) or done % kept.every == 0):
            kept.save(first.found, *memory)
        if progress is not None:
            progress(done, len(positions))
    for track in tracks[1:]:
        track.found.records = first.found.records
    return [_result(track, plan, positions) for track in tracks]


def _result(track: Track, plan: WalkPlan, positions: Sequence[int]) -> BacktestResult:
    """Return what a track has found."""
    found, settings, clock, vols, moves = track.found, plan.settings, track.clock, track.vols, track.moves
    marked = found.held_options and vols is not None
    simulated = marked and vols is not None and vols.simulated
    frame = frame_of(clock.dates[list(positions)], found.rows, np.array(found.sigmas), clock.underlyings)
    fits = refit_frame(found.records)
    identity = plan.identity(track, positions)
    thin = thin_tails(found.history_days, settings, plan.min_tail, plan.error_below)
    return BacktestResult(
        book=track.name,
        model=plan.model.name,
        numeraire=track.book.numeraire if isinstance(track.book, ConstantBook) else "USD",
        horizon=settings.horizon,
        level=settings.level,
        es_level=settings.es_level,
        frame=frame,
        refits=fits,
        margin_scale=settings.margin_scale,
        shift=settings.shift,
        vol_label=vols.label if marked and vols is not None else "",
        model_marked=simulated,
        references=(*BacktestResult.references, *(vols.references if marked and vols is not None else ())),
        warnings=(*thin, *hindsight(moves if found.held_options else None, frame), *fit_warnings(fits)),
        notes=conventions(found.held_options, vols, moves, settings),
        provenance=replace(
            identity,
            data={
                **identity.data,
                **({"vol path": vols.provenance.id} if marked and vols is not None else {}),
            },
            parameters={
                **identity.parameters,
                "response": moves.name if found.held_options and moves is not None else None,
            },
            simulated=simulated or plan.history.simulated,
        ),
    )


def _vol_path(given: Any, history: PriceHistory, underlyings: tuple[str, ...], seed: int) -> VolPath:
    if isinstance(given, VolPath):
        return given
    if isinstance(given, pd.DataFrame):
        return VolPath.from_frame(given)
    if given is not None and not isinstance(given, str):
        raise SchemaError(
            f"vol_path is a {type(given).__name__}", "a VolPath, a DataFrame, or a law by name", "pass one"
        )
    return named_vol_path("base" if given is None else given, history, underlyings, seed)
