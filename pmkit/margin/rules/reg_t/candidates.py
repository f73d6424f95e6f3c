"""Every strategy that the lines of one underlying admit (clauses RGT-3 to RGT-14)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product

from pmkit.core.errors import ParameterError
from pmkit.margin.rules.reg_t.strategies import (
    Line,
    Strategy,
    collar,
    long_box,
    reverse_conversion,
    single,
    straddle,
    vertical,
    wings,
    with_stock,
)
from pmkit.margin.schemas import StrategyParameters

__all__ = ["candidates"]

#: more candidate strategies than this are refused rather than solved for minutes
_MOST = 100_000

Row = tuple[int, Line]


def candidates(table: StrategyParameters, lines: Sequence[Line], spot: float) -> tuple[Strategy, ...]:
    """Return every admissible strategy of the lines, single ones first.

    Raises
    ------
    ParameterError
        More than 100,000 strategies.
    """
    rows = [(row, line) for row, line in enumerate(lines) if line.qty != 0.0]
    found = [single(table, row, line, spot) for row, line in rows]
    for strategy in _groups(table, rows, spot):
        found.append(strategy)
        if len(found) > _MOST:
            raise ParameterError(
                f"{len(rows)} lines of one underlying admit more than {_MOST} strategies",
                f"at most {_MOST}",
                "split the account by expiry",
            )
    return tuple(found)


def _groups(table: StrategyParameters, rows: Sequence[Row], spot: float) -> Iterator[Strategy]:
    for size in sorted({line.multiplier for _, line in rows if line.kind != "S"}):
        options = [(r, x) for r, x in rows if x.kind != "S" and x.multiplier == size]
        yield from _pairs(table, options, spot)
        for expiry in sorted({x.days for _, x in options}):
            same = [(r, x) for r, x in options if x.days == expiry]
            for kind in "CP":
                yield from _butterflies(_of(same, kind, True), _of(same, kind, False), kind)
            yield from _iron(table, same)
            yield from _boxes(table, same)
        for row, line in rows:
            if line.kind == "S":
                yield from _on_stock(table, row, line, options, spot)


def _of(rows: Sequence[Row], kind: str, long: bool) -> list[Row]:
    return sorted(
        ((r, x) for r, x in rows if x.kind == kind and x.is_long == long), key=lambda pair: pair[1].strike
    )


def _pairs(table: StrategyParameters, options: Sequence[Row], spot: float) -> Iterator[Strategy]:
    for kind in "CP":
        for (i, long), (j, short) in product(_of(options, kind, True), _of(options, kind, False)):
            if long.days >= short.days:
                yield vertical(table, (i, j), long, short, spot)
    for (i, call), (j, put) in product(_of(options, "C", False), _of(options, "P", False)):
        yield straddle(table, (i, j), call, put, spot)


def _butterflies(held: Sequence[Row], written: Sequence[Row], kind: str) -> Iterator[Strategy]:
    """Yield long butterflies and condors, wings of equal width, bought outside: charged nothing."""
    word = "call" if kind == "C" else "put"
    by_strike: dict[float, list[int]] = {}
    for row, line in written:
        by_strike.setdefault(line.strike, []).append(row)
    for (i, low), (j, high) in combinations(held, 2):
        for row, inner in written:
            width = inner.strike - low.strike
            if not 0.0 < width <= 0.5 * (high.strike - low.strike):
                continue
            for other in by_strike.get(high.strike - width, ()):
                if other == row:
                    uses = {i: 1.0, row: 2.0, j: 1.0}
                    yield wings(f"long {word} butterfly", "RGT-8", uses, low.multiplier, 0.0)
                else:
                    uses = {i: 1.0, row: 1.0, other: 1.0, j: 1.0}
                    yield wings(f"long {word} condor", "RGT-8", uses, low.multiplier, 0.0)


def _iron(table: StrategyParameters, same: Sequence[Row]) -> Iterator[Strategy]:
    """Yield short iron condors and butterflies: a put spread below a call spread, charged the wider one."""
    puts = [
        (i, j, low.strike, high.strike)
        for (i, low), (j, high) in product(_of(same, "P", True), _of(same, "P", False))
        if low.strike < high.strike
    ]
    calls = [
        (i, j, low.strike, high.strike)
        for (i, low), (j, high) in product(_of(same, "C", False), _of(same, "C", True))
        if low.strike < high.strike
    ]
    for (a, b, k1, k2), (c, d, k3, k4) in product(puts, calls):
        if k2 > k3 or (table.iron_needs_equal_widths and k2 - k1 != k4 - k3):
            continue
        word = "butterfly" if k2 == k3 else "condor"
        uses = dict.fromkeys((a, b, c, d), 1.0)
        yield wings(f"iron {word}", "RGT-9", uses, same[0][1].multiplier, max(k2 - k1, k4 - k3))


def _boxes(table: StrategyParameters, same: Sequence[Row]) -> Iterator[Strategy]:
    at = {(x.kind, x.is_long, x.strike): (r, x) for r, x in same}
    strikes = sorted({x.strike for _, x in same})
    for low, high in combinations(strikes, 2):
        bought = [("C", True, low), ("C", False, high), ("P", False, low), ("P", True, high)]
        legs = [at[key] for key in bought if key in at]
        if len(legs) == 4 and table.box_for_european_index:
            rows, lines = zip(*legs, strict=True)
            yield long_box(table, tuple(rows), tuple(lines))
        sold = [at[kind, not long, strike] for kind, long, strike in bought if (kind, not long, strike) in at]
        if len(sold) == 4:
            uses = dict.fromkeys((r for r, _ in sold), 1.0)
            yield wings("short box", "RGT-10", uses, sold[0][1].multiplier, high - low)


def _on_stock(
    table: StrategyParameters, row: int, held: Line, options: Sequence[Row], spot: float
) -> Iterator[Strategy]:
    long = held.is_long
    # written against the stock: calls on long, puts on short; bought to protect it: the other kind
    written = _of(options, "C" if long else "P", False)
    bought = _of(options, "P" if long else "C", True)
    for i, option in (*written, *bought):
        yield with_stock(table, row, i, option, spot, long)
    for (i, short), (j, hedge) in product(written, bought):
        if short.days != hedge.days:
            continue
        if long and hedge.strike <= short.strike:
            yield collar(table, (row, j, i), hedge, short, spot)
        if not long and hedge.strike == short.strike:
            yield reverse_conversion(table, (row, i, j), short, spot)
