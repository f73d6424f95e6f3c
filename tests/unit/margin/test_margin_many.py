"""Many accounts in one call have the figures of one account at a time, to the last bit."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    LookAheadError,
    ParameterError,
    PmkitError,
    PmkitWarning,
    StaleAccountWarning,
    StaleParametersWarning,
)
from pmkit.core.random import stream
from pmkit.instruments import Option, Portfolio, Position
from pmkit.margin import Account, Feeds, ManyMargins, margin_many, rule
from pmkit.margin.accounts.contract_marks import unit_marks
from pmkit.margin.conformance.feeds import CollateralFeed
from pmkit.margin.engine.many import held_lines, summed
from pmkit.margin.engine.matrix_cells import coin_deltas, matrix_scenarios, matrix_terms, unit_cells
from pmkit.margin.engine.risk_matrix import MatrixSpec, worst_row, worst_rows
from pmkit.market import load_snapshot
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import combine, greeks
from pmkit.risk import revalue
from pmkit.scenarios import TermScaling

FIGURES = ("numeraire", "im", "mm", "im_equity", "mm_equity", "equity", "excess", "margin_ratio", "status")
FEEDS = Feeds(
    default_confidence=0.85,
    default_rate=0.04,
    collateral={"BTC": CollateralFeed(60_000.0, 0.9), "ETH": CollateralFeed(3_000.0, 0.9)},
)


def same(found: ManyMargins, used: Any, accounts: dict[str, Account], snapshot: MarketSnapshot) -> None:
    """Compare every figure of every account with the rule's own answer for it."""
    found.check()
    for name, account in accounts.items():
        one = used.requirement(account, snapshot)
        row = found.values.loc[name]
        for figure in FIGURES:
            assert row[figure] == getattr(one, figure), (name, figure)
        assert row["worst_scenario"] == one.worst_scenario.name
        np.testing.assert_array_equal(row["worst_pnl"], one.worst_scenario.pnl)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StaleParametersWarning)
        yield


@pytest.fixture(scope="module")
def coin_accounts(market: MarketSnapshot, make_account: Any) -> dict[str, Account]:
    """Return forty accounts of BTC, ETH or both, some with entry prices and obligations."""
    rng = stream(1, "coin-accounts")
    names = [*market.market("BTC").option_iv, *market.market("ETH").option_iv]
    names += ["BTC-PERPETUAL", "ETH-PERPETUAL", "BTC-28JUN24", "ETH-27DEC24"]
    accounts = {}
    for number in range(40):
        pool = [n for n in names if number % 3 == 2 or n.startswith(("BTC", "ETH")[number % 3])]
        chosen = rng.permutation(len(pool))[: int(rng.integers(1, 12))]
        held = {pool[i]: float(rng.integers(-30, 30)) for i in chosen}
        more = {"mmp_margin": {"BTC": 0.5}, "open_order_margin": {"ETH": 2.0}} if number % 7 == 0 else {}
        made = make_account(held, {"BTC": float(rng.integers(0, 9)), "ETH": 30.0, "USDC": 5.0}, **more)
        if number % 5 == 0:
            entered = [
                dataclasses.replace(p, entry_price=None if isinstance(p.instrument, Option) else 61_000.0)
                for p in made.portfolio
                if p.instrument.underlying == "BTC"
            ]
            rest = [p for p in made.portfolio if p.instrument.underlying != "BTC"]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PmkitWarning)
                made = made.with_portfolio(made.portfolio.with_positions([*rest, *entered]))
        accounts[f"a{number}"] = made
    accounts["coins only"] = make_account({}, {"ETH": 3.0})
    return accounts


def test_accounts_of_several_coins_equal_one_at_a_time(
    coin_accounts: dict[str, Account], market: MarketSnapshot
) -> None:
    used = rule("deribit-pm", as_of="2026-08-01", stale="warn")
    found = margin_many(coin_accounts, market, used)
    assert found.shared
    same(found, used, coin_accounts, market)
    assert set(found.values["numeraire"]) == {"BTC", "ETH", "USD"}
    assert {"below_mm", "ok"} <= set(found.values["status"])
    assert found.summary()["accounts"].sum() == len(coin_accounts) == len(found)
    assert found.plot().get_ylabel() == "share of accounts, %"


def test_the_classic_variant_equals_one_at_a_time(
    coin_accounts: dict[str, Account], market: MarketSnapshot
) -> None:
    some = {name: a for name, a in coin_accounts.items() if a.portfolio.underlyings == ("BTC",)}
    some = {name: a for name, a in some.items() if not a.open_order_margin}
    used = rule("deribit-pm", as_of="2026-08-01", variant="classic", stale="warn")
    assert len(some) > 5
    same(margin_many(some, market, used), used, some, market)


@pytest.fixture(scope="module")
def usd_accounts(venue: Any) -> tuple[dict[str, Account], MarketSnapshot]:
    """Return thirty accounts of linear BTC or ETH contracts with coins as collateral."""
    rng = stream(2, "usd-accounts")
    accounts, listed = {}, set()
    for number in range(30):
        coin, at = ("BTC", 60_000) if number % 2 else ("ETH", 3_000)
        pool = [f"{coin}-{tenor}-{at * k // 10}-{side}-USDC" for tenor in ("7d", "30d", "180d")
                for k in range(5, 16) for side in "CP"]  # fmt: skip
        pool.append(f"{coin}-PERP-USDC")
        chosen = rng.permutation(len(pool))[: int(rng.integers(1, 15))]
        held = {pool[i]: float(rng.integers(-5, 6)) for i in chosen}
        cash = {"USDC": float(rng.integers(0, 90_000)), coin: float(number % 3), "LTC": 1.0}
        entry = {n: at * 1.01 for n in held if "PERP" in n}
        listed |= set(held)
        accounts[f"a{number}"] = venue.account(held, cash, entry)
    return accounts, venue.market(listed)


@pytest.mark.parametrize("name", ["derive-pmrm-v1", "derive-pmrm-v2"])
def test_accounts_by_expiry_equal_one_at_a_time(
    usd_accounts: tuple[dict[str, Account], MarketSnapshot], name: str
) -> None:
    accounts, snapshot = usd_accounts
    used = rule(name, stale="warn", feeds=FEEDS)
    found = margin_many(accounts, snapshot, used)
    assert found.shared and (found.values["im"] > found.values["mm"]).all()
    same(found, used, accounts, snapshot)


def test_other_rules_go_account_by_account(coin_accounts: dict[str, Account], market: MarketSnapshot) -> None:
    some = {name: coin_accounts[name] for name in ("a0", "a1", "a4")}
    used = rule("deribit-standard", stale="warn")
    found = margin_many(list(some.values())[:1], market, used)
    assert not found.shared and list(found.values.index) == ["account"]
    same(margin_many(some, market, used), used, some, market)


def test_zero_lines_and_the_order_of_lines_do_not_change_the_sum() -> None:
    rng = stream(3, "sums")
    matrix = rng.standard_normal((9, 70))
    held = rng.standard_normal((5, 9))
    held[rng.random((5, 9)) < 0.5] = 0.0
    names = [f"BTC-28JUN24-{k}-C" for k in range(9)]
    options = [_option(name) for name in names]
    books = [
        Portfolio(
            positions=tuple(Position(instrument=o, qty=float(q)) for o, q in zip(options, row, strict=True)),
            as_of=pd.Timestamp("2024-06-10T08:00Z"),
        )
        for row in np.round(held, 1)
    ]
    found = summed(matrix, held_lines(books, options))
    for row, quantities in zip(found, np.round(held, 1), strict=True):
        assert row.tolist() == combine(matrix, quantities).tolist()


def _option(name: str) -> Option:
    return Option(
        name=name, underlying="BTC", settlement="inverse", settlement_currency="BTC", multiplier=1.0, lot=0.1,
        expiry=pd.Timestamp("2024-06-28T08:00Z"), strike=60_000.0, is_call=True,
    )  # fmt: skip


def test_worst_rows_are_the_worst_row_of_each() -> None:
    rng = stream(4, "worst")
    pnl = np.round(rng.standard_normal((200, 12)), 1)
    vol = np.tile([-1.0, 0.0, 1.0], 4)
    assert worst_rows(pnl, vol).tolist() == [worst_row(row, vol) for row in pnl]


@pytest.mark.parametrize("floor", [0.0, 0.6])
def test_cells_are_those_of_full_revaluation(floor: float) -> None:
    snapshot = load_snapshot("deribit-btc-2026-08-01")
    book = Portfolio.from_records(
        {"type": "position", "instrument": name, "qty": 1.0, "as_of": snapshot.as_of}
        for name in sorted(snapshot.listed)[::7] + ["BTC-PERPETUAL"]
    )
    spec = MatrixSpec(
        price_range=0.16, buckets_per_side=4, vol_up=0.45, vol_down=0.3, min_vol_up=floor,
        vol_term=TermScaling(short_power=0.3, long_power=0.13), extended_moves=(-0.66, 3.0),
        extended_factor=1.0,
    )  # fmt: skip
    terms = matrix_terms(book.instruments, snapshot)
    twin = revalue(book, snapshot, matrix_scenarios(spec, "BTC")).unit_coin
    np.testing.assert_allclose(unit_cells(spec, terms), twin, rtol=1e-10, atol=1e-13)
    for instrument, delta, mark in zip(
        book.instruments, coin_deltas(terms), unit_marks(book.instruments, snapshot), strict=True
    ):
        one = snapshot.mark(instrument)
        assert mark == pytest.approx(one.price, rel=1e-14)
        if isinstance(instrument, Option):
            forward, tau = snapshot.forward("BTC", instrument.expiry), snapshot.tau(instrument.expiry)
            black = greeks(forward, instrument.strike, tau, one.iv, is_call=instrument.is_call).delta
            assert delta == pytest.approx(float(black) * instrument.multiplier, rel=1e-13)
        else:
            assert delta == pytest.approx(instrument.multiplier / one.price, rel=1e-15)


class TestBadInput:
    def test_no_account(self, market: MarketSnapshot) -> None:
        with pytest.raises(DataGapError, match="there is no account"):
            margin_many({}, market, "deribit-pm")

    def test_one_account_alone(self, market: MarketSnapshot, make_account: Any) -> None:
        with pytest.raises(ConventionError, match=r"pass \[account\] for one"):
            margin_many(make_account({}, {"BTC": 1.0}), market, "deribit-pm")

    def test_something_else(self, market: MarketSnapshot) -> None:
        with pytest.raises(ConventionError, match="one of the accounts is a int"):
            margin_many([1], market, "deribit-pm")  # type: ignore[list-item]

    def test_one_name_twice(self, market: MarketSnapshot, make_account: Any) -> None:
        one = make_account({}, {"BTC": 1.0})
        with pytest.raises(ParameterError, match="two accounts are called 'account'"):
            margin_many([one, one], market, "deribit-pm")

    def test_no_snapshot(self, make_account: Any) -> None:
        with pytest.raises(ConventionError, match="the snapshot is a NoneType"):
            margin_many([make_account({}, {"BTC": 1.0})], None, "deribit-pm")  # type: ignore[arg-type]

    def test_an_empty_account_is_named(self, market: MarketSnapshot, make_account: Any) -> None:
        empty = make_account({}, {"BTC": 0.0}, name="nothing")
        with pytest.raises(DataGapError, match="account 'nothing' is empty"):
            margin_many({"a": make_account({}, {"BTC": 1.0}), "b": empty}, market, "deribit-pm")

    def test_a_later_account(self, market: MarketSnapshot, make_account: Any) -> None:
        late = make_account({"BTC-PERPETUAL": 10.0}, {"BTC": 1.0}, as_of="2024-06-11T08:00:00Z")
        with pytest.raises(LookAheadError, match="older than account"):
            margin_many([late], market, "deribit-pm")

    def test_early_accounts_are_counted(self, market: MarketSnapshot, make_account: Any) -> None:
        early = make_account({"BTC-PERPETUAL": 10.0}, {"BTC": 1.0}, as_of="2024-06-07T08:00:00Z")
        now = make_account({"BTC-PERPETUAL": 10.0}, {"BTC": 1.0})
        with pytest.warns(StaleAccountWarning, match="1 of 2 accounts are up to 3 days older"):
            found = margin_many({"early": early, "now": now}, market, rule("deribit-pm", stale="warn"))
        assert any("1 of 2 accounts" in text for text in found.warnings)

    def test_a_strange_entry_price(self, market: MarketSnapshot, make_account: Any) -> None:
        book = make_account({"BTC-PERPETUAL": 10.0}, {"BTC": 1.0})
        line = dataclasses.replace(book.portfolio.positions[0], entry_price=2.0)
        wrong = book.with_portfolio(book.portfolio.with_positions([line]))
        with pytest.raises(ConventionError, match="against a mark of"):
            margin_many([wrong], market, "deribit-pm")

    def test_a_debt_in_a_coin_not_margined(self, market: MarketSnapshot, make_account: Any) -> None:
        owes = make_account({"BTC-PERPETUAL": 10.0}, {"BTC": 1.0, "ETH": -1.0}, name="debtor")
        with pytest.raises(ConventionError, match="'debtor' owes 1 ETH"):
            margin_many([owes], market, "deribit-pm")

    def test_two_contracts_of_one_name(self, market: MarketSnapshot) -> None:
        first = _option("BTC-28JUN24-60000-C")
        second = dataclasses.replace(first, strike=65_000.0)
        instant = pd.Timestamp("2024-06-10T08:00Z")
        accounts = {
            str(o.strike): Account(
                portfolio=Portfolio(positions=(Position(instrument=o, qty=1.0),), as_of=instant),
                name=str(o.strike),
            )
            for o in (first, second)
        }
        with pytest.raises(ConventionError, match="two different contracts are called BTC-28JUN24-60000-C"):
            margin_many(accounts, market, "deribit-pm")

    def test_a_linear_contract_under_a_coin_rule(
        self, usd_accounts: tuple[dict[str, Account], MarketSnapshot]
    ) -> None:
        with pytest.raises(ConventionError, match="deribit-pm margins each coin apart"):
            margin_many(usd_accounts[0], usd_accounts[1], rule("deribit-pm", stale="warn"))

    def test_no_feeds(self, usd_accounts: tuple[dict[str, Account], MarketSnapshot]) -> None:
        with pytest.raises(DataGapError, match="given no feeds"):
            margin_many(usd_accounts[0], usd_accounts[1], "derive-pmrm-v2")

    def test_a_broken_identity_is_noticed(self, market: MarketSnapshot, make_account: Any) -> None:
        found = margin_many([make_account({}, {"BTC": 1.0})], market, rule("deribit-pm", stale="warn"))
        with pytest.raises(PmkitError, match="excess is not equity"):
            dataclasses.replace(found, values=found.values.assign(excess=7.0)).check()
        with pytest.raises(PmkitError, match="not finite"):
            dataclasses.replace(found, values=found.values.assign(im=np.nan)).check()
