"""The shipped data: manifest complete, checksums right, and every account trades what is quoted."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, SchemaError
from pmkit.instruments import Option, Portfolio
from pmkit.margin.accounts.account import Account
from pmkit.market import MarketSnapshot, PriceHistory, Quotes, datasets, load_snapshot

ACCOUNTS = {
    "account-market-maker": "deribit-btc-2026-08-01",
    "account-covered-call": "deribit-btc-2026-08-01",
    "account-iron-condor": "deribit-btc-2026-08-01",
    "account-calendar": "deribit-btc-2026-08-01",
    "account-short-straddle": "deribit-btc-2026-08-01",
    "account-btc-eth": "deribit-btc-eth-2026-05-21",
}
NAMES = {
    "deribit-btc-2026-08-01",
    "deribit-btc-2026-05-21",
    "deribit-eth-2026-05-21",
    "deribit-btc-eth-2026-05-21",
    "spx-yahoo-2026-07-31",
    "crypto-daily-2020-2023",
    "sp500-index-1990-2022",
    "us-stocks-1990-2022",
    "ecb-reference-rates-1999-2026",
    *ACCOUNTS,
}


def test_the_list_holds_every_name() -> None:
    table = datasets.list()
    assert set(table.index) == NAMES
    assert table.loc["deribit-btc-eth-2026-05-21", "rows"] == 400 + 305
    assert set(table.index[table["simulated"]]) == set(ACCOUNTS)


def test_checksums_hold_and_match_the_bytes() -> None:
    table = datasets.verify()
    assert table["ok"].all() and len(table) == len(NAMES) - 1
    for name in table.index:
        content = datasets.path(name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == table.loc[name, "sha256"]


def test_the_manifest_is_complete(root: Path) -> None:
    records = json.loads((root / "data" / "manifest.json").read_text())["datasets"]
    for record in records:
        for field in ("licence", "package", "upstream", "units", "time_zone", "range", "title"):
            assert record[field], (record["name"], field)
        assert record["defects"], record["name"]
    listed = {record["file"] for record in records if "file" in record}
    present = {
        str(p.relative_to(root / "data"))
        for p in (root / "data").rglob("*")
        if p.is_file() and p.name not in ("manifest.json", "README.md")
    }
    assert listed == present, "a file without an entry, or an entry without a file"


def test_the_notice_names_every_package(root: Path) -> None:
    notice = (root / "NOTICE").read_text()
    for name in NAMES - set(ACCOUNTS):
        assert datasets.info(name).package in notice


def copy_of(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = folder / "data"
    shutil.copytree(root / "data", copy)
    monkeypatch.setattr(datasets, "data_dir", lambda: copy)
    return copy


def test_a_changed_file_is_named(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = copy_of(root, tmp_path, monkeypatch)
    assert datasets.verify()["ok"].all()
    file = copy / "deribit_eth_surface_2026-05-21.csv"
    file.write_bytes(file.read_bytes().replace(b"2125.7,", b"2126.7,", 1))
    with pytest.raises(
        SchemaError, match=r"deribit_eth_surface_2026-05-21\.csv: SHA-256 is .* as in the manifest"
    ):
        datasets.verify()


def test_an_absent_file_is_named(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = copy_of(root, tmp_path, monkeypatch)
    (copy / "deribit_btc_chain_2026-08-01.csv").unlink()
    for call in (datasets.verify, lambda: load_snapshot("deribit-btc-2026-08-01")):
        with pytest.raises(DataGapError, match=r"deribit_btc_chain_2026-08-01\.csv"):
            call()


@pytest.mark.parametrize("text", ["{", '{"schema": 1}', '{"datasets": [{"name": "x"}]}'])
def test_a_broken_manifest_is_named(
    text: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copy_of(root, tmp_path, monkeypatch) / "manifest.json").write_text(text)
    with pytest.raises(SchemaError, match=r"manifest\.json: the manifest cannot be read"):
        datasets.list()


def test_load_returns_the_object_of_the_kind() -> None:
    assert isinstance(datasets.load("deribit-btc-2026-08-01"), MarketSnapshot)
    assert isinstance(datasets.load("deribit-btc-eth-2026-05-21"), MarketSnapshot)
    assert isinstance(datasets.load("crypto-daily-2020-2023"), PriceHistory)
    index = datasets.load("spx-yahoo-2026-07-31")
    assert isinstance(index, Quotes) and index.underlyings == ("SPX",)
    book = datasets.load("account-calendar")
    assert isinstance(book, Portfolio) and book.skipped == 2


def test_unknown_names_list_the_known_ones() -> None:
    for call in (datasets.load, datasets.path, datasets.info):
        with pytest.raises(DataGapError, match="no data set 'btc'; expected one of deribit-btc-2026-08-01"):
            call("btc")
    with pytest.raises(DataGapError, match="joins 2 files"):
        datasets.path("deribit-btc-eth-2026-05-21")


@pytest.mark.parametrize(("name", "market"), ACCOUNTS.items())
def test_every_account_trades_quoted_instruments_in_whole_lots(name: str, market: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        account = Account.from_csv(datasets.path(name))
    snapshot = load_snapshot(market)
    account.check_against(snapshot)
    for instrument in account.portfolio.instruments:
        if isinstance(instrument, Option):
            assert instrument.name in snapshot.market(instrument.underlying).option_iv
    assert account.equity(snapshot) > 0.0
    assert {"BTC", "USDC"} <= set(account.collateral)
    assert any(p.entry_price is not None for p in account.portfolio) or len(account.portfolio) < 5


def test_the_market_maker_is_broad_and_about_neutral() -> None:
    account, snapshot = (
        Account.from_csv(datasets.path("account-market-maker")),
        load_snapshot("deribit-btc-2026-08-01"),
    )
    book = account.portfolio
    assert len(book) >= 60 and len(book.expiries) == 13
    soon = [
        p
        for p in book
        if getattr(p.instrument, "expiry", snapshot.as_of) <= snapshot.as_of.normalize() + 2 * _DAY + _EIGHT
    ]
    assert sum(isinstance(p.instrument, Option) for p in soon) >= 8
    assert {p.instrument.kind for p in book} == {"option", "future", "perpetual"}
    up, down = (_coin_value(account, snapshot, shift) for shift in (1.001, 0.999))
    delta = (up - down) / 0.002
    assert abs(delta) < 0.1, "coins gained per unit relative move of spot"


_DAY = pd.Timedelta(days=1)
_EIGHT = pd.Timedelta(hours=8)


def _coin_value(account: Account, snapshot: MarketSnapshot, shift: float) -> float:
    """Value in coin after a parallel move of the spot and every forward at constant vols."""
    from pmkit.pricing import black76_inverse

    total = 0.0
    for p in account.portfolio:
        mark = snapshot.mark(p.instrument)
        if isinstance(p.instrument, Option):
            forward = shift * snapshot.forward("BTC", p.instrument.expiry)
            tau = snapshot.tau(p.instrument.expiry)
            total += p.qty * black76_inverse(forward, p.instrument.strike, tau, mark.iv, p.instrument.is_call)
        else:
            total += p.qty * p.instrument.multiplier * (1.0 / mark.price - 1.0 / (shift * mark.price))
    return total


def test_the_equity_histories_share_their_days() -> None:
    index, stocks = datasets.load("sp500-index-1990-2022"), datasets.load("us-stocks-1990-2022")
    assert isinstance(index, PriceHistory) and isinstance(stocks, PriceHistory)
    assert index.calendar == stocks.calendar == "business days" and index.periods_per_year == 252
    assert index.prices.index.equals(stocks.prices.index) and len(stocks.assets) == 20
    falls = index.returns().loc[["2020-03-16", "2008-10-15"], "SP500"]
    assert list(round(100.0 * np.expm1(falls), 2)) == [-11.98, -9.03]
    assert stocks.returns().loc["2000-01-04":"2019-12-31", "JPM"].size == 5030
