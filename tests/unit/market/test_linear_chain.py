"""Index chains: the real one holds what its provenance says, a spoilt one is refused with its place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.market import Quotes, datasets, load_snapshot, read_quotes

STAMP = "2026-07-31 21:22:12+00:00"


def table(**changes: object) -> pd.DataFrame:
    rows = [
        ("2026-08-21", "C", 7500.0, 100.0, 102.0),
        ("2026-08-21", "P", 7500.0, 95.0, 97.0),
        ("2026-12-31", "C", 7500.5, 300.0, 305.0),
        ("2026-12-31", "P", 7400.0, 0.0, 0.15),
    ]
    frame = pd.DataFrame(rows, columns=["expiration", "cp", "strike", "bid", "ask"])
    frame["spot_last"], frame["spot_time_utc"] = 7489.72, STAMP
    for column, value in changes.items():
        frame[column] = value
    return frame


def with_cell(row: int, column: str, value: object, **changes: object) -> pd.DataFrame:
    frame = table(**changes).astype(object)
    frame.loc[row, column] = value
    return frame


def test_facts_of_the_real_chain() -> None:
    quotes = read_quotes(datasets.path("spx-yahoo-2026-07-31"))
    frame = quotes.frame
    assert len(quotes) == 17_193 and quotes.underlyings == ("SPX",) and quotes.settlement == "linear"
    assert frame["kind"].unique().tolist() == ["option"] and frame["expiry"].nunique() == 49
    # 28 bids above their ask, of which 23 have no ask; 887 zero and 2 missing bids; 298 zero asks
    assert quotes.counts() == {"no_bid": 614, "no_quote": 275, "crossed": 5, "no_ask": 23}
    assert frame["bid"].isna().sum() == 889 and frame["ask"].isna().sum() == 298
    assert quotes.spots == {"SPX": 7489.72}
    assert quotes.as_of == pd.Timestamp("2026-07-31T21:22:12Z")
    assert not frame["instrument"].duplicated().any()
    assert "SPX-31DEC26-7500-C" in set(frame["instrument"])
    text = " | ".join(quotes.labels)
    for part in ("not simultaneous", "16:00 New York", "name of the file", "European"):
        assert part in text


@pytest.mark.slow
def test_the_real_chain_as_quotes_and_as_a_snapshot() -> None:
    loaded = datasets.load("spx-yahoo-2026-07-31")
    assert isinstance(loaded, Quotes) and loaded.source == "spx-yahoo-2026-07-31"
    snapshot = load_snapshot("spx-yahoo-2026-07-31")
    seen = snapshot.market("SPX")
    assert (seen.spot, seen.spot_source) == (7489.72, "last index level")
    assert len(seen.forwards) == len(seen.discounts) == 28 and len(snapshot.listed) == 17_193
    assert len(seen.option_iv) == 5712
    assert any("there is no perpetual" in note for note in snapshot.notes)


def test_names_times_and_prices() -> None:
    quotes = read_quotes(table(), underlying="SPX")
    assert quotes.frame["instrument"].tolist() == [
        "SPX-21AUG26-7500-C",
        "SPX-21AUG26-7500-P",
        "SPX-31DEC26-7500d5-C",
        "SPX-31DEC26-7400-P",
    ]
    # four in the afternoon in New York is 20:00 UTC in summer and 21:00 in winter
    assert quotes.frame["expiry"].dt.hour.tolist() == [20, 20, 21, 21]
    assert quotes.frame["mid"].tolist()[:2] == [101.0, 96.0]
    assert quotes.ledger.to_numpy().tolist() == [["SPX-31DEC26-7400-P", "no_bid", "ask 0.15"]]
    morning = read_quotes(table(), underlying="SPX", expiry_time="13:30 UTC")
    assert (morning.frame["expiry"].dt.strftime("%H:%M") == "13:30").all()
    assert any("13:30 UTC" in label for label in morning.labels)


@pytest.mark.parametrize(
    ("day", "hour"),
    [("2026-03-06", 21), ("2026-03-08", 20), ("2026-10-30", 20), ("2026-11-01", 21), ("2027-03-14", 20)],
)
def test_new_york_changes_its_clock(day: str, hour: int) -> None:
    frame = table(expiration=day, spot_time_utc="2026-01-05 21:00:00+00:00")
    assert read_quotes(frame, underlying="SPX").frame["expiry"].dt.hour.unique().tolist() == [hour]


def test_stamps_of_quotes_are_kept() -> None:
    quotes = read_quotes(with_cell(0, "quote_time_utc", "", quote_time_utc=STAMP), underlying="SPX")
    assert quotes.frame["quoted_at"].isna().tolist() == [True, False, False, False]
    with pytest.raises(ConventionError, match=r"row 2, column 'quote_time_utc'.*not after"):
        read_quotes(
            with_cell(1, "quote_time_utc", "2026-07-31T21:23:00Z", quote_time_utc=STAMP), underlying="SPX"
        )


def test_the_symbol_names_the_underlying() -> None:
    assert read_quotes(table(symbol="SPX")).underlyings == ("SPX",)
    assert read_quotes(with_cell(1, "symbol", "SPXW", symbol="SPX")).underlyings == ("SPX",)
    with pytest.raises(ConventionError, match="symbols 'SPX', 'NDX'; expected one underlying"):
        read_quotes(with_cell(1, "symbol", "NDX", symbol="SPX"))
    with pytest.raises(ConventionError, match="underlying='NDX' and symbol 'SPX'"):
        read_quotes(table(symbol="SPX"), underlying="NDX")
    with pytest.raises(SchemaError, match=r"no column 'symbol' and no underlying.*pass underlying="):
        read_quotes(table())
    with pytest.raises(ParameterError, match="underlying is 'S P X'"):
        read_quotes(table(), underlying="S P X")


def test_trap_16_american_options_are_refused_by_name() -> None:
    with pytest.raises(ConventionError, match=r"American options on AAPL.*parity is an inequality"):
        read_quotes(table(), underlying="AAPL", exercise="american")
    with pytest.raises(ConventionError, match="row 2, column 'exercise': American options on SPX"):
        read_quotes(with_cell(1, "exercise", "American", exercise="european", symbol="SPX"))
    with pytest.raises(
        ConventionError, match=r"exercise style of AAPL options is not said.*exercise='european'"
    ):
        read_quotes(table(), underlying="AAPL")
    assert len(read_quotes(table(), underlying="AAPL", exercise="european")) == 4
    with pytest.raises(ParameterError, match="exercise is 'bermudan'"):
        read_quotes(table(), underlying="SPX", exercise="bermudan")  # type: ignore[arg-type]
    with pytest.raises(ConventionError, match="exercise is 'american'"):
        read_quotes(datasets.path("deribit-btc-2026-08-01"), exercise="american")


def test_mixed_settlement_is_refused() -> None:
    with pytest.raises(
        ConventionError, match="row 2, column 'settlement': linear and inverse options in one"
    ):
        read_quotes(with_cell(1, "settlement", "inverse", settlement="linear", symbol="SPX"))
    with pytest.raises(
        ConventionError, match="row 1, column 'settlement': coin-settled options in this shape"
    ):
        read_quotes(table(settlement="inverse", symbol="SPX"))
    with pytest.raises(SchemaError, match="row 1, column 'settlement': found 'cash'"):
        read_quotes(table(settlement="cash", symbol="SPX"))
    assert read_quotes(table(settlement="linear", symbol="SPX")).settlement == "linear"
    with pytest.raises(ConventionError, match="settlement is 'mixed'"):
        Quotes(
            frame=pd.DataFrame(), ledger=pd.DataFrame(), as_of=pd.Timestamp(STAMP), source="x",
            settlement="mixed",  # type: ignore[arg-type]
        )  # fmt: skip
    with pytest.raises(ParameterError, match="exercise is 'asian'"):
        Quotes(
            frame=pd.DataFrame(), ledger=pd.DataFrame(), as_of=pd.Timestamp(STAMP), source="x",
            exercise="asian",  # type: ignore[arg-type]
        )  # fmt: skip


@pytest.mark.parametrize(
    ("column", "value", "error", "text"),
    [
        ("strike", 0.0, SchemaError, "row 3, column 'strike': strike is 0; expected a positive number"),
        ("strike", -5.0, SchemaError, "row 3, column 'strike': strike is -5"),
        ("strike", "", SchemaError, "row 3, column 'strike': strike is missing"),
        ("strike", "x", SchemaError, "row 3, column 'strike': found 'x'"),
        ("bid", -1.0, SchemaError, "row 3, column 'bid': bid is -1"),
        ("bid", 20_000.0, ConventionError, "row 3, column 'bid'.*premium in index points below the index"),
        ("ask", "inf", SchemaError, "row 3, column 'ask': found 'inf'"),
        ("cp", "X", SchemaError, "row 3, column 'cp': found 'x'"),
        ("expiration", "31/12/2026", SchemaError, "row 3, column 'expiration': '31/12/2026' is not a date"),
        ("expiration", "2026-13-01", SchemaError, "row 3, column 'expiration'.*is not a date"),
        ("expiration", "2026-07-31", SchemaError, "row 3, column 'expiration'.*settled at 2026-07-31T20:00"),
        ("spot_last", 7490.0, SchemaError, "row 3, column 'spot_last'.*7489.72 as in the first row"),
        ("spot_last", 0.0, SchemaError, "row 3, column 'spot_last': spot_last is 0"),
        ("spot_time_utc", "2026-07-31 21:22:12", ConventionError, "row 3.*has no time zone"),
        ("spot_time_utc", "2026-07-31T21:22:13Z", ConventionError, "row 3.*instant 2026-07-31T21:22:13"),
    ],
)
def test_a_spoilt_cell_is_refused_with_its_place(
    column: str, value: object, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text) as caught:
        read_quotes(with_cell(2, column, value), underlying="SPX")
    assert "remedy" in str(caught.value)


def test_spoilt_tables_are_refused() -> None:
    with pytest.raises(SchemaError, match=r"SPX-21AUG26-7500-C stands in row 1 too.*two files"):
        read_quotes(pd.concat([table(), table()]), underlying="SPX")
    with pytest.raises(SchemaError, match="column 'ask' is missing"):
        read_quotes(table().drop(columns="ask"), underlying="SPX")
    with pytest.raises(SchemaError, match="unknown column 'mark'"):
        read_quotes(table(mark=1.0), underlying="SPX")
    with pytest.raises(ParameterError, match="expiry_time is '4pm'"):
        read_quotes(table(), underlying="SPX", expiry_time="4pm")


def test_the_fingerprint_sees_the_prices() -> None:
    plain, other = (read_quotes(t, underlying="SPX") for t in (table(), with_cell(0, "bid", 99.0)))
    assert plain.fingerprint != other.fingerprint
    assert plain.fingerprint == read_quotes(table(), underlying="SPX").fingerprint
    assert np.isnan(plain.frame["iv_bid"]).all()
