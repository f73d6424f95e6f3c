"""Accounts of index options on an index chain from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import Result

import pmkit as pm
from pmkit.cli.listed import common_scenarios, level_note
from pmkit.core.errors import DataGapError
from pmkit.margin import Account
from pmkit.market import datasets
from pmkit.market.snapshot import MarketSnapshot

Run = Callable[..., Result]
STAMP = "2026-07-31T21:22:12Z"
HELD = {
    "SPX-28AUG26-7000-P": 10, "SPXW  260828P07200000": -10, "SPX-28AUG26-7700-C": -10,
    "SPX-28AUG26-7900-C": 10,
}  # fmt: skip


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return two expiries of the real chain as a file."""
    frame = pd.read_csv(datasets.path("spx-yahoo-2026-07-31"))
    path = tmp_path_factory.mktemp("chain") / "spx.csv"
    frame[frame["expiration"].isin(["2026-08-28", "2026-09-30"])].to_csv(path, index=False)
    return path


@pytest.fixture
def account(tmp_path: Path) -> Path:
    rows = [("position", name, qty, STAMP) for name, qty in HELD.items()]
    rows.append(("collateral", "USD", 1_000_000, STAMP))
    path = tmp_path / "index.csv"
    pd.DataFrame(rows, columns=["type", "instrument", "qty", "as_of"]).to_csv(path, index=False)
    return path


RULES = ("--rule", "tims", "--rule", "reg-t", "--rule", "span")


def test_three_listed_rules(run: Run, account: Path, chain: Path) -> None:
    done = run("margin", "--account", account, "--snapshot", chain, *RULES, "--json")
    assert done.exit_code == 0, done.stderr
    tims, strategy, span = json.loads(done.stdout)["results"]
    assert tims["im_equity"] < span["im_equity"] < strategy["im_equity"]
    # an iron condor of ten: the wider gap of 200 points
    assert strategy["im"] == pytest.approx(200_000.0)
    assert tims["worst_scenario"]["name"] == "broad index: point 10"
    assert tims["equity"] == strategy["equity"] == span["equity"]
    market, held = pm.market.load_snapshot(chain), Account.from_csv(account)
    with pytest.warns(pm.core.errors.StaleParametersWarning):
        alone = pm.margin.rule("tims", stale="warn").requirement(held, market)
    assert tims["im"] == alone.im and 0.0 < tims["implied_level"] < 0.01


def test_the_table_says_what_levels_are_measured_on(run: Run, account: Path, chain: Path) -> None:
    done = run("margin", "--account", account, "--snapshot", chain, "--rule", "tims")
    assert done.exit_code == 0, done.stderr
    text = " ".join(done.stdout.split())
    assert "implied levels on 8,312 daily moves of SPX spot, 1990-01-03 to 2022-12-28, vols left" in text
    assert "there is no perpetual" in text
    both = run("compare", "--account", account, "--snapshot", chain, "--rule", "tims", "--rule", "reg-t")
    assert both.exit_code == 0 and "daily moves of SPX" in " ".join(both.stdout.split())


def test_a_rule_of_coins_refuses_them(run: Run, account: Path, chain: Path) -> None:
    done = run("margin", "--account", account, "--snapshot", chain, "--rule", "deribit-pm")
    assert done.exit_code == 2
    assert "is a linear option settled in USD" in done.stderr


def test_an_unlisted_strike_is_named_with_its_row(run: Run, account: Path, chain: Path) -> None:
    account.write_text(account.read_text().replace("P07200000", "P07201000"))
    done = run("margin", "--account", account, "--snapshot", chain, "--rule", "tims")
    assert done.exit_code == 2
    assert "unknown instrument 'SPX-28AUG26-7201-P'" in done.stderr
    assert "row 3" in done.stderr


def test_prices_of_the_user_come_first() -> None:
    market = MarketSnapshot.from_marks(STAMP, {"XYZ": 100.0, "SPX": 7_500.0})
    days = pd.date_range("2026-07-27", periods=5)
    prices = pd.DataFrame({"XYZ": [100.0, 110.0, 99.0, 99.0, 120.0]}, index=days)
    history = pm.market.PriceHistory.from_frame(prices, calendar="business days")
    record = {"type": "position", "instrument": "XYZ   260918C00100000", "qty": 1, "as_of": STAMP}
    held = Account.from_records([record])
    found = common_scenarios([held], market, history)
    # the close of the snapshot's own day is not known yet
    assert found is not None and found.shocks[:, 0].round(9).tolist() == [0.1, -0.1, 0.0]
    assert level_note(found).startswith(
        "implied levels on 3 daily moves of XYZ spot, 2026-07-28 to 2026-07-30"
    )
    with pytest.raises(DataGapError, match="no prices of XYZ for the implied level"):
        common_scenarios([held], market, None)


def test_accounts_of_coins_keep_their_own_scenarios() -> None:
    record = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 10, "as_of": STAMP}
    market = MarketSnapshot.from_marks(STAMP, {"BTC": 60_000.0})
    assert common_scenarios([Account.from_records([record])], market, None) is None
    cash = {"type": "collateral", "instrument": "USD", "qty": 10, "as_of": STAMP}
    assert common_scenarios([Account.from_records([cash])], market, None) is None
    assert level_note(None) == ""
