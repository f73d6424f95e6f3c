"""The shape of an index option chain: premiums in quote currency, expirations as dates, no future listed."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.time import parse_utc
from pmkit.core.types import BoolArray, FloatArray
from pmkit.instruments.deribit import expiry_code, option_name
from pmkit.market.quote_cells import QuoteTable, one_instant, words
from pmkit.market.quote_checks import flags, refuse
from pmkit.market.tables import Cells, check_columns, numbers

__all__ = ["EUROPEAN_INDICES", "NEW_YORK_CLOSE", "parse_linear"]

_REQUIRED = ("expiration", "cp", "strike", "bid", "ask", "spot_last", "spot_time_utc")
_OPTIONAL = ("openInterest", "volume", "symbol", "exercise", "settlement", "quote_time_utc", "tick_size")
#: Index options that are known to be European; of any other name the exercise style has to be said.
EUROPEAN_INDICES = frozenset({"DJX", "MRUT", "NDX", "NQX", "RUT", "SPX", "SPXW", "VIX", "XEO", "XND", "XSP"})
#: When an expiration that is only a date is taken to settle.
NEW_YORK_CLOSE = "16:00 New York"


def parse_linear(
    cells: Cells,
    *,
    underlying: str | None = None,
    exercise: str | None = None,
    expiry_time: str = NEW_YORK_CLOSE,
) -> QuoteTable:
    """Return the table of an index option chain: European options that settle in quote currency."""
    check_columns(cells, _REQUIRED, _OPTIONAL)
    as_of = one_instant(cells, "spot_time_utc")
    labels: list[str] = []
    name = _underlying(cells, underlying, labels)
    _settlement(cells)
    _exercise(cells, name, exercise, labels)
    expiry = _expiries(cells, as_of, expiry_time, labels)
    is_call = _sides(cells)
    values = {
        column: numbers(cells, column, unit)
        for column, unit in (
            ("strike", "index points"),
            ("bid", "index points"),
            ("ask", "index points"),
            ("spot_last", "index points"),
            ("openInterest", "contracts"),
            ("volume", "contracts"),
            ("tick_size", "index points"),
        )
        if column in cells.frame
    }
    for column, array in values.items():
        _refuse_first(cells, array < 0.0, column, array, "a number that is not negative")
    for column in ("strike", "spot_last"):
        _refuse_first(cells, ~(values[column] > 0.0), column, values[column], "a positive number")
    spot = float(values["spot_last"][0])
    _refuse_first(
        cells, values["spot_last"] != spot, "spot_last", values["spot_last"], f"{spot:g} as in the first row"
    )
    labels.append(f"spot {spot:g} is the last index level, not simultaneous with the quotes")
    names = _names(name, expiry, values["strike"], is_call)
    _refuse_duplicates(cells, names)
    bid, ask = (np.where(values[side] > 0.0, values[side], np.nan) for side in ("bid", "ask"))
    _refuse_dear_calls(cells, names, is_call, bid, spot)
    missing = np.full(len(names), np.nan)
    frame = pd.DataFrame(
        {
            "instrument": names,
            "kind": "option",
            "underlying": name,
            "expiry": expiry,
            "strike": values["strike"],
            "is_call": is_call,
            "bid": bid,
            "ask": ask,
            "mid": np.where(bid <= ask, 0.5 * (bid + ask), np.nan),
            "iv_bid": missing,
            "iv_ask": missing,
            "open_interest": values.get("openInterest", missing),
            "tick": values.get("tick_size", missing),
            "as_of": pd.DatetimeIndex([as_of] * len(names)),
        }
    )
    if "quote_time_utc" in cells.frame:
        frame["quoted_at"] = _stamps(cells, as_of)
    return QuoteTable(
        frame=frame,
        ledger=flags(names, bid, ask),
        as_of=as_of,
        labels=tuple(labels),
        settlement="linear",
        spots={name: spot},
    )


# -- what the whole table shares ----------------------------------------------------------------------------
def _underlying(cells: Cells, given: str | None, labels: list[str]) -> str:
    if "symbol" in cells.frame:
        found = list(dict.fromkeys(words(cells, "symbol")))
        roots = {"SPX" if s == "SPXW" else s for s in found}
        if len(roots) != 1 or not found[0]:
            raise ConventionError(
                f"symbols {', '.join(map(repr, found))}",
                "one underlying",
                "give one file an underlying",
                file=cells.source,
                column="symbol",
            )
        name = roots.pop()
        if given is not None and given != name:
            raise ConventionError(
                f"underlying={given!r} and symbol {name!r}", "the same name", "leave one out",
                file=cells.source, column="symbol",
            )  # fmt: skip
        return name
    if given is not None:
        if not re.fullmatch(r"[A-Z0-9.]+", given):
            raise ParameterError(
                f"underlying is {given!r}", "a name such as SPX", "write it in capitals and digits"
            )
        return given
    stem = re.match(r"([A-Za-z]+)[_\-.]", cells.source)
    if stem is None:
        raise SchemaError(
            "no column 'symbol' and no underlying",
            "the name of the underlying",
            "pass underlying='SPX' to read_quotes, or add the column",
            file=cells.source,
        )
    name = stem[1].upper()
    labels.append(f"the underlying {name} is taken from the name of the file")
    return name


def _settlement(cells: Cells) -> None:
    if "settlement" not in cells.frame:
        return
    styles = words(cells, "settlement")
    for i, style in enumerate(styles):
        if style.lower() not in ("linear", "inverse"):
            refuse(cells, i, "settlement", f"found {style!r}", "linear or inverse", "correct the cell")
        if style.lower() == "inverse":
            mixed = len({s.lower() for s in styles}) > 1
            refuse(
                cells,
                i,
                "settlement",
                "linear and inverse options in one chain" if mixed else "coin-settled options in this shape",
                "options that settle in quote currency",
                "give the coin-settled options as a chain of their own (instrument_name, bid_price, ...)",
                ConventionError,
            )


def _exercise(cells: Cells, name: str, given: str | None, labels: list[str]) -> None:
    """Refuse American options: put-call parity is only an inequality there, so no forward can be implied."""
    if given not in (None, "european", "american"):
        raise ParameterError(f"exercise is {given!r}", "'european' or 'american'", "name the exercise style")
    if given == "american":
        _refuse_american(name, cells.source, None)
    if "exercise" in cells.frame:
        for i, style in enumerate(words(cells, "exercise")):
            if style.lower() == "american":
                _refuse_american(name, cells.source, cells.row(i))
            if style.lower() != "european":
                refuse(cells, i, "exercise", f"found {style!r}", "european or american", "correct the cell")
        return
    if given is None and name not in EUROPEAN_INDICES:
        raise ConventionError(
            f"the exercise style of {name} options is not said",
            f"European options, as those on {', '.join(sorted(EUROPEAN_INDICES))}",
            "pass exercise='european' where that is so; American single-stock options are not read",
            file=cells.source,
        )
    if given is None:
        labels.append(f"{name} options are European")


def _refuse_american(name: str, file: str, row: int | None) -> NoReturn:
    raise ConventionError(
        f"American options on {name}",
        "European options: for American ones put-call parity is an inequality and gives no forward",
        "use the European index options, or forwards and vols from an American pricer",
        file=file,
        row=row,
        column=None if row is None else "exercise",
    )


# -- cells --------------------------------------------------------------------------------------------------
def _refuse_first(cells: Cells, wrong: BoolArray, column: str, values: FloatArray, expected: str) -> None:
    at = np.flatnonzero(wrong)
    if at.size:
        i = int(at[0])
        shown = "missing" if np.isnan(values[i]) else f"{values[i]:g}"
        refuse(cells, i, column, f"{column} is {shown}", expected, "correct the cell")


def _sides(cells: Cells) -> BoolArray:
    allowed = {"c": True, "call": True, "p": False, "put": False}
    sides = [word.lower() for word in words(cells, "cp")]
    for i, side in enumerate(sides):
        if side not in allowed:
            refuse(cells, i, "cp", f"found {side!r}", "C or P", "correct the cell")
    return np.array([allowed[side] for side in sides], dtype=bool)


def _expiries(cells: Cells, as_of: pd.Timestamp, time: str, labels: list[str]) -> pd.DatetimeIndex:
    hour, zone = _clock(time)
    texts = words(cells, "expiration")
    known: dict[str, pd.Timestamp] = {}
    for i, text in enumerate(texts):
        if text in known:
            continue
        try:
            day = pd.Timestamp(text) if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text) else pd.NaT
        except ValueError:
            day = pd.NaT
        if not isinstance(day, pd.Timestamp):
            refuse(cells, i, "expiration", f"{text!r} is not a date", "one such as 2026-12-18", "write it so")
        behind = 0 if zone == "UTC" else 4 if _is_new_york_summer(day) else 5
        stamp = day.tz_localize("UTC") + pd.Timedelta(hours=hour + behind)
        if stamp <= as_of:
            refuse(
                cells,
                i,
                "expiration",
                f"{text} settled at {stamp.isoformat()}",
                f"an expiry after the instant {as_of.isoformat()}",
                "remove the expired rows",
            )
        known[text] = stamp
    labels.append(
        f"expirations are dates: settlement at {time} is assumed, morning or afternoon is not marked"
    )
    return pd.DatetimeIndex([known[text] for text in texts])


def _clock(time: str) -> tuple[float, str]:
    match = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d) (New York|UTC)", time)
    if match is None:
        raise ParameterError(
            f"expiry_time is {time!r}", "a time such as '16:00 New York' or '20:00 UTC'", "write it so"
        )
    return int(match[1]) + int(match[2]) / 60.0, match[3]


def _is_new_york_summer(day: pd.Timestamp) -> bool:
    """Return whether New York keeps summer time on ``day``: second Sunday of March to first of November."""
    march, november = (pd.Timestamp(year=day.year, month=m, day=1) for m in (3, 11))
    start = march + pd.Timedelta(days=(6 - march.weekday()) % 7 + 7)
    end = november + pd.Timedelta(days=(6 - november.weekday()) % 7)
    return bool(start <= day.normalize() < end)


def _stamps(cells: Cells, as_of: pd.Timestamp) -> pd.DatetimeIndex:
    out: list[Any] = []
    for i, text in enumerate(words(cells, "quote_time_utc")):
        if not text:
            out.append(pd.NaT)
            continue
        stamp = parse_utc(text, file=cells.source, row=cells.row(i), column="quote_time_utc")
        if stamp > as_of:
            refuse(
                cells,
                i,
                "quote_time_utc",
                f"a quote of {stamp.isoformat()}",
                f"an instant not after {as_of.isoformat()}",
                "correct the time",
                ConventionError,
            )
        out.append(stamp)
    return pd.DatetimeIndex(out, tz="UTC")


def _names(name: str, expiry: pd.DatetimeIndex, strike: FloatArray, is_call: BoolArray) -> list[str]:
    codes = {e: expiry_code(e) for e in expiry.unique()}
    return [
        option_name(name, codes[e], k, call)
        for e, k, call in zip(expiry, strike.tolist(), is_call.tolist(), strict=True)
    ]


def _refuse_duplicates(cells: Cells, names: list[str]) -> None:
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if name in first:
            refuse(
                cells,
                i,
                "strike",
                f"{name} stands in row {cells.row(first[name])} too",
                "each option once",
                "remove the duplicate, or give morning and afternoon settlement as two files",
            )
        first[name] = i


def _refuse_dear_calls(
    cells: Cells, names: list[str], is_call: BoolArray, bid: FloatArray, spot: float
) -> None:
    """Refuse a call bid far above the index: another unit, or a slip."""
    at = np.flatnonzero(is_call & (bid > 2.0 * spot))
    if at.size:
        i = int(at[0])
        refuse(
            cells,
            i,
            "bid",
            f"bid of {names[i]} is {bid[i]:g}",
            f"a premium in index points below the index, {spot:g}",
            "correct the quote, or its unit",
            ConventionError,
        )
