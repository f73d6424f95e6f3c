"""Delta conventions of options, and the strike that has a given delta."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from pmkit.core.errors import ParameterError
from pmkit.core.types import FloatArray
from pmkit.pricing.inputs import as_flags, as_floats, broadcast, unwrap
from pmkit.surface.arbitrage.butterfly import lowest
from pmkit.surface.arguments import as_number
from pmkit.surface.readouts.curves import VarianceCurve, variance_curve

__all__ = ["DeltaKind", "option_delta", "strike_from_delta", "strike_of_delta"]

DeltaKind = Literal["spot", "forward", "pa_spot", "pa_forward"]
"""Per unit of spot or of forward; ``pa_``: less the premium, which is paid in the underlying."""

BISECTIONS = 200


def check_kind(kind: str) -> tuple[bool, bool]:
    """Return whether a kind is per spot and whether it is premium-adjusted."""
    if kind not in get_args(DeltaKind):
        raise ParameterError(
            f"delta kind is {kind!r}", f"one of {', '.join(get_args(DeltaKind))}",
            "name the kind; coin-settled options are 'pa_forward'",
        )  # fmt: skip
    return kind in ("spot", "pa_spot"), kind.startswith("pa_")


def _discount(kind: str, df_foreign: Any) -> Any:
    """Return the discount factor of the underlying; a spot delta without one would be a forward delta."""
    if df_foreign is not None:
        return df_foreign
    if check_kind(kind)[0]:
        raise ParameterError(
            f"no df_foreign for a delta of the kind {kind!r}",
            "the discount factor of the underlying, without which a spot delta is a forward delta",
            "give df_foreign=..., or take the forward kind",
        )
    return 1.0


def _raw_delta(k: FloatArray, sd: FloatArray, is_call: Any, adjusted: bool) -> FloatArray:
    """Return delta per unit of forward at log-moneyness ``k`` and total volatility ``sd``."""
    from scipy.special import ndtr

    sign = np.where(is_call, 1.0, -1.0)
    shift = -0.5 if adjusted else 0.5
    return np.asarray(sign * np.exp(k * adjusted) * ndtr(sign * (-k / sd + shift * sd)))


def option_delta(
    F: npt.ArrayLike,
    K: npt.ArrayLike,
    tau: npt.ArrayLike,
    iv: npt.ArrayLike,
    *,
    kind: DeltaKind,
    is_call: bool | npt.ArrayLike = True,
    df_foreign: npt.ArrayLike | None = None,
) -> Any:
    """Return the delta of a European option in units of the underlying per unit of notional.

    Parameters
    ----------
    F, K : array_like
        Forward and strike, above 0.
    tau : array_like
        Years of 365 days, above 0.
    iv : array_like
        Annualised decimal, above 0, in the clock of ``tau``.
    kind : {"spot", "forward", "pa_spot", "pa_forward"}
        ``pa_forward`` is the delta of a coin-settled option.
    is_call : bool or array_like of bool
    df_foreign : array_like, optional
        Discount factor of the underlying (foreign currency, dividend yield): the spot kinds need it, the
        forward kinds do not read it.

    Returns
    -------
    float or ndarray
        Positive for calls, negative for puts; NaN gives NaN.

    Raises
    ------
    ParameterError
        An unknown kind, or an element outside its domain.

    Notes
    -----
    ``forward: ±Phi(±d1)``; ``pa_forward: ±(K/F) Phi(±d2)``; the spot kinds times ``df_foreign``.

    References
    ----------
    Reiswich and Wystup (2012).

    Examples
    --------
    >>> round(option_delta(60_000.0, 65_000.0, 30 / 365, 0.55, kind="pa_forward"), 10)
    0.3020125128
    """
    per_spot, adjusted = check_kind(kind)
    shape, (forward, strike, years, vol, call, discount) = broadcast(
        {
            "F": as_floats("F", F, "a forward price", positive=True),
            "K": as_floats("K", K, "a strike price", positive=True),
            "tau": as_floats("tau", tau, "a time to expiry in years", positive=True),
            "iv": as_floats("iv", iv, "an annualised implied volatility (decimal)", positive=True),
            "is_call": as_flags("is_call", is_call),
            "df_foreign": as_floats(
                "df_foreign", _discount(kind, df_foreign), "a discount factor", positive=True
            ),
        }
    )
    out = _raw_delta(np.log(strike / forward), vol * np.sqrt(years), call, adjusted)
    return unwrap(out * discount if per_spot else out, shape)


def _peak(curve: VarianceCurve) -> float:
    """Return the log-moneyness where the premium-adjusted delta of a call is greatest."""
    points = curve.sd * np.linspace(-12.0, 12.0, 481)
    return lowest(lambda k: -_raw_delta(k, np.sqrt(curve.w(k)), True, True), points)[0]


def _solve(curve: VarianceCurve, target: float, is_call: bool, adjusted: bool, what: str) -> float:
    """Return k where the absolute delta per forward is ``target``, on the out-of-the-money branch."""
    sd = curve.sd

    def size(k: float) -> float:
        at = np.array(k)
        return abs(float(_raw_delta(at, np.sqrt(curve.w(at)), is_call, adjusted)))

    # away from the money the size falls: to the right for calls, to the left for puts
    side = 1.0 if is_call else -1.0
    inner = _peak(curve) if is_call and adjusted else -side * 12.0 * sd
    if not adjusted or not is_call:
        for _ in range(60):
            if size(inner) >= target:
                break
            inner *= 2.0
    greatest = size(inner)
    if target > greatest:
        raise ParameterError(
            f"{what} {target:.6g}",
            f"at most {greatest:.6g}, the greatest at k = {inner:.4g}"
            + (" (the premium-adjusted delta of a call is not monotone in the strike)" if adjusted else ""),
            "ask for a smaller delta",
        )
    step, outer = sd, inner
    for _ in range(400):
        outer += side * step
        if size(outer) < target:
            break
        inner, step = outer, step if abs(outer) < 20.0 * sd else 2.0 * step
    else:
        raise ParameterError(
            f"{what} {target:.6g}",
            "a delta that the smile reaches",
            "the wing is too steep: repair the smile",
        )
    for _ in range(BISECTIONS):
        middle = 0.5 * (inner + outer)
        if middle in (inner, outer):
            break
        inner, outer = (middle, outer) if size(middle) >= target else (inner, middle)
    return 0.5 * (inner + outer)


def _flat(sd: float) -> VarianceCurve:
    w = sd * sd
    return VarianceCurve(
        w=lambda k: np.full(np.shape(k), w),
        dw=lambda k: np.zeros(np.shape(k)),
        d2w=lambda k: np.zeros(np.shape(k)),
    )


def _per_forward(value: float, kind: str, is_call: bool, df_foreign: float | None) -> tuple[float, bool]:
    """Return the absolute delta per forward and whether it is premium-adjusted."""
    per_spot, adjusted = check_kind(kind)
    discount = float(_discount(kind, df_foreign))
    if not (math.isfinite(value) and value != 0.0 and (value > 0.0) == is_call):
        side = "call" if is_call else "put"
        raise ParameterError(
            f"delta of a {side} is {value!r}",
            f"a {'positive' if is_call else 'negative'} number such as {'0.25' if is_call else '-0.25'}",
            "give calls a positive and puts a negative delta, as decimals",
        )
    if not (math.isfinite(discount) and discount > 0.0):
        raise ParameterError(f"df_foreign is {discount!r}", "a positive discount factor", "correct it")
    if not adjusted and not abs(value) < (discount if per_spot else 1.0):
        raise ParameterError(
            f"{kind} delta {abs(value):g} with df_foreign {discount:g}",
            f"less than {discount if per_spot else 1.0:g} in size",
            "ask for a smaller delta",
        )
    return abs(value) / (discount if per_spot else 1.0), adjusted


def strike_from_delta(
    delta: npt.ArrayLike,
    F: npt.ArrayLike,
    tau: npt.ArrayLike,
    iv: npt.ArrayLike,
    *,
    kind: DeltaKind,
    is_call: bool | npt.ArrayLike = True,
    df_foreign: npt.ArrayLike | None = None,
) -> Any:
    """Return the strike at which an option of given vol has a given delta; on a smile use strike_of_delta.

    Parameters
    ----------
    delta : array_like
        Positive for calls, negative for puts; 0.25, not 25.
    F, tau, iv, kind, is_call, df_foreign
        As :func:`pmkit.surface.option_delta`.

    Returns
    -------
    float or ndarray
        Strike in the unit of ``F``; NaN gives NaN.

    Raises
    ------
    ParameterError
        An element outside its domain, or a delta that no strike has.

    Notes
    -----
    Unadjusted deltas have a closed form. The premium-adjusted delta of a call rises with the strike before it
    falls: the strike is searched right of the maximum, where the option is out of the money or nearly so. A
    premium-adjusted put has one strike for every negative delta.

    References
    ----------
    Reiswich and Wystup (2012).

    Examples
    --------
    >>> round(strike_from_delta(0.25, 60_000.0, 30 / 365, 0.55, kind="pa_forward"), 2)
    66766.69
    """
    _, adjusted = check_kind(kind)
    shape, arrays = broadcast(
        {
            "delta": as_floats("delta", delta, "a delta (decimal)", any_sign=True),
            "F": as_floats("F", F, "a forward price", positive=True),
            "tau": as_floats("tau", tau, "a time to expiry in years", positive=True),
            "iv": as_floats("iv", iv, "an annualised implied volatility (decimal)", positive=True),
            "is_call": as_flags("is_call", is_call),
            "df_foreign": as_floats(
                "df_foreign", _discount(kind, df_foreign), "a discount factor", positive=True
            ),
        }
    )
    out = np.full(arrays[0].size, np.nan)
    for i, (value, forward, years, vol, call, discount) in enumerate(zip(*arrays, strict=True)):
        if np.isnan([value, forward, years, vol, discount]).any():
            continue
        target, _ = _per_forward(float(value), kind, bool(call), float(discount))
        sd = float(vol * math.sqrt(years))
        if adjusted:
            k = _solve(_flat(sd), target, bool(call), True, f"{kind} delta per forward")
        else:
            from scipy.special import ndtri

            k = float(-(1.0 if call else -1.0) * ndtri(target) * sd + 0.5 * sd * sd)
        out[i] = forward * math.exp(k)
    return unwrap(out, shape)


def strike_of_delta(
    source: Any,
    delta: float,
    *,
    kind: DeltaKind,
    forward: float = 1.0,
    tau: float | None = None,
    df_foreign: float | None = None,
    outside: str = "raise",
) -> float:
    """Return the strike on a smile at which the option, at the vol of that very strike, has a given delta.

    Parameters
    ----------
    source : slice, VolSurface or callable
        As :func:`pmkit.surface.variance_curve`.
    delta : float
        Positive: the strike of a call; negative: of a put.
    kind : {"spot", "forward", "pa_spot", "pa_forward"}
    forward : float
        Unit of the answer; with 1 it is K/F.
    tau, outside
        As :func:`pmkit.surface.variance_curve`.
    df_foreign : float, optional
        Discount factor of the underlying; the spot kinds need it.

    Raises
    ------
    ParameterError
        A delta outside its domain or beyond what the smile reaches; a forward that is not positive.

    Notes
    -----
    Where a smile gives several strikes the same delta, the one is taken that is met first on the way out from
    the strike of greatest delta.

    Examples
    --------
    >>> from pmkit.surface import RawSvi
    >>> smile = RawSvi(a=0.02, b=0.1, rho=-0.3, m=0.0, sigma=0.1)
    >>> round(strike_of_delta(smile, -0.25, kind="forward", forward=60_000.0, tau=30 / 365), 2)
    53584.78
    """
    curve = variance_curve(source, tau, outside=outside)
    return positive_forward(forward) * math.exp(k_of_delta(curve, delta, kind, df_foreign))


def k_of_delta(curve: VarianceCurve, value: float, kind: str, df_foreign: float | None) -> float:
    value = as_number("delta", value)
    target, adjusted = _per_forward(value, kind, value > 0.0, df_foreign)
    return _solve(curve, target, value > 0.0, adjusted, f"{kind} delta per forward")


def positive_forward(forward: float) -> float:
    if not 0.0 < as_number("forward", forward) < math.inf:
        raise ParameterError(f"forward is {forward!r}", "a positive price", "correct the argument")
    return float(forward)
