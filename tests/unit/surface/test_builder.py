"""Snapshots from quote files: what stands for what is labelled, and nothing is lost without a ledger row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.instruments import Option, parse_instrument
from pmkit.market import MarketSnapshot, datasets, load_snapshot, read_quote_panel, read_quotes
from pmkit.surface import build_snapshot

CHAIN = "deribit-btc-2026-08-01"
MORNING = ["deribit-btc-2026-05-21", "deribit-eth-2026-05-21"]


@pytest.fixture(scope="module")
def snapshot() -> MarketSnapshot:
    return load_snapshot(CHAIN)


def test_facts_of_the_chain(snapshot: MarketSnapshot) -> None:
    market = snapshot.market("BTC")
    assert snapshot.as_of.isoformat() == "2026-08-01T17:58:04.320127+00:00"
    assert snapshot.source == CHAIN and len(snapshot.listed) == 882
    assert market.spot == market.perpetual == 62_687.75
    assert market.spot_source == "perpetual mid (stands for index)"
    assert len(market.forwards) == 13 and market.funding is None
    assert market.iv_source == "mid"


def test_every_option_has_an_own_vol_or_a_ledger_row(snapshot: MarketSnapshot) -> None:
    options = {n for n in snapshot.listed if n.endswith(("-C", "-P"))}
    own = set(snapshot.market("BTC").option_iv)
    rows = snapshot.ledger["instrument"].tolist()
    assert len(options) == 868 and own | set(rows) == options and not own & set(rows)
    assert len(rows) == len(set(rows))
    assert snapshot.ledger["reason"].value_counts().to_dict() == {"no_bid": 66, "below_intrinsic": 16}
    assert len(own) == 786


def test_mids_below_intrinsic_really_are(snapshot: MarketSnapshot) -> None:
    quotes = read_quotes(datasets.path(CHAIN)).frame.set_index("instrument")
    for name in quotes.index[quotes["kind"] == "option"]:
        row = quotes.loc[name]
        moneyness = 1.0 - row["strike"] / snapshot.forward("BTC", row["expiry"])
        intrinsic = max(0.0, moneyness if row["is_call"] else -moneyness)
        reasons = snapshot.ledger.loc[snapshot.ledger["instrument"] == name, "reason"].tolist()
        assert (row["mid"] < intrinsic) == (reasons == ["below_intrinsic"])


def test_marks_reproduce_the_mids(snapshot: MarketSnapshot) -> None:
    quotes = read_quotes(datasets.path(CHAIN)).frame.set_index("instrument")
    for name in sorted(snapshot.market("BTC").option_iv)[::23]:
        mark = snapshot.mark(parse_instrument(name, snapshot.as_of))
        assert mark.price == pytest.approx(quotes.loc[name, "mid"], abs=1e-10) and mark.source == "mid"
    for name in quotes.index[quotes["kind"] == "future"]:
        mark = snapshot.mark(parse_instrument(name, snapshot.as_of))
        assert mark == (quotes.loc[name, "mid"], pytest.approx(np.nan, nan_ok=True), "listed future")


def test_options_without_own_vol_are_priced_off_the_surface(snapshot: MarketSnapshot) -> None:
    for name in snapshot.ledger["instrument"]:
        option = parse_instrument(name, snapshot.as_of)
        assert isinstance(option, Option)
        mark = snapshot.mark(option)
        assert mark.source == "surface"
        moneyness = 1.0 - option.strike / snapshot.forward("BTC", option.expiry)
        assert mark.price >= max(0.0, moneyness if option.is_call else -moneyness) - 1e-12


def test_notes_say_what_stands_for_what(snapshot: MarketSnapshot) -> None:
    text = " | ".join(snapshot.notes)
    for words in (
        "perpetual stands for it",
        "mids of the futures stand",
        "13 by listed future",
        "786 of 868",
    ):
        assert words in text
    assert snapshot.provenance.data[CHAIN] and snapshot.provenance.parameters["surface"] == "linear"


def test_equal_input_gives_equal_bits() -> None:
    assert load_snapshot(CHAIN).fingerprint == load_snapshot(datasets.path(CHAIN)).fingerprint


def test_both_underlyings_of_the_morning() -> None:
    both = load_snapshot("deribit-btc-eth-2026-05-21")
    assert list(both.underlyings) == ["BTC", "ETH"] and both.ledger.empty
    assert both.as_of.isoformat() == "2026-05-21T10:08:42.397057+00:00", "the latest stamp"
    assert both.fingerprint == load_snapshot(MORNING).fingerprint
    text = " | ".join(both.notes)
    assert "272 s before" in text and "spot is taken as the perpetual" in text and "12 by forward row" in text
    quotes = read_quotes(datasets.path(MORNING[0])).frame.set_index("instrument")
    name = "BTC-29MAY26-80000-C"
    assert both.mark(parse_instrument(name, both.as_of)).price == pytest.approx(
        quotes.loc[name, "mid"], abs=1e-12
    )


def test_stamps_further_apart_than_max_skew_are_refused() -> None:
    with pytest.raises(
        ConventionError, match=r"are 4\.5 minutes apart; expected stamps within max_skew = 4 minutes"
    ):
        load_snapshot(MORNING, max_skew="4min")
    assert load_snapshot(MORNING, max_skew="5min").underlyings.keys() == {"BTC", "ETH"}
    for wrong in ("soon", "-1min", None, "NaT"):
        with pytest.raises(ParameterError, match="max_skew is"):
            load_snapshot(MORNING, max_skew=wrong)  # type: ignore[arg-type]


def test_the_same_underlying_twice_is_refused() -> None:
    with pytest.raises(
        SchemaError, match="BTC is quoted in deribit-btc-2026-05-21 and in deribit_btc_surface"
    ):
        load_snapshot([MORNING[0], datasets.path(MORNING[0])])


def test_names_and_paths_that_hold_no_quotes(tmp_path: Path) -> None:
    with pytest.raises(
        DataGapError, match=r"'nowhere\.csv' is neither a data set nor a file; expected one of deribit-btc"
    ):
        load_snapshot("nowhere.csv")
    with pytest.raises(DataGapError, match="'crypto-daily-2020-2023' is of kind 'history'"):
        load_snapshot("crypto-daily-2020-2023")
    with pytest.raises(ParameterError, match="an empty list"):
        load_snapshot([])
    with pytest.raises(DataGapError, match="no quotes"):
        build_snapshot([])
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(DataGapError, match=r"empty\.csv: the file is empty"):
        load_snapshot(empty)


def cut(tmp_path: Path, keep: pd.Series | None = None, **changes: object) -> Path:
    frame = pd.read_csv(datasets.path(CHAIN), dtype=str, keep_default_na=False)
    frame = frame if keep is None else frame[keep.to_numpy()]
    file = tmp_path / "cut.csv"
    frame.assign(**changes).to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def raw() -> pd.DataFrame:
    return pd.read_csv(datasets.path(CHAIN), dtype=str, keep_default_na=False)


def test_a_chain_without_its_perpetual_is_refused(tmp_path: Path, raw: pd.DataFrame) -> None:
    with pytest.raises(DataGapError, match=r"cut\.csv: no two-sided quote of BTC-PERPETUAL"):
        load_snapshot(cut(tmp_path, raw["instrument_name"] != "BTC-PERPETUAL"))


def test_a_chain_without_options_has_no_surface(tmp_path: Path, raw: pd.DataFrame) -> None:
    snapshot = load_snapshot(cut(tmp_path, raw["kind"] == "future"))
    assert snapshot.market("BTC").surface is None and len(snapshot.listed) == 14
    with pytest.raises(SchemaError, match="unknown instrument 'BTC-28AUG26-63000-C'"):
        snapshot.mark(parse_instrument("BTC-28AUG26-63000-C", snapshot.as_of))


def test_a_missing_future_is_replaced_by_parity(
    tmp_path: Path, raw: pd.DataFrame, snapshot: MarketSnapshot
) -> None:
    other = load_snapshot(cut(tmp_path, raw["instrument_name"] != "BTC-25SEP26"))
    expiry = pd.Timestamp("2026-09-25T08:00Z")
    quote = other.market("BTC").forwards[expiry]
    assert quote.source == "parity"
    assert quote.price == pytest.approx(snapshot.forward("BTC", expiry), rel=5e-4)
    assert any("12 by listed future, 1 by parity" in note for note in other.notes)


def test_an_expiry_without_forward_keeps_its_rows_in_the_ledger(tmp_path: Path, raw: pd.DataFrame) -> None:
    gone = raw["instrument_name"].eq("BTC-25SEP26") | (
        raw["instrument_name"].str.startswith("BTC-25SEP26-") & raw["cp"].eq("C")
    )
    snapshot = load_snapshot(cut(tmp_path, ~gone))
    expiry = pd.Timestamp("2026-09-25T08:00Z")
    assert expiry not in snapshot.market("BTC").forwards
    reasons = snapshot.ledger.set_index("instrument")["reason"]
    assert reasons["BTC 2026-09-25"] == "no_forward" and reasons["BTC-25SEP26-60000-P"] == "no_forward"
    with pytest.raises(DataGapError, match="no forward for BTC expiry 2026-09-25"):
        snapshot.mark(parse_instrument("BTC-25SEP26-60000-P", snapshot.as_of))


def test_every_price_matters(snapshot: MarketSnapshot, raw: pd.DataFrame, tmp_path: Path) -> None:
    changed = raw.copy()
    row = changed.index[changed["instrument_name"] == "BTC-28AUG26-63000-C"][0]
    changed.loc[row, "ask_price"] = str(float(changed.loc[row, "ask_price"]) + 0.0005)
    file = tmp_path / "changed.csv"
    changed.to_csv(file, index=False)
    assert load_snapshot(file).fingerprint != snapshot.fingerprint


def test_index_of_a_coin_panel_is_labelled_index() -> None:
    """A panel gives the index and quotes no perpetual: neither price may be called a perpetual's mid."""
    chain = read_quotes(datasets.path(CHAIN))
    options = chain.frame[chain.frame["kind"] == "option"]
    rows = pd.DataFrame(
        {
            "timestamp": chain.as_of,
            "expiry": options["expiry"],
            "strike": options["strike"],
            "cp": np.where(options["is_call"].astype(bool), "C", "P"),
            "bid": options["bid"],
            "ask": options["ask"],
            "index": 62_700.0,
        }
    )
    quotes = read_quote_panel(rows, underlying="BTC", source="panel").at(chain.as_of)
    built = build_snapshot([quotes])
    market = built.market("BTC")
    assert (market.spot, market.spot_source) == (62_700.0, "index")
    assert (market.perpetual, market.perpetual_source) == (62_700.0, "index")
    assert "BTC: the spot is the index of the source; it stands for a perpetual without quotes" in built.notes
    assert not any("has no index price" in note for note in built.notes)

    with_perpetual = pd.concat([quotes.frame, chain.frame[chain.frame["kind"] == "perpetual"]])
    market = build_snapshot([replace(quotes, frame=with_perpetual)]).market("BTC")
    assert (market.spot, market.spot_source) == (62_700.0, "index")
    assert (market.perpetual, market.perpetual_source) == (62_687.75, "perpetual mid")
