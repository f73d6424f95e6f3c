"""Price histories: returns, cuts without look-ahead, gaps reported and never filled, spoilt files refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    LookAheadError,
    ParameterError,
    SchemaError,
    SuspectPriceWarning,
)
from pmkit.market import PriceHistory, load_history

SHIPPED = "crypto-daily-2020-2023"


def csv(folder: Path, text: str, name: str = "closes.csv") -> Path:
    file = folder / name
    file.write_text(text)
    return file


@pytest.fixture(scope="module")
def shipped() -> PriceHistory:
    return load_history(SHIPPED)


def test_facts_of_the_shipped_history(shipped: PriceHistory) -> None:
    assert len(shipped) == 1461 and len(shipped.assets) == 14
    assert shipped.calendar == "every day" and shipped.periods_per_year == 365
    assert shipped.currency == "USD" and not shipped.simulated and shipped.source == SHIPPED
    assert str(shipped.last_date.date()) == "2023-12-31"
    assert shipped.prices.index.name == "date" and shipped.prices.index.tz is None
    moves = np.expm1(shipped.returns(["BTC", "ETH"]))
    assert moves.loc["2020-03-12"].round(3).tolist() == [-0.372, -0.423]
    assert moves.loc["2021-05-19"].round(3).tolist() == [-0.138, -0.272]


def test_gaps_of_the_shipped_history_are_reported(shipped: PriceHistory) -> None:
    gaps = shipped.gaps.set_index(["asset", "kind"])["days"].to_dict()
    assert gaps["AVAX", "no price"] == 69
    assert gaps["SOL1", "ends earlier"] == 448
    assert not {"BTC", "ETH", "all"} & set(shipped.gaps["asset"])
    assert shipped.prices["AVAX"].isna().sum() == 263, "nothing was filled"


def test_missing_prices_are_refused_or_dropped_with_a_count(shipped: PriceHistory) -> None:
    with pytest.raises(DataGapError, match="1076 of 1460 returns of SOL1, AVAX, LUNA1"):
        shipped.returns()
    dropped = shipped.returns(["BTC", "AVAX"], missing="drop")
    assert dropped.attrs["dropped"] == 1460 - len(dropped) > 0
    assert dropped.notna().all(axis=None)
    assert shipped.returns("BTC").attrs["dropped"] == 0


@pytest.mark.parametrize("horizon", [1, 2, 10])
def test_overlapping_returns_are_sums_of_daily_ones(shipped: PriceHistory, horizon: int) -> None:
    daily = shipped.returns(["BTC", "ETH"])
    together = shipped.returns(["BTC", "ETH"], horizon)
    assert len(together) == 1461 - horizon
    summed = daily.rolling(horizon).sum().dropna()
    np.testing.assert_allclose(together.to_numpy(), summed.to_numpy(), atol=1e-12)
    assert together.index.equals(summed.index)


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.SuspectPriceWarning")
@given(st.lists(st.floats(1e-3, 1e6), min_size=3, max_size=30), st.integers(1, 2))
def test_returns_do_not_depend_on_the_unit_of_price(prices: list[float], horizon: int) -> None:
    index = pd.date_range("2023-01-01", periods=len(prices), freq="D")
    one, other = (
        PriceHistory.from_frame(pd.DataFrame({"X": scale * np.array(prices)}, index=index))
        for scale in (1.0, 7.0)
    )
    np.testing.assert_allclose(one.returns(horizon=horizon), other.returns(horizon=horizon), atol=1e-9)


def test_a_cut_holds_no_later_row_and_does_not_change_earlier_ones(shipped: PriceHistory) -> None:
    cut = shipped.until("2022-05-09")
    assert str(cut.last_date.date()) == "2022-05-09"
    pd.testing.assert_frame_equal(cut.prices, shipped.prices.loc[:"2022-05-09"])
    assert cut.fingerprint != shipped.fingerprint
    assert cut.fingerprint == shipped.until(pd.Timestamp("2022-05-09", tz="UTC")).fingerprint
    with pytest.raises(LookAheadError, match="nothing is known at 2019-12-31"):
        shipped.until("2019-12-31")


def test_window_is_closed_on_both_sides(shipped: PriceHistory) -> None:
    window = shipped.window("2021-01-01", "2021-01-10")
    assert len(window) == 10 and window.calendar == "every day"
    assert shipped.window().fingerprint == shipped.fingerprint
    with pytest.raises(ParameterError, match="start 2021-02-01 is after end 2021-01-01"):
        shipped.window("2021-02-01", "2021-01-01")
    with pytest.raises(DataGapError, match="no rows from 2030-01-01"):
        shipped.window("2030-01-01", "2030-02-01")
    with pytest.raises(ConventionError, match="clock time"):
        shipped.window("2021-01-01T12:00:00Z")


def test_select_and_unknown_assets(shipped: PriceHistory) -> None:
    assert shipped.select(["ETH", "BTC"]).assets == ("ETH", "BTC")
    with pytest.raises(DataGapError, match=r"no prices of 'GOLD'.*one of BTC"):
        shipped.returns("GOLD")
    with pytest.raises(ParameterError, match="no asset"):
        shipped.returns([])


@pytest.mark.parametrize("horizon", [0, -1, 1.5, True])
def test_horizon_is_a_positive_whole_number(shipped: PriceHistory, horizon: object) -> None:
    with pytest.raises(ParameterError, match="horizon is"):
        shipped.returns("BTC", horizon)  # type: ignore[arg-type]


def test_other_arguments_of_returns(shipped: PriceHistory) -> None:
    with pytest.raises(ParameterError, match="missing is 'fill'"):
        shipped.returns("BTC", missing="fill")  # type: ignore[arg-type]
    with pytest.raises(DataGapError, match="3 rows"):
        shipped.window("2021-01-01", "2021-01-03").returns("BTC", 3)
    with pytest.raises(DataGapError, match="no complete return"):
        shipped.window("2020-01-01", "2020-02-01").returns(["BTC", "SOL1"], missing="drop")


def test_a_return_never_spans_a_missing_date_unsaid(tmp_path: Path) -> None:
    days = [d for d in pd.date_range("2023-01-01", periods=12) if d.day not in (5, 6)]
    text = "date,BTC\n" + "".join(f"{d:%Y-%m-%d},{100 + d.day}\n" for d in days)
    history = load_history(csv(tmp_path, text))
    assert history.gaps.loc[0].to_dict() == {
        "asset": "all",
        "kind": "no row",
        "start": pd.Timestamp("2023-01-05"),
        "end": pd.Timestamp("2023-01-06"),
        "days": 2,
    }
    with pytest.raises(
        DataGapError, match=r"1 of 9 returns.*a date without a row inside, first on 2023-01-07"
    ):
        history.returns()
    assert history.returns(missing="drop").attrs["dropped"] == 1
    assert history.returns(horizon=2, missing="drop").attrs["dropped"] == 2


def test_business_days_are_recognised_and_their_weekends_are_no_gaps(tmp_path: Path) -> None:
    days = [d for d in pd.bdate_range("2023-01-02", periods=30) if d.day != 16]
    text = "Date,SPX\n" + "".join(f"{d:%Y-%m-%d},{4000 + d.day}\n" for d in days)
    history = load_history(csv(tmp_path, text))
    assert history.calendar == "business days" and history.periods_per_year == 252
    assert history.gaps["kind"].tolist() == ["no row"] and history.gaps["days"].tolist() == [1]
    assert len(history.returns()) == len(days) - 1
    with pytest.raises(ParameterError, match="calendar is 'weekly'"):
        load_history(csv(tmp_path, text), calendar="weekly")  # type: ignore[arg-type]


def test_a_weekend_filled_forward_shows_in_the_gap_report(tmp_path: Path) -> None:
    days = pd.date_range("2023-01-02", periods=14)
    price = {d: 100.0 + d.day_of_year - max(0, d.day_of_week - 4) for d in days}
    text = "date,SPX\n" + "".join(f"{d:%Y-%m-%d},{price[d]}\n" for d in days)
    repeated = load_history(csv(tmp_path, text)).gaps
    assert repeated["kind"].tolist() == ["repeated price"] * 2 and repeated["days"].tolist() == [2, 2]


def test_gzip_names_with_currency_and_own_flags(tmp_path: Path) -> None:
    text = "date,BTC-USD,ETH\n2023-01-01,100,10\n2023-01-02T00:00:00Z,101,\n2023-01-03 00:00:00,102,11\n"
    packed = tmp_path / "closes.csv.gz"
    packed.write_bytes(gzip.compress(text.encode()))
    history = load_history(packed, simulated=True)
    assert history.assets == ("BTC", "ETH") and history.simulated and history.provenance.simulated
    assert history.gaps["kind"].tolist() == ["no price"]
    assert history.fingerprint == load_history(csv(tmp_path, text)).fingerprint


BAD = {
    "empty": ("", DataGapError, "closes.csv: the file is empty"),
    "no rows": ("date,BTC\n", DataGapError, "closes.csv: the table has a header and no rows"),
    "no date column": (
        "time,BTC\n2023-01-01,1\n",
        SchemaError,
        "row 1, column 'time': first column is 'time'",
    ),
    "no prices": ("date\n2023-01-01\n", SchemaError, "row 1: no price column"),
    "duplicate date": (
        "date,B\n2023-01-01,1\n2023-01-01,2\n",
        SchemaError,
        "row 3, column 'date'.*row 2 too",
    ),
    "unsorted": (
        "date,B\n2023-01-02,1\n2023-01-01,2\n",
        SchemaError,
        "row 3, column 'date'.*2023-01-01 follows",
    ),
    "zero price": ("date,B\n2023-01-01,100\n2023-01-02,0\n", SchemaError, "row 3, column 'B': price is 0"),
    "negative price": (
        "date,B\n2023-01-01,100\n2023-01-02,-37.63\n",
        SchemaError,
        "row 3, column 'B': price is -37.63",
    ),
    "text": ("date,B\n2023-01-01,1.2.3\n", SchemaError, "row 2, column 'B': found '1.2.3'"),
    "infinite": ("date,B\n2023-01-01,inf\n", SchemaError, "row 2, column 'B': found 'inf'"),
    "decimal comma": ('date,B\n2023-01-01,"1,5"\n', SchemaError, "row 2, column 'B': found '1,5'"),
    "bad date": (
        "date,B\n2023-02-30,1\n",
        ConventionError,
        "row 2, column 'date': '2023-02-30' is not an instant",
    ),
    "no date": ("date,B\n,1\n", ConventionError, "row 2, column 'date': the instant is missing"),
    "other zone": (
        "date,B\n2023-03-26T00:00:00+01:00,1\n",
        ConventionError,
        "row 2, column 'date'.*is not in UTC",
    ),
    "naive clock": (
        "date,B\n2023-03-26T16:00:00,1\n",
        ConventionError,
        "row 2, column 'date'.*has no time zone",
    ),
    "clock in UTC": (
        "date,B\n2023-03-25T23:00:00Z,1\n",
        ConventionError,
        "row 2, column 'date'.*is a clock time",
    ),
    "returns": (
        "date,B\n2023-01-01,0.01\n2023-01-02,-0.02\n",
        ConventionError,
        "row 3, column 'B'.*looks like returns",
    ),
    "other currency": ("date,BTC-EUR\n2023-01-01,1\n", ConventionError, "column 'BTC-EUR': prices in EUR"),
    "two columns": ("date,BTC,BTC-USD\n2023-01-01,1,2\n", SchemaError, "asset 'BTC' has two columns"),
    "same column": ("date,BTC,BTC\n2023-01-01,1,2\n", SchemaError, "column 'BTC' occurs 2 times"),
    "column empty": ("date,BTC,ETH\n2023-01-01,1,\n", DataGapError, "column 'ETH': no price of ETH"),
    "ragged": ("date,BTC\n2023-01-01,1,2\n", SchemaError, "row 2: 3 cells; expected 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_spoilt_history_is_refused_with_its_place(case: str, tmp_path: Path) -> None:
    text, error, message = BAD[case]
    with pytest.raises(error, match=message) as caught:
        load_history(csv(tmp_path, text))
    assert "remedy" in str(caught.value)


def test_a_calendar_that_the_dates_contradict(tmp_path: Path) -> None:
    file = csv(tmp_path, "date,B\n2023-01-06,1\n2023-01-07,2\n")
    with pytest.raises(ConventionError, match="row 3, column 'date': 2023-01-07 is a Saturday"):
        load_history(file, calendar="business days")


def test_names_that_are_no_history(tmp_path: Path) -> None:
    with pytest.raises(
        DataGapError, match="'nowhere' is neither a data set nor a file; expected one of crypto-daily"
    ):
        load_history("nowhere")
    with pytest.raises(DataGapError, match="'deribit-btc-2026-08-01' is of kind 'chain'"):
        load_history("deribit-btc-2026-08-01")
    with pytest.raises(DataGapError, match="is a folder"):
        load_history(tmp_path)


def test_display_is_deterministic_and_tidy(shipped: PriceHistory) -> None:
    small = shipped.select("BTC").window("2021-01-01", "2021-01-03")
    assert small.to_frame().columns.tolist() == ["date", "asset", "price"] and len(small.to_frame()) == 3
    assert repr(small) == repr(shipped.select("BTC").window("2021-01-01", "2021-01-03"))
    assert small.to_dict()["asset"] == ["BTC"] * 3
    assert small.summary().loc["BTC", "prices"] == 3


def test_from_frame_checks_like_a_file() -> None:
    index = pd.DatetimeIndex(["2023-01-02", "2023-01-01"])
    with pytest.raises(SchemaError, match="frame, row 2, column 'date'"):
        PriceHistory.from_frame(pd.DataFrame({"B": [1.0, 2.0]}, index=index))
    aware = pd.DatetimeIndex(["2023-01-01 05:00"], tz="Europe/Berlin")
    with pytest.raises(ConventionError, match="is not in UTC"):
        PriceHistory.from_frame(pd.DataFrame({"B": [1.0]}, index=aware))


def test_price_relatives_are_refused(tmp_path: Path) -> None:
    relatives = 1.0 + 0.03 * np.sin(np.arange(60.0))
    text = "date,BTC\n" + "\n".join(
        f"{day:%Y-%m-%d},{x:.6f}"
        for day, x in zip(pd.date_range("2023-01-01", periods=60), relatives, strict=True)
    )
    path = tmp_path / "relatives.csv"
    path.write_text(text)
    with pytest.raises(ConventionError, match="looks like price relatives"):
        load_history(path)


def test_a_price_that_jumps_there_and_back_is_named() -> None:
    prices = 100.0 + np.arange(10.0)
    prices[4] *= 100.0
    history = PriceHistory.from_frame(
        pd.DataFrame({"X": prices}, index=pd.date_range("2023-01-01", periods=10))
    )
    with pytest.warns(
        SuspectPriceWarning, match="X of 2023-01-05 in frame is 10400, after 103 and before 105"
    ):
        history.returns()
