"""The risk matrix beyond its golden cases: properties, parts by coin, every parameter used."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, ParameterError, RuleVersionError, StaleParametersWarning
from pmkit.core.types import FloatArray
from pmkit.instruments import Option, Perpetual, Portfolio, Position
from pmkit.margin import Account, rule
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.margin.rules.deribit_pm import DeribitPm, charge_above_threshold, one_sided_delta
from pmkit.margin.schemas import SCHEMAS
from pmkit.market.snapshot import MarketSnapshot

Make = Callable[..., Account]
NAMES = (
    "BTC-PERPETUAL", "BTC-28JUN24", "BTC-27DEC24", "BTC-14JUN24-60000-C", "BTC-28JUN24-50000-P",
    "BTC-28JUN24-90000-C", "BTC-27DEC24-120000-C", "BTC-27DEC24-30000-P",
)  # fmt: skip
SPM_BTC = load_parameter_sets("deribit-pm")[0]


@pytest.fixture(scope="module")
def charge(market: MarketSnapshot, make_account: Make) -> Callable[[FloatArray], Any]:
    book = make_account(dict.fromkeys(NAMES, 1.0)).portfolio
    return DeribitPm().charger(book, "BTC", market, SPM_BTC).charge


def books(size: float) -> st.SearchStrategy[FloatArray]:
    futures = st.integers(-int(size * 3000), int(size * 3000)).map(float)
    options = st.integers(-int(size * 200), int(size * 200)).map(lambda n: n / 2.0)
    return st.tuples(futures, futures, futures, *[options] * 5).map(np.array)


@settings(max_examples=60)
@given(a=books(1.0), b=books(1.0), share=st.floats(0.0, 1.0))
def test_convex_below_the_delta_threshold(charge: Any, a: FloatArray, b: FloatArray, share: float) -> None:
    mixed = charge(share * a + (1.0 - share) * b).im
    assert mixed <= share * charge(a).im + (1.0 - share) * charge(b).im + 2e-9


@settings(max_examples=60)
@given(q=books(2.0))
def test_dampener_makes_a_double_book_cost_at_least_double(charge: Any, q: FloatArray) -> None:
    once, twice = charge(q), charge(2.0 * q)
    assert twice.im >= 2.0 * once.im - 2e-9
    assert 0.0 <= once.mm <= once.im


def test_splitting_can_lower_the_margin(market: MarketSnapshot, make_account: Make) -> None:
    whole, part = (
        rule("deribit-pm").requirement(make_account({"BTC-28JUN24-90000-C": -q}), market).im
        for q in (200, 50)
    )
    assert part * 4 < 0.8 * whole


def test_a_book_of_futures_scales_with_quantity(market: MarketSnapshot, make_account: Make) -> None:
    one, two = (rule("deribit-pm").requirement(make_account({"BTC-27DEC24": q}), market) for q in (600, 1200))
    assert two.im == pytest.approx(2.0 * one.im, abs=2e-9)
    assert one.addons["roll_shock"] / one.figures["roll"]["delta"].iloc[0] == pytest.approx(0.075 * 200 / 365)


def test_classic_scales_with_quantity(market: MarketSnapshot, make_account: Make) -> None:
    classic = rule("deribit-pm", variant="classic", stale="warn")
    held = {"BTC-28JUN24-90000-C": -20, "BTC-PERPETUAL": 4000}
    with pytest.warns(StaleParametersWarning):
        one = classic.requirement(make_account(held), market)
        two = classic.requirement(make_account({k: 2 * v for k, v in held.items()}), market)
    assert (two.im, two.mm) == pytest.approx((2.0 * one.im, 2.0 * one.mm), rel=1e-12)
    assert one.im == pytest.approx(1.2 * one.mm, rel=1e-15)


def test_classic_short_options_count_per_strike_and_in_part_near_the_money(
    market: MarketSnapshot, make_account: Make
) -> None:
    held = {
        "BTC-28JUN24-90000-C": 10,
        "BTC-28JUN24-90000-P": -20,
        "BTC-28JUN24-65000-C": -10,
        "BTC-27DEC24-90000-C": 50,
    }
    with pytest.warns(StaleParametersWarning):
        result = rule("deribit-pm", variant="classic", stale="warn").requirement(make_account(held), market)
    strikes = result.figures["strikes"].set_index(["expiry", "strike"])
    assert strikes.loc[("2024-06-28", 90_000.0), "short"] == 10.0
    assert strikes.loc[("2024-06-28", 65_000.0), "share"] == pytest.approx(5_000 / 6_000)
    assert result.addons["options_contingency"] == pytest.approx(0.01 * (10.0 + 10.0 * 5.0 / 6.0))


def test_short_straddle_is_worst_at_the_money_when_vol_rises(
    market: MarketSnapshot, make_account: Make
) -> None:
    result = rule("deribit-pm").requirement(
        make_account({"BTC-27DEC24-60000-C": -1, "BTC-27DEC24-60000-P": -1, "BTC-27DEC24": 300}), market
    )
    matrix = result.figures["matrix"]
    assert matrix.loc["0%, vol up", "pnl"] < 0.0 < matrix.loc["0%, vol down", "pnl"]


def test_floor_of_the_raised_vol(market: MarketSnapshot, make_account: Make) -> None:
    calm = MarketSnapshot.from_marks(
        market.as_of, {"BTC": 60_000.0}, forwards={"BTC": {"2024-06-28T08:00:00Z": 60_000.0}},
        option_iv={"BTC-28JUN24-70000-C": 0.10},
    )  # fmt: skip
    account = make_account({"BTC-28JUN24-70000-C": -1})
    floored = rule("deribit-pm").requirement(account, calm).figures["matrix"]["pnl"]
    free = SPM_BTC.with_values("BTC", min_volatility_for_shock_up=0.0)
    unfloored = rule("deribit-pm", parameters=(free,)).requirement(account, calm).figures["matrix"]["pnl"]
    assert floored["0%, vol up"] < 10.0 * unfloored["0%, vol up"] < 0.0
    assert floored["0%, vol down"] == unfloored["0%, vol down"]


# -- delta shock and gains ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("long_options", "rest", "seen"),
    [
        (10.0, 5.0, 5.0),
        (-10.0, 5.0, 0.0),
        (-3.0, 5.0, 2.0),
        (10.0, -5.0, 0.0),
        (3.0, -5.0, -2.0),
        (0.0, 0.0, 0.0),
    ],
)
def test_long_options_only_reduce_delta(long_options: float, rest: float, seen: float) -> None:
    assert one_sided_delta(long_options, rest) == seen


def test_delta_shock_is_zero_then_quadratic_then_capped() -> None:
    table = SPM_BTC.table("BTC")
    start = 20_000_000 / 50_000.0
    assert charge_above_threshold(start, 50_000.0, table) == 0.0
    assert charge_above_threshold(start + 1_000.0, 50_000.0, table) == pytest.approx((start + 1_000.0) * 0.05)
    assert charge_above_threshold(-9_000.0, 50_000.0, table) == pytest.approx(900.0)


def test_delta_shock_is_pluggable(market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({"BTC-PERPETUAL": 6003 * 10})
    own = rule("deribit-pm", delta_shock=lambda delta, spot, table: 7.0).requirement(account, market)
    usual = rule("deribit-pm").requirement(account, market)
    assert own.addons["delta_shock"] == 7.0
    assert own.im == pytest.approx(usual.im - usual.addons["delta_shock"] + 7.0)
    assert usual.explain().set_index("what").loc["delta shock", "status"] == "assumed"


def test_gains_are_cut_by_share_and_limit(market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({"BTC-PERPETUAL": 6003})
    changed = SPM_BTC.with_values("BTC", pnl_offset=0.6, max_offsetable_pnl=3_000.0)
    base = rule("deribit-pm").requirement(account, market)
    result = rule("deribit-pm", parameters=(changed,)).requirement(account, market)
    matrix = result.figures["matrix"]
    assert matrix.loc["+16%, vol same", "final"] == 0.05 < 0.6 * matrix.loc["+16%, vol same", "pnl"]
    assert matrix.loc["-16%, vol same", "final"] == matrix.loc["-16%, vol same", "pnl"]
    assert result.im == base.im


# -- currencies -----------------------------------------------------------------------------------------
def test_only_the_own_coin_is_collateral(market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({"BTC-PERPETUAL": 1000}, {"BTC": 2.0, "ETH": 5.0, "USDC": 10_000.0})
    result = rule("deribit-pm").requirement(account, market)
    assert result.equity == 2.0 and result.numeraire == "BTC"
    assert result.not_eligible == {"ETH": 5.0, "USDC": 10_000.0}
    assert result.collateral_treatment == "own coin only"


def test_parts_by_coin_with_totals_in_usd(market: MarketSnapshot, make_account: Make) -> None:
    eth = load_parameter_sets("deribit-pm")[1]
    earlier = dataclasses.replace(eth, valid_from=SPM_BTC.valid_from, last_observed=SPM_BTC.last_observed)
    account = make_account(
        {"BTC-PERPETUAL": 1000, "ETH-28JUN24-3000-C": -20}, {"BTC": 2.0, "ETH": 5.0, "USDC": 10_000.0}
    )
    result = rule("deribit-pm", parameters=(SPM_BTC, earlier)).requirement(account, market)
    btc, eth_part = result.parts["BTC"], result.parts["ETH"]
    assert result.im == pytest.approx(btc.im * 60_000.0 + eth_part.im * 3_000.0)
    assert result.equity == pytest.approx(btc.equity * 60_000.0 + eth_part.equity * 3_000.0)
    assert result.not_eligible == {"USDC": 10_000.0}
    assert result.margin_ratio == max(btc.margin_ratio, eth_part.margin_ratio)
    assert set(result.explain()["part"]) == {"BTC", "ETH"}
    assert result.addons["BTC roll_shock"] == pytest.approx(btc.addons["roll_shock"] * 60_000.0)
    result.check()


def test_a_coin_without_parameters(market: MarketSnapshot, make_account: Make) -> None:
    with pytest.raises(
        RuleVersionError, match=r"no parameter set of deribit-pm variant 'spm' for ETH on 2024-06-10"
    ):
        rule("deribit-pm").requirement(make_account({"ETH-PERPETUAL": 10}, {"ETH": 1.0}), market)


def test_obligations_are_in_the_initial_margin_only(market: MarketSnapshot, make_account: Make) -> None:
    held = {"BTC-PERPETUAL": 1000}
    plain = rule("deribit-pm").requirement(make_account(held), market)
    owing = make_account(held, mmp_margin={"BTC": 0.06}, open_order_margin={"BTC": 0.04})
    result = rule("deribit-pm").requirement(owing, market)
    assert result.im == pytest.approx(plain.im + 0.10) and result.mm == plain.mm
    assert result.addons["mmp_margin"] == 0.06 and result.addons["open_order_margin"] == 0.04
    with pytest.raises(ConventionError, match="market-maker-protection or open-order margin in USDC"):
        rule("deribit-pm").requirement(make_account(held, mmp_margin={"USDC": 1.0}), market)


def test_contracts_that_are_not_coin_settled_are_refused(market: MarketSnapshot, make_account: Make) -> None:
    linear = Perpetual(
        name="BTC_USDC-PERPETUAL", underlying="BTC", settlement="linear", settlement_currency="USDC",
        multiplier=1.0, lot=0.001,
    )  # fmt: skip
    account = make_account({"BTC-PERPETUAL": 10})
    mixed = account.with_portfolio(
        Portfolio(positions=(*account.portfolio, Position(instrument=linear, qty=1.0)), as_of=account.as_of)
    )
    for name in ("deribit-pm", "deribit-standard"):
        with pytest.raises(ConventionError, match="BTC_USDC-PERPETUAL is a linear perpetual settled in USDC"):
            rule(name, stale="warn").requirement(mixed, market)


def test_option_held_long_is_never_owed(market: MarketSnapshot, make_account: Make) -> None:
    """The worst case of a long option is its premium at most, and equity holds the premium."""
    account = make_account({"BTC-28JUN24-60000-C": 10})
    result = rule("deribit-pm").requirement(account, market)
    mark = market.mark(account.instruments[0]).price
    assert result.net_option_value == pytest.approx(10 * mark) == pytest.approx(result.equity)
    assert -result.worst_scenario.pnl <= 10 * mark


def test_positions_of_zero_and_no_positions_need_nothing(market: MarketSnapshot, make_account: Make) -> None:
    for account in (make_account({"BTC-PERPETUAL": 0}, {"BTC": 1.0}), make_account({}, {"BTC": 1.0})):
        result = rule("deribit-pm").requirement(account, market)
        assert (result.im, result.mm, result.equity, result.status) == (0.0, 0.0, 1.0, "ok")


def test_unknown_variant_is_refused() -> None:
    with pytest.raises(
        ParameterError, match="unknown variant 'old' of deribit-pm; expected one of spm, classic"
    ):
        rule("deribit-pm", variant="old")


# -- every parameter moves some number ------------------------------------------------------------------
CASES: tuple[dict[str, float], ...] = (
    {"{}-28JUN24-90000-C": -200.0, "{}-PERPETUAL": 1000.0},
    {
        "{}-14JUN24-60000-P": -20.0,
        "{}-27DEC24-60000-C": 10.0,
        "{}-27DEC24": -4000.0,
        "{}-28JUN24-65000-C": -5.0,
    },
    {"{}-PERPETUAL": 6_000_000.0},
    {"{}-PERPETUAL": 24_000_000.0},
    {"{}-PERPETUAL": 720_000_000.0},
    {"{}-28JUN24-70000-C": -5.0},
)
OTHER: dict[str, Any] = {
    "buckets_per_side": 3,
    "extended_moves": (-0.5, 1.2),
    "worst_case_decimals": 3,
    "correlation_contingency": 0.01,
    "vega_floor_days": 10.0,
    "min_volatility_for_shock_up": 1.2,
    "delta_total_liq_shock_threshold": 10_000_000.0,
}


def _numbers(
    parameters: ParameterSet, variant: str, market: MarketSnapshot, make_account: Make
) -> list[float]:
    (coin,) = parameters.tables
    values: list[float] = []
    for case in CASES:
        held = {}
        for name, qty in case.items():
            parts = name.format(coin).split("-")
            if coin == "ETH" and len(parts) == 4:
                parts[2] = str(int(parts[2]) // 20)
            held["-".join(parts)] = qty
        result = rule("deribit-pm", variant=variant, parameters=(parameters,)).requirement(
            make_account(held), market
        )
        values += [result.im, result.mm, *result.figures["matrix"]["final"]]
    return values


PERTURBED = [
    (index, key)
    for index, s in enumerate(load_parameter_sets("deribit-pm"))
    if len(s.tables) == 1  # the set of several coins has tests of its own
    for key in SCHEMAS[s.rule][s.variant].model_fields
]  # fmt: skip


@pytest.mark.parametrize(("index", "key"), PERTURBED)
def test_every_parameter_moves_some_number(
    index: int, key: str, market: MarketSnapshot, make_account: Make
) -> None:
    shipped = load_parameter_sets("deribit-pm")[index]
    base = dataclasses.replace(shipped, valid_from=SPM_BTC.valid_from, last_observed=SPM_BTC.last_observed)
    (coin,) = base.tables
    if (
        shipped.id == SPM_BTC.id
    ):  # its gains are worth nothing, which hides one of the two keys behind the other
        base = base.with_values(coin, pnl_offset=0.5, max_offsetable_pnl=1_000_000.0)
    value = OTHER[key] if key in OTHER else 0.9 * getattr(base.table(coin), key)
    changed = base.with_values(coin, **{key: value})
    assert _numbers(changed, base.variant, market, make_account) != _numbers(
        base, base.variant, market, make_account
    )


def test_options_are_priced_on_the_forward_of_their_own_expiry(
    market: MarketSnapshot, make_account: Make
) -> None:
    account = make_account({"BTC-27DEC24-60000-C": -1})
    (option,) = account.instruments
    assert isinstance(option, Option)
    result = rule("deribit-pm").requirement(account, market)
    other = MarketSnapshot.from_marks(
        market.as_of, {"BTC": 60_000.0}, forwards={"BTC": {"2024-12-27T08:00:00Z": 60_000.0}},
        option_iv={option.name: market.iv(option)},
    )  # fmt: skip
    assert result.im != pytest.approx(rule("deribit-pm").requirement(account, other).im, rel=1e-3)
