"""Margin calls and partial liquidation: amounts, smallest sizes, orders, ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pmkit.core.errors import ParameterError
from pmkit.instruments import Position
from pmkit.liquidation import margin_call, partial_liquidation
from pmkit.liquidation.trades import closed, contract_notional
from pmkit.margin import Account, rule
from pmkit.margin.rule import AnyRule
from pmkit.margin.study.what_if import traded
from pmkit.market.snapshot import MarketSnapshot

Hold = Callable[..., Account]
BOOK = {"BTC-27DEC24-65000-C": -5, "BTC-27DEC24-55000-P": -5, "BTC-PERPETUAL": 6_000}


def with_ratio(
    hold: Hold, market: MarketSnapshot, used: AnyRule, held: dict[str, float], ratio: float
) -> Account:
    """Return the account whose equity is ``ratio`` times its maintenance margin."""
    rich = used.requirement(hold(held, {"BTC": 50.0}), market)
    return hold(held, {"BTC": 50.0 - rich.equity + ratio * rich.mm_equity})


def test_the_call_is_what_is_missing(hold: Hold, market: MarketSnapshot, matrix: AnyRule) -> None:
    account = with_ratio(hold, market, matrix, BOOK, 1.1)
    result = matrix.requirement(account, market)
    found = margin_call(result, market, haircuts={"BTC": 0.05})
    found.check()
    assert found.status == result.status == "below_im"
    missing = result.im_equity - result.equity
    assert found.table.loc["BTC", "call"] == pytest.approx(missing, rel=1e-12)
    assert found.table.loc["BTC", "deposit"] == pytest.approx(missing / 0.95, rel=1e-12)
    assert found.usd == pytest.approx(missing * 60_000.0)
    paid = replace(account, collateral={"BTC": account.collateral["BTC"] + missing})
    after = matrix.requirement(paid, market)
    assert after.margin_ratio == pytest.approx(1.0, rel=1e-12)
    assert margin_call(after, market).usd < 1e-6
    assert margin_call(result, market, against="mm").usd == 0.0
    with pytest.raises(ParameterError, match=r"haircut of BTC is 1\.0"):
        margin_call(result, market, haircuts={"BTC": 1.0})


def test_the_least_number_of_lots_restores_the_target(
    hold: Hold, market: MarketSnapshot, standard: AnyRule
) -> None:
    held = {"BTC-PERPETUAL": 60_000.0}
    account = with_ratio(hold, market, standard, held, 0.9)
    found = partial_liquidation(account, market, standard)
    found.check()
    assert found.status == "restored" and len(found.trades) == 1
    trade = found.trades.iloc[0]

    def gap(contracts: float) -> float:
        left = traded(account, Position(instrument=account.instruments[0], qty=-contracts), market)
        result = standard.requirement(left, market)
        return result.equity - result.mm_equity

    assert gap(-trade["qty"]) >= 0.0 > gap(-trade["qty"] - 1.0)
    # equity stays at the mark, so the size is that whose requirement equity covers
    assert found.after is not None
    assert found.after.equity == pytest.approx(found.before.equity, rel=1e-12)
    assert trade["share"] == pytest.approx(0.1, abs=0.01)


def test_a_cushion_closes_more_and_a_fee_more_still(
    hold: Hold, market: MarketSnapshot, standard: AnyRule
) -> None:
    account = with_ratio(hold, market, standard, {"BTC-PERPETUAL": 60_000.0}, 0.9)
    plain = partial_liquidation(account, market, standard).trades["share"].iloc[0]
    cushion = partial_liquidation(account, market, standard, target=1.0 / 0.9).trades["share"].iloc[0]
    fee = partial_liquidation(account, market, standard, target=1.0 / 0.9, fees={"perpetual": 0.001})
    assert plain < cushion < fee.trades["share"].iloc[0]
    swap = account.instruments[0]
    paid = abs(fee.trades["qty"].iloc[0]) * contract_notional(swap, market) * 0.001
    assert fee.trades["fee"].iloc[0] == pytest.approx(paid)
    assert fee.account.collateral["BTC"] == pytest.approx(account.collateral["BTC"] - paid)
    fee.check()


def test_the_line_that_frees_most_goes_first_and_hedges_stay(
    hold: Hold, market: MarketSnapshot, matrix: AnyRule
) -> None:
    held = {"BTC-27DEC24-95000-C": 10.0, "BTC-27DEC24-65000-C": -10.0, "BTC-PERPETUAL": -6_000.0}
    account = with_ratio(hold, market, matrix, held, 0.95)
    found = partial_liquidation(account, market, matrix)
    assert found.order[0] == "BTC-27DEC24-65000-C" == found.trades["instrument"].iloc[0]
    assert "BTC-27DEC24-95000-C" not in set(found.trades["instrument"])
    chosen = partial_liquidation(account, market, matrix, order=["BTC-PERPETUAL", "BTC-27DEC24-65000-C"])
    assert chosen.order[0] == "BTC-PERPETUAL"
    by_delta = partial_liquidation(account, market, matrix, order="delta")
    for one in (found, chosen, by_delta):
        assert one.status == "restored"
        one.check()
    assert found.plot().get_xlabel() == "share of the line closed, %"


def test_lines_that_hedge_one_another_are_closed_pro_rata(
    hold: Hold, market: MarketSnapshot, matrix: AnyRule
) -> None:
    # each line alone makes the rest worse when it is closed
    held = {"BTC-27DEC24-95000-C": 10.0, "BTC-27DEC24-65000-C": -10.0, "BTC-PERPETUAL": 600.0}
    account = with_ratio(hold, market, matrix, held, 0.5)
    found = partial_liquidation(account, market, matrix)
    found.check()
    assert found.status == "restored" and len(found.trades) == 3
    assert found.trades["share"].to_list() == pytest.approx([0.5] * 3, abs=0.05)
    same = partial_liquidation(account, market, matrix, order="pro_rata")
    assert same.trades.equals(found.trades)


def test_nothing_is_done_where_nothing_is_missing(
    hold: Hold, market: MarketSnapshot, matrix: AnyRule
) -> None:
    account = with_ratio(hold, market, matrix, BOOK, 1.01)
    found = partial_liquidation(account, market, matrix)
    assert (found.status, len(found.trades), found.account) == ("not_needed", 0, account)
    called = partial_liquidation(account, market, matrix, against="im")
    assert called.status == "restored" and len(called.trades) > 0


def test_an_insolvent_account_is_closed_out(hold: Hold, market: MarketSnapshot, matrix: AnyRule) -> None:
    account = with_ratio(hold, market, matrix, BOOK, -0.2)
    found = partial_liquidation(account, market, matrix)
    assert found.status == "bankrupt" and not len(found.account.portfolio)
    assert found.shortfall == pytest.approx(-account.equity(market), rel=1e-9)
    assert set(found.trades["instrument"]) == set(BOOK)


def test_fees_can_make_a_close_out(hold: Hold, market: MarketSnapshot, standard: AnyRule) -> None:
    account = with_ratio(hold, market, standard, {"BTC-PERPETUAL": 60_000.0}, 0.9)
    found = partial_liquidation(account, market, standard, fees=0.05)
    # a fee above the maintenance rate: closing never restores, and takes what is left
    assert found.status in ("closed_out", "bankrupt")
    assert found.shortfall == max(0.0, -found.account.equity(market))


def test_closing_at_the_mark_costs_the_fee_alone(hold: Hold, market: MarketSnapshot) -> None:
    account = hold(BOOK, {"BTC": 3.0})
    for position in account.portfolio:
        after, fee = closed(account, position.instrument, -position.qty, market, 0.0005)
        lost = account.equity(market) - after.equity(market)
        assert lost == pytest.approx(fee * 60_000.0, rel=1e-9)
        assert position.instrument.name not in {p.instrument.name for p in after.portfolio}


def test_several_coins_are_restored_one_by_one() -> None:
    import warnings

    from pmkit.market import datasets, load_snapshot

    snap = load_snapshot("deribit-btc-eth-2026-05-21")
    account = replace(
        Account.from_csv(datasets.path("account-btc-eth")), collateral={"BTC": 1.2, "ETH": 60.0}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = partial_liquidation(account, snap, rule("deribit-pm", stale="warn"), order="delta")
    found.check()
    assert found.before.parts and found.status in ("restored", "not_needed")


def test_bad_input_is_named(hold: Hold, market: MarketSnapshot, matrix: AnyRule) -> None:
    account = with_ratio(hold, market, matrix, BOOK, 0.9)
    with pytest.raises(ParameterError, match=r"target is 0\.9"):
        partial_liquidation(account, market, matrix, target=0.9)
    with pytest.raises(ParameterError, match=r"fee rate of (option|perpetual) is -0\.1"):
        partial_liquidation(account, market, matrix, fees=-0.1)
    with pytest.raises(ParameterError, match="order names 'BTC-XYZ'"):
        partial_liquidation(account, market, matrix, order=["BTC-XYZ"])
    with pytest.raises(ParameterError, match="order 'size'"):
        partial_liquidation(account, market, matrix, order="size")
