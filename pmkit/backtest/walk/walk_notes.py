"""What a walk-forward must say beside its figures: thin tails, hindsight, troubled fits, conventions."""

from __future__ import annotations

import pandas as pd

from pmkit.backtest.walk.vol_moves import VolMoves
from pmkit.backtest.walk.vol_path import VolPath
from pmkit.backtest.walk.walk_settings import WalkSettings
from pmkit.core.errors import ThinTailError

__all__ = ["conventions", "fit_warnings", "hindsight", "thin_tails"]


def thin_tails(
    history_days: float, settings: WalkSettings, min_tail: float, error_below: float
) -> tuple[str, ...]:
    """Return one text a level whose tail rests on few independent days; refuse a hopeless ES."""
    texts = []
    for what, level in (("ES", settings.es_level), ("VaR", settings.level)):
        beyond = history_days * (1.0 - level) / settings.horizon
        if beyond >= min_tail:
            continue
        found = (
            f"{what} at {level:.8g} rests on {beyond:.3g} independent observations beyond the level "
            f"({history_days:g} days × {1.0 - level:.3g} / {settings.horizon})"
        )
        if what == "ES" and beyond < error_below:
            raise ThinTailError(
                found,
                f"{error_below:g} or more",
                "use a longer window, a lower es_level or a shorter horizon, or pass error_below=0 knowingly",
            )
        texts.append(f"ThinTailWarning: {found}, fewer than {min_tail:g}")
    return tuple(texts)


def hindsight(moves: VolMoves | None, frame: pd.DataFrame) -> tuple[str, ...]:
    """Return a text where the vol response was observed later than the forecasts that use it."""
    if moves is None or moves.last_observed is None or frame.index[0].date() > moves.last_observed:
        return ()
    return (
        f"Note: the margin model's vol response {moves.name} was {moves.remark}, after the dates of the "
        "forecasts: an input to them, not an estimate from their past",
    )


def fit_warnings(fits: pd.DataFrame) -> tuple[str, ...]:
    """Return one text a reason, with the number of fits that it concerns."""
    total = len(fits)
    texts = []
    for status, words in (
        ("not_converged", "did not converge; the parameters before stay in force"),
        ("at_bound", "ended at a bound"),
    ):
        count = int((fits["status"] == status).sum())
        if count:
            texts.append(f"Note: {count} of {total} fits {words}")
    for word, words in (
        ("integrated", "have persistence 0.9999 or more: no unconditional variance"),
        ("fourth moment", "have nu of 4 or less: no fourth moment"),
    ):
        count = int(fits["flags"].str.contains(word, regex=False).sum()) if total else 0
        if count:
            texts.append(f"Note: {count} of {total} fits {words}")
    return tuple(texts)


def conventions(
    with_options: bool, vols: VolPath | None, moves: VolMoves | None, settings: WalkSettings
) -> tuple[str, ...]:
    """Return in words what the figures take for granted."""
    notes = ["basis of futures is zero and constant; no funding, no fees"]
    if with_options and vols is not None and moves is not None:
        origin = f"simulated, {vols.label}" if vols.simulated else f"from {vols.label!r}"
        smile = "flat smile and term structure, which move in parallel"
        if vols.skew is not None:
            smile = (
                "what is held is marked along a smile that keeps its place in ln(K/F); flat term structure"
            )
        notes += [
            f"implied vols {origin}; {smile}",
            f"the margin model moves vol by {moves.name}, {moves.remark}",
        ]
    if settings.margin_scale != 1.0:
        notes.append(f"VaR and ES are multiplied by {settings.margin_scale:g}")
    if settings.shift:
        notes.append(f"forecasts are {settings.shift} day(s) stale")
    return tuple(notes)
