"""A model fitted day by day to a panel of chains: quality, arbitrage and quotes held out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.market.quotes import Quotes
from pmkit.surface.fit import MODELS
from pmkit.surface.inputs.forwards import ForwardCurve, forward_curve
from pmkit.surface.inputs.own_vols import own_vols
from pmkit.surface.inputs.slice_quotes import SliceQuotes, slice_quotes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PanelFit", "fit_panel"]

_LeftOut = Mapping[pd.Timestamp, tuple[str, str]]


@dataclass(frozen=True, kw_only=True, repr=False)
class PanelFit(Result):
    """One row a day and model.

    Attributes
    ----------
    table : pandas.DataFrame
        Index as_of and model. ``status`` is ``ok`` or ``no_surface``, ``detail`` says why. ``expiries`` and
        ``left_out`` count slices; ``points`` quotes; ``inside`` those repriced between bid and ask;
        ``squared`` is the sum of squared errors of vol in squared vol points; ``butterfly`` and ``calendar``
        count the slices with an arbitrage; ``tried`` and ``held_inside`` count quotes that were held out, and
        those of them that the fit to the others reprices between bid and ask.
    surfaces : mapping of (Timestamp, str) to surface
        Those that were fitted to all quotes; empty unless they were to be kept.
    source : str
    """

    table: pd.DataFrame
    surfaces: Mapping[tuple[pd.Timestamp, str], Any]
    source: str
    references = ("gatheral2014", "mingone2022")

    def to_frame(self) -> pd.DataFrame:
        """Return the table with shares and the RMSE in vol points."""
        return self.table.assign(
            inside_share=self.table["inside"] / self.table["points"],
            rmse=np.sqrt(self.table["squared"] / self.table["points"]),
            held_share=self.table["held_inside"] / self.table["tried"],
        )

    def summary(self) -> pd.DataFrame:
        """Return one row per model, pooled over all days: days, fitted, shares, RMSE, arbitrage, held out."""
        rows = {}
        for model, days in self.table.groupby(level="model", sort=False):
            total = days.sum(numeric_only=True)
            rows[model] = {
                "days": len(days),
                "fitted": int((days["status"] == "ok").sum()),
                "slices": int(total["expiries"]),
                "left_out": int(total["left_out"]),
                "inside": total["inside"] / total["points"] if total["points"] else math.nan,
                "rmse": math.sqrt(total["squared"] / total["points"]) if total["points"] else math.nan,
                "butterfly": int(total["butterfly"]),
                "calendar": int(total["calendar"]),
                "held_out_inside": total["held_inside"] / total["tried"] if total["tried"] else math.nan,
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")

    def check(self) -> None:
        """Raise PmkitError where a count exceeds its whole."""
        for part, whole in (("inside", "points"), ("held_inside", "tried"), ("butterfly", "expiries")):
            if (self.table[part] > self.table[whole]).any():
                raise PmkitError(f"{part} exceeds {whole}", "a part of the whole", "report the fault")

    def plot(self, ax: Axes | None = None, *, column: str = "inside_share") -> Axes:
        """Draw one column of :meth:`to_frame` over time, one line a model."""
        axes = new_axes(ax, (8.0, 4.0))
        frame = self.to_frame()[column].unstack("model")
        for model in frame.columns:
            axes.plot(frame.index, frame[model], label=str(model), linewidth=1.2)
        axes.set_ylabel(column.replace("_", " "))
        axes.set_title(self.source)
        axes.legend(frameon=False)
        return axes


def _day(
    points: Sequence[SliceQuotes],
    curve: ForwardCurve,
    left_out: _LeftOut,
    model: str,
    before: Any,
) -> tuple[Any, dict[str, Any]]:
    """Return the surface of a day and its row without the held-out part."""
    chosen = MODELS[model]
    options = {"start": before} if before is not None and "start" in signature(chosen.fit).parameters else {}
    surface = chosen.fit(points, curve, left_out, **options)
    fitted = {one.expiry: one for one in surface.slices}
    inside, squared, count = 0, [0.0], 0
    for one in points:
        if one.expiry not in fitted:
            continue
        w = fitted[one.expiry].at(one.k)
        count += one.k.size
        inside += int(np.count_nonzero(one.inside(w)))
        squared.append(1e4 * math.fsum((np.sqrt(w / one.tau) - one.iv) ** 2))
    report = surface.arbitrage()
    row = {
        "status": "ok",
        "detail": "; ".join(f"{e:%Y-%m-%d}: {why}" for e, why in surface.left_out.items()),
        "expiries": len(surface.slices),
        "left_out": len(surface.left_out),
        "points": count,
        "inside": inside,
        "squared": math.fsum(squared),
        "butterfly": int(sum(len(where) > 0 for where in report["butterfly_at"])),
        "calendar": int(sum(len(where) > 0 for where in report["calendar_at"])),
    }
    return surface, row


def _held_out(
    points: Sequence[SliceQuotes], curve: ForwardCurve, left_out: _LeftOut, model: str
) -> tuple[int, int]:
    """Return how many interior quotes were held out, and how many of them the fit to the rest reprices.

    Every second strike is held out, never the lowest or the highest: this is a test of interpolation.
    """
    least = MODELS[model].least
    kept, tried, good = [], 0, 0
    held = {}
    for one in points:
        out = np.zeros(one.k.size, dtype=np.bool_)
        out[1:-1:2] = True
        if int((~out).sum()) >= least:
            kept.append(one.take(~out))
            held[one.expiry] = one.take(out)
    if not kept:
        return 0, 0
    surface = MODELS[model].fit(kept, curve, left_out)
    for fitted in surface.slices:
        rest = held[fitted.expiry]
        tried += rest.k.size
        good += int(np.count_nonzero(rest.inside(fitted.at(rest.k))))
    return tried, good


_NOTHING: dict[str, Any] = {
    "expiries": 0, "left_out": 0, "points": 0, "inside": 0, "squared": 0.0, "butterfly": 0, "calendar": 0,
    "tried": 0, "held_inside": 0,
}  # fmt: skip


def fit_panel(
    days: Iterable[Quotes],
    models: Sequence[str] = ("essvi", "svi", "pchip"),
    *,
    underlying: str | None = None,
    hold_out: bool = True,
    keep: bool = False,
    progress: Callable[[int], None] | None = None,
) -> PanelFit:
    """Return how well each model fits each snapshot of a panel, and the arbitrage it admits.

    Parameters
    ----------
    days : iterable of Quotes
        Snapshots in the order of time, such as a :class:`pmkit.market.QuotePanel`.
    models : sequence of str
        Names that :func:`fit` takes. A model that takes ``start`` is given its surface of the day before.
    underlying : str, optional
        Needed where the quotes hold several.
    hold_out : bool
        Fit once more to every second strike and count the others between bid and ask.
    keep : bool
        Keep the surfaces.
    progress : callable, optional
        Called with the number of days done.

    Returns
    -------
    PanelFit
        A day without a surface has the status ``no_surface`` and the reason; nothing is left out in silence.

    Raises
    ------
    ParameterError
        Unknown model, or one named twice.
    DataGapError
        No snapshot at all.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> found = fit_panel([read_quotes(datasets.path("deribit-eth-2026-05-21"))], ["essvi-spline"])
    >>> found.summary()[["inside", "held_out_inside", "butterfly", "calendar"]].round(3).to_numpy().tolist()
    [[1.0, 0.978, 0.0, 0.0]]
    """
    unknown = [m for m in models if m not in MODELS]
    if unknown or len(set(models)) != len(models) or not models:
        raise ParameterError(
            f"models {list(models)!r}", f"distinct names out of {', '.join(MODELS)}", "correct the list"
        )
    rows: dict[tuple[pd.Timestamp, str], dict[str, Any]] = {}
    kept: dict[tuple[pd.Timestamp, str], Any] = {}
    before: dict[str, Any] = {}
    sources: list[str] = []
    for number, quotes in enumerate(days, start=1):
        name = underlying or (quotes.underlyings[0] if len(quotes.underlyings) == 1 else None)
        if name is None:
            raise ParameterError(
                f"quotes of {', '.join(quotes.underlyings)}", "one underlying", "say underlying=..."
            )
        sources.append(quotes.source)
        try:
            curve = forward_curve(quotes, name)
            vols = own_vols(quotes, curve)
        except DataGapError as gap:
            for model in models:
                rows[quotes.as_of, model] = {"status": "no_surface", "detail": str(gap), **_NOTHING}
            continue
        for model in models:
            key = (quotes.as_of, model)
            try:
                points, left_out = slice_quotes(vols, curve, MODELS[model].least)
                surface, row = _day(points, curve, left_out, model, before.get(model))
                tried, good = _held_out(points, curve, left_out, model) if hold_out else (0, 0)
            except DataGapError as gap:
                rows[key] = {"status": "no_surface", "detail": str(gap), **_NOTHING}
                continue
            rows[key] = {**row, "tried": tried, "held_inside": good}
            before[model] = surface
            if keep:
                kept[key] = surface
        if progress is not None:
            progress(number)
    if not rows:
        raise DataGapError("no snapshots", "at least one", "choose days that the panel holds")
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index = pd.MultiIndex.from_tuples(list(rows), names=["as_of", "model"])
    source = sources[0] if len(sources) == 1 else f"{sources[0]} to {sources[-1]}"
    return PanelFit(table=table, surfaces=kept, source=source)
