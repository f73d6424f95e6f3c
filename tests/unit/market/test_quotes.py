"""Quote files: the real ones hold what their provenance says, every spoilt one is refused with a place."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, SchemaError
from pmkit.market import datasets, read_quotes

EXPIRY = "2026-08-28 08:00:00+00:00"
AS_OF = "2026-08-01T17:58:04.320127+00:00"
HEADER = "as_of,kind,instrument_name,bid_price,ask_price,open_interest,volume_usd,expiry,tick_size,strike,cp"
CHAIN = [
    f"{AS_OF},future,BTC-PERPETUAL,62687.5,62688.0,736199160.0,100103950.0,,0.5,,",
    f"{AS_OF},future,BTC-28AUG26,62862.5,62865.0,33091400.0,1523220.0,2026-08-28 08:00:00+00:00,2.5,,",
    f"{AS_OF},option,BTC-28AUG26-63000-C,0.0345,0.035,100.0,1000.0,{EXPIRY},0.0005,63000.0,C",
    f"{AS_OF},option,BTC-28AUG26-63000-P,0.0365,0.037,100.0,1000.0,{EXPIRY},0.0005,63000.0,P",
    f"{AS_OF},option,BTC-28AUG26-55000-P,,0.0065,100.0,1000.0,2026-08-28 08:00:00+00:00,0.0005,55000.0,P",
]
SURFACE_HEADER = (
    "ref_date,asset,security_type,maturity,strike,option_type,"
    "bid,ask,iv_bid,iv_ask,open_interest,volume,inverse"
)
STAMP = "2026-05-21T10:04:10.269985Z"
SURFACE = [
    f"{STAMP},BTC,spot,,,,77596.5,77597.0,,,1010106310.0,310861580.0,",
    f"{STAMP},BTC,forward,2026-05-29T08:00:00Z,,,77615.0,77617.5,,,6770230.0,2446790.0,",
    f"{STAMP},BTC,option,2026-05-29T08:00:00Z,74000.0,put,0.0041,0.0044,0.36,0.37,1003.0,27274.34,True",
    f"{STAMP},BTC,option,2026-05-29T08:00:00Z,80000.0,call,0.0052,0.0055,0.33,0.34,428.6,3943.98,True",
]

Spoil = Callable[[list[list[str]], list[str]], None]


def write(folder: Path, header: str, lines: list[str], spoil: Spoil | None = None) -> Path:
    columns, cells = header.split(","), [line.split(",") for line in lines]
    if spoil is not None:
        spoil(cells, columns)
    file = folder / "chain.csv"
    file.write_text("\n".join(",".join(row) for row in [columns, *cells]) + "\n")
    return file


def put(row: int, column: str, value: str) -> Spoil:
    def spoil(cells: list[list[str]], columns: list[str]) -> None:
        cells[row][columns.index(column)] = value

    return spoil


def drop(column: str) -> Spoil:
    def spoil(cells: list[list[str]], columns: list[str]) -> None:
        position = columns.index(column)
        for row in [columns, *cells]:
            del row[position]

    return spoil


def add_column(cells: list[list[str]], columns: list[str]) -> None:
    columns.append("mark")
    for row in cells:
        row.append("1")


def repeat_column(cells: list[list[str]], columns: list[str]) -> None:
    columns.append("strike")
    for row in cells:
        row.append("1")


def repeat_row(cells: list[list[str]], columns: list[str]) -> None:
    cells.append(list(cells[2]))


def short_line(cells: list[list[str]], columns: list[str]) -> None:
    del cells[3][-1]


def no_rows(cells: list[list[str]], columns: list[str]) -> None:
    cells.clear()


BAD_CHAIN: dict[str, tuple[Spoil, type[Exception], str]] = {
    "missing column": (
        drop("ask_price"),
        SchemaError,
        "chain.csv, row 1, column 'ask_price': column 'ask_price' is missing",
    ),
    "extra column": (add_column, SchemaError, "row 1, column 'mark': unknown column 'mark'"),
    "repeated column": (repeat_column, SchemaError, "row 1, column 'strike': column 'strike' occurs 2 times"),
    "line too short": (short_line, SchemaError, "row 5: 10 cells; expected 11 cells"),
    "no rows": (no_rows, DataGapError, "a header and no rows"),
    "text for a price": (put(2, "bid_price", "n.v."), SchemaError, "row 4, column 'bid_price': found 'n.v.'"),
    "infinite price": (put(2, "ask_price", "inf"), SchemaError, "row 4, column 'ask_price': found 'inf'"),
    "negative bid": (put(2, "bid_price", "-0.01"), SchemaError, "row 4, column 'bid_price'.* is -0.01"),
    "negative interest": (put(2, "open_interest", "-1"), SchemaError, "row 4, column 'open_interest'"),
    "perpetual without bid": (
        put(0, "bid_price", ""),
        SchemaError,
        "row 2, column 'bid_price': bid of BTC-PERPETUAL is",
    ),
    "perpetual at zero": (put(0, "ask_price", "0"), SchemaError, "ask of BTC-PERPETUAL is missing or zero"),
    "duplicate": (
        repeat_row,
        SchemaError,
        "row 7, column 'instrument_name': BTC-28AUG26-63000-C stands in row 4 too",
    ),
    "naive time": (
        put(0, "as_of", "2026-08-01T17:58:04"),
        ConventionError,
        "row 2, column 'as_of'.*has no time zone",
    ),
    "other zone": (
        put(3, "as_of", "2026-08-01T19:58:04.320127+02:00"),
        ConventionError,
        "row 5.*is not in UTC",
    ),
    "other instant": (
        put(3, "as_of", "2026-08-01T17:59:04+00:00"),
        ConventionError,
        "row 5.*instant 2026-08-01T17:59",
    ),
    "no instant": (put(3, "as_of", ""), ConventionError, "row 5, column 'as_of': the instant is missing"),
    "naive expiry": (
        put(2, "expiry", "2026-08-28 08:00:00"),
        ConventionError,
        "row 4, column 'expiry'.*has no time zone",
    ),
    "strike zero": (put(2, "strike", "0"), SchemaError, "row 4, column 'strike': strike is 0"),
    "strike missing": (put(2, "strike", ""), SchemaError, "row 4, column 'strike': strike is missing"),
    "other strike": (put(2, "strike", "64000"), SchemaError, "column 'strike'.*64000.*63000.0 as the name"),
    "other expiry": (
        put(2, "expiry", "2026-08-29 08:00:00+00:00"),
        SchemaError,
        "column 'expiry'.*2026-08-28T08:00",
    ),
    "no expiry": (put(1, "expiry", ""), SchemaError, "row 3, column 'expiry': expiry is missing"),
    "other side": (
        put(2, "cp", "P"),
        SchemaError,
        "row 4, column 'cp'.*as the name BTC-28AUG26-63000-C says",
    ),
    "side unknown": (put(2, "cp", "X"), SchemaError, "row 4, column 'cp': found 'X'"),
    "kind disagrees": (put(1, "kind", "option"), SchemaError, "row 3, column 'cp': found ''"),
    "kind unknown": (put(1, "kind", "swap"), SchemaError, "row 3, column 'kind': found 'swap'"),
    "unknown coin": (
        put(1, "instrument_name", "DOT-28AUG26"),
        SchemaError,
        "row 3, column 'instrument_name'.*'DOT'",
    ),
    "bad name": (put(1, "instrument_name", "BTC 28AUG26"), SchemaError, "unknown instrument 'BTC 28AUG26'"),
    "impossible date": (
        put(1, "instrument_name", "BTC-31FEB27"),
        SchemaError,
        "expiry code '31FEB27' is not a date",
    ),
    "expired": (
        put(1, "instrument_name", "BTC-31JUL26"),
        SchemaError,
        "BTC-31JUL26 expired at 2026-07-31T08:00",
    ),
    "linear": (put(1, "instrument_name", "BTC_USDC-28AUG26"), ConventionError, "settles in quote currency"),
    "call in USD": (
        put(2, "ask_price", "2195.5"),
        ConventionError,
        "row 4, column 'ask_price'.*looks like USD",
    ),
    "put in USD": (put(3, "bid_price", "2290"), ConventionError, "row 5, column 'bid_price'.*looks like USD"),
    "columns of neither shape": (drop("instrument_name"), SchemaError, "column 'instrument_name' is missing"),
}

BAD_SURFACE: dict[str, tuple[Spoil, type[Exception], str]] = {
    "vol in percent": (
        put(2, "iv_bid", "36"),
        ConventionError,
        "row 4, column 'iv_bid'.*36: looks like percent",
    ),
    "linear": (
        put(2, "inverse", "False"),
        ConventionError,
        "row 4, column 'inverse'.*settles in quote currency",
    ),
    "settlement unsaid": (put(2, "inverse", ""), SchemaError, "row 4, column 'inverse': found ''"),
    "no maturity": (put(1, "maturity", ""), SchemaError, "row 3, column 'maturity': the maturity is missing"),
    "maturity not at 08:00": (
        put(2, "maturity", "2026-05-29T10:00:00Z"),
        SchemaError,
        "row 4, column 'maturity'",
    ),
    "expired": (put(2, "maturity", "2026-05-21T08:00:00Z"), SchemaError, "expired at 2026-05-21T08:00"),
    "two instants": (put(2, "ref_date", "2026-05-21T10:05:10Z"), ConventionError, "row 4, column 'ref_date'"),
    "missing column": (drop("inverse"), SchemaError, "column 'inverse' is missing"),
    "unknown asset": (put(2, "asset", "DOGE"), SchemaError, "row 4, column 'asset'.*'DOGE'"),
    "option type": (
        put(2, "option_type", "straddle"),
        SchemaError,
        "row 4, column 'option_type': found 'straddle'",
    ),
    "negative vol": (put(2, "iv_ask", "-0.3"), SchemaError, "row 4, column 'iv_ask'"),
}


@pytest.mark.parametrize("case", BAD_CHAIN)
def test_a_spoilt_chain_is_refused_with_its_place(case: str, tmp_path: Path) -> None:
    spoil, error, text = BAD_CHAIN[case]
    with pytest.raises(error, match=text) as caught:
        read_quotes(write(tmp_path, HEADER, CHAIN, spoil))
    assert "remedy" in str(caught.value) and "chain.csv" in str(caught.value)


@pytest.mark.parametrize("case", BAD_SURFACE)
def test_a_spoilt_surface_is_refused_with_its_place(case: str, tmp_path: Path) -> None:
    spoil, error, text = BAD_SURFACE[case]
    with pytest.raises(error, match=text) as caught:
        read_quotes(write(tmp_path, SURFACE_HEADER, SURFACE, spoil))
    assert "remedy" in str(caught.value) and "chain.csv" in str(caught.value)


def test_the_unspoilt_tables_are_read(tmp_path: Path) -> None:
    chain = read_quotes(write(tmp_path, HEADER, CHAIN))
    assert len(chain) == 5 and chain.underlyings == ("BTC",)
    assert chain.ledger.to_numpy().tolist() == [["BTC-28AUG26-55000-P", "no_bid", "ask 0.0065"]]
    surface = read_quotes(write(tmp_path, SURFACE_HEADER, SURFACE))
    assert surface.frame["instrument"].tolist() == [
        "BTC-PERPETUAL",
        "BTC-29MAY26",
        "BTC-29MAY26-74000-P",
        "BTC-29MAY26-80000-C",
    ]
    assert any("perpetual" in label for label in surface.labels)


@pytest.mark.parametrize(
    ("bid", "ask", "reason"),
    [("0.04", "0.035", "crossed"), ("0", "0.035", "no_bid"), ("0.034", "", "no_ask"), ("", "0", "no_quote")],
)
def test_legal_oddities_go_to_the_ledger_and_have_no_mid(
    bid: str, ask: str, reason: str, tmp_path: Path
) -> None:
    def spoil(cells: list[list[str]], columns: list[str]) -> None:
        put(2, "bid_price", bid)(cells, columns)
        put(2, "ask_price", ask)(cells, columns)

    quotes = read_quotes(write(tmp_path, HEADER, CHAIN, spoil))
    row = quotes.frame.set_index("instrument").loc["BTC-28AUG26-63000-C"]
    assert np.isnan(row["mid"])
    assert (quotes.ledger["instrument"] == "BTC-28AUG26-63000-C").sum() == 1
    assert quotes.ledger.set_index("instrument").loc["BTC-28AUG26-63000-C", "reason"] == reason


def test_a_locked_quote_is_usable(tmp_path: Path) -> None:
    quotes = read_quotes(write(tmp_path, HEADER, CHAIN, put(2, "bid_price", "0.035")))
    assert quotes.frame.set_index("instrument").loc["BTC-28AUG26-63000-C", "mid"] == pytest.approx(0.035)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(DataGapError, match="does not exist"):
        read_quotes(tmp_path / "absent.csv")
    with pytest.raises(DataGapError, match="is a folder"):
        read_quotes(tmp_path)
    empty = tmp_path / "empty.csv"
    empty.write_text("  \n")
    with pytest.raises(DataGapError, match=r"empty\.csv: the file is empty"):
        read_quotes(empty)
    empty.write_text("")
    with pytest.raises(DataGapError, match=r"empty\.csv: the file is empty"):
        read_quotes(empty)
    binary = tmp_path / "sheet.csv"
    binary.write_bytes(b"\xff\xfe\x00\x81" * 20)
    with pytest.raises(SchemaError, match=r"sheet\.csv: the file is not UTF-8"):
        read_quotes(binary)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress((HEADER + "\n" + "\n".join(CHAIN)).encode())[:-12])
    with pytest.raises(SchemaError, match=r"cut\.csv\.gz: the file cannot be read"):
        read_quotes(cut)
    with pytest.raises(SchemaError, match="a list; expected a path or a DataFrame"):
        read_quotes([1, 2])  # type: ignore[arg-type]
    with pytest.raises(SchemaError, match="columns a, b; expected a chain"):
        read_quotes(pd.DataFrame({"a": [1], "b": [2]}))


def test_gzip_frame_and_plain_file_give_the_same_quotes(tmp_path: Path) -> None:
    plain = write(tmp_path, HEADER, CHAIN)
    packed = tmp_path / "chain.csv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    frame = pd.read_csv(plain)
    prints = {read_quotes(source).fingerprint for source in (plain, packed, frame)}
    assert len(prints) == 1
    assert read_quotes(frame, source="mine").source == "mine"


def test_a_frame_counts_its_rows_from_one() -> None:
    frame = pd.DataFrame([dict(zip(HEADER.split(","), line.split(","), strict=True)) for line in CHAIN])
    frame.loc[2, "strike"] = "0"
    with pytest.raises(SchemaError, match="frame, row 3, column 'strike'"):
        read_quotes(frame)


def test_the_row_number_counts_blank_lines(tmp_path: Path) -> None:
    file = tmp_path / "blank.csv"
    file.write_text("\n".join([HEADER, CHAIN[0], "", CHAIN[2].replace("63000.0,C", "0,C")]))
    with pytest.raises(SchemaError, match="row 4, column 'strike'"):
        read_quotes(file)


def test_facts_of_the_chain_of_2026_08_01() -> None:
    quotes = read_quotes(datasets.path("deribit-btc-2026-08-01"))
    frame = quotes.frame
    assert frame["kind"].value_counts().to_dict() == {"option": 868, "future": 13, "perpetual": 1}
    assert frame["expiry"].nunique() == 13
    assert quotes.ledger["reason"].value_counts().to_dict() == {"no_bid": 66}
    soon = frame[(frame["kind"] == "option") & (frame["expiry"] <= quotes.as_of + pd.Timedelta(days=2))]
    assert len(soon) == 88
    assert not (frame["bid"] > frame["ask"]).any()
    assert quotes.summary().loc[("BTC", "option"), "with_mid"] == 802
    assert re.search(r"0x[0-9a-f]{6}", repr(quotes)) is None


@pytest.mark.parametrize(
    ("name", "options"), [("deribit-btc-2026-05-21", 387), ("deribit-eth-2026-05-21", 292)]
)
def test_facts_of_the_surfaces_of_2026_05_21(name: str, options: int) -> None:
    quotes = read_quotes(datasets.path(name))
    frame = quotes.frame[quotes.frame["kind"] == "option"]
    assert len(frame) == options and quotes.ledger.empty
    assert not frame.duplicated(["expiry", "strike"]).any(), "a call-put pair would allow parity"
    assert frame[["iv_bid", "iv_ask"]].notna().all(axis=None)
