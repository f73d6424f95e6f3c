"""From the name of a contract to the contract: Deribit's names, listed index options and option symbols."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from pmkit.core.errors import SchemaError
from pmkit.instruments.contracts import Instrument, Option
from pmkit.instruments.deribit import expiry_from_code, parse_instrument
from pmkit.instruments.listed import listed_option

__all__ = ["new_york_close", "parse_contract"]

#: root, expiration, side and strike in thousandths: the symbol of the options clearing house
_SYMBOL = re.compile(r"(?P<root>[A-Z]{1,6}) *(?P<day>\d{6})(?P<side>[CP])(?P<strike>\d{8})")
_LISTED = re.compile(
    r"(?P<root>[A-Z]{1,6})-(?P<day>\d{1,2}[A-Z]{3}\d{2})-(?P<strike>\d+(?:d\d+)?)-(?P<side>[CP])"
)
#: units per contract of an option on a stock or fund that was not adjusted
_STANDARD = 100.0


@cache
def _specifications() -> dict[str, Any]:
    text = resources.files("pmkit.instruments").joinpath("specs/listed.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def _root(root: str, as_of: pd.Timestamp) -> dict[str, Any] | None:
    """Return the specification of a root at an instant, None for one that is not listed."""
    sets = [s for s in _specifications()["set"] if pd.Timestamp(s["valid_from"], tz="UTC") <= as_of]
    known: dict[str, Any] = max(sets, key=lambda s: s["valid_from"])["root"] if sets else {}
    found: dict[str, Any] | None = known.get(root)
    return found


def new_york_close(day: pd.Timestamp) -> pd.Timestamp:
    """Return the UTC instant of the close in New York on a date, 20:00 in summer and 21:00 in winter.

    Examples
    --------
    >>> [new_york_close(pd.Timestamp(day)).hour for day in ("2026-08-21", "2026-12-18")]
    [20, 21]
    """
    hour = _specifications()["close_hour_new_york"]
    local = pd.Timestamp(year=day.year, month=day.month, day=day.day, hour=hour, tz="America/New_York")
    return local.tz_convert("UTC")


def parse_contract(name: str, as_of: pd.Timestamp) -> Instrument:
    """Return the contract that a name of an account file stands for under the specification of ``as_of``.

    Parameters
    ----------
    name : str
        A name of Deribit (``BTC-PERPETUAL``, ``BTC-28AUG26-70000-C``); an index option such as
        ``SPX-18SEP26-6000-C``; or an option symbol such as ``SPXW  260918C06000000`` (strike in thousandths),
        which is named in the second shape. Symbols of stocks and funds stand for standard contracts of 100.
    as_of : pandas.Timestamp
        Aware UTC instant that selects the dated specification.

    Returns
    -------
    Instrument

    Raises
    ------
    SchemaError
        A name of another shape, an impossible date, or an unknown underlying.
    RuleVersionError
        No specification covers the date.

    Notes
    -----
    An expiration of a listed option is a date, taken to settle at the close in New York, as
    :func:`pmkit.market.read_quotes` takes it; morning settlement and adjusted contracts are built with
    :func:`pmkit.instruments.listed_option`.

    Examples
    --------
    >>> call = parse_contract("SPXW  260918C06000000", pd.Timestamp("2026-08-01", tz="UTC"))
    >>> call.name, call.strike, call.multiplier, call.expiry.isoformat()
    ('SPX-18SEP26-6000-C', 6000.0, 100.0, '2026-09-18T20:00:00+00:00')
    """
    symbol = _SYMBOL.fullmatch(name)
    if symbol is not None:
        return _of_symbol(name, symbol, as_of)
    listed = _LISTED.fullmatch(name)
    if listed is not None:
        spec = _root(listed["root"], as_of)
        if spec is not None:
            day = expiry_from_code(listed["day"])
            return _option(spec, day, float(listed["strike"].replace("d", ".")), listed["side"])
    return parse_instrument(name, as_of)


def _of_symbol(name: str, symbol: re.Match[str], as_of: pd.Timestamp) -> Option:
    text = symbol["day"]
    try:
        day = pd.Timestamp(year=2000 + int(text[:2]), month=int(text[2:4]), day=int(text[4:]))
    except ValueError:
        raise SchemaError(
            f"expiration {text!r} of {name!r} is not a date", "year, month and day in six digits",
            "correct the symbol",
        ) from None  # fmt: skip
    root = symbol["root"]
    spec = _root(root, as_of) or {"underlying": root, "multiplier": _STANDARD}
    return _option(spec, day, int(symbol["strike"]) / 1000.0, symbol["side"])


def _option(spec: dict[str, Any], day: pd.Timestamp, strike: float, side: str) -> Option:
    return listed_option(
        spec["underlying"], new_york_close(day), strike, side == "C", multiplier=spec["multiplier"]
    )
