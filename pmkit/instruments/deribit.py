"""Deribit's instrument names and dated contract specifications, coin-settled contracts."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from pmkit.core.errors import RuleVersionError, SchemaError
from pmkit.instruments.contracts import Future, Instrument, Option, Perpetual

__all__ = ["expiry_code", "expiry_from_code", "option_name", "parse_instrument"]

_NAME = re.compile(
    r"^(?P<coin>[A-Z0-9]+)-(?:(?P<perp>PERPETUAL)|(?P<day>\d{1,2}[A-Z]{3}\d{2})(?:-(?P<strike>\d+(?:d\d+)?)-(?P<cp>[CP]))?)$"
)
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@cache
def _specifications() -> dict[str, Any]:
    text = resources.files("pmkit.instruments").joinpath("specs/deribit.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def expiry_from_code(code: str) -> pd.Timestamp:
    """Return the UTC instant of a code such as ``28AUG26`` (settlement at 08:00 UTC).

    Raises
    ------
    SchemaError
        The code is not a day, a three-letter month and a two-digit year.

    Examples
    --------
    >>> expiry_from_code("28AUG26").isoformat()
    '2026-08-28T08:00:00+00:00'
    """
    match = re.fullmatch(r"(\d{1,2})([A-Z]{3})(\d{2})", code)
    try:
        if match is None:
            raise ValueError
        day, month, year = int(match[1]), _MONTHS.index(match[2]) + 1, 2000 + int(match[3])
        return pd.Timestamp(
            year=year, month=month, day=day, hour=_specifications()["expiry_hour_utc"], tz="UTC"
        )
    except ValueError:
        raise SchemaError(
            f"expiry code {code!r} is not a date", "a code such as 28AUG26", "correct the instrument name"
        ) from None


def expiry_code(expiry: pd.Timestamp) -> str:
    """Return the code of an expiry, such as ``28AUG26``: day, month and two digits of the year.

    Examples
    --------
    >>> expiry_code(expiry_from_code("7AUG26"))
    '7AUG26'
    """
    return f"{expiry.day}{_MONTHS[expiry.month - 1]}{expiry.year % 100:02d}"


def option_name(underlying: str, code: str, strike: float, is_call: bool) -> str:
    """Return the name of an option from the code of its expiry; a strike's point is written ``d``.

    Examples
    --------
    >>> option_name("ETH", "28AUG26", 0.5, False)
    'ETH-28AUG26-0d5-P'
    """
    text = f"{strike:.0f}" if strike == round(strike) else f"{strike!r}".replace(".", "d")
    return f"{underlying}-{code}-{text}-{'C' if is_call else 'P'}"


def _specification(underlying: str, as_of: pd.Timestamp, name: str) -> dict[str, float]:
    sets = [s for s in _specifications()["set"] if pd.Timestamp(s["valid_from"], tz="UTC") <= as_of]
    if not sets:
        first = min(s["valid_from"] for s in _specifications()["set"])
        raise RuleVersionError(
            f"no contract specification covers {name} on {as_of.date()}",
            f"a date from {first} on",
            "use a later date, or build the instrument with its own multiplier and lot",
        )
    known: dict[str, dict[str, float]] = max(sets, key=lambda s: s["valid_from"])["underlying"]
    if underlying not in known:
        raise SchemaError(
            f"unknown instrument {name!r}: no specification for underlying {underlying!r}",
            f"one of {', '.join(known)}",
            "correct the name, or build the instrument with its own multiplier and lot",
        )
    return known[underlying]


def parse_instrument(name: str, as_of: pd.Timestamp) -> Instrument:
    """Return the contract that Deribit's ``name`` stands for under the specification of ``as_of``.

    Parameters
    ----------
    name : str
        ``BTC-PERPETUAL``, ``BTC-28AUG26`` (future) or ``BTC-28AUG26-70000-C`` (option).
    as_of : pandas.Timestamp
        Aware UTC instant that selects the dated specification.

    Raises
    ------
    SchemaError
        The name has another shape, an impossible date, or an unknown underlying.
    RuleVersionError
        No specification covers the date.

    Examples
    --------
    >>> import pandas as pd
    >>> call = parse_instrument("BTC-28AUG26-70000-C", pd.Timestamp("2026-08-01", tz="UTC"))
    >>> call.strike, call.is_call, call.multiplier, call.settlement
    (70000.0, True, 1.0, 'inverse')
    """
    match = _NAME.match(name)
    if match is None:
        raise SchemaError(
            f"unknown instrument {name!r}",
            "a name such as BTC-PERPETUAL, BTC-28AUG26 or BTC-28AUG26-70000-C",
            "correct the name",
        )
    coin = match["coin"]
    spec = _specification(coin, as_of, name)
    common: dict[str, Any] = {
        "name": name,
        "underlying": coin,
        "settlement": "inverse",
        "settlement_currency": coin,
    }
    if match["perp"]:
        return Perpetual(**common, multiplier=spec["future_multiplier"], lot=spec["future_lot"])
    expiry = expiry_from_code(match["day"])
    if match["strike"] is None:
        return Future(**common, multiplier=spec["future_multiplier"], lot=spec["future_lot"], expiry=expiry)
    return Option(
        **common,
        multiplier=spec["option_multiplier"],
        lot=spec["option_lot"],
        expiry=expiry,
        strike=float(match["strike"].replace("d", ".")),
        is_call=match["cp"] == "C",
    )
