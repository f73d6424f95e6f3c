"""Funding of perpetuals: the rate from the premium over the index, by venue, and what a position pays."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.instruments.contracts import Perpetual
from pmkit.margin.accounts.numbers import checked_number

__all__ = [
    "averaged_premium",
    "clamped_funding_rate",
    "damped_funding_rate",
    "funding_payment",
    "hourly_funding_rate",
    "impact_notional",
    "premium_index",
]


def impact_notional(im_rate: float, base: float = 200.0) -> float:
    """Return the order size in USD at which impact prices are read: a base over the lowest margin rate.

    Parameters
    ----------
    im_rate : float
        Initial margin rate at the highest leverage, above 0 to 1.
    base : float
        USD, above 0.

    Raises
    ------
    ParameterError
        A number outside its range.

    Examples
    --------
    >>> impact_notional(0.008)
    25000.0
    """
    checked_number("im_rate", im_rate, low=0.0, high=1.0, open_low=True)
    return checked_number("base", base, low=0.0, open_low=True, unit="of USD") / im_rate


def premium_index(impact_bid: float, impact_ask: float, index: float) -> float:
    """Return the premium of the book over the index, decimal: 0 where the index lies between bid and ask.

    Parameters
    ----------
    impact_bid, impact_ask, index : float
        USD, above 0; the bid at most the ask.

    Raises
    ------
    ParameterError
        A price that is not positive, or a bid above the ask.

    Notes
    -----
    ``(max(0, bid − I) − max(0, I − ask))/I``.

    Examples
    --------
    >>> premium_index(50_050.0, 50_060.0, 50_000.0), premium_index(49_900.0, 49_950.0, 50_000.0)
    (0.001, -0.001)
    """
    for what, value in (("impact_bid", impact_bid), ("impact_ask", impact_ask), ("index", index)):
        checked_number(what, value, low=0.0, open_low=True, unit="of USD")
    if impact_bid > impact_ask:
        raise ParameterError(
            f"impact bid {impact_bid:g} is above ask {impact_ask:g}",
            "a bid at most the ask",
            "drop the sample",
        )
    return (max(0.0, impact_bid - index) - max(0.0, index - impact_ask)) / index


def averaged_premium(premiums: Sequence[float]) -> float:
    """Return the average premium of an interval, decimal, the n-th sample with weight n.

    Raises
    ------
    DataGapError
        No sample.
    ParameterError
        A premium that is not finite.

    Examples
    --------
    >>> averaged_premium([0.0, 0.0, 0.001])
    0.0005
    """
    if not len(premiums):
        raise DataGapError("there is no premium", "at least one sample", "wait for the first")
    weighed = [n * checked_number(f"premium {n}", p) for n, p in enumerate(premiums, start=1)]
    return math.fsum(weighed) / (len(weighed) * (len(weighed) + 1) / 2)


def clamped_funding_rate(
    premium: float,
    *,
    interval_hours: float = 8.0,
    interest: float = 0.0001,
    clamp: float = 0.0005,
    cap: float = math.inf,
) -> float:
    """Return the funding rate of an interval, decimal, from the average premium and an interest rate.

    Parameters
    ----------
    premium : float
        Average premium index of the interval, decimal.
    interval_hours : float
        Hours between fundings, above 0.
    interest : float
        Interest rate of 8 hours, decimal.
    clamp : float
        Largest size of interest minus premium, 0 or more.
    cap : float
        Largest size of the rate, 0 or more.

    Raises
    ------
    ParameterError
        A number outside its range.

    Notes
    -----
    ``[P + clamp(I − P, ±c)]/(8/N)``: within c of the interest the rate is the interest itself.

    References
    ----------
    Binance (undated), funding rates.

    Examples
    --------
    >>> [round(clamped_funding_rate(p), 6) for p in (0.0002, 0.00065, 0.001, -0.001)]
    [0.0001, 0.00015, 0.0005, -0.0005]
    """
    checked_number("premium", premium)
    checked_number("interval_hours", interval_hours, low=0.0, open_low=True)
    checked_number("clamp", clamp, low=0.0)
    pull = min(max(checked_number("interest", interest) - premium, -clamp), clamp)
    return _capped((premium + pull) / (8.0 / interval_hours), cap)


def damped_funding_rate(premium: float, damper: float, *, cap: float = math.inf) -> float:
    """Return the 8-hour funding rate, decimal, of a venue that ignores small premiums.

    Parameters
    ----------
    premium : float
        Mark over index minus 1, decimal.
    damper : float
        Size up to which a premium costs nothing, 0 or more; dated by the venue.
    cap : float
        Largest size of the rate, 0 or more.

    Raises
    ------
    ParameterError
        A number outside its range.

    Notes
    -----
    ``max(d, p) + min(−d, p)``, charged continuously, pro rata of 8 hours.

    References
    ----------
    Deribit (undated), perpetual: funding.

    Examples
    --------
    >>> [round(damped_funding_rate(p, 0.00025), 6) for p in (0.0002, 0.001, -0.001)]
    [0.0, 0.00075, -0.00075]
    """
    checked_number("premium", premium)
    checked_number("damper", damper, low=0.0)
    return _capped(max(damper, premium) + min(-damper, premium), cap)


def hourly_funding_rate(premium: float, *, base: float = 0.0000125, cap: float = 0.004) -> float:
    """Return the funding rate of one hour, decimal: an eighth of the premium plus a base, within a cap.

    Raises
    ------
    ParameterError
        A number that is not finite, or a cap below 0.

    References
    ----------
    Derive (2026), perpetual asset.

    Examples
    --------
    >>> round(hourly_funding_rate(0.0008), 7), hourly_funding_rate(1.0)
    (0.0001125, 0.004)
    """
    return _capped(checked_number("premium", premium) / 8.0 + checked_number("base", base), cap)


def funding_payment(perpetual: Perpetual, qty: float, mark: float, rate: float) -> float:
    """Return the cash that a position receives, in its settlement currency; a long pays a positive rate.

    Parameters
    ----------
    perpetual : Perpetual
    qty : float
        Signed contracts, long positive.
    mark : float
        USD, above 0.
    rate : float
        Rate of the time that is paid for, decimal.

    Raises
    ------
    ConventionError
        The instrument is no perpetual.
    ParameterError
        A number outside its range.

    Notes
    -----
    ``−q N F`` with N the notional of one contract in settlement currency: ``m P`` of a linear contract in
    quote currency, ``m/P`` coins of an inverse one.

    Examples
    --------
    >>> swap = Perpetual(name="BTC-PERPETUAL", underlying="BTC", settlement="inverse",
    ...     settlement_currency="BTC", multiplier=10.0, lot=1.0)
    >>> round(funding_payment(swap, 6_000.0, 60_000.0, 0.0001), 8)
    -0.0001
    """
    if not isinstance(perpetual, Perpetual):
        raise ConventionError(f"{perpetual!r} is no perpetual", "a perpetual", "only these pay funding")
    checked_number("mark", mark, low=0.0, open_low=True, unit="of USD")
    unit = perpetual.multiplier / mark if perpetual.is_inverse else perpetual.multiplier * mark
    return -checked_number("qty", qty) * unit * checked_number("rate", rate)


def _capped(rate: float, cap: float) -> float:
    if cap != math.inf:
        checked_number("cap", cap, low=0.0)
    return min(max(rate, -cap), cap)
