"""Margin per position without netting, and the premium that is charged once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    LookAheadError,
    RuleVersionError,
    SchemaError,
    StaleParametersWarning,
)
from pmkit.margin import Account, MarginResult, rule
from pmkit.margin.parameters import load_parameter_sets
from pmkit.margin.schemas import StandardParameters
from pmkit.market.snapshot import MarketSnapshot

Make = Callable[..., Account]
TABLES = load_parameter_sets("deribit-standard")[0]


def standard(account: Account, market: MarketSnapshot) -> MarginResult:
    with pytest.warns(
        StaleParametersWarning, match="deribit-standard-2022-01 was last observed on 2022-01-11"
    ):
        return rule("deribit-standard", stale="warn").requirement(account, market)


def test_100_coins_of_a_perpetual(market: MarketSnapshot, make_account: Make) -> None:
    result = standard(make_account({"BTC-PERPETUAL": -100 * 6003}), market)
    assert (result.im, result.mm) == pytest.approx((2.5, 1.5), rel=1e-12)
    eth = standard(make_account({"ETH-PERPETUAL": 100 * 3001.5}), market)
    assert (eth.im, eth.mm) == pytest.approx((100 * (0.02 + 4e-4), 100 * (0.01 + 4e-4)), rel=1e-12)


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("70000-C", 0.10),
        ("65000-C", 0.10),
        ("60000-C", 0.15),
        ("40000-C", 0.15),
        ("55000-P", 0.10),
        ("75000-P", 0.15),
    ],
)
def test_written_options(name: str, rate: float, market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({f"BTC-28JUN24-{name}": -3})
    mark = market.mark(account.instruments[0]).price
    result = standard(account, market)
    assert result.im == pytest.approx(3 * (rate + mark), rel=1e-12)
    assert result.mm == pytest.approx(3 * (0.075 + mark), rel=1e-12)
    assert result.explain().iloc[0]["clause"] == "DST-1"


def test_rate_between_floor_and_top(market: MarketSnapshot, make_account: Make) -> None:
    market = MarketSnapshot.from_marks(
        market.as_of, {"BTC": 62_500.0}, forwards={"BTC": {"2024-06-28T08:00:00Z": 62_500.0}},
        option_iv={"BTC-28JUN24-60000-P": 0.5, "BTC-28JUN24-65000-C": 0.5},
    )  # fmt: skip
    for name in ("BTC-28JUN24-60000-P", "BTC-28JUN24-65000-C"):
        account = make_account({name: -1})
        mark = market.mark(account.instruments[0]).price
        assert standard(account, market).im == pytest.approx(0.15 - 0.04 + mark, rel=1e-12)


def test_deep_put_is_margined_by_its_mark(market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({"BTC-27DEC24-155000-P": -1})
    mark = market.mark(account.instruments[0]).price
    assert mark > 1.0
    result = standard(account, market)
    assert result.mm == pytest.approx(mark + 0.075 * mark) and result.im >= result.mm


def test_long_options_need_nothing_and_do_not_lend(market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({"BTC-28JUN24-60000-C": 5}, {"BTC": 1.0})
    result = standard(account, market)
    assert (result.im, result.mm) == (0.0, 0.0)
    # The premium is part of equity and of im_equity, so that excess is the cash alone.
    assert result.excess == pytest.approx(1.0, rel=1e-12)
    assert result.equity > 1.0


def test_short_straddle_is_not_charged_its_premium_twice(market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({"BTC-28JUN24-60000-C": -10, "BTC-28JUN24-60000-P": -10}, {"BTC": 5.0})
    result = standard(account, market)
    pure = 10 * 0.15 + 10 * 0.15
    assert result.im_equity == pytest.approx(pure, rel=1e-12)
    assert result.im > pure
    cash_after_premium = 5.0
    assert result.excess == pytest.approx(cash_after_premium + result.net_option_value - pure, rel=1e-12)


def test_no_netting(market: MarketSnapshot, make_account: Make) -> None:
    legs = {"BTC-PERPETUAL": 1000, "BTC-28JUN24": -1000, "BTC-28JUN24-60000-C": -1, "BTC-28JUN24-65000-C": 1}
    whole = standard(make_account(legs), market)
    alone = [standard(make_account({k: v}), market).im for k, v in legs.items()]
    assert whole.im == pytest.approx(sum(alone), rel=1e-12)
    lines = rule("deribit-standard", stale="warn")
    with pytest.warns(StaleParametersWarning):
        values = lines.line_im_equity(make_account(legs), market)
    assert values.sum() == pytest.approx(whole.im_equity, rel=1e-12)
    assert isinstance(values, np.ndarray) and values.shape == (4,)


def test_doubling_an_option_line_doubles_its_charge(market: MarketSnapshot, make_account: Make) -> None:
    one, two = (standard(make_account({"BTC-28JUN24-60000-C": -q}), market) for q in (1.5, 3.0))
    assert (two.im, two.mm) == pytest.approx((2.0 * one.im, 2.0 * one.mm), rel=1e-15)


@pytest.mark.parametrize("coin", ["BTC", "ETH"])
@pytest.mark.parametrize("key", StandardParameters.model_fields)
def test_every_parameter_moves_some_number(
    coin: str, key: str, market: MarketSnapshot, make_account: Make
) -> None:
    at, deep, far = (60_000, 155_000, 80_000) if coin == "BTC" else (3_000, 7_750, 4_000)
    books = [
        {f"{coin}-PERPETUAL": 1_000_000.0, f"{coin}-28JUN24": -500_000.0},
        {f"{coin}-28JUN24-{at}-C": -1.0, f"{coin}-28JUN24-{far}-C": -1.0},
        {f"{coin}-27DEC24-{deep}-P": -1.0},
    ]
    factor = 1.1 if key == "future_im_slope" else 0.9  # it must not fall below the maintenance slope
    changed = TABLES.with_values(coin, **{key: factor * getattr(TABLES.table(coin), key)})
    found = []
    for parameters in (TABLES, changed):
        rule_ = rule("deribit-standard", stale="warn", parameters=(parameters,))
        with pytest.warns(StaleParametersWarning):
            found.append([(r.im, r.mm) for r in (rule_.requirement(make_account(b), market) for b in books)])
    assert found[0] != found[1]


# -- bad input, the same for every rule -----------------------------------------------------------------
ALL = ("deribit-pm", "deribit-standard", "es-fhs", "var-hs")


@pytest.mark.parametrize("name", ALL)
def test_bad_accounts_are_refused(name: str, market: MarketSnapshot, make_account: Make) -> None:
    checked = rule(name, stale="warn")
    with pytest.raises(DataGapError, match="account 'account' is empty; expected at least one position"):
        checked.requirement(make_account({}, {"BTC": 0.0}), market)
    with pytest.raises(ConventionError, match="collateral currency 'XRP' has no price"):
        checked.requirement(make_account({"BTC-PERPETUAL": 10}, {"XRP": 100.0}), market)
    late = make_account({"BTC-PERPETUAL": 10}, as_of="2024-06-10T09:00:00Z")
    with pytest.raises(LookAheadError, match="is older than account"):
        checked.requirement(late, market)
    with pytest.raises(SchemaError, match=r"BTC-7JUN24-60000-C expired at 2024-06-07T08:00:00"):
        checked.requirement(make_account({"BTC-7JUN24-60000-C": 1}, as_of="2024-06-01T00:00:00Z"), market)
    with pytest.raises(DataGapError, match="no forward for BTC expiry 2024-07-26"):
        checked.requirement(make_account({"BTC-26JUL24-60000-C": 1}), market)
    listed = MarketSnapshot(
        as_of=market.as_of, underlyings=market.underlyings, listed=frozenset({"BTC-28JUN24"})
    )
    with pytest.raises(SchemaError, match="unknown instrument 'BTC-PERPETUAL'"):
        checked.requirement(make_account({"BTC-PERPETUAL": 10}), listed)


def test_a_date_before_the_first_set() -> None:
    with pytest.raises(
        RuleVersionError,
        match="no parameter set of deribit-standard variant 'standard' for BTC on 2021",
    ):
        rule("deribit-standard", as_of="2021-12-31")
