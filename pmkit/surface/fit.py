"""From quotes to a surface: forwards, own vols by inverting mids, one slice an expiry, a model."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any, Literal, NamedTuple, overload

import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.time import parse_utc
from pmkit.market.quotes import Quotes
from pmkit.surface.arguments import check_curve, require
from pmkit.surface.inputs.forwards import ForwardCurve, forward_curve
from pmkit.surface.inputs.own_vols import OwnVols, own_vols
from pmkit.surface.inputs.quote_filter import QuoteFilter, filter_quotes
from pmkit.surface.inputs.slice_quotes import slice_quotes
from pmkit.surface.joint.andreasen_huge import AndreasenHugeSurface
from pmkit.surface.joint.andreasen_huge_fit import ANDREASEN_HUGE_MIN_POINTS, fit_andreasen_huge_surface
from pmkit.surface.joint.essvi import EssviSurface
from pmkit.surface.joint.essvi_fit import ESSVI_MIN_POINTS, fit_essvi_surface
from pmkit.surface.joint.essvi_spline import EssviSplineSurface
from pmkit.surface.joint.essvi_spline_fit import ESSVI_SPLINE_MIN_POINTS, fit_essvi_spline_surface
from pmkit.surface.joint.ssvi import SsviSurface
from pmkit.surface.joint.ssvi_fit import SSVI_MIN_POINTS, fit_ssvi_surface
from pmkit.surface.slices.pchip import PCHIP_MIN_POINTS, PchipSurface, fit_pchip_surface
from pmkit.surface.slices.sabr_surface import SABR_MIN_POINTS, SabrSurface, fit_sabr_surface
from pmkit.surface.slices.smile import LinearSurface, fit_linear_surface
from pmkit.surface.slices.svi_fit import SVI_MIN_POINTS
from pmkit.surface.slices.svi_surface import SviSurface, fit_free_svi_surface, fit_svi_surface

__all__ = ["MODELS", "fit"]

FittedAny = (
    LinearSurface
    | PchipSurface
    | SviSurface
    | SabrSurface
    | EssviSurface
    | EssviSplineSurface
    | SsviSurface
    | AndreasenHugeSurface
)


class _Model(NamedTuple):
    """Fewest points of a slice, and the function ``(quotes, curve, left_out, **options)`` that fits."""

    least: int
    fit: Callable[..., FittedAny]


#: Every model by the name that :func:`fit` takes.
MODELS: dict[str, _Model] = {
    "linear": _Model(3, fit_linear_surface),
    "pchip": _Model(PCHIP_MIN_POINTS, fit_pchip_surface),
    "svi": _Model(SVI_MIN_POINTS, fit_svi_surface),
    "svi-free": _Model(SVI_MIN_POINTS, fit_free_svi_surface),
    "sabr": _Model(SABR_MIN_POINTS, fit_sabr_surface),
    "ssvi": _Model(SSVI_MIN_POINTS, fit_ssvi_surface),
    "essvi": _Model(ESSVI_MIN_POINTS, fit_essvi_surface),
    "essvi-spline": _Model(ESSVI_SPLINE_MIN_POINTS, fit_essvi_spline_surface),
    "andreasen-huge": _Model(ANDREASEN_HUGE_MIN_POINTS, fit_andreasen_huge_surface),
}


@overload
def fit(
    quotes: Quotes,
    model: Literal["linear"] = "linear",
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
    filter: QuoteFilter | None = None,
) -> LinearSurface: ...


@overload
def fit(
    quotes: Quotes,
    model: Literal["svi", "svi-free"],
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
    filter: QuoteFilter | None = None,
    **options: Any,
) -> SviSurface: ...


@overload
def fit(
    quotes: Quotes,
    model: Literal["pchip"],
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
    filter: QuoteFilter | None = None,
) -> PchipSurface: ...


@overload
def fit(
    quotes: Quotes,
    model: Literal["sabr"],
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
    filter: QuoteFilter | None = None,
    **options: Any,
) -> SabrSurface: ...


@overload
def fit(
    quotes: Quotes,
    model: Literal["ssvi"],
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
    filter: QuoteFilter | None = None,
    **options: Any,
) -> SsviSurface: ...


@overload
def fit(
    quotes: Quotes,
    model: Literal["essvi"],
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
    filter: QuoteFilter | None = None,
    **options: Any,
) -> EssviSurface: ...


@overload
def fit(
    quotes: Quotes,
    model: Literal["essvi-spline"],
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
    filter: QuoteFilter | None = None,
    **options: Any,
) -> EssviSplineSurface: ...


@overload
def fit(
    quotes: Quotes,
    model: Literal["andreasen-huge"],
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
    filter: QuoteFilter | None = None,
    **options: Any,
) -> AndreasenHugeSurface: ...


@overload
def fit(
    quotes: Quotes,
    model: str,
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
    filter: QuoteFilter | None = None,
    **options: Any,
) -> FittedAny: ...


def fit(
    quotes: Quotes,
    model: str = "linear",
    *,
    underlying: str | None = None,
    as_of: str | pd.Timestamp | None = None,
    curve: ForwardCurve | None = None,
    vols: OwnVols | None = None,
    filter: QuoteFilter | None = None,
    **options: Any,
) -> FittedAny:
    """Return the surface of total variance through the option quotes of one underlying.

    The model ``"linear"`` passes through its quotes as they are; ``"svi"`` fits raw SVI to each expiry alone,
    weighted by vega over spread: neither excludes static arbitrage, between strikes or between expiries, and
    :meth:`SviSurface.arbitrage` says where there is some. ``"svi-free"`` takes the nearest slices without
    arbitrage between strikes. ``"essvi"`` fits all expiries at once, three numbers each, and ``"ssvi"`` one
    number each beside three for all: both are free of static arbitrage by construction and follow their
    quotes less closely. ``"essvi-spline"`` adds a spline to the call prices of eSSVI: it follows its quotes
    and is free of static arbitrage at its expiries. ``"pchip"`` (monotone cubics through every quote),
    ``"sabr"`` and ``"andreasen-huge"`` (one implicit step of prices an expiry) are controls.

    Parameters
    ----------
    quotes : Quotes
    model : {"linear", "pchip", "svi", "svi-free", "sabr", "ssvi", "essvi", "essvi-spline", "andreasen-huge"}
    underlying : str, optional
        Needed only where the quotes hold several.
    as_of : str or Timestamp, optional
        Instant from which times count; that of the quotes where None.
    curve, vols : optional
        Forwards and own vols where they are known already.
    filter : QuoteFilter, optional
        Checks that the quotes have to pass (:func:`filter_quotes`), not together with ``vols``; where None
        every two-sided quote with a vol counts.
    **options
        Options of the model: ``starts`` for ``"svi"`` and ``"svi-free"``; ``beta`` for ``"sabr"``; ``bound``,
        ``start`` and ``loss`` for ``"essvi"``; ``bound`` and ``smoothing`` for ``"essvi-spline"``; ``bound``
        and ``phi`` for ``"ssvi"``; ``shape`` and ``nodes`` for ``"andreasen-huge"``.

    Raises
    ------
    ParameterError
        Unknown model, an option that the model does not have, several underlyings and none named, or an
        object of another kind.
    ConventionError
        A curve of another underlying or instant.
    DataGapError
        Unknown underlying, no perpetual, or no expiry with three usable options (``"svi"``: five), or no
        quote that passes the filter.

    Examples
    --------
    >>> from pmkit.market import datasets, read_quotes
    >>> surface = fit(read_quotes(datasets.path("deribit-btc-2026-08-01")))
    >>> len(surface.slices), surface.model
    (13, 'linear')
    """
    if not isinstance(model, str) or model not in MODELS:
        raise ParameterError(
            f"model {model!r}", f"one of {', '.join(map(repr, MODELS))}", "name one of these models"
        )
    require("quotes", quotes, Quotes, "read a file with pmkit.market.read_quotes first")
    chosen = MODELS[model]
    known = [*signature(chosen.fit).parameters][3:]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ParameterError(
            f"option {', '.join(map(repr, unknown))} of model {model!r}",
            f"{', '.join(known) or 'no option'}",
            "leave it out, or name another model",
        )
    if underlying is None:
        if len(quotes.underlyings) != 1:
            raise ParameterError(
                f"quotes of {', '.join(quotes.underlyings)}",
                "the name of one underlying",
                "say underlying=...",
            )
        underlying = quotes.underlyings[0]
    if underlying not in quotes.underlyings:
        raise DataGapError(
            f"no quotes of {underlying!r} in {quotes.source}",
            f"one of {', '.join(quotes.underlyings)}",
            "correct the name",
        )
    instant = quotes.as_of if as_of is None else parse_utc(as_of)
    if curve is None:
        curve = forward_curve(quotes, underlying, as_of=instant)
    check_curve(quotes, curve)
    if curve.as_of != instant or curve.underlying != underlying:
        raise ConventionError(
            f"a {curve.underlying} curve of {curve.as_of.isoformat()}",
            f"{underlying} at {instant.isoformat()}, as the quotes",
            "make the curve from these quotes, or say as_of=curve.as_of",
        )
    if filter is not None:
        if vols is not None:
            raise ParameterError("filter and vols are both given", "one of them", "filter before own_vols")
        quotes = filter_quotes(quotes, curve, filter=filter).quotes
    vols = own_vols(quotes, curve, as_of=instant) if vols is None else vols
    require("vols", vols, OwnVols, "make them with pmkit.surface.own_vols")
    points, left_out = slice_quotes(vols, curve, chosen.least)
    return chosen.fit(points, curve, left_out, **options)
