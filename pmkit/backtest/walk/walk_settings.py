"""Arguments of a walk-forward, checked: settings, and the dates on which window and outcome both exist."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from pmkit.backtest.series.checks import check_count
from pmkit.backtest.walk.as_of import AsOfClock, naive_day
from pmkit.core.errors import ConventionError, DataGapError, ParameterError

__all__ = ["WalkSettings", "check_settings", "walk_positions"]


class WalkSettings(NamedTuple):
    """Checked arguments that change the numbers."""

    horizon: int
    window: int
    refit_every: int
    level: float
    es_level: float
    n_paths: int
    seed: int
    margin_scale: float
    shift: int


def check_settings(
    horizon: Any,
    window: Any,
    refit_every: Any,
    level: Any,
    es_level: Any,
    n_paths: Any,
    seed: Any,
    margin_scale: Any,
    shift: Any,
) -> WalkSettings:
    """Return the settings after checking each argument against its domain."""
    whole = {"horizon": (horizon, 1), "refit_every": (refit_every, 1), "shift": (shift, 0), "seed": (seed, 0)}
    whole |= {"n_paths": (n_paths, 100), "window": (window, 2)}
    for name, (value, least) in whole.items():
        if check_count(value, name) < least:
            raise ParameterError(f"{name} is {value!r}", f"a whole number from {least} on", "correct it")
    if int(window) <= int(horizon):
        raise ParameterError(
            f"window is {window} at a horizon of {horizon}",
            "more returns than the horizon",
            "use a longer one",
        )
    for name, value in (("level", level), ("es_level", es_level)):
        if isinstance(value, (bool, str)) or not 0.0 < float(value) < 1.0:
            raise ParameterError(f"{name} is {value!r}", "a level in (0.5, 1), such as 0.99", "correct it")
        if float(value) <= 0.5:
            raise ConventionError(
                f"{name} is {value!r}, which looks like a tail probability",
                "a level in (0.5, 1), such as 0.99",
                f"pass {name}={1.0 - float(value):.8g}",
            )
    if isinstance(margin_scale, (bool, str)) or not 0.0 < float(margin_scale) < math.inf:
        raise ParameterError(f"margin_scale is {margin_scale!r}", "a positive factor", "pass 1 for none")
    return WalkSettings(
        int(horizon),
        int(window),
        int(refit_every),
        float(level),
        float(es_level),
        int(n_paths),
        int(seed),
        float(margin_scale),
        int(shift),
    )


def walk_positions(clock: AsOfClock, start: Any, end: Any, settings: WalkSettings) -> list[int]:
    """Return the positions of the dates t, after checking that window and outcomes exist."""
    dates, count = clock.dates, len(clock.dates)
    # Returns are dated 1, 2, ...; the window must lie before the first date, and before a stale forecast's.
    first = settings.window + max(settings.shift, 1)
    last = count - 1 - settings.horizon
    if first > last:
        raise DataGapError(
            f"{count} closes from {dates[0].date()} to {dates[-1].date()}",
            f"{settings.window} returns before the first date and {settings.horizon} after the last: "
            f"{first + settings.horizon + 1} closes or more",
            "load a longer history, or use a shorter window",
        )
    begin = dates[first] if start is None else naive_day(start, "start")
    stop = dates[last] if end is None else naive_day(end, "end")
    if begin > stop:
        raise ParameterError(
            f"start {begin.date()} is after end {stop.date()}", "start before end", "swap the dates"
        )
    if begin < dates[first]:
        raise DataGapError(
            f"start is {begin.date()}, and fewer than {settings.window} returns lie before it",
            f"{dates[first].date()}, the first date with a full window, or later",
            f"start on {dates[first].date()}, load earlier prices, or use a shorter window",
        )
    if stop > dates[last]:
        raise DataGapError(
            f"end is {stop.date()}, and the history ends on {dates[-1].date()}",
            f"{dates[last].date()} or earlier, so that the P&L over {settings.horizon} day(s) is known",
            f"end on {dates[last].date()}, or load later prices",
        )
    chosen = np.flatnonzero((dates >= begin) & (dates <= stop))
    if chosen.size == 0:
        raise DataGapError(
            f"no dates from {begin.date()} to {stop.date()} in the history",
            "one date or more",
            "widen the range",
        )
    return [int(at) for at in chosen]
