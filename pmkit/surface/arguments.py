"""What every function of this room asks of its arguments before it computes: the right kind, real numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.types import FloatArray
from pmkit.market.quotes import Quotes
from pmkit.pricing.inputs import as_floats

if TYPE_CHECKING:
    from pmkit.surface.inputs.forwards import ForwardCurve

__all__ = ["as_number", "check_curve", "pair_columns", "pair_mids", "require"]


def require(what: str, value: object, kind: type | tuple[type, ...], remedy: str) -> None:
    """Refuse an object of another kind by name.

    Raises
    ------
    ParameterError
        ``value`` is not an instance of ``kind``.
    """
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise ParameterError(
            f"{what} of type {type(value).__name__}", " or ".join(k.__name__ for k in kinds), remedy
        )


def as_number(what: str, value: Any) -> float:
    """Return one real number as a float; NaN and infinity pass.

    Raises
    ------
    ParameterError
        A text, a truth value, several numbers, or nothing.
    """
    if type(value) is float:
        return value
    try:
        if isinstance(value, (bool, np.bool_, str, bytes)) or np.ndim(value) != 0:
            raise TypeError
        return float(value)
    except (TypeError, ValueError):
        raise ParameterError(f"{what} is {value!r}", "one number", "correct the argument") from None


def pair_mids(
    call_bid: FloatArray, call_ask: FloatArray, put_bid: FloatArray, put_ask: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return call less put and call plus put at the mids, and the sum of both spreads.

    A spread narrower than a tenth of the median positive one counts as that much, so that a quote of no width
    does not decide alone.
    """
    call, put = 0.5 * (call_bid + call_ask), 0.5 * (put_bid + put_ask)
    spread = (call_ask - call_bid) + (put_ask - put_bid)
    positive = spread[spread > 0.0]
    least = 0.1 * float(np.median(positive)) if positive.size else 1.0
    return call - put, call + put, np.maximum(spread, least)


def pair_columns(**columns: npt.ArrayLike) -> list[FloatArray]:
    """Return strikes (the first column) and prices, all of the strikes at which every one is finite.

    Raises
    ------
    ParameterError
        Columns of different shapes, or a strike that is not positive.
    """
    arrays = {
        name: as_floats(name, column, "prices in quote currency", any_sign=True, finite=False)
        for name, column in columns.items()
    }
    strike, *_ = arrays.values()
    if strike.ndim != 1 or any(a.shape != strike.shape for a in arrays.values()):
        raise ParameterError(
            f"shapes {', '.join(f'{a.shape} of {name}' for name, a in arrays.items())}",
            "rows of one length",
            "list every price at every strike, NaN where there is none",
        )
    if (strike <= 0.0).any():
        raise ParameterError(
            f"strike is {float(np.nanmin(strike)):g}", "a positive number", "correct the quote or drop it"
        )
    whole = np.logical_and.reduce([np.isfinite(a) for a in arrays.values()])
    return [a[whole] for a in arrays.values()]


def check_curve(quotes: Quotes, curve: ForwardCurve) -> None:
    """Refuse a curve that cannot be of these quotes.

    Raises
    ------
    ParameterError
        Not quotes, or not a curve; options that have expired at the instant of the curve.
    ConventionError
        Quotes and curve are of different settlement.
    DataGapError
        The quotes are of other underlyings than the curve.
    """
    from pmkit.surface.inputs.forward_curve import ForwardCurve as Curve  # which asks this module in its turn

    require("quotes", quotes, Quotes, "read a file with pmkit.market.read_quotes first")
    require("curve", curve, Curve, "make it with pmkit.surface.forward_curve")
    if quotes.settlement != curve.settlement:
        raise ConventionError(
            f"{quotes.settlement} quotes and a curve of {curve.settlement} ones",
            "the same settlement",
            "make the curve from these quotes",
        )
    if quotes.underlyings and curve.underlying not in quotes.underlyings:
        raise DataGapError(
            f"quotes of {', '.join(quotes.underlyings)} and a curve of {curve.underlying}",
            "the same underlying",
            "make the curve from these quotes",
        )
    frame = quotes.of_underlying(curve.underlying)
    expiries = pd.DatetimeIndex(frame.loc[frame["kind"] == "option", "expiry"].unique())
    gone = expiries[expiries <= curve.as_of]
    if len(gone):
        raise ParameterError(
            f"{len(gone)} expiries of {quotes.source} up to {gone.max().isoformat()} and a curve of "
            f"{curve.as_of.isoformat()}",
            "a curve from before every expiry",
            "make the curve from these quotes",
        )
