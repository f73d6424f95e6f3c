"""Black-76 implied volatility of option quotes, linear or coin-settled, with one status per quote."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from pmkit.core.status import Status
from pmkit.pricing.implied_vector import implied_quotes
from pmkit.pricing.inputs import as_flags, as_floats, broadcast, check_settlement, unwrap
from pmkit.pricing.sensitivities import require_unit_discount

__all__ = ["implied_vol"]


def implied_vol(
    price: npt.ArrayLike,
    F: npt.ArrayLike,
    K: npt.ArrayLike,
    tau: npt.ArrayLike,
    df: npt.ArrayLike = 1.0,
    is_call: bool | npt.ArrayLike = True,
    return_status: bool = False,
    settlement: str = "linear",
) -> Any:
    """Return the annualised implied volatility (decimal) at which Black-76 gives the quoted price.

    It holds from deep in to deep out of the money, down to the smallest positive doubles. A quote without an
    implied volatility gives NaN and a status, never an exception. All arguments broadcast together.

    Parameters
    ----------
    price : array_like
        Option price: quote currency for linear, coin for inverse settlement. Any number, NaN for missing.
    F : array_like
        Forward of the expiry, quote currency, 0 or more, finite.
    K : array_like
        Strike, quote currency, 0 or more, finite.
    tau : array_like
        Time to expiry in years; any number: an expired option (0 or less) gets the status of a bad input.
    df : array_like
        Discount factor, above 0; must be 1 for inverse settlement.
    is_call : bool or array_like of bool
        True for a call, False for a put.
    return_status : bool
        Whether to return the status too.
    settlement : {"linear", "inverse"}
        Currency of the price: quote currency or coin.

    Returns
    -------
    float or ndarray of float64
        Implied volatility, NaN where the status is not OK.
    Status or ndarray of int8
        Only with ``return_status=True``; codes of :class:`pmkit.core.status.Status`: OK; BELOW_INTRINSIC
        (under the discounted intrinsic value); NO_INFORMATION (no time value, for in-the-money quotes within
        four roundings of the price); AT_BOUND (equal to the upper bound to two roundings: infinite
        volatility); ABOVE_BOUND; INVALID_INPUT (NaN, expired, or a forward of 0 with inverse settlement);
        NOT_CONVERGED.

    Raises
    ------
    ParameterError
        If F, K or df lies outside its range (the message names argument, value and position), an argument is
        not numeric, or the shapes do not broadcast.
    ConventionError
        If ``df`` differs from 1 under inverse settlement.

    Notes
    -----
    The upper bound of a price is ``df F`` for a call and ``df K`` for a put; in coin it is 1 for a call and
    ``K/F`` for a put, which exceeds 1 when the put is in the money. In-the-money quotes become
    out-of-the-money ones by put-call parity before anything else is done: their time value carries the
    rounding of the whole price, so an in-the-money quote has fewer digits of volatility. The error is within
    8 times the attainable one, ``(|b/(s b')| + 1) eps``, with b the normalised price, s total volatility and
    eps = 2.2e-16.

    References
    ----------
    Jaeckel (2015), "Let's Be Rational", section 2 (normalisation); Choi, Huh and Su (2023) (logarithm of the
    price).

    Examples
    --------
    >>> round(implied_vol(8.059601928474566, 100.0, 110.0, 0.25, df=0.99), 12)
    0.6
    >>> implied_vol(9.0, 100.0, 90.0, 0.25, return_status=True)
    (nan, <Status.BELOW_INTRINSIC: 3>)
    """
    inverse = check_settlement(settlement)
    arrays: dict[str, np.ndarray[Any, Any]] = {
        "price": as_floats("price", price, "an option price", any_sign=True, finite=False),
        "F": as_floats("F", F, "a forward price in quote currency"),
        "K": as_floats("K", K, "a strike price in quote currency"),
        "tau": as_floats("tau", tau, "a time to expiry in years", any_sign=True),
        "df": as_floats("df", df, "a discount factor", positive=True),
        "is_call": as_flags("is_call", is_call),
    }
    if inverse:
        require_unit_discount(arrays["df"])
    shape, (quote, forward, strike, years, discount, flags) = broadcast(arrays, keep_single=True)
    iv = np.empty(math.prod(shape))
    status = np.empty(iv.size, dtype=np.int8)
    implied_quotes(quote, forward, strike, years, discount, flags, inverse, iv, status)
    volatility = unwrap(iv, shape)
    if not return_status:
        return volatility
    return volatility, (status.reshape(shape) if shape else Status(int(status[0])))
