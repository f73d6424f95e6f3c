"""Collateral: tiers at the margin, limits, dynamic haircuts, debts, pooled equity, and what haircuts miss."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    ParameterError,
    RuleVersionError,
    StaleParametersWarning,
)
from pmkit.margin import (
    Account,
    borrow_interest,
    collateral_terms,
    collateral_value,
    dynamic_haircut,
    dynamic_haircuts,
    eligible_collateral,
    kinked_borrow_rate,
    pooled_equity,
    rule,
    tiered_haircut,
    wrong_way,
)
from pmkit.margin.parameters import ParameterSet, load_parameter_sets, parse_parameter_sets
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import expected_shortfall, revalue
from pmkit.scenarios import Factor, ScenarioSet

Make = Callable[..., Account]
SNAP = MarketSnapshot.from_marks("2025-01-15T00:00:00Z", {"BTC": 35_000.0, "ETH": 2_000.0})


def twin(amount: float, limits: list[float], haircuts: list[float]) -> float:
    """Return the cut by walking through the tiers, one after the other."""
    cut, low = 0.0, 0.0
    for high, rate in zip([*limits, math.inf], haircuts, strict=True):
        part = max(min(amount, high) - low, 0.0)
        cut, low = cut + rate * part, high
    return cut


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    amount=st.floats(0.0, 1e6),
    more=st.floats(0.0, 1e6),
    limits=st.lists(st.floats(1.0, 1e6), max_size=4, unique=True).map(sorted),
    data=st.data(),
)
def test_tiers_against_a_plain_walk(
    amount: float, more: float, limits: list[float], data: st.DataObject
) -> None:
    rates = sorted(
        data.draw(st.lists(st.floats(0.0, 1.0), min_size=len(limits) + 1, max_size=len(limits) + 1))
    )
    cut = tiered_haircut(amount, limits, rates)
    assert cut == pytest.approx(twin(amount, limits, rates), rel=1e-12, abs=1e-9)
    # a larger balance never counts for less, whatever the tiers
    assert amount + more - tiered_haircut(amount + more, limits, rates) >= (amount - cut) - 1e-9 * (
        1.0 + amount
    )


@pytest.mark.parametrize(
    ("venue", "date", "balances", "counted"),
    [
        # 0.5 BTC at 35 000 USD, three per cent off
        ("kraken", "2023-06-01", {"BTC": 0.5}, 0.97 * 17_500.0),
        # 22 BTC: twenty at 98 %, two at 97.75 %
        ("okx", "2025-01-15", {"BTC": 22.0}, (20.0 * 0.98 + 2.0 * 0.9775) * 35_000.0),
        # what lies beyond 25 BTC counts nothing
        ("okx", "2025-01-15", {"BTC": 40.0}, (20.0 * 0.98 + 5.0 * 0.9775) * 35_000.0),
        ("bybit", "2025-09-01", {"BTC": 25.0, "USDT": 100.0}, (9.8 + 9.5 + 4.5) * 35_000.0 + 100.0),
        ("deribit", "2025-08-01", {"USDC": 1_000.0, "STETH": 1.0}, 1_000.0 + 0.85 * 2_000.0),
        ("deribit", "2026-01-13", {"USDC": 1_000.0, "STETH": 1.0}, 1_000.0 + 0.925 * 2_000.0),
        # tiers in USD: 16 million, of which three at 97.5 %
        ("binance", "2023-06-01", {"BNX": 16e6}, 13e6 + 0.975 * 3e6),
    ],
)
def test_published_tables(venue: str, date: str, balances: dict[str, float], counted: float) -> None:
    terms = collateral_terms(venue, date)
    found = collateral_value(balances, SNAP, terms, prices={"STETH": 2_000.0, "BNX": 1.0})
    found.check()
    assert found.value == pytest.approx(counted, rel=1e-13)


def test_a_haircut_of_four_per_cent_as_printed_by_the_venue() -> None:
    terms = collateral_terms("kraken", "2023-06-01").with_values("BTC", tier_haircuts=(0.04,))
    assert collateral_value({"BTC": 0.5}, SNAP, terms).value == pytest.approx(16_800.0, rel=1e-13)


def test_debts_count_in_full_and_carry_margin() -> None:
    found = collateral_value({"BTC": 1.0, "USD": -78_553.2188898}, SNAP, "okx")
    assert found.table.loc["USD", "value"] == -78_553.2188898
    # the venue's printed margin of this debt
    assert found.borrow_im == pytest.approx(7_855.32188898, abs=1e-8)
    assert found.borrow_mm == pytest.approx(1_571.064377796, abs=1e-8)
    assert {"COL-1", "COL-2", "COL-3", "COL-4", "COL-5"} == set(found.explain()["clause"])


def test_share_limit_cuts_what_is_beyond_a_share_of_all() -> None:
    terms = collateral_terms("kraken", "2023-06-01")
    terms = terms.with_values("BTC", share_limit=0.5, tier_haircuts=(0.0,))
    found = collateral_value({"BTC": 2.0, "USD": 30_000.0}, SNAP, terms)
    assert found.table.loc["BTC", "value"] == pytest.approx(0.5 * 100_000.0)
    assert found.table.loc["BTC", "limit"] == pytest.approx(20_000.0)
    found.check()


def test_dynamic_haircut_takes_over_where_it_is_larger() -> None:
    low = collateral_value({"BTC": 22.0}, SNAP, "okx", dynamic={"BTC": 0.021})
    assert low.table.loc["BTC", "dynamic"] == pytest.approx(20.0 * 0.001 * 35_000.0)
    high = collateral_value({"BTC": 22.0}, SNAP, "okx", dynamic={"BTC": 0.3})
    assert high.value == pytest.approx(0.7 * 22.0 * 35_000.0)


def test_dynamic_haircut_formula_and_directions() -> None:
    found = dynamic_haircut(0.6, level=0.99, days=2.0, half_spread=0.002, value=1e7, daily_volume=2e7)
    assert found.sale_days == 5.0
    horizon = (2.0 + 5.0 / 3.0) / 365.0
    assert found.market == pytest.approx(
        1.0 - math.exp(-norm.ppf(0.99) * 0.6 * math.sqrt(horizon)), rel=1e-12
    )
    assert found.haircut == pytest.approx(found.market + 0.002, rel=1e-14)
    base = dynamic_haircut(0.6).haircut
    assert dynamic_haircut(0.7).haircut > base < dynamic_haircut(0.6, days=2.0).haircut
    assert dynamic_haircut(0.6, value=1e7, daily_volume=1e6).haircut > base
    assert dynamic_haircut(0.0).haircut == 0.0 and dynamic_haircut(0.0, floor=0.05).haircut == 0.05
    assert dynamic_haircut(50.0, days=365.0).haircut == 1.0


def test_dynamic_haircuts_leave_debts_and_stablecoins_out() -> None:
    found = dynamic_haircuts({"BTC": 1.0, "ETH": -1.0, "USDC": 5.0}, SNAP, iv={"BTC": 0.5})
    assert list(found) == ["BTC"] and found["BTC"] == dynamic_haircut(0.5, value=35_000.0)
    with pytest.raises(DataGapError, match="no volatility of collateral BTC"):
        dynamic_haircuts({"BTC": 1.0}, SNAP)


BAD = [
    (lambda: tiered_haircut(-1.0, [], [0.1]), ParameterError, "amount is -1.0"),
    (lambda: tiered_haircut(1.0, [], [-0.1]), ParameterError, "haircut of tier 1 is -0.1"),
    (lambda: tiered_haircut(1.0, [2.0, 1.0], [0.0, 0.1, 0.2]), ParameterError, "3 haircuts for limits"),
    (lambda: collateral_value({}, SNAP, "okx"), DataGapError, "there is no balance"),
    (lambda: collateral_value({"BTC": math.nan}, SNAP, "okx"), ParameterError, "balance of BTC is nan"),
    (lambda: collateral_value({"ETH": -1.0}, SNAP, "okx"), DataGapError, "a debt of 1 ETH, which"),
    (
        lambda: collateral_value({"BTC": 1.0}, SNAP, "okx", dynamic={"BTC": -0.1}),
        ParameterError,
        "dynamic haircut",
    ),
    (
        lambda: collateral_value({"BTC": 1.0}, SNAP, "okx", revalued=True),
        ConventionError,
        "that the scenarios",
    ),
    (
        lambda: collateral_value({"SOL": 1.0}, SNAP, collateral_terms("kraken", "2023-06-01")),
        ConventionError,
        "currency 'SOL' has no price",
    ),
    (
        lambda: collateral_value({"BTC": 1.0}, SNAP, "okx", prices={"BTC": 0.0}),
        ParameterError,
        "price of BTC is 0.0",
    ),
    (lambda: collateral_terms("okx", "2019-01-01"), RuleVersionError, "no parameter set"),
    (lambda: collateral_terms("nowhere", "2025-01-01"), RuleVersionError, "nowhere"),
    (lambda: collateral_terms("okx", "2025-06-01"), RuleVersionError, "was last observed on 2025-01-15"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_bad_input_is_named(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()


def test_a_parameter_file_with_a_negative_haircut_is_refused() -> None:
    from importlib import resources

    text = resources.files("pmkit.margin").joinpath("params", "collateral.toml").read_text(encoding="utf-8")
    for old, new, message in (
        ("[0.02, 0.0225, 1.0]", "[-0.02, 0.0225, 1.0]", r"tier_haircuts\.0: found -0\.02"),
        ("[0.02, 0.0225, 1.0]", "[0.02, 1.0]", "2 tier_haircuts for 2 tier_limits"),
        ("[20.0, 25.0]", "[25.0, 20.0]", "do not rise"),
        ("borrow_mm_rate = 0.02", "borrow_mm_rate = 0.2", "borrow_mm_rate 0.2 is above"),
    ):
        with pytest.raises(ParameterError, match=message):
            parse_parameter_sets(text.replace(old, new, 1), file="collateral.toml")


@pytest.mark.parametrize("given_set", load_parameter_sets("collateral"), ids=lambda s: s.id)
def test_every_key_moves_a_value(given_set: ParameterSet) -> None:
    currency = next(c for c in given_set.tables if c not in ("USD", "USDC", "USDT"))
    prices = {currency: 100.0}
    other = next(iter(given_set.tables))
    books = (
        {currency: 21.0},
        {currency: 15e4},
        {currency: -21.0, **({other: 1e6} if other != currency else {})},
    )

    def figures(terms: ParameterSet) -> list[float]:
        found = [collateral_value(b, SNAP, terms, prices=prices) for b in books]
        return [x for one in found for x in (one.value, one.borrow_im, one.borrow_mm)]

    before = figures(given_set)
    table = given_set.table(currency)
    changes = {
        "tier_haircuts": {"tier_haircuts": tuple(min(h + 0.01, 0.99) for h in table.tier_haircuts)},
        "tier_limits": {"tier_limits": (1.0,), "tier_haircuts": (0.0, 0.6)},
        "share_limit": {"share_limit": 0.5},
        "borrow_im_rate": {"borrow_im_rate": table.borrow_im_rate + 0.1},
        "borrow_mm_rate": {"borrow_im_rate": 0.5, "borrow_mm_rate": table.borrow_mm_rate + 0.1},
        "tier_unit": {
            "tier_unit": "USD" if table.tier_unit == "coin" else "coin",
            "tier_limits": (20.0,),
            "tier_haircuts": (0.0, 0.7),
        },
    }
    assert set(changes) == set(type(table).model_fields)
    for key, values in changes.items():
        assert figures(given_set.with_values(currency, **values)) != before, key


def test_pooled_equity_counts_every_coin_once(make_account: Make, market: MarketSnapshot) -> None:
    account = make_account({"BTC-PERPETUAL": 1_000, "BTC-28JUN24-60000-C": -1}, {"BTC": 1.0, "ETH": 10.0})
    with pytest.warns(StaleParametersWarning):
        own = rule("deribit-standard", stale="warn").requirement(account, market)
    terms = collateral_terms("kraken", "2023-06-01")
    pooled = pooled_equity(own, account, market, terms)
    options = account.option_value(market)["BTC"] * 60_000.0
    assert pooled.equity == pytest.approx(0.97 * (60_000.0 + 30_000.0) + options, rel=1e-13)
    assert pooled.im == pytest.approx(own.im * 60_000.0) and pooled.collateral_treatment == "haircut"
    assert pooled.im_equity == pytest.approx(own.im_equity * 60_000.0, rel=1e-12)
    pooled.check()
    with pytest.raises(ConventionError, match="haircuts on a result whose collateral is haircut"):
        pooled_equity(pooled, account, market, terms)


def joint(corr: float) -> ScenarioSet:
    """Return normal moves of BTC and ETH with a correlation, simulated."""
    draws = np.random.default_rng(7).standard_normal((2_000, 2))
    moves = 0.04 * np.column_stack([draws[:, 0], corr * draws[:, 0] + math.sqrt(1 - corr**2) * draws[:, 1]])
    return ScenarioSet(
        name="simulated normal moves",
        factors=(Factor("spot", "BTC"), Factor("spot", "ETH")),
        shocks=moves,
        horizon_days=0.0,
        dynamics="sticky_strike",
    )


def test_wrong_way_sees_which_way_collateral_moves(make_account: Make, market: MarketSnapshot) -> None:
    long = make_account({"BTC-PERPETUAL": 6_000}, {"ETH": 20.0})
    short = make_account({"BTC-PERPETUAL": -6_000}, {"ETH": 20.0})
    together, apart = (wrong_way(a, market, joint(0.9), {"ETH": 0.03}) for a in (long, short))
    for found in (together, apart):
        found.check()
        assert found.haircut == pytest.approx(0.03 * 60_000.0)
        assert found.summary().loc["haircut", "value"] == pytest.approx(found.haircut)
    assert together.shortfall > 0.0 == apart.shortfall and apart.hedged > 0.0 == together.hedged
    assert together.correlation > 0.85 and apart.correlation < -0.85
    assert together.collateral_in_tail > 0.0 > apart.collateral_in_tail
    cube = revalue(long.portfolio, market, joint(0.9))
    both = cube.account_pnl(long.portfolio, balances={"ETH": 20.0})
    assert together.joint == expected_shortfall(both, 0.99).value
    assert together.plot().get_title().startswith("account: the haircut misses")


def test_a_given_rate_prices_a_stablecoin(make_account: Make) -> None:
    depeg = MarketSnapshot.from_marks("2024-06-10T08:00:00Z", {"BTC": 60_000.0}, fx={"USDC": 0.9, "EUR": 1.1})
    account = make_account({}, {"USDC": 1_000.0, "BTC": 1.0, "EUR": 10.0})
    assert account.equity(depeg) == pytest.approx(60_000.0 + 900.0 + 11.0)
    terms = collateral_terms("kraken", "2023-06-01")
    found = collateral_value(account, depeg, terms)
    assert found.table.loc["USDC", "value"] == pytest.approx(0.99 * 900.0)
    assert found.not_eligible == {"EUR": 10.0}
    with pytest.raises(ConventionError, match="collateral currency 'XAU' has no price"):
        account.price("XAU", depeg)


@pytest.mark.parametrize(("used", "rate"), [(0.0, 0.02), (0.85, 0.088), (1.0, 0.235)])
def test_borrowing_rate_with_its_kink(used: float, rate: float) -> None:
    found = kinked_borrow_rate(used, base=0.02, slope=0.08, kink=0.85, steep=0.90)
    assert found == pytest.approx(rate, rel=1e-12)
    assert borrow_interest(-100.0, found, 365.0) == pytest.approx(100.0 * (math.exp(rate) - 1.0))
    assert borrow_interest(100.0, found, 365.0) == 0.0


def test_borrowing_outside_its_range_is_named() -> None:
    with pytest.raises(ParameterError, match=r"utilisation is 1\.2"):
        kinked_borrow_rate(1.2, base=0.02, slope=0.08, kink=0.85, steep=0.90)
    with pytest.raises(ParameterError, match=r"days is -1\.0"):
        borrow_interest(-1.0, 0.1, -1.0)


def test_the_eligible_list_names_every_tier() -> None:
    frame = eligible_collateral(collateral_terms("bybit", "2025-09-01"))
    bitcoin = frame[frame["currency"] == "BTC"]
    assert bitcoin["haircut"].to_list() == [0.02, 0.05, 0.10, 0.15, 0.20, 1.0]
    assert bitcoin["to"].to_list() == [10.0, 20.0, 30.0, 40.0, 50.0, math.inf]
    assert set(frame["status"]) == {"published"} and set(frame["currency"]) == {"BTC", "USDT"}


def test_wrong_way_needs_positions_and_coins(make_account: Make, market: MarketSnapshot) -> None:
    with pytest.raises(DataGapError, match="has 1 positions, 0 coin balances"):
        wrong_way(make_account({"BTC-PERPETUAL": 10}, {"USDC": 1e3}), market, joint(0.5), {})
    with pytest.raises(ParameterError, match="haircut of ETH is 3"):
        wrong_way(make_account({"BTC-PERPETUAL": 10}, {"ETH": 1.0}), market, joint(0.5), {"ETH": 3})
