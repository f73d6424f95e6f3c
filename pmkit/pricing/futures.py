"""Profit of futures and perpetuals between two prices: coin-margined (inverse), quote-margined (linear)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pmkit.pricing.inputs import as_floats, broadcast, unwrap

__all__ = ["inverse_future_pnl", "linear_future_pnl"]


def inverse_future_pnl(notional_usd: npt.ArrayLike, F0: npt.ArrayLike, F1: npt.ArrayLike) -> Any:
    """Return the profit in coin of an inverse future of fixed quote notional, gain positive.

    Use it for coin-margined futures and perpetuals, whose contract is an amount of quote currency
    (10 USD for Deribit's BTC perpetual). Arguments broadcast; NaN gives NaN.

    Parameters
    ----------
    notional_usd : array_like
        Quote-currency notional, long positive, short negative, finite.
    F0 : array_like
        Price at the start, quote currency per coin, above 0.
    F1 : array_like
        Price at the end, quote currency per coin, above 0.

    Returns
    -------
    float or ndarray of float64
        Profit in coin. A long position's loss grows without bound as ``F1`` falls to 0; a short position
        loses at most ``notional/F0`` coins.

    Raises
    ------
    ParameterError
        If a price is 0, negative or infinite, the notional is infinite, or the shapes do not broadcast.

    Notes
    -----
    ``pnl = N (1/F0 - 1/F1)``, computed as ``N (F1 - F0)/(F0 F1)``, which does not cancel for small moves.
    Its first and second derivatives with respect to F1 are ``N/F1**2`` and ``-2 N/F1**3``. Worth
    ``pnl F1`` in quote currency at the end.

    Examples
    --------
    >>> round(inverse_future_pnl(100_000.0, 60_000.0, 30_000.0), 10)
    -1.6666666667
    """
    shape, (notional, start, end) = _prepare("notional_usd", notional_usd, F0, F1, positive=True)
    return unwrap(notional / start * ((end - start) / end), shape)


def linear_future_pnl(quantity: npt.ArrayLike, F0: npt.ArrayLike, F1: npt.ArrayLike) -> Any:
    """Return the profit in quote currency of a linear future, gain positive.

    Use it for quote-margined futures and perpetuals, and for spot. Arguments broadcast; NaN gives NaN.

    Parameters
    ----------
    quantity : array_like
        Units of underlying (contracts times multiplier), long positive, short negative, finite.
    F0 : array_like
        Price at the start, quote currency, 0 or more.
    F1 : array_like
        Price at the end, quote currency, 0 or more.

    Returns
    -------
    float or ndarray of float64
        Profit in quote currency.

    Raises
    ------
    ParameterError
        If a price is negative or infinite, the quantity is infinite, or the shapes do not broadcast.

    Notes
    -----
    ``pnl = quantity (F1 - F0)``.

    Examples
    --------
    >>> linear_future_pnl(2.0, 60_000.0, 59_000.0)
    -2000.0
    """
    shape, (units, start, end) = _prepare("quantity", quantity, F0, F1, positive=False)
    return unwrap(units * (end - start), shape)


def _prepare(
    name: str, size: npt.ArrayLike, start: npt.ArrayLike, end: npt.ArrayLike, *, positive: bool
) -> tuple[tuple[int, ...], list[np.ndarray[Any, Any]]]:
    """Return the common shape and the checked size, start price and end price."""
    units = as_floats(name, size, "a signed position size", any_sign=True)
    prices = {
        key: as_floats(key, value, "a price in quote currency", positive=positive)
        for key, value in (("F0", start), ("F1", end))
    }
    return broadcast({name: units, **prices})
