"""Mark prices of perpetuals and futures: what a venue values positions at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.margin.accounts.numbers import checked_number, checked_share

__all__ = ["basis_mark", "capped_index", "fair_price", "median_mark", "smoothed_basis"]


def capped_index(
    prices: Sequence[float],
    weights: Sequence[float] | None = None,
    *,
    ages_seconds: Sequence[float] | None = None,
    cap: float = 0.03,
    stale_seconds: float = 300.0,
) -> float:
    """Return the weighted mean of spot prices in USD, each held within a band about their median.

    Parameters
    ----------
    prices : sequence of float
        One price a source, USD, above 0.
    weights : sequence of float, optional
        Weight of each source, 0 or more; equal where left out.
    ages_seconds : sequence of float, optional
        Age of each price; a price older than ``stale_seconds`` has weight 0 and is no part of the median.
    cap : float
        Half-width of the band about the median, 0.03 for three per cent.
    stale_seconds : float

    Raises
    ------
    DataGapError
        No price is left.
    ParameterError
        A price that is not positive, a weight below 0, or lists of different lengths.

    References
    ----------
    Binance (undated), index price of futures: constituents within three per cent of the median.

    Examples
    --------
    >>> round(capped_index([100.0, 101.0, 150.0]), 6)
    101.676667
    """
    checked_share("cap", cap)
    for what, given in (("weights", weights), ("ages_seconds", ages_seconds)):
        if given is not None and len(given) != len(prices):
            raise ParameterError(f"{len(given)} {what} for {len(prices)} prices", "one a price", "fill it up")
    share = [1.0] * len(prices) if weights is None else list(weights)
    old = [0.0] * len(prices) if ages_seconds is None else list(ages_seconds)
    used = [
        (_price(f"price {i}", p), checked_number(f"weight {i}", w, low=0.0))
        for i, (p, w, age) in enumerate(zip(prices, share, old, strict=True))
        if checked_number(f"age {i}", age, low=0.0, unit="of seconds") <= stale_seconds
    ]
    total = math.fsum(w for _, w in used)
    if total == 0.0:
        raise DataGapError("no price is fresh and weighs", "at least one", "wait for a price")
    middle = median(p for p, _ in used)
    low, high = middle * (1.0 - cap), middle * (1.0 + cap)
    return math.fsum(min(max(p, low), high) * w for p, w in used) / total


def fair_price(index: float, funding_rate: float, hours_to_funding: float, interval_hours: float) -> float:
    """Return the fair price of a perpetual in USD: the index with the funding that is still to come.

    Parameters
    ----------
    index : float
        USD, above 0.
    funding_rate : float
        Rate of the interval, decimal, positive where longs pay.
    hours_to_funding : float
        0 to ``interval_hours``.
    interval_hours : float
        Hours between fundings, above 0; 8 at most venues.

    Raises
    ------
    ParameterError
        A number outside its range.

    Notes
    -----
    ``I (1 + F t/N)``: the premium runs off to the index at the instant of payment.

    References
    ----------
    BitMEX (undated), fair price marking.

    Examples
    --------
    >>> fair_price(50_000.0, 0.0004, 4.0, 8.0)
    50010.0
    """
    checked_number("interval_hours", interval_hours, low=0.0, open_low=True)
    checked_number("hours_to_funding", hours_to_funding, low=0.0, high=interval_hours)
    rate = checked_number("funding_rate", funding_rate, low=-1.0, high=1.0)
    return _price("index", index) * (1.0 + rate * hours_to_funding / interval_hours)


def median_mark(
    index: float,
    last: float,
    mean_basis: float,
    funding_rate: float,
    hours_to_funding: float,
    interval_hours: float,
) -> float:
    """Return the mark of a perpetual in USD: the median of fair price, index plus mean basis, and last trade.

    Parameters
    ----------
    index, last : float
        USD, above 0.
    mean_basis : float
        Moving average of mid minus index, USD.
    funding_rate, hours_to_funding, interval_hours
        As :func:`fair_price`.

    Raises
    ------
    ParameterError
        A number outside its range.

    References
    ----------
    Binance (undated), mark price of perpetuals.

    Examples
    --------
    >>> median_mark(50_000.0, 51_000.0, 30.0, 0.0004, 4.0, 8.0)
    50030.0
    """
    fair = fair_price(index, funding_rate, hours_to_funding, interval_hours)
    return median((fair, index + checked_number("mean_basis", mean_basis), _price("last", last)))


def smoothed_basis(
    basis: Sequence[float], seconds: float, *, window_seconds: float = 30.0, start: float | None = None
) -> float:
    """Return the exponential average of basis samples in USD, the last sample weighing most.

    Parameters
    ----------
    basis : sequence of float
        Price minus index, oldest first, USD.
    seconds : float
        Time between samples, above 0.
    window_seconds : float
        Length of the average; the weight of a new sample is ``2/(window/seconds + 1)``, at most 1.
    start : float, optional
        Average before the first sample; the first sample itself where left out.

    Raises
    ------
    DataGapError
        No sample.
    ParameterError
        A number that is not finite, or a length that is not positive.

    Examples
    --------
    >>> round(smoothed_basis([0.0, 31.0], 1.0), 6)
    2.0
    """
    if not len(basis):
        raise DataGapError("there is no sample of the basis", "at least one", "wait for a trade or quote")
    checked_number("seconds", seconds, low=0.0, open_low=True)
    checked_number("window_seconds", window_seconds, low=0.0, open_low=True)
    weight = min(2.0 / (window_seconds / seconds + 1.0), 1.0)
    values = [checked_number(f"basis {i}", b) for i, b in enumerate(basis)]
    average = values[0] if start is None else checked_number("start", start)
    for value in values:
        average += weight * (value - average)
    return average


def basis_mark(index: float, last: float, bid: float, ask: float, average: float) -> tuple[float, float]:
    """Return the mark of a future in USD and the basis sample to average next, USD.

    Parameters
    ----------
    index, last, bid, ask : float
        USD, above 0; the bid at most the ask.
    average : float
        Exponential average of earlier basis samples, USD; see :func:`smoothed_basis`.

    Returns
    -------
    tuple of float
        Index plus average, and the sample: last trade held between bid and ask, minus the index.

    Raises
    ------
    ParameterError
        A price that is not positive, or a bid above the ask.

    Examples
    --------
    >>> basis_mark(50_000.0, 50_500.0, 50_090.0, 50_110.0, 80.0)
    (50080.0, 110.0)
    """
    _price("bid", bid)
    if _price("ask", ask) < bid:
        raise ParameterError(f"bid {bid:g} is above ask {ask:g}", "a bid at most the ask", "drop the quote")
    held = min(max(_price("last", last), bid), ask)
    return _price("index", index) + checked_number("average", average), held - index


def _price(what: str, value: float) -> float:
    return checked_number(what, value, low=0.0, open_low=True, unit="of USD")
