"""Parts on top of a rule: formulas, switches, effects, memory of tools, refusals."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from scipy.stats import norm

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitWarning
from pmkit.instruments import Perpetual, Portfolio, Position
from pmkit.margin import (
    Account,
    AssembledRule,
    BasisRisk,
    Buffer,
    CollateralWrongWay,
    Concentration,
    Counterparty,
    DiversificationCap,
    LongWindowFloor,
    PartInput,
    SpreadCost,
    StressWeight,
    VolumeDays,
    compare,
    exposures,
    rule,
    with_parts,
    wrong_way,
)
from pmkit.margin.rule import AnyRule
from pmkit.market import datasets, load_snapshot
from pmkit.market.snapshot import MarketSnapshot
from pmkit.scenarios import Factor, ScenarioSet

Make = Callable[..., Account]
HELD = {"BTC-28JUN24-65000-C": -3, "BTC-PERPETUAL": 6_000, "BTC-28JUN24": -9_000}


@pytest.fixture(autouse=True)
def _said_elsewhere() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        yield


@pytest.fixture(scope="module")
def matrix() -> AnyRule:
    return rule("deribit-pm", as_of="2024-06-10", stale="warn")


def given_for(account: Account, market: MarketSnapshot, base: AnyRule) -> PartInput:
    result = base.requirement(account, market)
    return PartInput(
        account=account,
        snapshot=market,
        result=result,
        im_usd=result.im_equity * market.usd_price(result.numeraire),
        requirement=lambda other: base.requirement(other, market).im_equity * 60_000.0,
    )


def test_basis_part_reproduces_the_printed_figure(matrix: AnyRule, make_account: Make) -> None:
    # ten short contracts with a delta of 9704.9036898 USD together, at the least move of 0.2 %
    swap = Perpetual(
        name="BTC-USDT-SWAP",
        underlying="BTC",
        settlement="linear",
        settlement_currency="USDT",
        multiplier=0.01,
        lot=1.0,
    )
    price = 97_049.036898
    snap = MarketSnapshot.from_marks("2025-01-15T00:00:00Z", {"BTC": price})
    book = Portfolio(positions=(Position(instrument=swap, qty=-10.0),), as_of=snap.as_of)
    account = Account(portfolio=book)
    assert exposures(book, snap)["delta"].iloc[0] == pytest.approx(-9_704.9036898, rel=1e-10)
    given_ = PartInput(
        account=account, snapshot=snap, result=None, im_usd=0.0, requirement=lambda other: 0.0  # type: ignore[arg-type]
    )  # fmt: skip
    found = BasisRisk(annualised=0.05, minimum=0.002).charge(given_)
    assert found.im == pytest.approx(19.4098073796, rel=1e-9)


def test_diversification_cap_reproduces_the_worked_case() -> None:
    assert DiversificationCap(share=0.8).floor(180.0, 60.0) == pytest.approx(84.0)
    assert DiversificationCap(share=1.0).floor(180.0, 60.0) == pytest.approx(60.0)


def test_each_part_by_hand(make_account: Make, market: MarketSnapshot, matrix: AnyRule) -> None:
    account = make_account(HELD, {"BTC": 3.0})
    given_ = given_for(account, market, matrix)
    lines = exposures(account.portfolio, market)
    spread = SpreadCost(price_half_spread=0.001, vol_half_spread=0.5).charge(given_)
    futures = lines[lines["kind"] != "option"]["delta"].abs().sum()
    assert spread.im == pytest.approx(0.001 * futures + 0.5 * abs(lines.loc["BTC-28JUN24-65000-C", "vega"]))

    delta, volume = abs(lines["delta"].sum()), 1e5
    days = VolumeDays(daily_volume=volume, iv=0.6, horizon_days=2.0, participation=0.2).charge(given_)
    sale = delta / (0.2 * volume)
    longer = math.sqrt((2.0 + sale / 3.0) / 365.0) - math.sqrt(2.0 / 365.0)
    assert days.im == pytest.approx(delta * norm.ppf(0.99) * 0.6 * longer, rel=1e-12)
    assert days.figures["BTC days"] == pytest.approx(sale)

    free = 0.1 * volume
    some = Concentration(daily_volume=volume, threshold=0.1, rate=0.001, cap=1.0).charge(given_)
    assert some.im == pytest.approx(0.001 * (delta - free) ** 2 / free)
    capped = Concentration(daily_volume=volume, threshold=0.1, rate=0.001, cap=0.005).charge(given_)
    assert capped.im == pytest.approx(0.005 * (delta - free))
    assert Concentration(daily_volume=1e9, threshold=0.1, rate=0.001, cap=1.0).charge(given_).im == 0.0

    credit = Counterparty(multiplier=1.25, capital=10_000.0, share=0.5, stress_loss=1e6).charge(given_)
    assert credit.im == pytest.approx(0.25 * given_.im_usd + 1e6 - given_.im_usd - 5_000.0)
    assert credit.mm == pytest.approx(0.25 * given_.result.mm * 60_000.0)

    basis = BasisRisk(annualised=0.05, minimum=0.002).charge(given_)
    by_expiry = lines.groupby(lines["days"].fillna(0.0))["delta"].sum()
    expected = sum(abs(v) * max(0.05 * float(d) / 365.0, 0.002) for d, v in by_expiry.items())
    assert basis.im == pytest.approx(expected)


def test_parts_grow_as_they_should(make_account: Make, market: MarketSnapshot, matrix: AnyRule) -> None:
    one, two = (
        given_for(make_account({k: n * v for k, v in HELD.items()}, {"BTC": 9.0}), market, matrix)
        for n in (1, 2)
    )
    for part in (
        SpreadCost(price_half_spread=0.001, vol_half_spread=0.5),
        BasisRisk(annualised=0.1, minimum=0.0),
    ):
        assert part.charge(two).im == pytest.approx(2.0 * part.charge(one).im)
    for large in (
        VolumeDays(daily_volume=1e5, iv=0.6, horizon_days=2.0),
        Concentration(daily_volume=1e5, threshold=0.1, rate=0.001, cap=1.0),
    ):
        # neither homogeneous nor sub-additive: twice the position costs more than twice
        assert large.charge(two).im > 2.0 * large.charge(one).im


@pytest.fixture
def assembled(matrix: AnyRule) -> AssembledRule:
    parts = [
        SpreadCost(price_half_spread=0.001, vol_half_spread=0.5),
        BasisRisk(annualised=0.05, minimum=0.002),
        Counterparty(multiplier=1.1),
    ]
    return with_parts(matrix, parts, tools=[Buffer(size=0.25)])


def test_assembled_rule_adds_up_and_parts_switch_off(
    make_account: Make, market: MarketSnapshot, matrix: AnyRule, assembled: AssembledRule
) -> None:
    account = make_account(HELD, {"BTC": 3.0})
    base, found = matrix.requirement(account, market), assembled.requirement(account, market)
    found.check()
    charged = sum(found.addons[p.name] for p in assembled.parts)
    assert found.im == pytest.approx(1.25 * (base.im + charged), rel=1e-12)
    assert found.mm / found.im == pytest.approx(
        (base.mm + sum(c for c in _kept(assembled, account, market, matrix))) / (base.im + charged)
    )
    assert found.state == {"buffer": pytest.approx(found.im)}
    assert found.rule == "deribit-pm + spread + basis + counterparty + buffer"
    bare = assembled
    for name in ("spread", "basis", "counterparty", "buffer"):
        bare = bare.without(name)
    plain = bare.requirement(account, market)
    assert (plain.im, plain.mm, plain.addons) == (base.im, base.mm, base.addons)
    assert set(found.explain()["clause"]) >= {"PART-1", "PART-2", "PART-3"}
    effects = assembled.effects(account, market)
    effects.check()
    assert effects.table.loc["all", "im"] == pytest.approx(found.im)
    assert effects.table.loc["spread", "effect"] == pytest.approx(1.25 * found.addons["spread"])
    assert effects.plot().get_xlabel() == "BTC"


def _kept(one: AssembledRule, account: Account, market: MarketSnapshot, base: AnyRule) -> list[float]:
    given_ = given_for(account, market, base)
    return [p.charge(given_).mm / 60_000.0 for p in one.parts]


def test_tools_remember_through_the_state(
    make_account: Make, market: MarketSnapshot, assembled: AssembledRule
) -> None:
    account = make_account(HELD, {"BTC": 3.0})
    first = assembled.requirement(account, market)
    again = assembled.requirement(account, market, state={"buffer": 0.0})
    assert again.im == pytest.approx(first.im / 1.25)
    assert assembled.requirement(account, market, state=first.state).im == pytest.approx(first.im)


def test_stressed_and_long_window_rules_feed_their_tools(
    make_account: Make, market: MarketSnapshot, matrix: AnyRule
) -> None:
    account = make_account(HELD, {"BTC": 3.0})
    own = matrix.requirement(account, market).im
    harder = matrix.parameter_set(market, "BTC").with_values("BTC", price_range=0.3, volatility_range_up=0.9)
    stressed = rule("deribit-pm", as_of="2024-06-10", stale="warn", parameters=(harder,))
    high = stressed.requirement(account, market).im
    assert high > own
    blended = with_parts(matrix, tools=[StressWeight(weight=0.25)], stressed=stressed)
    assert blended.requirement(account, market).im == pytest.approx(0.75 * own + 0.25 * high)
    floored = with_parts(matrix, tools=[LongWindowFloor()], long_window=stressed)
    assert floored.requirement(account, market).im == pytest.approx(high)
    with pytest.raises(ConventionError, match="the stressed margin is in USD"):
        in_usd = rule("leverage-brackets", as_of="2024-06-10", stale="warn")
        bare = make_account({}, {"BTC": 3.0})
        with_parts(matrix, tools=[StressWeight()], stressed=in_usd).requirement(bare, market)
    with pytest.raises(DataGapError, match="no stressed margin"):
        with_parts(matrix, tools=[StressWeight()]).requirement(account, market)


def test_wrong_way_part_is_the_shortfall_and_is_refused_where_collateral_is_revalued(
    make_account: Make, market: MarketSnapshot, matrix: AnyRule
) -> None:
    account = make_account({"BTC-PERPETUAL": 6_000}, {"BTC": 1.0})
    moves = ScenarioSet(
        name="ladder",
        factors=(Factor("spot", "BTC"),),
        shocks=[[-0.2 + 0.01 * i] for i in range(41)],
        horizon_days=0.0,
        dynamics="sticky_strike",
    )
    part = CollateralWrongWay(scenarios=moves, haircuts={"BTC": 0.02}, level=0.9)
    found = with_parts(matrix, [part]).requirement(account, market)
    exact = wrong_way(account, market, moves, {"BTC": 0.02}, level=0.9).shortfall
    assert exact > 0.0 and found.addons["wrong way"] == pytest.approx(exact / 60_000.0)
    given_ = given_for(account, market, matrix)
    moving = replace(given_, result=replace(given_.result, collateral_treatment="revalued"))
    with pytest.raises(ConventionError, match="which revalues collateral"):
        part.charge(moving)


def test_diversification_cap_needs_two_underlyings(
    make_account: Make, market: MarketSnapshot, matrix: AnyRule
) -> None:
    one = given_for(make_account({"BTC-PERPETUAL": 600}, {"BTC": 1.0}), market, matrix)
    assert DiversificationCap().charge(one).im == 0.0
    account = make_account({"BTC-PERPETUAL": 600, "ETH-PERPETUAL": -600}, {"BTC": 1.0})
    parts = {"BTC": 100.0, "ETH": 80.0}
    two = PartInput(
        account=account,
        snapshot=market,
        result=one.result,
        im_usd=60.0,
        requirement=lambda other: parts[other.portfolio.underlyings[0]],
    )
    found = DiversificationCap(share=0.8).charge(two)
    assert found.im == pytest.approx(24.0) and found.figures == {"alone": 180.0, "joint": 60.0}


def test_compare_takes_an_assembled_rule(
    make_account: Make, market: MarketSnapshot, matrix: AnyRule, assembled: AssembledRule
) -> None:
    account = make_account(HELD, {"BTC": 3.0})
    lines = assembled.line_im_equity(account, market)
    assert (lines > matrix.line_im_equity(account, market)).all()
    moves = ScenarioSet(
        name="two",
        factors=(Factor("spot", "BTC"),),
        shocks=[[-0.1], [0.1]],
        horizon_days=0.0,
        dynamics="sticky_strike",
    )
    found = compare(account, market, [assembled, matrix], common=moves)
    assert found.summary()["im_equity"].is_monotonic_decreasing


def test_a_rule_from_a_measure_takes_parts_and_says_what_each_does() -> None:
    snap = load_snapshot("deribit-btc-2026-08-01")
    account = Account.from_csv(datasets.path("account-short-straddle"))
    parts = [
        SpreadCost(price_half_spread=0.0002, vol_half_spread=0.5),
        VolumeDays(daily_volume=1e8, iv=0.5, horizon_days=2.0),
        BasisRisk(annualised=0.05, minimum=0.002),
        Counterparty(multiplier=1.0, capital=1e5, share=0.1),
    ]
    found = with_parts("var-hs", parts, stale="warn").effects(account, snap)
    found.check()
    assert (found.table["im"] >= 0.0).all()
    for part in parts:
        # parts do not see one another: each takes its own charge away with it
        assert found.table.loc[part.name, "effect"] == pytest.approx(found.table.loc[part.name, "im"])


BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (
        lambda: SpreadCost(price_half_spread=-0.1, vol_half_spread=0.0),
        ParameterError,
        "price_half_spread is -0.1",
    ),
    (lambda: VolumeDays(daily_volume=1.0, iv=0.5, horizon_days=-1.0), ParameterError, "horizon_days is -1.0"),
    (
        lambda: Concentration(daily_volume=1.0, threshold=0.0, rate=0.1, cap=0.1),
        ParameterError,
        "threshold is 0.0",
    ),
    (lambda: Counterparty(multiplier=0.9), ParameterError, "multiplier is 0.9"),
    (lambda: BasisRisk(annualised=-0.1, minimum=0.0), ParameterError, "annualised is -0.1"),
    (lambda: DiversificationCap(share=80), ParameterError, "share of diversification is 80"),
    (lambda: with_parts("es-fhs", [BasisRisk(annualised=0.1, minimum=0.0)] * 2), ParameterError, "two parts"),
    (lambda: with_parts("es-fhs").without("basis"), ParameterError, "no part 'basis'"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_bad_input_is_named(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()


def test_missing_volumes_and_several_numeraires_are_named(
    make_account: Make, market: MarketSnapshot, matrix: AnyRule
) -> None:
    account = make_account(HELD, {"BTC": 3.0})
    part = VolumeDays(daily_volume={"ETH": 1e9}, iv=0.6, horizon_days=2.0)
    with pytest.raises(DataGapError, match="no daily volume of BTC"):
        with_parts(matrix, [part]).requirement(account, market)
    bare = Counterparty(capital=0.0)
    standard = rule("deribit-standard", as_of="2024-06-10", stale="warn")
    with pytest.raises(DataGapError, match="deribit-standard has no scenarios"):
        with_parts(standard, [bare]).requirement(account, market)
    both = make_account({"BTC-PERPETUAL": 600, "ETH-PERPETUAL": 600}, {"BTC": 1.0, "ETH": 10.0})
    newer = rule("deribit-pm", as_of="2026-02-01", stale="warn")
    with pytest.raises(ConventionError, match="answers coin by coin: BTC, ETH"):
        with_parts(newer, [bare]).requirement(both, market)
