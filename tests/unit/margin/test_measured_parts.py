"""Parts of rules from a measure: subsamples, correlation break, stress period, worst-case correlation."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, PmkitWarning
from pmkit.estimation import worst_case_correlation
from pmkit.margin import (
    Account,
    AssembledRule,
    CorrelationBreak,
    MeasuredTail,
    PartCharge,
    PartInput,
    SpreadCost,
    StressPeriod,
    Subsamples,
    WorstCaseCorrelationMode,
    assembled_rule,
    rule,
    with_parts,
)
from pmkit.margin.addons.stress import _worst
from pmkit.margin.addons.tail import measured_tail
from pmkit.margin.engine.measure_rule import MeasureRule
from pmkit.margin.parameters import load_parameter_sets
from pmkit.market import load_history
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import value_at_risk

Make = Callable[..., Account]
HELD = {"BTC-PERPETUAL": 6_000, "ETH-PERPETUAL": -45_000}
STRESS: dict[str, Any] = {"start": "2020-02-15", "end": "2020-10-21", "level": 0.99, "mm_level": 0.975}
HISTORY = load_history("crypto-daily-2020-2023")


@pytest.fixture(autouse=True)
def _said_elsewhere() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        yield


def measured(name: str = "var-hs", **options: Any) -> MeasureRule:
    small = {"replications": 2} if name == "var-hs" else {"n_paths": 20_000, "vol_anchor": 0.5}
    made = rule(name, **{**small, **options})
    assert isinstance(made, MeasureRule)
    return made


BASE = measured()


def given_for(account: Account, market: MarketSnapshot, base: MeasureRule = BASE) -> PartInput:
    result = base.requirement(account, market)
    return PartInput(
        account=account,
        snapshot=market,
        result=result,
        im_usd=result.im_equity,
        requirement=lambda other: base.requirement(other, market).im_equity,
        tail=lambda: measured_tail(base, account, market, None),
    )


@pytest.fixture(scope="module")
def seen(market: MarketSnapshot, make_account: Make) -> PartInput:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        return given_for(make_account(HELD, {"BTC": 0.5}), market)


# -- what a part sees ---------------------------------------------------------------------------------------
def test_underlyings_add_up_to_the_account(seen: PartInput) -> None:
    parts = seen.measured.by_underlying()
    assert list(parts) == ["BTC", "ETH"]
    np.testing.assert_allclose(sum(parts.values()), seen.measured.pnl, rtol=1e-12, atol=1e-8)
    assert seen.measured.value(0.99) == seen.result.im
    assert seen.following("x", PartCharge(1.0, 0.5, {})).measured is seen.measured


def test_a_rule_without_a_measure_has_no_tail(seen: PartInput, market: MarketSnapshot) -> None:
    matrix = rule("deribit-pm", as_of="2024-06-10", stale="warn")
    with pytest.raises(ConventionError, match="deribit-pm is no rule from a risk measure"):
        with_parts(matrix, [Subsamples()]).requirement(
            replace(seen.account, portfolio=seen.account.portfolio.of_underlying("BTC")), market
        )
    hypothetical = replace(seen.measured.scenarios, dates=None)
    bare = MeasuredTail(**{**seen.measured.__dict__, "scenarios": hypothetical})
    with pytest.raises(ConventionError, match="not made of dated days"):
        bare.dates()


# -- subsamples ---------------------------------------------------------------------------------------------
def test_subsamples_share_no_day_and_combine_as_they_say(seen: PartInput) -> None:
    tail = seen.measured
    days = tail.dates()[0]
    by_hand = [max(value_at_risk(tail.pnl[days[:, 0] % 2 == j], 0.99).value, 0.0) for j in range(2)]
    for combine, joined in (
        ("mean", sum(by_hand) / 2.0),
        ("max", max(by_hand)),
        ("median", sum(by_hand) / 2),
    ):
        found = Subsamples(combine=combine).charge(seen)  # type: ignore[arg-type]
        assert found.im == pytest.approx(joined - seen.result.im, abs=1e-9)
        assert [found.figures[f"im of subsample {j + 1}"] for j in range(2)] == pytest.approx(by_hand)
    rows = np.flatnonzero((days[:, 0] % 2 == 0) & (np.arange(len(days)) < len(days) // 2))
    used = days[rows].ravel()
    assert len(set(used)) == len(used)


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_bounds_between_pooled_figure_and_subsamples(seen: PartInput, seed: int) -> None:
    """The largest VaR is not below the pooled one; the mean ES is not above it."""
    tail = seen.measured
    pnl = np.random.default_rng(seed).standard_t(3, size=len(tail.scenarios))
    for measure, combine, sign in (("VaR", "max", 1.0), ("ES", "mean", -1.0)):
        own = MeasuredTail(**{**tail.__dict__, "pnl": pnl, "measure": measure})
        other = replace(seen, tail=lambda own=own: own)
        assert sign * Subsamples(combine=combine).charge(other).im >= -1e-9  # type: ignore[arg-type]


def test_subsamples_of_one_day_and_of_drawn_paths(market: MarketSnapshot, make_account: Make) -> None:
    account = make_account(HELD)
    assert Subsamples().charge(given_for(account, market, measured(horizon_days=1))).im == 0.0
    with pytest.raises(ConventionError, match="paths of days drawn one by one: nothing overlaps"):
        Subsamples().charge(given_for(account, market, measured("es-fhs")))
    with pytest.raises(ParameterError, match="combine is 'min'"):
        Subsamples(combine="min")  # type: ignore[arg-type]


# -- correlation break --------------------------------------------------------------------------------------
def test_correlation_break_is_the_bounded_dispersion_of_windows(seen: PartInput) -> None:
    tail, part = seen.measured, CorrelationBreak(factor=1.0, low=0.0, high=9.0, level=0.95, step_days=200)
    days = tail.dates()[0]
    starts = range(0, len(HISTORY.returns(["BTC"])) - 250 + 1, 200)
    by_hand = []
    for start in starts:
        rows = (days[:, 0] >= start) & (days[:, 1] < start + 250)
        by_hand.append(max(value_at_risk(tail.pnl[rows], 0.95).value, 0.0))
    found = part.charge(seen)
    assert found.figures["windows"] == len(starts) == 7
    assert found.im == pytest.approx(float(np.std(by_hand, ddof=1)), rel=1e-12)
    assert found.mm == pytest.approx(found.im * seen.result.mm / seen.result.im, rel=1e-12)
    low = replace(part, factor=0.0, low=0.25).charge(seen)
    high = replace(part, factor=100.0, high=0.3).charge(seen)
    assert low.im == pytest.approx(0.25 * seen.result.im) and high.im == pytest.approx(0.3 * seen.result.im)


def test_a_correlation_that_goes_costs_more_than_one_that_stays(
    market: MarketSnapshot, make_account: Make
) -> None:
    """Two coins of constant volatility; from the middle on the second one goes its own way."""
    rng = np.random.default_rng(3)
    days = HISTORY.prices.index
    common, own = 0.03 * rng.standard_normal((2, len(days)))
    stays, goes = common, np.where(np.arange(len(days)) < len(days) // 2, common, own)
    part = CorrelationBreak(factor=1.0, low=0.0, high=10.0, level=0.95, step_days=50)
    charges = []
    for second in (stays, goes):
        prices = HISTORY.prices.copy()
        prices["BTC"], prices["ETH"] = 50_000.0 * np.exp(np.cumsum([common, second], axis=1))
        past = type(HISTORY).from_frame(prices)
        account = make_account({"BTC-PERPETUAL": 6_000, "ETH-PERPETUAL": -60_000})
        found = with_parts(measured(horizon_days=1), [part]).requirement(account, market, history=past)
        charges.append(found.addons["correlation break"])
    assert charges[1] > 5.0 * charges[0]


def test_correlation_break_on_filtered_paths_and_its_refusals(
    seen: PartInput, market: MarketSnapshot, make_account: Make
) -> None:
    base = measured("es-fhs")
    part = CorrelationBreak(factor=1.0, low=0.0, high=9.0, level=0.9, step_days=400)
    found = part.charge(given_for(make_account(HELD), market, base))
    assert 0.0 < found.figures["smallest"] <= found.figures["largest"] and found.im > 0.0
    with pytest.raises(DataGapError, match=r"holds \d+ scenarios; expected at least \d+, one beyond"):
        replace(part, level=0.9999).charge(seen)
    with pytest.raises(DataGapError, match="1460 days of history hold 1 windows of 1400 days"):
        replace(part, window_days=1400).charge(seen)
    nothing = CorrelationBreak(factor=1.0, low=0.1, high=0.3, level=0.95, step_days=200)
    flat = MeasuredTail(**{**seen.measured.__dict__, "pnl": np.zeros(len(seen.measured.scenarios))})
    assert nothing.charge(replace(seen, tail=lambda: flat))[:2] == (0.0, 0.0)


# -- stress period ------------------------------------------------------------------------------------------
def test_stress_period_is_the_measure_of_its_own_windows(seen: PartInput) -> None:
    part = StressPeriod(**STRESS, replications=1)
    found = part.charge(seen)
    assert found.figures["windows"] == 248.0
    floor = replace(seen, before={"other": PartCharge(1e9, 1e9, {})})
    assert part.charge(floor)[:2] == (0.0, 0.0)
    base = replace(seen, im_usd=0.0, result=replace(seen.result, im=0.0, mm=0.0))
    alone = part.charge(base)
    assert alone.im == pytest.approx(found.figures["stressed"]) and 0.0 < alone.mm <= alone.im
    half = StressPeriod(**STRESS, replications=1, combine="mean", share=0.5).charge(seen)
    assert half.im == pytest.approx(0.5 * (found.figures["stressed"] - seen.result.im))


def test_a_floor_binds_where_the_present_is_calm(market: MarketSnapshot, make_account: Make) -> None:
    account = make_account({"BTC-PERPETUAL": 6_000})
    calm = rule("es-fhs", n_paths=4_000, vol_anchor=0.2)
    found = with_parts(calm, [StressPeriod(**STRESS)]).requirement(account, market)
    stressed = found.figures["parts"]["stress period"]["stressed"]
    assert found.im == pytest.approx(stressed) and found.addons["stress period"] > 0.5 * stressed
    assert "PART-6" in set(found.explain()["clause"])
    wild = rule("es-fhs", n_paths=4_000, vol_anchor=2.0)
    assert (
        with_parts(wild, [StressPeriod(**STRESS)]).requirement(account, market).addons["stress period"] == 0
    )


def test_a_floor_counts_what_stands_before_it(seen: PartInput, market: MarketSnapshot) -> None:
    spread = SpreadCost(price_half_spread=0.05, vol_half_spread=0.0)
    floor = StressPeriod(**STRESS, share=3.0)
    before, after = (
        with_parts(BASE, parts).requirement(seen.account, market)
        for parts in ([spread, floor], [floor, spread])
    )
    assert before.im == pytest.approx(after.im - spread.charge(seen).im)
    effects = with_parts(BASE, [spread, floor]).effects(seen.account, market)
    effects.check()
    # the floor takes up what the other part leaves
    assert effects.table.loc["spread", "effect"] == pytest.approx(0.0, abs=1e-8)
    assert effects.table.loc["spread", "im"] > 0.0


def test_a_period_outside_the_history_is_refused(seen: PartInput) -> None:
    with pytest.raises(DataGapError, match=r"the history holds 20\d\d-\d\d-\d\d to 2023-12-31; expected"):
        StressPeriod(**{**STRESS, "start": "2008-09-01"}).charge(seen)
    for bad, text in (({"share": 0.0}, "share is 0.0"), ({"combine": "max"}, "combine is 'max'"),
                      ({"level": 0.3}, "level is 0.3"),
                      ({"combine": "mean", "share": 1.5}, "share is 1.5")):  # fmt: skip
        with pytest.raises(ParameterError, match=text):
            StressPeriod(**{**STRESS, **bad})


# -- worst-case correlation ---------------------------------------------------------------------------------
def test_no_stress_no_charge_full_stress_no_diversification(seen: PartInput) -> None:
    part = WorstCaseCorrelationMode(width=2.0, calm=0.5, tense=0.95, stress=0.0)
    assert part.charge(seen)[:2] == (0.0, 0.0)
    full = replace(part, stress=1.0).charge(seen)
    tail = seen.measured
    x = tail.by_underlying()
    sd = [math.sqrt(float(np.var(v))) for v in x.values()]
    alone = sum(tail.value(0.99, pnl=v) for v in x.values())
    spread = math.sqrt(float(np.var(sum(x.values()))))
    assert full.im == pytest.approx(alone / sum(sd) * (sum(sd) - spread), rel=1e-9)
    assert full.figures["sd, worst case"] == pytest.approx(sum(sd), rel=1e-9)


def test_charge_rises_with_stress_and_is_homogeneous(
    seen: PartInput, market: MarketSnapshot, make_account: Make
) -> None:
    part = WorstCaseCorrelationMode(width=0.8, calm=0.5, tense=0.95)
    charges = [replace(part, stress=s).charge(seen).im for s in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert charges == sorted(charges) and charges[0] == 0.0 < charges[1]
    double = given_for(make_account({k: 2 * q for k, q in HELD.items()}, {"BTC": 1.0}), market)
    assert replace(part, stress=0.5).charge(double).im == pytest.approx(2.0 * charges[2], rel=1e-9)
    one = given_for(make_account({"BTC-PERPETUAL": 600}), market)
    assert replace(part, stress=1.0).charge(one).im == 0.0


def test_measured_stress_is_the_rank_of_volatility(seen: PartInput) -> None:
    part = WorstCaseCorrelationMode(width=0.8, calm=0.0, tense=1.0)
    stress, figures = part.measured_stress(seen.measured)
    ranks = []
    for coin in ("BTC", "ETH"):
        vol = HISTORY.returns([coin])[coin].rolling(30).std().dropna() * math.sqrt(365.0)
        assert figures[f"volatility of {coin}"] == pytest.approx(vol.iloc[-1])
        ranks.append(float((vol <= vol.iloc[-1] * (1 + 1e-12)).mean()))
    assert stress == pytest.approx(sum(ranks) / 2.0)
    assert replace(part, calm=0.98).measured_stress(seen.measured)[0] == 0.0
    assert replace(part, tense=0.01).measured_stress(seen.measured)[0] == 1.0
    with pytest.raises(DataGapError, match="1460 daily returns of BTC; expected more than window_days 2000"):
        replace(part, window_days=2000).measured_stress(seen.measured)


def test_the_corner_of_the_box_is_the_optimum_where_it_is_legal() -> None:
    sd = np.array([1.0, 2.0, 0.5])
    R = np.array([[1.0, -0.2, 0.1], [-0.2, 1.0, 0.3], [0.1, 0.3, 1.0]])
    for box in (0.1, 0.6, 1.3):
        own = _worst(sd, R, box)
        full = worst_case_correlation(sd, R, box=box)
        assert float(sd @ own @ sd) == pytest.approx(full.value, rel=1e-6)
    # the corner is no correlation matrix here, so the solver's matrix is taken
    tied = np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.1], [0.0, 0.1, 1.0]])
    assert np.linalg.eigvalsh(np.minimum(tied + 0.4, 1.0))[0] < -1e-3
    found = _worst(sd, tied, 0.4)
    assert np.linalg.eigvalsh(found)[0] > -1e-8
    assert float(sd @ found @ sd) == pytest.approx(worst_case_correlation(sd, tied, box=0.4).value, rel=1e-9)


def test_bad_numbers_of_the_mode() -> None:
    for bad, text in (({"width": 2.5}, "width is 2.5"), ({"tense": 0.5}, "tense is 0.5"),
                      ({"stress": 1.5}, "stress is 1.5"),
                      ({"tenor_days": 0.0}, "tenor_days is 0.0")):  # fmt: skip
        with pytest.raises(ParameterError, match=text):
            WorstCaseCorrelationMode(**{"width": 0.5, "calm": 0.5, "tense": 0.9, **bad})


# -- designs ------------------------------------------------------------------------------------------------
PANEL = {**HELD, "BTC-28JUN24-65000-C": -3.0}
DESIGNS = {s.variant: s for s in load_parameter_sets("measure-design")}


def fast(base: str) -> dict[str, Any]:
    """Few scenarios, and a smile that the market of the tests, which has no surface, can follow."""
    size = {"replications": 1} if base == "var-hs" else {"n_paths": 4_000, "vol_anchor": 0.5}
    return {**size, "dynamics": "sticky_strike"}


def small(design: str, **options: Any) -> AssembledRule:
    table = DESIGNS[design].table("*")
    return assembled_rule(design, **{**fast(table.base), **options})


@pytest.mark.parametrize("design", DESIGNS)
def test_a_design_says_what_each_part_does(design: str, market: MarketSnapshot, make_account: Make) -> None:
    made = small(design)
    account = make_account(PANEL)
    found = made.requirement(account, market)
    found.check()
    assert {"eurex2026prisma", "elghaoui2003"} & set(found.references)
    assert found.param_set.endswith(f" + measure-design-{design}-2026-11")
    steps = found.explain()
    rows = steps[steps["what"].str.startswith("part: ")]
    assert list(rows["what"]) == [f"part: {p.name}" for p in made.parts] and set(rows["status"]) == {
        "assumed"
    }
    effects = made.effects(account, market)
    effects.check()
    assert list(effects.table.index) == ["base", *(p.name for p in made.parts), "all"]
    for part in (made.parts[0], made.parts[-1]):
        less = made.without(part.name).requirement(account, market)
        assert effects.table.loc[part.name, "effect"] == pytest.approx(found.im - less.im, abs=1e-8)


@pytest.mark.parametrize("design", DESIGNS)
def test_a_design_scales_with_the_book(design: str, market: MarketSnapshot, make_account: Make) -> None:
    one, two = (make_account({k: n * q for k, q in PANEL.items()}, {"BTC": 0.5 * n}) for n in (1, 2))
    made = small(design)
    single, double = made.requirement(one, market), made.requirement(two, market)
    assert (double.im, double.mm) == pytest.approx((2.0 * single.im, 2.0 * single.mm), rel=1e-9)
    for name, charge in single.addons.items():
        assert double.addons[name] == pytest.approx(2.0 * charge, rel=1e-9, abs=1e-9)


def design_figures(values: dict[str, Any], base: str, market: MarketSnapshot, account: Account) -> list[Any]:
    parameters = DESIGNS["prisma"].with_values("*", **values)
    result = assembled_rule("prisma", parameters=parameters, **fast(base)).requirement(account, market)
    return [result.im, result.mm, *result.addons.values(), *map(str, result.figures["parts"].values())]


def nested(key: str, **values: Any) -> dict[str, Any]:
    return {key: {**DESIGNS["prisma"].table("*").model_dump()[key], **values}}


#: every key of every part: the lowest and the highest sensible value, with what else must hold, and the sign
DESIGN_ENDS: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "base": ({"base": "var-hs", **nested("subsamples", on=False)},
             {"base": "es-fhs", **nested("subsamples", on=False)}, 0),
    "im_level": ({"im_level": 0.98, "mm_level": 0.975}, {"im_level": 0.995}, 1),
    "mm_level": ({"mm_level": 0.9}, {"mm_level": 0.99}, 1),
    "horizon_days": ({"horizon_days": 1}, {"horizon_days": 4}, 1),
    "subsamples.on": (nested("subsamples", on=False), nested("subsamples", on=True), 0),
    "subsamples.combine": (nested("subsamples", combine="mean"), nested("subsamples", combine="max"), 1),
    "correlation_break.on": (nested("correlation_break", on=False), nested("correlation_break"), 1),
    "correlation_break.factor": (nested("correlation_break", factor=0.0),
                                 nested("correlation_break", factor=100.0), 1),
    "correlation_break.low": (nested("correlation_break", low=0.0, factor=0.0),
                              nested("correlation_break", low=0.3, factor=0.0), 1),
    "correlation_break.high": (nested("correlation_break", low=0.0, high=0.0),
                               nested("correlation_break", high=100.0), 1),
    "correlation_break.level": (nested("correlation_break", level=0.6),
                                nested("correlation_break", level=0.99), 0),
    "correlation_break.window_days": (nested("correlation_break", window_days=50),
                                      nested("correlation_break", window_days=1000), -1),
    "correlation_break.step_days": (nested("correlation_break", step_days=5),
                                    nested("correlation_break", step_days=1000), 0),
    "stress_period.on": (nested("stress_period", on=False), nested("stress_period", share=1.0), 0),
    "stress_period.combine": (nested("stress_period", combine="floor", share=0.01),
                              nested("stress_period", combine="mean", share=0.01), 0),
    "stress_period.share": (nested("stress_period", combine="mean", share=1e-6),
                            nested("stress_period", combine="mean", share=1.0), 0),
    "stress_period.start": (nested("stress_period", start="2020-02-01"),
                            nested("stress_period", start="2020-04-01"), 0),
    "stress_period.end": (nested("stress_period", end="2020-06-01"),
                          nested("stress_period", end="2023-06-01"), 0),
    "stress_period.level": (nested("stress_period", combine="mean", level=0.98),
                            nested("stress_period", combine="mean", level=0.999), 1),
    "stress_period.mm_level": (nested("stress_period", combine="mean", mm_level=0.6),
                               nested("stress_period", combine="mean", mm_level=0.99), 1),
    "stress_period.replications": (nested("stress_period", replications=1),
                                   nested("stress_period", replications=50), 0),
    "worst_case.on": (nested("worst_case", on=False, calm=0.0, tense=0.01),
                      nested("worst_case", on=True, calm=0.0, tense=0.01), 1),
    "worst_case.width": (nested("worst_case", on=True, calm=0.0, tense=0.01, width=0.0),
                         nested("worst_case", on=True, calm=0.0, tense=0.01, width=2.0), 1),
    "worst_case.calm": (nested("worst_case", on=True, calm=0.0, tense=1.0),
                        nested("worst_case", on=True, calm=0.99, tense=1.0), -1),
    "worst_case.tense": (nested("worst_case", on=True, calm=0.0, tense=0.01),
                         nested("worst_case", on=True, calm=0.0, tense=1.0), -1),
    "worst_case.window_days": (nested("worst_case", on=True, calm=0.0, tense=1.0, window_days=2),
                               nested("worst_case", on=True, calm=0.0, tense=1.0, window_days=365), 0),
    "diversification_cap.on": (nested("diversification_cap", on=False, share=0.0),
                               nested("diversification_cap", on=True, share=0.0), 1),
    "diversification_cap.share": (nested("diversification_cap", on=True, share=0.0),
                                  nested("diversification_cap", on=True, share=1.0), -1),
    "spread.on": (nested("spread", on=False), nested("spread", on=True), 1),
    "spread.price_half_spread": (nested("spread", price_half_spread=0.0),
                                 nested("spread", price_half_spread=1.0), 1),
    "spread.vol_half_spread": (nested("spread", vol_half_spread=0.0),
                               nested("spread", vol_half_spread=100.0), 1),
}  # fmt: skip


def test_every_key_of_a_design_has_its_ends() -> None:
    keys = set()
    for key, value in DESIGNS["prisma"].table("*").model_dump().items():
        keys |= {f"{key}.{inner}" for inner in value} if isinstance(value, dict) else {key}
    # without a surface in the snapshot the tenor is not looked at; it has a case of its own
    assert set(DESIGN_ENDS) == keys - {"worst_case.tenor_days"}


@pytest.mark.parametrize("key", DESIGN_ENDS)
def test_lowest_and_highest_value_of_a_design(key: str, market: MarketSnapshot, make_account: Make) -> None:
    low, high, sign = DESIGN_ENDS[key]
    account = make_account(PANEL)
    got = [design_figures(values, values.get("base", "var-hs"), market, account) for values in (low, high)]
    assert all(math.isfinite(x) for found in got for x in found[:2])
    assert got[0] != got[1]
    assert sign == 0 or sign * (sum(got[1][:2]) - sum(got[0][:2])) > 0.0


def test_the_tenor_of_measured_stress(make_account: Make) -> None:
    from pmkit.market import load_snapshot

    snap = load_snapshot("deribit-btc-eth-2026-05-21")
    account = make_account(HELD, as_of="2026-05-21T10:04:00Z")
    part = WorstCaseCorrelationMode(width=2.0, calm=0.0, tense=1.0)
    got = [
        replace(part, tenor_days=d).measured_stress(given_for(account, snap).measured)[0]
        for d in (7.0, 200.0)
    ]
    assert got[0] != got[1]
    assert got[1] == pytest.approx(
        sum(
            float((HISTORY.returns([c])[c].rolling(30).std().dropna() * math.sqrt(365.0)
                   <= snap.atm_iv(c, 200.0)).mean())
            for c in ("BTC", "ETH")
        ) / 2.0
    )  # fmt: skip


def test_unknown_designs_and_bad_sets() -> None:
    with pytest.raises(ParameterError, match="unknown design 'stance'; expected one of stans, prisma"):
        assembled_rule("stance")
    with pytest.raises(ParameterError, match="unknown option 'paths' of var-hs"):
        assembled_rule("prisma", paths=3)
    for values, text in (
        (nested("stress_period", start="2020-13-01"), "month must be in 1..12"),
        (nested("stress_period", start="2022-01-01"), "start 2022-01-01 is not before end 2020-10-21"),
        (nested("stress_period", mm_level=0.999), "mm_level 0.999 is above level 0.99"),
        (nested("correlation_break", low=0.5), "low 0.5 is above high 0.3"),
        (nested("worst_case", calm=0.97), "calm 0.97 is not below tense 0.95"),
        ({"mm_level": 0.999}, "mm_level 0.999 is above im_level 0.99"),
    ):
        with pytest.raises(ParameterError, match=text):
            DESIGNS["prisma"].with_values("*", **values)
