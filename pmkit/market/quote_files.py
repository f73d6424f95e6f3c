"""The shapes in which quotes come, told apart by their columns and read into one checked table."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, PmkitError, SchemaError
from pmkit.core.time import parse_utc
from pmkit.instruments.contracts import Future, Instrument, Option
from pmkit.instruments.deribit import expiry_code, option_name, parse_instrument
from pmkit.market.linear_chain import NEW_YORK_CLOSE, parse_linear
from pmkit.market.quote_cells import QuoteTable, one_instant, words
from pmkit.market.quote_checks import (
    check_coin_prices,
    check_futures,
    check_perpetuals,
    check_signs_and_vols,
    flags,
    refuse,
)
from pmkit.market.tables import Cells, blank, check_columns, numbers

__all__ = ["parse_chain", "parse_quote_cells", "parse_surface"]

_CHAIN = (
    "as_of",
    "kind",
    "instrument_name",
    "bid_price",
    "ask_price",
    "open_interest",
    "expiry",
    "strike",
    "cp",
)
_CHAIN_OPTIONAL = ("volume_usd", "tick_size")
_SURFACE = (
    "ref_date",
    "asset",
    "security_type",
    "maturity",
    "strike",
    "option_type",
    "bid",
    "ask",
    "inverse",
)
_SURFACE_OPTIONAL = ("iv_bid", "iv_ask", "open_interest", "volume")


def parse_quote_cells(
    cells: Cells,
    *,
    underlying: str | None = None,
    exercise: str | None = None,
    expiry_time: str = NEW_YORK_CLOSE,
) -> QuoteTable:
    """Return the common table of cells in any of the shapes, told apart by their columns."""
    present = set(cells.frame.columns)
    if "expiration" in present:
        return parse_linear(cells, underlying=underlying, exercise=exercise, expiry_time=expiry_time)
    if exercise == "american":
        raise ConventionError(
            f"exercise is {exercise!r}",
            "European options",
            "leave the argument out: these venues list European options only",
            file=cells.source,
        )
    if "security_type" in present or "ref_date" in present:
        return parse_surface(cells)
    if present & {"instrument_name", "bid_price", "ask_price", "cp"}:
        return parse_chain(cells)
    raise SchemaError(
        f"columns {', '.join(map(str, cells.frame.columns))}",
        f"a chain ({', '.join(_CHAIN)}), a surface ({', '.join(_SURFACE)}) "
        "or an index chain (expiration, ...)",
        "export the quotes in one of these shapes",
        file=cells.source,
        row=1,
    )


# -- cells -----------------------------------------------------------------------------------------------
def _expiries(cells: Cells, column: str) -> list[pd.Timestamp | None]:
    """Return the UTC instants of a column, None where blank."""
    known: dict[Any, pd.Timestamp] = {}
    out: list[pd.Timestamp | None] = []
    empty = blank(cells.frame[column]).to_numpy(dtype=bool)
    for position, value in enumerate(cells.frame[column]):
        if empty[position]:
            out.append(None)
            continue
        if value not in known:
            known[value] = parse_utc(value, file=cells.source, row=cells.row(position), column=column)
        out.append(known[value])
    return out


def _word(cells: Cells, column: str, allowed: dict[str, Any], rows: list[int]) -> dict[int, Any]:
    """Return the meaning of the word in each of ``rows``."""
    found = words(cells, column)
    for i in rows:
        if found[i].lower() not in allowed:
            refuse(
                cells,
                i,
                column,
                f"found {found[i]!r}",
                f"one of {', '.join(dict.fromkeys(allowed))}",
                "correct the cell",
            )
    return {i: allowed[found[i].lower()] for i in rows}


# -- the two shapes -----------------------------------------------------------------------------------------
def parse_chain(cells: Cells) -> QuoteTable:
    """Return the table of a chain file: one named instrument a row."""
    check_columns(cells, _CHAIN, _CHAIN_OPTIONAL)
    as_of = one_instant(cells, "as_of")
    every = list(range(len(cells.frame)))
    kinds = _word(cells, "kind", {"future": "future", "perpetual": "future", "option": "option"}, every)
    names = words(cells, "instrument_name")
    instruments = [_named(cells, i, "instrument_name", names[i], as_of) for i in every]
    expiries, strikes = _expiries(cells, "expiry"), numbers(cells, "strike", "USD")
    options = [i for i in every if kinds[i] == "option"]
    calls = _word(cells, "cp", {"c": True, "p": False, "call": True, "put": False}, options)
    for i in every:
        contract = instruments[i]
        _agree(cells, i, "kind", kinds[i] == "option", isinstance(contract, Option), contract.name)
        if isinstance(contract, (Future, Option)):
            _agree(cells, i, "expiry", expiries[i], contract.expiry, contract.name)
        if isinstance(contract, Option):
            _strike(cells, i, float(strikes[i]))
            _agree(cells, i, "strike", float(strikes[i]), contract.strike, contract.name)
            _agree(cells, i, "cp", calls[i], contract.is_call, contract.name)
    columns = {"bid": "bid_price", "ask": "ask_price", "open_interest": "open_interest", "tick": "tick_size"}
    return _table(cells, as_of, instruments, columns, labels=())


def parse_surface(cells: Cells) -> QuoteTable:
    """Return the table of a surface file: spot, forward and option rows; names are built from the columns."""
    check_columns(cells, _SURFACE, _SURFACE_OPTIONAL)
    as_of = one_instant(cells, "ref_date")
    every = list(range(len(cells.frame)))
    kinds = _word(
        cells, "security_type", {"spot": "perpetual", "forward": "future", "option": "option"}, every
    )
    assets = words(cells, "asset")
    expiries, strikes = _expiries(cells, "maturity"), numbers(cells, "strike", "USD")
    options = [i for i in every if kinds[i] == "option"]
    calls = _word(cells, "option_type", {"call": True, "put": False, "c": True, "p": False}, options)
    inverse = _word(cells, "inverse", {"true": True, "false": False, "1": True, "0": False}, options)
    instruments: list[Instrument] = []
    for i in every:
        expiry = expiries[i]
        if kinds[i] == "perpetual":
            name = f"{assets[i]}-PERPETUAL"
        elif expiry is None:
            refuse(
                cells,
                i,
                "maturity",
                "the maturity is missing",
                "a UTC instant",
                "fill in the settlement time",
            )
        else:
            name = f"{assets[i]}-{expiry_code(expiry)}"
        if kinds[i] == "option":
            if not inverse[i]:
                _linear(cells, i, "inverse", "inverse is False")
            strike = float(strikes[i])
            _strike(cells, i, strike)
            assert expiry is not None
            name = option_name(assets[i], expiry_code(expiry), strike, calls[i])
        contract = _named(cells, i, "asset", name, as_of)
        if isinstance(contract, (Future, Option)):
            _agree(cells, i, "maturity", expiry, contract.expiry, name)
        instruments.append(contract)
    columns = {c: c for c in ("bid", "ask", "open_interest", "iv_bid", "iv_ask")}
    labels = ("the row called spot is taken as the perpetual", "instrument names are built from the columns")
    return _table(cells, as_of, instruments, columns, labels=labels)


# -- checks that both share ---------------------------------------------------------------------------------
def _linear(cells: Cells, position: int, column: str, found: str) -> NoReturn:
    refuse(
        cells,
        position,
        column,
        f"{found}: a contract that settles in quote currency",
        "coin-settled (inverse) contracts",
        "remove its rows, or give linear options as an index chain of their own (expiration, cp, ...)",
        ConventionError,
    )


def _named(cells: Cells, position: int, column: str, name: str, as_of: pd.Timestamp) -> Instrument:
    if "_USD" in name:
        _linear(cells, position, column, f"instrument {name!r}")
    try:
        contract = parse_instrument(name, as_of)
    except PmkitError as error:
        refuse(cells, position, column, error.found, error.expected, error.remedy, type(error))
    if isinstance(contract, (Future, Option)) and contract.expiry <= as_of:
        refuse(
            cells,
            position,
            column,
            f"{name} expired at {contract.expiry.isoformat()}",
            f"an expiry after the instant {as_of.isoformat()}",
            "remove the expired rows",
        )
    return contract


def _agree(cells: Cells, position: int, column: str, found: Any, expected: Any, name: str) -> None:
    if found != expected:
        refuse(
            cells,
            position,
            column,
            f"{column} is {_show(found)}",
            f"{_show(expected)} as the name {name} says",
            "correct the name or the cell",
        )


def _show(value: Any) -> str:
    if value is None:
        return "missing"
    return value.isoformat() if isinstance(value, pd.Timestamp) else f"{value!r}"


def _strike(cells: Cells, position: int, strike: float) -> None:
    if not strike > 0.0:
        refuse(
            cells,
            position,
            "strike",
            f"strike is {'missing' if np.isnan(strike) else format(strike, 'g')}",
            "a positive strike in USD",
            "correct the cell",
        )


def _table(
    cells: Cells,
    as_of: pd.Timestamp,
    instruments: list[Instrument],
    columns: dict[str, str],
    labels: tuple[str, ...],
) -> QuoteTable:
    """Return the common table of parsed rows after the checks of prices, vols and duplicates."""
    count = len(instruments)
    first: dict[str, int] = {}
    for i, contract in enumerate(instruments):
        if contract.name in first:
            refuse(
                cells,
                i,
                "instrument_name" if "instrument_name" in cells.frame else "asset",
                f"{contract.name} stands in row {cells.row(first[contract.name])} too",
                "each instrument once",
                "remove the duplicate",
            )
        first[contract.name] = i
    values = {
        key: numbers(cells, column, "USD or coin") if column in cells.frame else np.full(count, np.nan)
        for key, column in columns.items()
    }
    check_signs_and_vols(cells, instruments, values, columns)
    bid, ask = (np.where(values[side] > 0.0, values[side], np.nan) for side in ("bid", "ask"))
    check_perpetuals(cells, instruments, bid, ask, columns)
    check_futures(cells, instruments, bid, ask, columns)
    check_coin_prices(cells, instruments, bid, ask, columns)
    ledger = flags([c.name for c in instruments], bid, ask)
    mid = np.where(bid <= ask, 0.5 * (bid + ask), np.nan)
    frame = pd.DataFrame(
        {
            "instrument": [c.name for c in instruments],
            "kind": [c.kind for c in instruments],
            "underlying": [c.underlying for c in instruments],
            "expiry": pd.DatetimeIndex([getattr(c, "expiry", pd.NaT) for c in instruments], tz="UTC"),
            "strike": np.array([getattr(c, "strike", np.nan) for c in instruments]),
            "is_call": [c.is_call if isinstance(c, Option) else False for c in instruments],
            "bid": bid,
            "ask": ask,
            "mid": mid,
            "iv_bid": values.get("iv_bid", np.full(count, np.nan)),
            "iv_ask": values.get("iv_ask", np.full(count, np.nan)),
            "open_interest": values["open_interest"],
            "tick": values.get("tick", np.full(count, np.nan)),
            "as_of": pd.DatetimeIndex([as_of] * count),
        }
    )
    return QuoteTable(frame=frame, ledger=ledger, as_of=as_of, labels=labels)
