"""Dutch auction of a slice of an account: buffer below maintenance, price by time, largest slice."""

from __future__ import annotations

from pmkit.core.errors import ParameterError
from pmkit.margin.accounts.numbers import checked_number, checked_share

__all__ = ["auction_fraction", "auction_price", "liquidation_buffer"]


def liquidation_buffer(net_mm: float, value: float, share: float) -> float:
    """Return the buffer margin in USD: net maintenance margin less a share of what the margin takes of value.

    Parameters
    ----------
    net_mm : float
        Equity less maintenance margin, USD; negative while the account is liquidated.
    value : float
        Mark-to-market value of the account, USD.
    share : float
        0 to 1.

    Raises
    ------
    ParameterError
        A number that is not finite, or a share outside 0 to 1.

    Notes
    -----
    ``BM = MM − share (MtM − MM)``: a little below maintenance, so that an account that is brought back to
    ``BM = 0`` is not flagged again at once.

    References
    ----------
    Derive (2026), Dutch auction.

    Examples
    --------
    >>> liquidation_buffer(-100.0, 900.0, 0.05)
    -150.0
    """
    net = checked_number("net_mm", net_mm, unit="of USD")
    return net - checked_share("share", share) * (checked_number("value", value, unit="of USD") - net)


def auction_price(
    minutes: float,
    value: float,
    reserved: float = 0.0,
    *,
    start: float = 0.95,
    middle: float = 0.70,
    fast_minutes: float = 15.0,
    slow_minutes: float = 720.0,
) -> float:
    """Return what the whole account is offered at in USD, minutes after its auction began.

    Parameters
    ----------
    minutes : float
        Since the start, 0 or more.
    value, reserved : float
        Mark-to-market value and the cash in it that is set aside, USD.
    start, middle : float
        Share of value at the start and after the fast phase, 0 to 1, falling.
    fast_minutes, slow_minutes : float
        Lengths of both phases, above 0.

    Raises
    ------
    ParameterError
        A number outside its range, or a share that does not fall.

    Notes
    -----
    ``discount(t) (MtM − reserved)`` with a discount that falls linearly from ``start`` to ``middle``, then to
    0. Defaults as seen at the venue: 95 to 70 % in a quarter of an hour, to 0 in twelve hours more.

    References
    ----------
    Derive (2026), Dutch auction.

    Examples
    --------
    >>> round(auction_price(7.5, 1_000.0), 6), round(auction_price(375.0, 1_000.0), 6)
    (825.0, 350.0)
    """
    checked_number("minutes", minutes, low=0.0)
    for what, span in (("fast_minutes", fast_minutes), ("slow_minutes", slow_minutes)):
        checked_number(what, span, low=0.0, open_low=True)
    if checked_share("middle", middle) > checked_share("start", start):
        raise ParameterError(f"middle {middle:g} above start {start:g}", "a falling price", "swap them")
    if minutes <= fast_minutes:
        discount = start - (start - middle) * minutes / fast_minutes
    else:
        discount = max(middle * (1.0 - (minutes - fast_minutes) / slow_minutes), 0.0)
    free = checked_number("value", value, unit="of USD") - checked_number("reserved", reserved, unit="of USD")
    return discount * free


def auction_fraction(buffer: float, value: float, discount: float, reserved: float = 0.0) -> float:
    """Return the largest share of the account that one bidder may take, 0 to 1.

    Parameters
    ----------
    buffer : float
        Buffer margin, USD, 0 or less: see :func:`liquidation_buffer`.
    value, reserved : float
        Mark-to-market value and reserved cash, USD.
    discount : float
        Share of value at which is sold, 0 to 1.

    Raises
    ------
    ParameterError
        A buffer above 0, or a number outside its range.

    Notes
    -----
    ``f = BM/(BM − MtM d − reserved (1 − d))``: taking f of the positions removes f of the buffer deficit and
    pays ``f d (MtM − reserved)``, after which the buffer margin of the rest is 0. One where value does not
    suffice.

    References
    ----------
    Derive (2026), Dutch auction.

    Examples
    --------
    >>> round(auction_fraction(-150.0, 900.0, 0.8), 8)
    0.17241379
    """
    deficit = checked_number("buffer", buffer, high=0.0, unit="of USD")
    share = checked_share("discount", discount)
    paid = checked_number("value", value, unit="of USD") * share
    kept = checked_number("reserved", reserved, unit="of USD") * (1.0 - share)
    below = deficit - paid - kept
    return 1.0 if below >= 0.0 and deficit < 0.0 else min(max(deficit / below, 0.0), 1.0) if below else 0.0
