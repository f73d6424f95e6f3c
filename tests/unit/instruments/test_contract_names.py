"""Names of listed contracts in account files: index options, option symbols, and what is refused."""

from __future__ import annotations

import pandas as pd
import pytest

from pmkit.core.errors import RuleVersionError, SchemaError
from pmkit.instruments import Option, Portfolio, listed_option, parse_contract, parse_instrument
from pmkit.market.linear_chain import EUROPEAN_INDICES, parse_linear
from pmkit.market.quotes import read_quotes

NOW = pd.Timestamp("2026-07-31T21:00:00Z")


@pytest.mark.parametrize(
    ("text", "name", "expiry", "multiplier"),
    [
        ("SPX-18SEP26-6000-C", "SPX-18SEP26-6000-C", "2026-09-18T20:00Z", 100.0),
        ("SPX-18DEC26-6000d5-P", "SPX-18DEC26-6000d5-P", "2026-12-18T21:00Z", 100.0),
        ("SPXW-18SEP26-6000-C", "SPX-18SEP26-6000-C", "2026-09-18T20:00Z", 100.0),
        ("SPXW  260918C06000000", "SPX-18SEP26-6000-C", "2026-09-18T20:00Z", 100.0),
        ("SPX260918P06000500", "SPX-18SEP26-6000d5-P", "2026-09-18T20:00Z", 100.0),
        ("NDXP  260918C21000000", "NDX-18SEP26-21000-C", "2026-09-18T20:00Z", 100.0),
        ("AAPL  261218C00212500", "AAPL-18DEC26-212d5-C", "2026-12-18T21:00Z", 100.0),
    ],
)
def test_listed_names(text: str, name: str, expiry: str, multiplier: float) -> None:
    found = parse_contract(text, NOW)
    assert isinstance(found, Option)
    assert (found.name, found.multiplier) == (name, multiplier)
    assert found.expiry == pd.Timestamp(expiry)
    assert found == listed_option(found.underlying, found.expiry, found.strike, found.is_call)


def test_names_of_deribit_stay_what_they_are() -> None:
    for name in ("BTC-PERPETUAL", "BTC-28AUG26", "ETH-28AUG26-3000-P"):
        assert parse_contract(name, NOW) == parse_instrument(name, NOW)


@pytest.mark.parametrize("month", range(1, 13))
def test_the_close_is_that_of_an_index_chain(month: int, tmp_path: object) -> None:
    day = pd.Timestamp(year=2027, month=month, day=15)
    path = pd.io.common.stringify_path(tmp_path) + "/spx.csv"
    frame = pd.DataFrame(
        [[f"{day:%Y-%m-%d}", "C", 6000.0, 10.0, 11.0, 6000.0, "2026-07-31 21:00:00+00:00"]],
        columns=["expiration", "cp", "strike", "bid", "ask", "spot_last", "spot_time_utc"],
    )
    frame.to_csv(path, index=False)
    row = read_quotes(path, underlying="SPX").frame.iloc[0]
    found = parse_contract(f"SPX{day:%y%m%d}C06000000", NOW)
    assert isinstance(found, Option)
    assert (found.name, found.expiry) == (row["instrument"], row["expiry"])


def test_indices_of_the_specification_are_european() -> None:
    assert {
        parse_contract(f"{root}260918C06000000", NOW).underlying
        for root in ("SPX", "XSP", "NDX", "RUT", "DJX")
    } <= (EUROPEAN_INDICES)
    assert parse_linear.__module__ == "pmkit.market.linear_chain"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SPX260931C06000000", "expiration '260931' of 'SPX260931C06000000' is not a date"),
        ("SPX-31SEP26-6000-C", "expiry code '31SEP26' is not a date"),
        ("SPX-18SEP26", "unknown instrument 'SPX-18SEP26': no specification for underlying 'SPX'"),
        ("BTX-28AUG26-70000-C", "no specification for underlying 'BTX'"),
        ("AAPL1 261218C00212500", "unknown instrument"),
        ("SPX260918C0", "unknown instrument"),
        ("SPX260918C00000000", "strike"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises((SchemaError, ValueError), match=message):
        parse_contract(text, NOW)


def test_a_date_before_the_specifications() -> None:
    with pytest.raises(RuleVersionError, match="no contract specification"):
        parse_contract("SPX-18SEP04-1000-C", pd.Timestamp("2004-01-02T21:00Z"))


def test_places_in_the_file_follow_the_contract() -> None:
    rows = [
        {"type": "position", "instrument": n, "qty": 1, "as_of": NOW}
        for n in ("SPXW  260918C06000000", "SPX-18SEP26-6100-C")
    ]
    book = Portfolio.from_records(rows)
    assert book.place("SPX-18SEP26-6000-C")["row"] == 1
    with pytest.raises(SchemaError, match="instrument 'SPX-18SEP26-6000-C' is held twice"):
        Portfolio.from_records([rows[0], {**rows[0], "instrument": "SPX-18SEP26-6000-C"}])
