"""Account files: what a portfolio and an account read, and every wrong cell refused with its place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    LotWarning,
    ParameterError,
    RuleVersionError,
    SchemaError,
)
from pmkit.instruments import Portfolio, Position, parse_instrument
from pmkit.instruments.table import read_account_csv
from pmkit.margin.accounts.account import Account

T = "2026-08-01T17:58:04Z"
HEADER = "type,instrument,qty,entry_price,as_of"
GOOD = [
    f"position,BTC-28AUG26-70000-C,-2.5,0.012,{T}",
    f"position,BTC-28AUG26,-100,63000,{T}",
    f"position,BTC-PERPETUAL,250,,{T}",
    f"collateral,BTC,1.5,,{T}",
    f"collateral,USDC,-20,,{T}",
]


def write(folder: Path, lines: list[str], header: str = HEADER) -> Path:
    file = folder / "mine.csv"
    file.write_text("\n".join([header, *lines]) + "\n")
    return file


def test_a_good_file(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)
    book, account = Portfolio.from_csv(file), Account.from_csv(file)
    assert book.name == "mine" and len(book) == 3 and book.skipped == 2
    assert book.quantities.tolist() == [-2.5, -100.0, 250.0] and book.quantities.dtype == np.float64
    assert [p.entry_price for p in book] == [0.012, 63_000.0, None]
    assert book.underlyings == ("BTC",) and len(book.expiries) == 1
    assert book.as_of == pd.Timestamp(T) == account.as_of
    assert account.collateral == {"BTC": 1.5, "USDC": -20.0}
    assert account.portfolio.to_frame().equals(book.to_frame())


def test_spaces_byte_order_mark_blank_lines_and_no_entry_column(tmp_path: Path) -> None:
    file = tmp_path / "mine.csv"
    file.write_text(f"﻿type , instrument, qty,as_of\nposition, BTC-PERPETUAL , 3 ,{T}\n\n", encoding="utf-8")
    assert Portfolio.from_csv(file).quantities.tolist() == [3.0]
    file.write_text(file.read_text().replace("position", "\nposition"))
    with pytest.raises(SchemaError, match="row 2: 0 cells"):
        Portfolio.from_csv(file)


BAD: dict[str, tuple[str, type[Exception], str]] = {
    "unknown type": (f"cash,BTC,1,,{T}", SchemaError, "row 2, column 'type': found 'cash'"),
    "text": (f"position,BTC-PERPETUAL,ten,,{T}", SchemaError, "row 2, column 'qty': found 'ten'"),
    "percent": (f"position,BTC-PERPETUAL,50%,,{T}", SchemaError, "row 2, column 'qty': found '50%'"),
    "NaN": (f"position,BTC-PERPETUAL,NaN,,{T}", SchemaError, "row 2, column 'qty': found 'NaN'"),
    "infinite": (f"position,BTC-PERPETUAL,inf,,{T}", SchemaError, "row 2, column 'qty': found 'inf'"),
    "blank": (
        f"position,BTC-PERPETUAL,,,{T}",
        SchemaError,
        "row 2, column 'qty': found ''; expected a finite number",
    ),
    "collateral NaN": (f"collateral,BTC,nan,,{T}", SchemaError, "row 2, column 'qty': found 'nan'"),
    "collateral name": (f"collateral,BTC-PERPETUAL,1,,{T}", SchemaError, "'BTC-PERPETUAL' is not a currency"),
    "unknown instrument": (
        f"position,BTC-70000-C,1,,{T}",
        SchemaError,
        "row 2, column 'instrument': unknown instrument",
    ),
    "unknown coin": (
        f"position,DOGE-PERPETUAL,1,,{T}",
        SchemaError,
        "no specification for underlying 'DOGE'",
    ),
    "strike zero": (
        f"position,BTC-28AUG26-0-C,1,,{T}",
        ParameterError,
        "row 2, column 'instrument': strike of BTC-28AUG26-0-C is 0.0",
    ),
    "before the venue": (
        "position,BTC-PERPETUAL,1,,2018-01-01T00:00:00Z",
        RuleVersionError,
        "row 2, column 'instrument': no contract specification covers",
    ),
    "bad date": (f"position,BTC-31FEB27,1,,{T}", SchemaError, "row 2, column 'instrument': expiry code"),
    "expired": (
        f"position,BTC-31JUL26-60000-P,1,,{T}",
        SchemaError,
        "row 2, column 'instrument'.* expired at 2026-07-31",
    ),
    "naive time": (
        "position,BTC-PERPETUAL,1,,2026-08-01T17:58:04",
        ConventionError,
        "row 2, column 'as_of'.*no time zone",
    ),
    "other zone": (
        "position,BTC-PERPETUAL,1,,2026-08-01T17:58:04-04:00",
        ConventionError,
        "row 2.*not in UTC",
    ),
    "no time": (
        "position,BTC-PERPETUAL,1,,",
        ConventionError,
        "row 2, column 'as_of': the instant is missing",
    ),
    "no such time": (
        "position,BTC-PERPETUAL,1,,yesterdayish",
        ConventionError,
        "'yesterdayish' is not an instant",
    ),
    "entry zero": (f"position,BTC-PERPETUAL,1,0,{T}", SchemaError, "row 2, column 'entry_price'.* is 0"),
    "entry negative": (f"position,BTC-28AUG26,1,-3,{T}", SchemaError, "row 2, column 'entry_price'.* is -3"),
    "entry text": (
        f"position,BTC-28AUG26,1,mid,{T}",
        SchemaError,
        "row 2, column 'entry_price': found 'mid'",
    ),
    "premium in USD": (f"position,BTC-28AUG26-70000-C,1,750,{T}", ConventionError, "750: looks like USD"),
    "future in coin": (f"position,BTC-28AUG26,1,0.5,{T}", ConventionError, "0.5: looks like BTC"),
    "too few cells": (f"position,BTC-PERPETUAL,1,{T}", SchemaError, "row 2: 4 cells; expected 5"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("reader", [Portfolio.from_csv, Account.from_csv])
def test_a_wrong_cell_is_refused_with_its_place(case: str, reader: Any, tmp_path: Path) -> None:
    line, error, text = BAD[case]
    with pytest.raises(error, match=text) as caught:
        reader(write(tmp_path, [line, *GOOD[2:]]))
    assert str(caught.value).startswith("mine.csv, row 2") and "remedy" in str(caught.value)


def test_duplicates_and_second_instants_name_their_row(tmp_path: Path) -> None:
    with pytest.raises(
        SchemaError, match="row 7, column 'instrument': duplicate position 'BTC-28AUG26', first in row 3"
    ):
        Account.from_csv(write(tmp_path, [*GOOD, f"position,BTC-28AUG26,1,,{T}"]))
    with pytest.raises(
        SchemaError, match="row 7, column 'instrument': duplicate collateral 'USDC', first in row 6"
    ):
        Account.from_csv(write(tmp_path, [*GOOD, f"collateral,USDC,1,,{T}"]))
    with pytest.raises(ConventionError, match="row 7, column 'as_of': as_of is 2026-08-02"):
        Account.from_csv(write(tmp_path, [*GOOD, "collateral,ETH,1,,2026-08-02T17:58:04Z"]))


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("type,instrument,qty,entry_price", "row 1, column 'as_of': column 'as_of' is missing"),
        ("kind,instrument,qty,entry_price,as_of", "row 1, column 'type': column 'type' is missing"),
        (f"{HEADER},delta", "row 1, column 'delta': unknown column 'delta'"),
        (f"{HEADER},qty", "row 1, column 'qty': repeated column 'qty'"),
    ],
)
def test_missing_extra_and_repeated_columns(header: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match=text):
        Account.from_csv(write(tmp_path, GOOD, header))


def test_files_without_content(tmp_path: Path) -> None:
    for reader in (Account.from_csv, Portfolio.from_csv, read_account_csv):
        with pytest.raises(DataGapError, match=r"no file .*absent\.csv"):
            reader(tmp_path / "absent.csv")
        with pytest.raises(DataGapError, match="no file"):
            reader(tmp_path)
        empty = tmp_path / "empty.csv"
        empty.write_text("\n")
        with pytest.raises(DataGapError, match=r"empty\.csv: the file is empty"):
            reader(empty)
        with pytest.raises(DataGapError, match=r"mine\.csv: the table has no rows"):
            reader(write(tmp_path, []))
        binary = tmp_path / "sheet.csv"
        binary.write_bytes(b"\xff\xfe\x81")
        with pytest.raises(SchemaError, match=r"sheet\.csv: the file is not UTF-8"):
            reader(binary)
    with pytest.raises(DataGapError, match="the table has no rows"):
        Account.from_records([])


def test_records_and_frames_read_like_files(tmp_path: Path) -> None:
    account = Account.from_csv(write(tmp_path, GOOD))
    again = Account.from_frame(account.to_frame(), name="mine")
    assert again.portfolio.positions == account.portfolio.positions and again.collateral == account.collateral
    with pytest.raises(SchemaError, match="frame, row 1: column 'qty' is missing"):
        Portfolio.from_records(
            [{"type": "position", "instrument": "BTC-PERPETUAL", "as_of": T}], name="frame"
        )
    with pytest.raises(SchemaError, match="row 1: unknown column 'side'"):
        Portfolio.from_records(
            [{"type": "position", "instrument": "BTC-PERPETUAL", "qty": 1, "as_of": T, "side": "buy"}]
        )


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=8))
def test_quantities_survive_the_round_trip(lots: list[int]) -> None:
    strikes = 60_000 + 1_000 * np.arange(len(lots))
    book = Portfolio.from_records(
        {"type": "position", "instrument": f"BTC-28AUG26-{k}-P", "qty": n / 10, "as_of": T}
        for k, n in zip(strikes, lots, strict=True)
    )
    np.testing.assert_allclose(book.quantities, np.array(lots) / 10, rtol=1e-15)
    assert book.summary()["gross"].sum() == pytest.approx(np.abs(lots).sum() / 10)


def test_parts_of_a_lot_warn() -> None:
    row = {"type": "position", "instrument": "BTC-28AUG26-70000-C", "qty": 0.25, "as_of": T}
    with pytest.warns(LotWarning, match=r"0\.25 contracts of .* not a multiple of the lot 0\.1"):
        Portfolio.from_records([row])


def test_positions_and_portfolios_built_by_hand_are_checked() -> None:
    perpetual = parse_instrument("BTC-PERPETUAL", pd.Timestamp(T))
    with pytest.raises(SchemaError, match="qty of BTC-PERPETUAL is nan"):
        Position(instrument=perpetual, qty=math.nan)
    twice = (Position(instrument=perpetual, qty=1.0), Position(instrument=perpetual, qty=2.0))
    with pytest.raises(SchemaError, match="'BTC-PERPETUAL' is held twice"):
        Portfolio(positions=twice, as_of=pd.Timestamp(T))
    with pytest.raises(SchemaError, match="mmp_margin in BTC is -1"):
        Account(portfolio=Portfolio(positions=twice[:1], as_of=pd.Timestamp(T)), mmp_margin={"BTC": -1.0})


def test_parts_of_a_portfolio_keep_its_instant() -> None:
    rows = [
        {"type": "position", "instrument": name, "qty": 1, "as_of": T}
        for name in ("BTC-PERPETUAL", "ETH-PERPETUAL")
    ]
    book = Portfolio.from_records(rows, name="two")
    part = book.of_underlying("ETH")
    assert [i.name for i in part.instruments] == ["ETH-PERPETUAL"] and part.as_of == book.as_of
    assert len(book.with_positions(list(book)[:1])) == 1
    assert len(book.of_underlying("SOL")) == 0 and "instrument" in book.of_underlying("SOL").to_frame()
