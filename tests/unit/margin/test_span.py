"""SPAN: spreads, delivery, credits, files, properties, every key, named refusals."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    ParameterError,
    RuleVersionError,
    SchemaError,
)
from pmkit.instruments import (
    Future,
    Instrument,
    Option,
    Portfolio,
    Position,
    listed_future,
    listed_option,
    stock,
)
from pmkit.margin import Account, MarginResult, rule
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.margin.rules.span import RiskArray, RiskArrays, delivery_charge, intermonth_charge
from pmkit.margin.rules.span.spreads import MonthDelta
from pmkit.margin.schemas import IntermonthSpread, SpanParameters, SpreadLeg
from pmkit.market.history import PriceHistory
from pmkit.market.snapshot import MarketSnapshot

NOW = pd.Timestamp("2018-06-01T20:00:00Z")
SET = load_parameter_sets("span")[0]
DAYS = {"near": 20.0, "middle": 60.0, "far": 300.0}
EXPIRY = {word: NOW + pd.Timedelta(days=days) for word, days in DAYS.items()}
SPOT = {"ES": 2800.0, "NQ": 7000.0}


def future(word: str, underlying: str = "ES") -> Future:
    return listed_future(underlying, EXPIRY[word], multiplier=50.0)


def option(word: str, strike: float, is_call: bool, underlying: str = "ES") -> Option:
    return listed_option(underlying, EXPIRY[word], strike, is_call, multiplier=50.0)


CONTRACTS: tuple[Instrument, ...] = (
    future("near"), future("far"), option("near", 2900.0, True), option("near", 2700.0, False),
    option("far", 3000.0, True), future("near", "NQ"),
)  # fmt: skip
MARKET = MarketSnapshot.from_marks(
    NOW,
    SPOT,
    forwards={u: {e.isoformat(): s for e in EXPIRY.values()} for u, s in SPOT.items()},
    option_iv={
        option(word, strike, call).name: 0.15 + 0.1 * abs(strike / 2800.0 - 1.0)
        for word in DAYS
        for strike in (2500.0, 2700.0, 2800.0, 2900.0, 3000.0, 3300.0)
        for call in (True, False)
    },
)


def account(*held: tuple[Instrument, float], collateral: dict[str, float] | None = None) -> Account:
    positions = tuple(Position(instrument=i, qty=q) for i, q in held)
    return Account(portfolio=Portfolio(positions=positions, as_of=NOW), collateral=collateral or {})


def run(*held: tuple[Instrument, float], parameters: ParameterSet = SET, **options: Any) -> MarginResult:
    found = rule("span", parameters=(parameters,), **options).requirement(account(*held), MARKET)
    assert isinstance(found, MarginResult)
    found.check()
    return found


# -- spreads ------------------------------------------------------------------------------------------------
def leg(start: float, end: float, side: str, ratio: float = 1.0) -> SpreadLeg:
    return SpreadLeg(from_days=start, to_days=end, side=side, ratio=ratio)  # type: ignore[arg-type]


def test_spreads_are_formed_in_order_and_both_ways() -> None:
    near_far = IntermonthSpread(rate=100.0, legs=(leg(0.0, 40.0, "A"), leg(40.0, 400.0, "B")))
    within = IntermonthSpread(rate=10.0, legs=(leg(40.0, 400.0, "A"), leg(40.0, 400.0, "B")))
    months = [MonthDelta(20.0, -5.0), MonthDelta(60.0, 3.0), MonthDelta(300.0, -1.0)]
    charge, left, formed = intermonth_charge(months, (near_far, within))
    # three spreads short near against long middle use the middle month up, so none is left within the tier
    assert charge == 300.0 and [(f.row, f.units) for f in formed] == [(0, 3.0)]
    assert [m.spread for m in left] == [3.0, 3.0, 0.0]
    charge, _, formed = intermonth_charge(months, (within, near_far))
    assert charge == 10.0 + 200.0 and [(f.row, f.units) for f in formed] == [(0, 1.0), (1, 2.0)]


def test_ratios_and_butterflies_of_months() -> None:
    fly = IntermonthSpread(
        rate=7.0, legs=(leg(0.0, 40.0, "A"), leg(40.0, 100.0, "B", 2.0), leg(100.0, 400.0, "A"))
    )
    months = [MonthDelta(20.0, 4.0), MonthDelta(60.0, -5.0), MonthDelta(300.0, 3.0)]
    charge, left, _ = intermonth_charge(months, (fly,))
    assert charge == 7.0 * 2.5 and [m.spread for m in left] == [2.5, 5.0, 2.5]


def test_legs_on_the_same_months_share_their_deltas() -> None:
    twice = IntermonthSpread(rate=1.0, legs=(leg(0.0, 40.0, "A"), leg(0.0, 40.0, "A"), leg(40.0, 400.0, "B")))
    charge, left, _ = intermonth_charge([MonthDelta(20.0, 3.0), MonthDelta(60.0, -9.0)], (twice,))
    assert charge == 1.5 and [m.spread for m in left] == [3.0, 1.5]


def test_delivery_charges_spread_and_outright_deltas() -> None:
    table = SET.with_values(
        "ES", delivery_days=30.0, delivery_spread_rate=5.0, delivery_outright_rate=20.0
    ).table("ES")
    months = [MonthDelta(20.0, -5.0, 3.0), MonthDelta(60.0, 3.0, 3.0)]
    assert delivery_charge(table, months) == 5.0 * 3.0 + 20.0 * 2.0


def test_calendar_is_charged_for_its_months() -> None:
    found = run((future("near"), 4.0), (future("far"), -3.0))
    parts = found.figures["commodities"].loc["ES"]
    assert parts["intermonth"] == pytest.approx(3.0 * 150.0)
    assert parts["scan"] == pytest.approx(0.06 * 2800.0 * 50.0, rel=1e-12)
    assert found.mm == pytest.approx(parts["scan"] + 450.0, rel=1e-12)


# -- files --------------------------------------------------------------------------------------------------
def test_arrays_go_through_a_file_bit_by_bit(tmp_path: Path) -> None:
    made = rule("span", parameters=(SET,))
    held = account(*((i, 1.0) for i in CONTRACTS))
    arrays = made.risk_arrays(held.portfolio, MARKET)
    file = tmp_path / "arrays.csv"
    arrays.to_csv(file)
    again = RiskArrays.from_csv(file)
    assert again == arrays and again.fingerprint == arrays.fingerprint
    given = rule("span", parameters=(SET,), arrays=again)
    assert given.requirement(held, MARKET).im == made.requirement(held, MARKET).im
    assert given.requirement(held, MARKET).provenance.data["arrays"]
    assert arrays.summary().shape == (6, 3) and arrays.to_frame().shape == (6, 17)
    assert arrays.plot().get_xlabel() == "scenario"
    assert arrays.to_dict()[CONTRACTS[0].name]["delta"] == 1.0


HEADER = "instrument,delta," + ",".join(f"s{i}" for i in range(1, 17))
ROW = "ES-1,1.0" + ",0" * 16


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", SchemaError, "columns none; expected columns instrument, delta, s1"),
        ("a,b\n", SchemaError, "row 1: columns a, b"),
        (HEADER, DataGapError, "no risk array"),
        (f"{HEADER}\nES,1.0", SchemaError, "row 2: 2 cells; expected 18 cells"),
        (f"{HEADER}\n{ROW}\n{ROW}", SchemaError, "row 3: 'ES-1' once more"),
        (f"{HEADER}\n{ROW[:-1]}x", SchemaError, "row 2, column 's16': found 'x'; expected a finite number"),
        (f"{HEADER}\n{ROW[:-1]}nan", SchemaError, "leave the contract out"),
    ],
)
def test_bad_files(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    file = tmp_path / "a.csv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=message):
        RiskArrays.from_csv(file)


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(DataGapError, match="no file"):
        RiskArrays.from_csv(tmp_path / "none.csv")
    file = tmp_path / "b.csv"
    file.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(SchemaError, match="not UTF-8"):
        RiskArrays.from_csv(file)


# -- properties ---------------------------------------------------------------------------------------------
QUANTITIES = st.lists(st.integers(-3, 3), min_size=6, max_size=6)


def risk(quantities: list[int] | list[float]) -> float:
    held = [(i, float(q)) for i, q in zip(CONTRACTS, quantities, strict=True)]
    return run(*held).mm_equity


@settings(max_examples=15)
@given(QUANTITIES, st.integers(2, 4))
def test_positively_homogeneous(quantities: list[int], times: int) -> None:
    assert risk([times * q for q in quantities]) == pytest.approx(
        times * risk(quantities), rel=1e-10, abs=1e-7
    )


@settings(max_examples=15)
@given(QUANTITIES, QUANTITIES)
def test_scan_risk_alone_is_subadditive(a: list[int], b: list[int]) -> None:
    bare = SET.with_values("ES", intermonth=(), intercommodity=(), short_option_minimum=0.0).with_values(
        "NQ", intermonth=(), short_option_minimum=0.0
    )

    def scan(q: list[int]) -> float:
        held = [(i, float(x)) for i, x in zip(CONTRACTS, q, strict=True)]
        return run(*held, parameters=bare).mm_equity

    both = scan([x + y for x, y in zip(a, b, strict=True)])
    assert both <= scan(a) + scan(b) + 1e-7


def test_credits_break_subadditivity_and_convexity() -> None:
    # a position of small risk and large delta takes the credit of a spread away
    a, b, odd = future("near"), future("near", "NQ"), option("near", 2700.0, False)
    steps = (0, 0, -1, -1, 1, 1, -2, -2, 2, 2, -3, -3, 3, 3, 0, 0)
    arrays = {
        a.name: RiskArray(tuple(300.0 * x for x in steps), 1.0),
        b.name: RiskArray(tuple(300.0 * x for x in steps), 1.0),
        odd.name: RiskArray((10.0,) * 16, -1.0),
    }
    bare = SET.with_values("ES", intermonth=(), short_option_minimum=0.0)

    def need(*held: tuple[Instrument, float]) -> float:
        given = {i.name: arrays[i.name] for i, _ in held}
        return run(*held, parameters=bare, arrays=given).mm_equity

    spread, alone = need((a, 1.0), (b, -1.0)), need((odd, 1.0))
    assert (spread, alone) == pytest.approx((720.0, 10.0))
    assert need((a, 1.0), (b, -1.0), (odd, 1.0)) == pytest.approx(1810.0)


def test_a_long_option_can_raise_the_risk() -> None:
    assert run((option("near", 2900.0, True), 1.0)).mm_equity > 0.0


def test_requirement_can_be_negative_where_long_options_are_worth_more() -> None:
    found = run((option("far", 2500.0, True), 1.0), parameters=SET.with_values("ES", price_scan_rate=0.01))
    assert found.mm < 0.0 < found.mm_equity
    assert found.mm_equity == pytest.approx(found.figures["commodities"].loc["ES", "risk"], rel=1e-12)


# -- every key ----------------------------------------------------------------------------------------------
LONG = ((future("near"), 1.0),)
FAR = ((future("far"), 1.0),)
STRADDLE = ((option("near", 2800.0, True), -1.0), (option("near", 2800.0, False), -1.0))
WING = ((option("near", 3300.0, True), -1.0),)
CALENDAR = ((future("near"), 1.0), (future("far"), -1.0))
OPTIONS = ((option("near", 2900.0, True), 5.0), (option("far", 3000.0, True), -5.0))
LONG_CALL = ((option("far", 2800.0, True), 1.0),)
NO_TAIL = {"covered_fraction": 0.0}
PAIR = ((future("near"), 1.0), (future("near", "NQ"), -1.0))
TWO_SHORT = ((option("near", 3300.0, True), -1.0), (option("near", 2500.0, False), -1.0))
BARE: dict[str, Any] = {"intermonth": (), "intercommodity": (), "short_option_minimum": 0.0}
SPREADS = SET.table("ES").intermonth
CREDIT = ({"other": "NQ", "ratio": 1.0, "other_ratio": 1.0, "rate": 0.6, "same_side": False},)
HISTORY = PriceHistory.from_frame(
    pd.DataFrame(
        {"ES": 2700.0 * np.exp(np.cumsum(0.002 * np.arange(1.0, 41.0) * np.resize([1.0, -1.0], 40) / 4.0))},
        index=pd.date_range("2018-04-20", periods=40),
    ).loc[:"2018-05-31"],
    calendar="every day",
)
VOL = {"sigma": {"ES": 0.01}}
#: key: lowest, highest, direction (0: any change), legs, other values, options
EXTREMES: dict[
    str, tuple[Any, Any, int, tuple[tuple[Instrument, float], ...], dict[str, Any], dict[str, Any]]
] = {
    "price_scan_rate": (0.001, 0.3, 1, LONG, {}, {}),
    "price_scan_points": (0.0, 500.0, 1, LONG, {}, {}),
    "price_scan_sigmas": (0.0, 20.0, 1, LONG, {}, VOL),
    "price_scan_days": (1.0, 10.0, 1, LONG, {"price_scan_sigmas": 7.0}, VOL),
    "price_scan_far_rate": (0.0, 0.3, 1, FAR, {}, {}),
    "far_from_days": (1.0, 4000.0, -1, FAR, {"price_scan_far_rate": 0.3}, {}),
    "vol_scan": (0.0, 1.0, 1, STRADDLE, NO_TAIL, {}),
    "vol_scan_unit": ("relative", "absolute", 1, STRADDLE, NO_TAIL, {}),
    "vol_scan_floor": (0.0, 0.5, 1, STRADDLE, NO_TAIL, {}),
    "realised_vol_decay": (0.5, 0.999, 0, LONG, {"price_scan_sigmas": 5.0}, {"history": HISTORY}),
    "extreme_multiplier": (1.0, 5.0, 1, WING, {}, {}),
    "covered_fraction": (0.0, 1.0, 1, WING, {}, {}),
    "lookahead_days": (0.0, 30.0, 1, LONG_CALL, {}, {}),
    "days_per_year": (250.0, 366.0, -1, LONG_CALL, {"lookahead_days": 30.0}, {}),
    "delta_weights": ((1.0, 0.0, 0.0, 0.0), (0.2, 0.2, 0.2, 0.1), 0, OPTIONS, {"intermonth": SPREADS}, {}),
    "delta_scale": (0.1, 5.0, 1, CALENDAR, {"intermonth": SPREADS}, {}),
    "intermonth": ((), SPREADS, 1, CALENDAR, {}, {}),
    "delivery_days": (0.0, 100.0, 1, LONG, {"delivery_outright_rate": 10.0}, {}),
    "delivery_spread_rate": (0.0, 100.0, 1, CALENDAR, {"delivery_days": 30.0, "intermonth": SPREADS}, {}),
    "delivery_outright_rate": (0.0, 100.0, 1, LONG, {"delivery_days": 30.0}, {}),
    "intercommodity": ((), CREDIT, -1, PAIR, {}, {}),
    "short_option_minimum": (0.0, 1e5, 1, WING, {}, {}),
    "short_option_method": ("greater", "sum", 1, TWO_SHORT, {"short_option_minimum": 1e5}, {}),
    "exposure_rate": (0.0, 1.0, 1, LONG, {}, {}),
    "exposure_deep_otm_rate": (0.0, 1.0, 1, WING, {}, {}),
    "exposure_far_rate": (0.0, 1.0, 1, FAR, {}, {}),
    "exposure_expiry_day_rate": (0.0, 1.0, 1, (), {}, {}),
    "deep_otm_from": (0.0, 1.0, -1, WING, {"exposure_deep_otm_rate": 0.03}, {}),
    "im_factor": (1.0, 3.0, 1, LONG, {}, {}),
}


def test_every_key_is_covered() -> None:
    assert set(EXTREMES) == set(SpanParameters.model_fields)


@pytest.mark.parametrize("key", list(EXTREMES))
def test_every_key_moves_a_case_in_its_direction(key: str) -> None:
    low, high, sign, held, others, options = EXTREMES[key]
    snapshot, now = MARKET, NOW
    if key == "exposure_expiry_day_rate":
        now = EXPIRY["near"] - pd.Timedelta(hours=10)
        snapshot = MarketSnapshot.from_marks(
            now,
            SPOT,
            forwards={"ES": {EXPIRY["near"].isoformat(): 2800.0}},
            option_iv=dict(MARKET.market("ES").option_iv),
        )
        held = WING
    history = options.get("history")
    given = {k: v for k, v in options.items() if k != "history"}
    got = []
    for value in (low, high):
        values = {**BARE, **others, key: value}
        made = rule("span", parameters=(SET.with_values("ES", **values),), **given)
        positions = tuple(Position(instrument=i, qty=q) for i, q in held)
        book = Account(portfolio=Portfolio(positions=positions, as_of=now))
        got.append(made.requirement(book, snapshot, history=history).im)
    assert abs(got[1] - got[0]) > 1e-3 and sign * (got[1] - got[0]) >= 0.0


def test_vol_scan_of_realised_vol() -> None:
    values = {**BARE, **NO_TAIL, "vol_scan": 0.25, "vol_scan_unit": "of realised vol"}
    low, high = (
        run(*STRADDLE, parameters=SET.with_values("ES", **values), sigma={"ES": s}).mm_equity
        for s in (0.005, 0.02)
    )
    assert high > low


def test_realised_vol_of_a_history_is_the_recursion() -> None:
    prices = HISTORY.prices["ES"].to_numpy()
    variance = math.nan
    for r in np.diff(np.log(prices)):
        variance = r * r if math.isnan(variance) else 0.995 * variance + 0.005 * r * r
    values = {**BARE, "price_scan_rate": 0.0, "price_scan_sigmas": 6.0, "price_scan_days": 2.0}
    made = rule("span", parameters=(SET.with_values("ES", **values),))
    found = made.requirement(account(*LONG), MARKET, history=HISTORY)
    expected = 6.0 * math.sqrt(2.0 * variance) * 2800.0 * 50.0
    assert found.mm == pytest.approx(expected, rel=1e-12)
    assert found.provenance.data["history"] == HISTORY.fingerprint


# -- refusals -----------------------------------------------------------------------------------------------
def test_missing_volatility_is_not_a_floor() -> None:
    values = SET.with_values("ES", price_scan_sigmas=6.0)
    with pytest.raises(DataGapError, match="no daily volatility of ES; expected sigma="):
        run(*LONG, parameters=values)
    with pytest.raises(ParameterError, match=r"sigma of ES is 0\.0"):
        run(*LONG, parameters=values, sigma={"ES": 0.0})


def test_inputs_of_what_is_not_held() -> None:
    with pytest.raises(SchemaError, match="sigma for 'SP'; expected one of ES"):
        run(*LONG, sigma={"SP": 0.01})
    with pytest.raises(SchemaError, match="risk array for 'ES-X'"):
        run(*LONG, arrays={"ES-X": RiskArray((0.0,) * 16, 1.0)})
    with pytest.raises(SchemaError, match="has 15 losses; expected sixteen finite losses"):
        RiskArrays(arrays={"ES": RiskArray((0.0,) * 15, 1.0)})
    with pytest.raises(SchemaError, match="is list; expected the entries losses and delta"):
        run(*LONG, arrays={LONG[0][0].name: [0.0] * 16})


def test_prices_below_zero_are_refused() -> None:
    values = SET.with_values("ES", price_scan_rate=0.4)
    with pytest.raises(ParameterError, match="takes ES-21JUN18 from 2800 to -560"):
        run(*LONG, parameters=values)


def test_contracts_currencies_and_dates() -> None:
    with pytest.raises(ConventionError, match="linear spot settled in USD; expected futures and options"):
        rule("span").requirement(account((stock("ES"), 1.0)), MARKET)
    rupees = listed_future("NIFTY", EXPIRY["near"], multiplier=75.0, currency="INR")
    with pytest.raises(ConventionError, match="settled in INR; expected futures and options settled in USD"):
        rule("span").requirement(account((rupees, 1.0)), MARKET)
    with pytest.raises(RuleVersionError, match="no parameter set of span variant 'cme' for ZN"):
        rule("span").requirement(
            account((listed_future("ZN", EXPIRY["near"], multiplier=1000.0), 1.0)),
            MarketSnapshot.from_marks(
                NOW, {"ZN": 110.0}, forwards={"ZN": {EXPIRY["near"].isoformat(): 110.0}}
            ),
        )
    with pytest.raises(RuleVersionError, match="no parameter set of span"):
        rule("span", variant="nse", as_of="2020-01-01")


def month(start: float, end: float, side: str) -> dict[str, Any]:
    return {"from_days": start, "to_days": end, "side": side, "ratio": 1.0}


def spreads(*legs: dict[str, Any]) -> dict[str, Any]:
    return {"intermonth": ({"rate": 1.0, "legs": list(legs)},)}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (spreads(month(0, 9, "A"), month(9, 20, "A")), "legs are not on both sides"),
        (spreads(month(9, 9, "A"), month(9, 20, "B")), "to_days 9 is not above from_days 9"),
        (spreads(month(0, 9, "A"), month(5, 20, "A"), month(5, 20, "B")), "two legs of one side overlap"),
        ({"price_scan_rate": 0.0}, "are all 0"),
        ({"covered_fraction": 1.5}, "less than or equal to 1"),
        ({"im_factor": 0.5}, "greater than or equal to 1"),
        ({"short_option_method": "mean"}, "'sum' or 'greater'"),
    ],
)
def test_parameters_out_of_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        SET.with_values("ES", **values)


def test_explanation_and_cash() -> None:
    found = rule("span", parameters=(SET,)).requirement(
        account(*((i, -1.0) for i in CONTRACTS), collateral={"USD": 5e4}), MARKET
    )
    clauses = set(found.explain()["clause"])
    assert {f"SPN-{i}" for i in (6, 7, 8, 9, 10, 11, 12, 13)} == clauses
    assert found.equity == pytest.approx(5e4 + found.net_option_value, rel=1e-12)
    cash = rule("span").requirement(account(collateral={"USD": 10.0}), MARKET)
    assert (cash.im, cash.mm, cash.equity) == (0.0, 0.0, 10.0)
