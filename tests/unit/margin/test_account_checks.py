"""What an account may not hide: debts, units, age, marks that are not its own, and obligations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pmkit.core.errors import (
    ConventionError,
    MarkSourceWarning,
    ObligationWarning,
    SchemaError,
    StaleAccountWarning,
)
from pmkit.instruments import Portfolio
from pmkit.margin import rule, what_if
from pmkit.margin.accounts.account import Account
from pmkit.market import load_history, load_snapshot
from pmkit.market.snapshot import MarketSnapshot

Make = Callable[..., Account]
CHAIN = "2026-08-01T17:58:04Z"
UNKNOWN = "BTC-28AUG26-68001-C"


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.StaleParametersWarning")
@pytest.mark.parametrize("name", ["deribit-pm", "deribit-standard"])
def test_a_debt_is_no_ineligible_asset(name: str, make_account: Make, market: MarketSnapshot) -> None:
    account = make_account({"BTC-PERPETUAL": 100}, {"BTC": 10.0, "USDC": -5e6})
    with pytest.raises(ConventionError, match=r"owes 5e\+06 USDC, and deribit-.* margins BTC apart"):
        rule(name, as_of="2024-06-10", stale="warn").requirement(account, market)
    other_coin = make_account({"BTC-PERPETUAL": 100}, {"BTC": 10.0, "ETH": -100.0})
    with pytest.raises(ConventionError, match="owes 100 ETH"):
        rule(name, as_of="2024-06-10", stale="warn").requirement(other_coin, market)


def test_an_entry_price_in_another_unit_is_refused(market: MarketSnapshot) -> None:
    row = {
        "type": "position",
        "instrument": "BTC-PERPETUAL",
        "qty": 100,
        "entry_price": 620,
        "as_of": "2024-06-10",
    }
    account = Account.from_records([row])
    with pytest.raises(
        ConventionError, match="entry_price of BTC-PERPETUAL in account 'account' is 620 against"
    ):
        account.check_against(market)


@pytest.mark.parametrize("qty", ["1e13", "-1e308", True, "1_000", float("inf")])
def test_impossible_quantities_are_refused(qty: object) -> None:
    row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": qty, "as_of": "2024-06-10"}
    with pytest.raises(SchemaError, match="a finite number of contracts"):
        Portfolio.from_records([row])


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.StaleParametersWarning")
def test_an_old_account_is_named(make_account: Make, market: MarketSnapshot) -> None:
    account = make_account({"BTC-PERPETUAL": 100}, {"BTC": 1.0}, as_of="2024-05-01T08:00:00Z")
    with pytest.warns(StaleAccountWarning, match="is 40 days older than the snapshot"):
        result = rule("deribit-pm", as_of="2024-06-10").requirement(account, market)
    assert any("40 days older" in text for text in result.warnings)


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.StaleParametersWarning")
def test_a_held_line_without_an_own_quote_is_named(make_account: Make) -> None:
    chain = load_snapshot("deribit-btc-2026-08-01")
    unquoted = chain.ledger.loc[chain.ledger["reason"] == "no_bid", "instrument"].iloc[0]
    account = make_account({unquoted: -1}, {"BTC": 1.0}, as_of=CHAIN)
    with pytest.warns(MarkSourceWarning, match=f"marked from the surface or by parity: {unquoted} "):
        result = rule("deribit-pm", as_of="2026-08-01", stale="warn").requirement(account, chain)
    assert any(unquoted in text for text in result.warnings)


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.HistoryEndsWarning")
@pytest.mark.filterwarnings("ignore::pmkit.core.errors.ThinTailWarning")
def test_obligations_that_a_rule_leaves_out_are_named(make_account: Make) -> None:
    chain = load_snapshot("deribit-btc-2026-08-01")
    account = make_account({"BTC-PERPETUAL": 100}, {"BTC": 1.0}, as_of=CHAIN, mmp_margin={"BTC": 5.0})
    with pytest.warns(ObligationWarning, match="no part of es-fhs"):
        result = rule("es-fhs", n_paths=1000).requirement(account, chain)
    assert any("no part of es-fhs" in text for text in result.warnings)


@pytest.mark.filterwarnings("ignore::pmkit.core.errors.StaleParametersWarning")
def test_what_if_takes_old_parameters_by_name(make_account: Make) -> None:
    chain = load_snapshot("deribit-btc-2026-08-01")
    account = make_account({"BTC-PERPETUAL": 100}, {"BTC": 1.0}, as_of=CHAIN)
    trade = account.portfolio.positions[0]
    found = what_if(account, trade, chain, "deribit-pm", stale="warn")
    assert found.after.im > found.before.im > 0.0


def test_a_portfolio_frame_goes_back_and_forth(make_account: Make) -> None:
    book = make_account({"BTC-28JUN24-60000-C": -2, "BTC-PERPETUAL": 100}).portfolio
    again = Portfolio.from_frame(book.to_frame(), name=book.name)
    assert again.positions == book.positions
    assert again.as_of == book.as_of


@pytest.mark.parametrize(
    ("row", "cells", "words"),
    [
        ("BTC-30OCT26", {"bid_price": "632975", "ask_price": "633000"}, "mid of BTC-30OCT26 is 632988"),
        ("BTC-30OCT26", {"bid_price": "1.01", "ask_price": "1.02"}, "mid of BTC-30OCT26 is 1.015"),
        ("BTC-PERPETUAL", {"bid_price": "626.875", "ask_price": "626.88"}, "mid of BTC-PERPETUAL is 626.878"),
        ("BTC-PERPETUAL", {"bid_price": "62700", "ask_price": "62600"}, "is above its ask 62600"),
    ],
)
def test_futures_in_another_unit_are_refused(
    row: str, cells: dict[str, str], words: str, root: Path, tmp_path: Path
) -> None:
    frame = pd.read_csv(root / "data" / "deribit_btc_chain_2026-08-01.csv", dtype=str, keep_default_na=False)
    at = frame.index[frame["instrument_name"] == row][0]
    for column, value in cells.items():
        frame.loc[at, column] = value
    frame.to_csv(tmp_path / "chain.csv", index=False)
    with pytest.raises((ConventionError, SchemaError), match=f"row {at + 2}, column 'bid_price'.*{words}"):
        load_snapshot(tmp_path / "chain.csv")


def test_the_shipped_history_raises_no_doubt_about_bitcoin_and_ether() -> None:
    history = load_history("crypto-daily-2020-2023")
    assert len(history.returns(["BTC", "ETH"])) == 1460


def test_checks_against_the_market_still_name_the_row_of_the_file(tmp_path: Path) -> None:
    chain = load_snapshot("deribit-btc-2026-08-01")
    rows = (
        "type,instrument,qty,as_of",
        f"position,BTC-PERPETUAL,10,{CHAIN}",
        f"position,{UNKNOWN},-1,{CHAIN}",
    )
    text = "\n".join(rows)
    (tmp_path / "my.csv").write_text(text)
    with pytest.raises(SchemaError, match=r"my\.csv, row 3, column 'instrument': unknown instrument"):
        Account.from_csv(tmp_path / "my.csv").check_against(chain)
    (tmp_path / "my.csv").write_text(text.replace(f"position,{UNKNOWN}", "collateral,DOGE"))
    with pytest.raises(ConventionError, match=r"my\.csv, row 3, column 'instrument': collateral currency"):
        rule("es-fhs").requirement(Account.from_csv(tmp_path / "my.csv"), chain)
