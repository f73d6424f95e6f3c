"""What a dynamic quantile regression is run on: the hits with their VaR and losses, split like the hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pmkit.backtest.series.checks import as_float_array
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.ordered import read_ordered
from pmkit.backtest.series.samples import Sample
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.types import BoolArray, FloatArray

__all__ = ["DynamicSample", "read_dynamic", "read_forecasts", "standardised"]


@dataclass(frozen=True, kw_only=True)
class DynamicSample:
    """Hits of one series without overlap, with the VaR forecasts and the losses where given.

    Attributes
    ----------
    sample : Sample
        Counts, p, horizon and notes.
    hits : array of bool, shape (n,)
        In order of time.
    var : array, shape (n,)
        VaR forecast for each observation, positive, in money.
    loss : array or None, shape (n,)
        Realised loss in the same money.
    """

    sample: Sample
    hits: BoolArray
    var: FloatArray
    loss: FloatArray | None


def read_dynamic(*, hits: Any, var: Any, loss: Any, p: Any, horizon: Any) -> list[DynamicSample]:
    """Return the samples to test: one, or one an offset where ``horizon`` is set.

    Raises
    ------
    ParameterError
        No hits or no VaR.
    SchemaError
        VaR or losses that are missing, not numbers, of another length or on other dates than the hits; a hit
        where the loss does not exceed VaR, or the reverse.
    ConventionError
        A negative VaR; overlapping hits without ``horizon``, or another p than the series carries.
    """
    for name, value in (("hits", hits), ("var", var)):
        if value is None:
            raise ParameterError(
                f"{name} is not given",
                "the hits in order of time and the VaR forecast for each: counts do not suffice",
                f"pass {name}=",
            )
    ordered = read_ordered(hits=hits, durations=None, n=None, p=p, horizon=horizon)
    series = hits if isinstance(hits, HitSeries) else HitSeries(hits=hits, p=0.5, horizon=horizon or 1.0)
    forecasts = read_forecasts(var, series)
    losses = None if loss is None else _aligned(loss, "loss", series)
    if losses is not None and not np.array_equal(losses > forecasts, series.hits):
        position = int(np.argmax((losses > forecasts) != series.hits))
        raise SchemaError(
            f"observation {position} has loss {losses[position]:.8g}, VaR {forecasts[position]:.8g} and is "
            f"{'a' if series.hits[position] else 'no'} hit",
            "hits that are the losses strictly above VaR",
            "build the series with HitSeries.from_losses(loss, var, p)",
        )
    stride = len(ordered)
    return [
        DynamicSample(
            sample=sample,
            hits=part,
            var=forecasts[offset::stride],
            loss=None if losses is None else losses[offset::stride],
        )
        for offset, (sample, part) in enumerate(ordered)
    ]


def read_forecasts(var: Any, series: HitSeries) -> FloatArray:
    """Return the VaR forecast of each observation of ``series``, 0 or positive."""
    forecasts = _aligned(var, "var", series)
    negative = forecasts < 0.0
    if negative.any():
        position = int(np.argmax(negative))
        raise ConventionError(
            f"var[{position}] = {forecasts[position]:.8g} is negative ({int(negative.sum())} of {series.n})",
            "VaR as a loss: 0 or a positive number",
            "turn the sign of the VaR if it is stored as a quantile of P&L",
        )
    return forecasts


def standardised(column: FloatArray) -> FloatArray:
    """Return the column with mean 0 and root mean square 1; zeros where it does not vary.

    A fit with a constant term is the same for both, and better conditioned for this one.
    """
    centred = column - np.mean(column)
    scale = float(np.sqrt(np.mean(centred * centred)))
    varies = scale > 1e-12 * float(np.max(np.abs(column)))
    scaled: FloatArray = np.ascontiguousarray(centred / scale if varies else np.zeros_like(column))
    return scaled


def _aligned(values: Any, name: str, series: HitSeries) -> FloatArray:
    array = as_float_array(values, name)
    if array.size != series.n:
        raise SchemaError(
            f"{name} has {array.size} values",
            f"{series.n}, one for each observation",
            "cut both to the same dates",
        )
    if series.dates is not None and isinstance(values, pd.Series):
        index = values.index
        if isinstance(index, pd.DatetimeIndex):
            index = index.tz_localize("UTC") if index.tz is None else index.tz_convert("UTC")
            if not bool((index == series.dates).all()):
                raise SchemaError(
                    f"{name} carries other dates than the hits",
                    "one index for both, so that each hit meets the VaR forecast for it",
                    f"select {name} at the dates of the hits",
                )
    return array
