"""What one unit of each strategy is charged, in USD per unit of the underlying (clauses RGT-3 to RGT-14).

Options are charged on cash: the premium of a short option is part of the charge, as its proceeds are part of
cash, and a long option that is paid for is charged nothing. Stock is charged on equity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from pmkit.margin.schemas import StrategyParameters

__all__ = ["Line", "Strategy", "naked_option"]


class Line(NamedTuple):
    """One line of an account: ``kind`` C, P or S (stock), strike and price in USD, signed size.

    ``days`` to expiry and ``strike`` are 0 for stock; ``multiplier`` units of the underlying per contract;
    ``long_dated`` where more than the months of the table are left.
    """

    name: str
    kind: str
    strike: float
    days: float
    price: float
    qty: float
    multiplier: float = 1.0
    long_dated: bool = False

    @property
    def is_long(self) -> bool:
        """True for a position held."""
        return self.qty > 0.0


class Strategy(NamedTuple):
    """Lines that are margined together: contracts or shares of a unit by line, IM and MM of a unit."""

    name: str
    clause: str
    uses: Mapping[int, float]
    im: float
    mm: float


def _out_of_the_money(line: Line, spot: float) -> float:
    return max(line.strike - spot if line.kind == "C" else spot - line.strike, 0.0)


def naked_option(table: StrategyParameters, line: Line, spot: float) -> float:
    """Return the charge of one unit of the underlying of a written option, premium included, USD.

    Parameters
    ----------
    table : StrategyParameters
    line : Line
    spot : float
        Price of the underlying, USD.

    Notes
    -----
    Call: ``P + max(a S - OTM, b S)``. Put: ``P + max(a S - OTM, b K)``, both rates times the leverage.

    Examples
    --------
    >>> from pmkit.margin.parameters import load_parameter_sets
    >>> table = load_parameter_sets("reg-t")[0].table("*")
    >>> naked_option(table, Line("call", "C", 105.0, 30.0, 2.5, -1.0), 100.0)
    17.5
    """
    base = spot if line.kind == "C" else line.strike
    rate, floor = table.option_rate * table.leverage, table.option_floor_rate * table.leverage
    return line.price + max(rate * spot - _out_of_the_money(line, spot), floor * base)


def single(table: StrategyParameters, row: int, line: Line, spot: float) -> Strategy:
    """Return the strategy of a line held by itself, one contract or one share."""
    if line.kind == "S":
        if line.is_long:
            rates = table.stock_im_rate, table.stock_mm_rate
            return Strategy("long stock", "RGT-3", {row: 1.0}, rates[0] * spot, rates[1] * spot)
        return Strategy("short stock", "RGT-3", {row: 1.0}, *_short_stock(table, spot))
    if line.is_long:
        loan = table.long_dated_loan_rate * line.price * line.multiplier if line.long_dated else 0.0
        return Strategy(f"long {_word(line)}", "RGT-4", {row: 1.0}, 0.0 - loan, 0.0 - loan)
    charge = line.multiplier * naked_option(table, line, spot)
    return Strategy(f"short {_word(line)}", "RGT-5", {row: 1.0}, charge, charge)


def _short_stock(table: StrategyParameters, spot: float) -> tuple[float, float]:
    maintenance = max(table.short_stock_mm_rate * spot, table.short_stock_mm_floor)
    return max(table.short_stock_im_rate * spot, maintenance), maintenance


def _word(line: Line) -> str:
    return "call" if line.kind == "C" else "put"


def vertical(
    table: StrategyParameters, rows: tuple[int, int], long: Line, short: Line, spot: float
) -> Strategy:
    """Return a spread of two options of one kind, the long one not expiring earlier."""
    gap = long.strike - short.strike if short.kind == "C" else short.strike - long.strike
    charge = short.multiplier * min(naked_option(table, short, spot), max(gap, 0.0))
    return Strategy(f"{_word(short)} spread", "RGT-7", {rows[0]: 1.0, rows[1]: 1.0}, charge, charge)


def straddle(
    table: StrategyParameters, rows: tuple[int, int], call: Line, put: Line, spot: float
) -> Strategy:
    """Return a short straddle or strangle: the dearer side, and the premium of the other."""
    sides = [(naked_option(table, one, spot), other.price) for one, other in ((call, put), (put, call))]
    dearer, premium = max(sides, key=lambda side: side[0])
    charge = call.multiplier * (dearer + premium)
    word = "straddle" if call.strike == put.strike else "strangle"
    return Strategy(f"short {word}", "RGT-6", {rows[0]: 1.0, rows[1]: 1.0}, charge, charge)


def with_stock(
    table: StrategyParameters, stock_row: int, row: int, option: Line, spot: float, long_stock: bool
) -> Strategy:
    """Return stock against one option: covered or protected, one contract with its shares."""
    size, strike = option.multiplier, option.strike
    uses = {stock_row: size, row: 1.0}
    if long_stock and not option.is_long:
        lent = min(spot, strike)
        im, mm = (spot - (1.0 - rate) * lent for rate in (table.stock_im_rate, table.stock_mm_rate))
        return Strategy("covered call", "RGT-11", uses, size * im, size * mm)
    if long_stock:
        hedged = table.hedged_strike_rate * strike + _out_of_the_money(option, spot)
        mm = min(hedged, table.stock_mm_rate * spot)
        return Strategy("protective put", "RGT-12", uses, size * table.stock_im_rate * spot, size * mm)
    initial, maintenance = _short_stock(table, spot)
    if not option.is_long:
        inside = max(strike - spot, 0.0)
        return Strategy(
            "covered put", "RGT-11", uses, size * (initial + inside), size * (maintenance + inside)
        )
    hedged = table.hedged_strike_rate * strike + _out_of_the_money(option, spot)
    return Strategy("protective call", "RGT-12", uses, size * initial, size * min(hedged, maintenance))


def collar(
    table: StrategyParameters, rows: tuple[int, int, int], put: Line, call: Line, spot: float
) -> Strategy:
    """Return long stock, long put and short call of one expiry: a collar, or a conversion at one strike."""
    size = call.multiplier
    beyond = max(spot - call.strike, 0.0)
    initial = spot - (1.0 - table.stock_im_rate) * min(spot, call.strike)
    uses = {rows[0]: size, rows[1]: 1.0, rows[2]: 1.0}
    if put.strike == call.strike:
        mm = table.hedged_strike_rate * put.strike + beyond
        return Strategy("conversion", "RGT-14", uses, size * max(initial, mm), size * mm)
    hedged = table.hedged_strike_rate * put.strike + _out_of_the_money(put, spot)
    mm = min(hedged, table.collar_call_rate * call.strike) + beyond
    return Strategy("collar", "RGT-13", uses, size * max(initial, mm), size * mm)


def reverse_conversion(
    table: StrategyParameters, rows: tuple[int, int, int], put: Line, spot: float
) -> Strategy:
    """Return short stock, short put and long call of one strike and expiry."""
    inside = max(put.strike - spot, 0.0)
    mm = table.hedged_strike_rate * put.strike + inside
    im = max(_short_stock(table, spot)[0] + inside, mm)
    uses = {rows[0]: put.multiplier, rows[1]: 1.0, rows[2]: 1.0}
    return Strategy("reverse conversion", "RGT-14", uses, put.multiplier * im, put.multiplier * mm)


def long_box(
    table: StrategyParameters, rows: tuple[int, int, int, int], legs: tuple[Line, Line, Line, Line]
) -> Strategy:
    """Return a long box: call bought at the low strike, put at the high one, the other two sold.

    The deposit is a share of the strike gap against equity; on cash the value of the box is taken off.
    """
    low_call, high_call, low_put, high_put = legs
    value = low_call.price - high_call.price - low_put.price + high_put.price
    charge = low_call.multiplier * (table.box_rate * (high_call.strike - low_call.strike) - value)
    return Strategy("long box", "RGT-10", dict.fromkeys(rows, 1.0), charge, charge)


def wings(name: str, clause: str, uses: Mapping[int, float], multiplier: float, width: float) -> Strategy:
    """Return a strategy that is charged a strike gap, or nothing where its cost is its largest loss."""
    return Strategy(name, clause, uses, multiplier * width, multiplier * width)
