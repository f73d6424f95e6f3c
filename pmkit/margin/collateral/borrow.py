"""What a debt costs: a borrowing rate with a kink in utilisation, and the interest of a balance."""

from __future__ import annotations

import math

from pmkit.margin.accounts.numbers import checked_number, checked_share

__all__ = ["borrow_interest", "kinked_borrow_rate"]


def kinked_borrow_rate(utilisation: float, *, base: float, slope: float, kink: float, steep: float) -> float:
    """Return the annual borrowing rate, decimal, at a utilisation of the lending pool.

    Parameters
    ----------
    utilisation : float
        Share of the pool that is lent, 0 to 1.
    base : float
        Rate at a utilisation of 0, decimal, 0 or more.
    slope : float
        What it rises by over the whole range, 0 or more.
    kink : float
        Utilisation beyond which it rises by ``steep`` more, 0 to 1.
    steep : float
        0 or more.

    Raises
    ------
    ParameterError
        A number outside its range.

    Notes
    -----
    ``base + slope u + steep max(0, u − kink)``. Derive: 0.02, 0.08, 0.85, 0.90. Hyperliquid: 0.05, 0, 0.80,
    4.75, as a yield a year.

    References
    ----------
    Derive (2026), interest rate model.

    Examples
    --------
    >>> [round(kinked_borrow_rate(u, base=0.05, slope=0.0, kink=0.8, steep=4.75), 6) for u in (0.9, 1.0)]
    [0.525, 1.0]
    """
    checked_share("utilisation", utilisation)
    checked_share("kink", kink)
    for what, value in (("base", base), ("slope", slope), ("steep", steep)):
        checked_number(what, value, low=0.0)
    return base + slope * utilisation + steep * max(0.0, utilisation - kink)


def borrow_interest(balance: float, rate: float, days: float) -> float:
    """Return the interest that a balance pays over days, in its own unit, positive; 0 where nothing is owed.

    Parameters
    ----------
    balance : float
        Units of a currency, negative for a debt.
    rate : float
        Annual rate, decimal, continuously compounded, 0 or more.
    days : float
        0 or more; a year has 365.

    Raises
    ------
    ParameterError
        A number outside its range.

    Examples
    --------
    >>> round(borrow_interest(-10_000.0, 0.10, 36.5), 6), borrow_interest(5.0, 0.10, 36.5)
    (100.501671, 0.0)
    """
    owed = max(-checked_number("balance", balance), 0.0)
    checked_number("rate", rate, low=0.0)
    return owed * math.expm1(rate * checked_number("days", days, low=0.0) / 365.0)
