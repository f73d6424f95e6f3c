"""Liquidation and bankruptcy price of a single future or perpetual, in closed form."""

from __future__ import annotations

import math
from typing import NamedTuple

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.instruments import Future, Instrument, Perpetual
from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.engine.brackets import Brackets

__all__ = ["LiquidationPrice", "liquidation_price"]


class LiquidationPrice(NamedTuple):
    """Prices in USD below and above the mark at which equity meets maintenance margin, and where it is 0.

    NaN where there is none. ``status``: ``ok``, ``none``, ``already`` (below maintenance at the mark) or
    ``insolvent`` (equity at the mark is not positive).
    """

    lower: float
    upper: float
    bankruptcy: float
    status: str


def liquidation_price(
    instrument: Instrument,
    qty: float,
    entry: float,
    balance: float,
    mark: float,
    *,
    rate: float | None = None,
    slope: float = 0.0,
    brackets: Brackets | None = None,
) -> LiquidationPrice:
    """Return the prices in USD at which a single position with its balance is liquidated, in closed form.

    Parameters
    ----------
    instrument : Future or Perpetual
    qty : float
        Signed contracts, not 0.
    entry, mark : float
        USD, above 0.
    balance : float
        Cash that stands behind the position, in its settlement currency.
    rate : float, optional
        Maintenance rate of the notional, 0 to 1.
    slope : float
        What the rate grows by with each coin of size, 0 or more; with ``rate`` only.
    brackets : Brackets, optional
        Tiered maintenance by notional in USD, instead of ``rate``.

    Returns
    -------
    LiquidationPrice

    Raises
    ------
    ConventionError
        Not a future or perpetual: an option has no closed form.
    ParameterError
        A number outside its range, or not exactly one of ``rate`` and ``brackets``.

    Notes
    -----
    With q the signed size in coins (linear) or the signed face N in USD (inverse), E the entry, W the
    balance. Linear: ``P = (qE − W − c_i)/(q − |q| r_i)`` in the bracket i that holds ``|q| P``, with c the
    amount that bracket takes off; a rate with slope is ``r = rate + slope |q|``. Inverse with brackets:
    ``P = (N + MM)/(W + N/E)``, as the notional in USD does not move. Inverse with a rate: ``u = 1/P`` solves
    ``slope N² u² + (rate |N| + N) u − (W + N/E) = 0``; a short position of large size can have a root on
    either side. Bankruptcy: ``E − W/q``, or ``N/(W + N/E)``.

    Examples
    --------
    >>> coin = Perpetual(name="BTC-USD", underlying="BTC", settlement="linear", settlement_currency="USD",
    ...     multiplier=1.0, lot=0.001)
    >>> table = Brackets.of((0.0, 0.004, 125.0), (50e3, 0.005, 100.0))
    >>> found = liquidation_price(coin, 1.0, 100_000.0, 20_000.0, 100_000.0, brackets=table)
    >>> round(found.lower, 2), found.bankruptcy, found.status
    (80351.76, 80000.0, 'ok')
    """
    if not isinstance(instrument, (Future, Perpetual)):
        raise ConventionError(
            f"{instrument.name} is a {instrument.kind}",
            "a future or perpetual",
            "use distance_to_liquidation, which revalues",
        )
    for what, value in (("entry", entry), ("mark", mark)):
        checked_number(what, value, low=0.0, open_low=True, unit="of USD")
    checked_number("balance", balance)
    size = checked_number("qty", qty) * instrument.multiplier
    if size == 0.0 or (rate is None) == (brackets is None):
        raise ParameterError(
            "qty is 0" if size == 0.0 else f"rate {rate!r} and brackets {brackets!r}",
            "a position, and exactly one of rate and brackets",
            "correct the arguments",
        )
    checked_number("slope", slope, low=0.0)
    if rate is not None:
        checked_number("rate", rate, low=0.0, high=1.0)
    account = _Inverse if instrument.is_inverse else _Linear
    position = account(size, entry, balance)
    roots = position.rate_roots(rate, slope) if rate is not None else position.bracket_roots(_held(brackets))
    equity = position.equity(mark)
    kept = position.maintenance(mark, rate, slope, brackets)
    if equity <= 0.0:
        status = "insolvent"
    elif equity < kept:
        status = "already"
    else:
        status = "ok" if roots else "none"
    below = [p for p in roots if p <= mark]
    above = [p for p in roots if p > mark]
    return LiquidationPrice(
        max(below, default=math.nan), min(above, default=math.nan), position.bankruptcy(), status
    )


def _held(brackets: Brackets | None) -> Brackets:
    assert brackets is not None
    return brackets


class _Linear:
    """Signed size in coins, amounts in USD."""

    def __init__(self, size: float, entry: float, balance: float) -> None:
        self.size, self.entry, self.balance = size, entry, balance

    def equity(self, price: float) -> float:
        return self.balance + self.size * (price - self.entry)

    def maintenance(self, price: float, rate: float | None, slope: float, brackets: Brackets | None) -> float:
        notional = abs(self.size) * price
        return (
            brackets.maintenance(notional)
            if rate is None and brackets
            else notional * self._rate(rate, slope)
        )

    def _rate(self, rate: float | None, slope: float) -> float:
        return (rate or 0.0) + slope * abs(self.size)

    def rate_roots(self, rate: float, slope: float) -> list[float]:
        return self._root(self._rate(rate, slope), 0.0)

    def bracket_roots(self, brackets: Brackets) -> list[float]:
        found = []
        for at, (row, off) in enumerate(zip(brackets.rows, brackets.cumulative, strict=True)):
            root = self._root(row.maintenance_rate, off)
            found += [p for p in root if brackets.index(abs(self.size) * p) == at]
        return found

    def _root(self, rate: float, off: float) -> list[float]:
        slope = self.size - abs(self.size) * rate
        price = (self.size * self.entry - self.balance - off) / slope if slope != 0.0 else math.nan
        return [price] if price > 0.0 else []

    def bankruptcy(self) -> float:
        price = self.entry - self.balance / self.size
        return price if price > 0.0 else math.nan


class _Inverse:
    """Signed face in USD, amounts in coin."""

    def __init__(self, size: float, entry: float, balance: float) -> None:
        self.face, self.balance = size, balance
        self.worth = balance + size / entry

    def equity(self, price: float) -> float:
        return self.worth - self.face / price

    def maintenance(self, price: float, rate: float | None, slope: float, brackets: Brackets | None) -> float:
        coins = abs(self.face) / price
        if rate is None and brackets:
            return brackets.maintenance(abs(self.face)) / price
        return coins * ((rate or 0.0) + slope * coins)

    def rate_roots(self, rate: float, slope: float) -> list[float]:
        a, b, c = slope * self.face**2, rate * abs(self.face) + self.face, -self.worth
        if a == 0.0:
            found = [-c / b] if b != 0.0 else []
        else:
            square = b * b - 4.0 * a * c
            # the larger root in size first, the other from their product: no cancellation
            half = -0.5 * (b + math.copysign(math.sqrt(max(square, 0.0)), b))
            found = [half / a, *([c / half] if half != 0.0 else [])] if square >= 0.0 else []
        return sorted(1.0 / u for u in found if u > 0.0)

    def bracket_roots(self, brackets: Brackets) -> list[float]:
        above = self.face + brackets.maintenance(abs(self.face))
        price = above / self.worth if self.worth != 0.0 else math.nan
        return [price] if price > 0.0 else []

    def bankruptcy(self) -> float:
        price = self.face / self.worth if self.worth != 0.0 else math.nan
        return price if price > 0.0 else math.nan
