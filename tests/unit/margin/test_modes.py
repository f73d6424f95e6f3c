"""Isolated, cross and portfolio margin side by side: sums, calls, statuses, allocation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from pmkit.core.errors import ParameterError, StaleParametersWarning
from pmkit.margin import Account, gross_notional, margin_modes, rule
from pmkit.margin.rule import AnyRule
from pmkit.market.snapshot import MarketSnapshot

Make = Callable[..., Account]
HELD = {"BTC-28JUN24-60000-C": -5, "BTC-28JUN24-65000-C": 5, "BTC-PERPETUAL": 6_000, "BTC-28JUN24": -6_000}


@pytest.fixture(autouse=True)
def _old_parameters() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StaleParametersWarning)
        yield


@pytest.fixture(scope="module")
def matrix() -> AnyRule:
    return rule("deribit-pm", as_of="2024-06-10", stale="warn")


def test_modes_by_hand(make_account: Make, market: MarketSnapshot, matrix: AnyRule) -> None:
    account = make_account(HELD, {"BTC": 3.0})
    found = margin_modes(account, market, matrix)
    found.check()
    whole = matrix.requirement(account, market)
    alone = [matrix.requirement(make_account({k: v}, {}), market) for k, v in HELD.items()]
    table = found.table
    assert table.loc["portfolio", "im"] == pytest.approx(whole.im_equity * 60_000.0)
    for mode in ("isolated", "cross"):
        assert table.loc[mode, "im"] == pytest.approx(sum(a.im_equity for a in alone) * 60_000.0)
        assert table.loc[mode, "mm"] == pytest.approx(sum(a.mm_equity for a in alone) * 60_000.0)
    assert (table["equity"] - account.equity(market)).abs().max() < 1e-6
    # hedges count in portfolio mode alone
    assert table.loc["portfolio", "saving"] > 0.3 and table.loc["cross", "saving"] == 0.0
    assert table.loc["portfolio", "efficiency"] == pytest.approx(
        gross_notional(account.portfolio, market) / table.loc["portfolio", "im"]
    )
    assert table.loc["portfolio", "utilisation"] == pytest.approx(whole.mm / whole.equity)
    assert found.plot().get_ylabel() == "USD"


def test_pooling_never_calls_for_more(make_account: Make, market: MarketSnapshot, matrix: AnyRule) -> None:
    for coins in (0.5, 1.0, 2.0, 4.0):
        table = margin_modes(make_account(HELD, {"BTC": coins}), market, matrix).table
        assert table.loc["isolated", "call"] >= table.loc["cross", "call"] >= table.loc["portfolio", "call"]


def test_statuses_from_ok_to_insolvent(make_account: Make, market: MarketSnapshot, matrix: AnyRule) -> None:
    held = {"BTC-28JUN24-60000-C": -5}
    rich = matrix.requirement(make_account(held, {"BTC": 9.0}), market)
    seen = []
    # MM is 0.8 of IM
    for share in (1.2, 0.9, 0.5, -0.1):
        account = make_account(held, {"BTC": share * rich.im - rich.net_option_value})
        seen.append(margin_modes(account, market, matrix).table.loc["portfolio", "status"])
    assert seen == ["ok", "below_im", "below_mm", "insolvent"]


def test_allocation_of_collateral_is_the_callers(
    make_account: Make, market: MarketSnapshot, matrix: AnyRule
) -> None:
    account = make_account({"BTC-PERPETUAL": 6_000, "BTC-28JUN24": -6_000}, {"BTC": 1.0})
    found = margin_modes(account, market, matrix, allocation={"BTC-PERPETUAL": 1.0})
    found.check()
    assert found.lines.loc["BTC-28JUN24", "equity"] == pytest.approx(0.0, abs=1e-9)
    assert found.lines.loc["BTC-28JUN24", "status"] == "insolvent"
    assert found.lines.loc["BTC-PERPETUAL", "equity"] == pytest.approx(60_000.0)
    for allocation in ({"BTC-PERPETUAL": 0.4}, {"ETH-PERPETUAL": 1.0}):
        with pytest.raises(ParameterError, match="allocation"):
            margin_modes(account, market, matrix, allocation=allocation)
    with pytest.raises(ParameterError, match="allocation of BTC-PERPETUAL is 2"):
        margin_modes(account, market, matrix, allocation={"BTC-PERPETUAL": 2.0})


def test_obligations_are_charged_once(make_account: Make, market: MarketSnapshot, matrix: AnyRule) -> None:
    plain = make_account({"BTC-PERPETUAL": 6_000}, {"BTC": 1.0})
    owing = replace(plain, open_order_margin={"BTC": 0.2})
    for extra in ({}, {"BTC": 0.0}):
        base = plain if not extra else replace(plain, collateral=extra)
        more = owing if not extra else replace(owing, collateral=extra)
        gap = margin_modes(more, market, matrix).table["im"] - margin_modes(base, market, matrix).table["im"]
        assert gap.to_list() == pytest.approx([12_000.0] * 3)


def test_several_coins_are_called_apart(make_account: Make, market: MarketSnapshot, matrix: AnyRule) -> None:
    account = make_account({"BTC-28JUN24-60000-C": -5, "ETH-PERPETUAL": 3_000}, {"BTC": 0.5, "ETH": 1_000.0})
    found = margin_modes(account, market, rule("deribit-pm", as_of="2026-02-01", stale="warn"))
    found.check()
    # plenty of ether does not help the bitcoin side
    assert found.table.loc["portfolio", "excess"] > 0.0 < found.table.loc["portfolio", "call"]


def test_an_account_without_positions_has_no_mode(
    make_account: Make, market: MarketSnapshot, matrix: AnyRule
) -> None:
    with pytest.raises(ParameterError, match="has no position"):
        margin_modes(make_account({}, {"BTC": 1.0}), market, matrix)
