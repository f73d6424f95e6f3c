"""The worst loss of the example account with and without the arbitrage that the grid creates."""

from __future__ import annotations

import numpy as np
import pytest

from pmkit.core.errors import DataGapError, LookAheadError
from pmkit.margin import Account, ShockMargin, rule, shock_margin
from pmkit.market import MarketSnapshot, datasets, load_snapshot, read_quotes
from pmkit.scenarios import ScenarioSet, TermScaling, grid
from pmkit.surface import EssviSurface, fit

TERM = TermScaling(short_power=0.30, long_power=0.13)
NAME = "deribit-btc-2026-08-01"


@pytest.fixture(scope="module")
def snapshot() -> MarketSnapshot:
    return load_snapshot(NAME)


@pytest.fixture(scope="module")
def surface() -> EssviSurface:
    return fit(read_quotes(datasets.path(NAME)), model="essvi")


@pytest.fixture(scope="module")
def account() -> Account:
    return Account.from_csv(datasets.path("account-market-maker"))


@pytest.fixture(scope="module")
def scenarios() -> ScenarioSet:
    moves = [0.04 * i for i in range(-4, 5)]
    return grid(
        moves, [-0.25, 0.0, 0.5], dynamics="sticky_strike", vol_term=TERM, min_vol_up=0.5, underlyings=["BTC"]
    )


@pytest.fixture(scope="module")
def result(
    account: Account, snapshot: MarketSnapshot, surface: EssviSurface, scenarios: ScenarioSet
) -> ShockMargin:
    return shock_margin(account, snapshot, scenarios, {"BTC": surface}, numeraire="BTC", collateral=False)


def test_as_specified_is_the_standard_table_of_the_venue(
    result: ShockMargin, account: Account, snapshot: MarketSnapshot
) -> None:
    matrix = rule("deribit-pm", as_of="2026-08-01", stale="warn")
    with pytest.warns(UserWarning):
        margin = matrix.requirement(account, snapshot)
    frame = next(iter(margin.parts.values())).figures["matrix"] if margin.parts else margin.figures["matrix"]
    standard = frame[frame["table"] == "standard"]["pnl"].to_numpy()
    assert result.table["specified"].to_numpy() == pytest.approx(standard, rel=1e-9, abs=1e-9)


def test_both_worst_losses_and_their_difference(result: ShockMargin) -> None:
    result.check()
    table = result.table
    assert len(table) == 27 and list(table.columns) == [
        "specified", "projected", "difference", "butterfly", "calendar", "moved",
    ]  # fmt: skip
    assert result.loss_specified == pytest.approx(-table["specified"].min())
    assert result.loss_projected == pytest.approx(-table["projected"].min())
    assert result.difference == result.loss_projected - result.loss_specified
    quiet = (
        table.loc["spot 0%, vol 0%"] if "spot 0%, vol 0%" in table.index else table.loc["spot +0%, vol +0%"]
    )
    assert quiet[["specified", "projected", "moved"]].abs().max() < 1e-9
    # where nothing was violated nothing moved, and the grid does violate
    violated = (table["butterfly"] > 0) | (table["calendar"] > 0)
    assert (table.loc[~violated, "difference"].abs() < 1e-9).all()
    assert violated.sum() >= 9 and table.loc[violated, "moved"].max() > 1.0
    up = table.loc[[name for name in table.index if name.endswith("vol +50%")]]
    assert (up["calendar"] + up["butterfly"] > 0).all()


def test_in_usd_with_collateral_and_on_the_surface_alone(
    account: Account, snapshot: MarketSnapshot, surface: EssviSurface, scenarios: ScenarioSet
) -> None:
    few = scenarios.subset([0, 2, 24, 26])
    usd = shock_margin(account, snapshot, few, {"BTC": surface})
    alone = shock_margin(account, snapshot, few, {"BTC": surface}, own_vols=False)
    assert usd.numeraire == "USD" and usd.collateral == "revalued"
    assert usd.loss_specified > 1e5 and usd.loss_specified != alone.loss_specified
    assert alone.loss_specified == pytest.approx(usd.loss_specified, rel=0.05)
    coins = account.balances(snapshot)["BTC"]
    bare = shock_margin(account, snapshot, few, {"BTC": surface}, collateral=False)
    moves = np.array([-0.16, -0.16, 0.16, 0.16]) * snapshot.spot("BTC") * coins
    assert (usd.table["specified"] - bare.table["specified"]).to_numpy() == pytest.approx(moves)


def test_a_book_without_options_has_nothing_to_project(
    snapshot: MarketSnapshot, scenarios: ScenarioSet
) -> None:
    row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -100, "as_of": "2026-08-01T17:58:04Z"}
    bare = shock_margin(Account.from_records([row]), snapshot, scenarios.subset([0, 26]), {})
    assert (bare.table["difference"] == 0.0).all() and bare.violating == 0
    assert bare.loss_specified == pytest.approx(160.0, rel=1e-3)
    assert "difference" in bare.summary().index


def test_tables_and_pictures(result: ShockMargin) -> None:
    summary = result.summary()
    assert list(summary["amount"].iloc[:3]) == [
        result.loss_specified, result.loss_projected, result.difference,
    ]  # fmt: skip
    assert abs(summary["amount"].iloc[3]) == result.table["difference"].abs().max()
    found = f"arbitrage in {result.violating} of 27 scenarios"
    assert summary.index.name == f"market_maker, BTC, collateral left out, {found}"
    assert result.to_dict() and "0x" not in repr(result)
    axes = result.plot()
    assert len(axes.lines) == 3 and axes.get_ylabel() == "profit, BTC"
    assert "gatheral2014" in result.cite()


def test_misuse_is_refused(
    account: Account, snapshot: MarketSnapshot, surface: EssviSurface, scenarios: ScenarioSet
) -> None:
    with pytest.raises(DataGapError, match="no BTC surface"):
        shock_margin(account, snapshot, scenarios, {})
    early = load_snapshot("deribit-btc-2026-05-21")
    with pytest.raises(LookAheadError, match="is older than account"):
        shock_margin(account, early, scenarios, {"BTC": surface})
