"""Derive's rules beyond their published cases: properties, every parameter used, named refusals."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    LookAheadError,
    ParameterError,
    PmkitError,
    RuleVersionError,
    SchemaError,
)
from pmkit.core.types import FloatArray
from pmkit.instruments import Future, Option, Perpetual, Portfolio, Position
from pmkit.margin import Account, CollateralFeed, ExpiryFeed, Feeds, MarginResult, UnderlyingFeed, rule
from pmkit.margin.parameters import ParameterSet, load_parameter_sets, parse_parameter_sets
from pmkit.margin.rule import default_rules
from pmkit.margin.rules.derive_pmrm_v1 import DerivePmrmV1
from pmkit.margin.rules.derive_pmrm_v2 import DerivePmrmV2
from pmkit.margin.rules.derive_srm import DeriveSrm
from pmkit.margin.schemas import SCHEMAS
from pmkit.market.snapshot import MarketSnapshot

NOW = pd.Timestamp("2026-01-21T00:00:00Z")
SPOT = {"ETH": 3000.0, "BTC": 90_000.0}
SECONDS = {"5m": 300, "15m": 900, "12h": 43_200, "9d": 777_600, "60d": 5_184_000, "1y": 31_536_000}
NAMES = ("derive-pmrm-v1", "derive-pmrm-v2", "derive-srm")
KINDS = {"derive-pmrm-v1": DerivePmrmV1, "derive-pmrm-v2": DerivePmrmV2, "derive-srm": DeriveSrm}


def instrument(name: str) -> Option | Perpetual:
    """Return the contract of a name such as ``ETH-9d-3000-C`` or ``ETH-PERPETUAL``."""
    coin, *rest = name.split("-")
    common: dict[str, Any] = {
        "name": name, "underlying": coin, "settlement": "linear", "settlement_currency": "USDC",
        "multiplier": 1.0, "lot": 1e-9,
    }  # fmt: skip
    if rest == ["PERPETUAL"]:
        return Perpetual(**common)
    code, strike, side = rest
    expiry = NOW + pd.Timedelta(seconds=SECONDS[code])
    return Option(**common, expiry=expiry, strike=float(strike), is_call=side == "C")


def account(held: Mapping[str, float], collateral: Mapping[str, float] | None = None, **more: Any) -> Account:
    positions = tuple(Position(instrument=instrument(n), qty=q) for n, q in held.items())
    book = Portfolio(positions=positions, as_of=NOW)
    return Account(portfolio=book, collateral=collateral or {}, **more)


def market(names: tuple[str, ...], iv: float = 0.6) -> MarketSnapshot:
    forwards = {
        coin: {
            (NOW + pd.Timedelta(seconds=s)).isoformat(): spot * math.exp(0.05 * s / 31_536_000)
            for s in SECONDS.values()
        }
        for coin, spot in SPOT.items()
    }
    ivs = {n: iv + 0.1 * abs(math.log(float(n.split("-")[2]) / SPOT[n.split("-")[0]])) for n in names
           if n.count("-") == 3}  # fmt: skip
    perpetual = {coin: 1.001 * spot for coin, spot in SPOT.items()}
    return MarketSnapshot.from_marks(NOW, SPOT, forwards=forwards, option_iv=ivs, perpetual=perpetual)


FULL = Feeds(default_confidence=1.0, default_rate=0.05, collateral={"USDT": CollateralFeed(0.999)})
DOUBTED = Feeds(
    stable=0.93,
    underlyings={"ETH": UnderlyingFeed(0.30, 0.20)},
    default_confidence=0.3,
    default_rate=0.05,
    collateral={"USDT": CollateralFeed(0.999, 0.1)},
)


def margin(
    name: str, held: Mapping[str, float], collateral: Mapping[str, float] | None = None, feeds: Feeds = FULL,
    iv: float = 0.6, **options: Any,
) -> MarginResult:  # fmt: skip
    result = rule(name, feeds=feeds, **options).requirement(
        account(held, collateral), market(tuple(held), iv)
    )
    result.check()
    return result


# -- properties ---------------------------------------------------------------------------------------------
BOOK = (
    "ETH-PERPETUAL", "ETH-9d-3000-C", "ETH-9d-3000-P", "ETH-9d-3600-C", "ETH-60d-2400-P", "ETH-60d-3000-C",
    "ETH-1y-4000-C",
)  # fmt: skip
QUANTITIES = st.lists(st.integers(-20, 20), min_size=len(BOOK), max_size=len(BOOK)).map(
    lambda q: np.array(q, dtype=np.float64)
)
COINS = st.integers(0, 10).map(lambda n: np.array([float(n)]))
Charged = tuple[float, float]


@pytest.fixture(scope="module")
def books() -> dict[str, Any]:
    """Return the revalued book of each rule with all of :data:`BOOK` and a coin balance."""
    held, snapshot = account(dict.fromkeys(BOOK, 1.0), {"ETH": 1.0}), market(BOOK)
    found = {}
    for name, kind in KINDS.items():
        made = kind(feeds=FULL)
        parameters = made.parameter_set(snapshot, "ETH")
        found[name] = made.book(held, {"ETH": CollateralFeed(3000.0)}, snapshot, parameters, ("ETH",))
    return found


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25)
@given(q=QUANTITIES, coins=COINS, times=st.floats(0.1, 8.0))
def test_positively_homogeneous(
    books: dict[str, Any], name: str, q: FloatArray, coins: FloatArray, times: float
) -> None:
    once, more = books[name].charge(q, coins), books[name].charge(times * q, times * coins)
    assert (more.im, more.mm) == pytest.approx((times * once.im, times * once.mm), rel=1e-10, abs=1e-8)


@pytest.mark.parametrize("name", NAMES[:2])
@settings(max_examples=25)
@given(a=QUANTITIES, b=QUANTITIES, coins=COINS)
def test_portfolio_margin_is_subadditive_under_full_confidence(
    books: dict[str, Any], name: str, a: FloatArray, b: FloatArray, coins: FloatArray
) -> None:
    none = np.zeros(1)
    one, two, both = (books[name].charge(q, c) for q, c in ((a, coins), (b, none), (a + b, coins)))
    assert both.im <= one.im + two.im + 1e-8
    assert both.mm <= one.mm + two.mm + 1e-8
    assert 0.0 <= both.mm <= both.im + 1e-9


def test_a_doubtful_perpetual_breaks_subadditivity() -> None:
    feeds = Feeds(underlyings={"ETH": UnderlyingFeed(1.0, 0.2)}, default_confidence=1.0, default_rate=0.05)
    options, perpetual = {"ETH-9d-3000-C": -10.0}, {"ETH-PERPETUAL": 0.1}
    for name in NAMES[:2]:
        apart = [margin(name, held, feeds=feeds).im for held in (options, perpetual)]
        together = margin(name, {**options, **perpetual}, feeds=feeds).im
        assert together > 1.5 * sum(apart)


def test_isolated_shorts_break_subadditivity_of_the_standard_margin() -> None:
    naked = {"ETH-9d-3600-C": -1.0}
    spread = {"ETH-9d-2000-C": -1.0, "ETH-9d-2200-C": 1.0}
    apart = [margin("derive-srm", held) for held in (naked, spread)]
    together = margin("derive-srm", {**naked, **spread})
    row = together.figures["expiries"].iloc[0]
    assert row["im"] == row["im_isolated"] > row["im_largest_loss"]
    assert apart[1].figures["expiries"].iloc[0]["im"] == pytest.approx(-200.0)
    assert together.im > 2.0 * sum(one.im for one in apart)


@settings(max_examples=25)
@given(q=QUANTITIES, line=st.integers(1, len(BOOK) - 1))
def test_a_long_option_never_lowers_the_net_standard_margin(
    books: dict[str, Any], q: FloatArray, line: int
) -> None:
    none, more = np.zeros(1), q.copy()
    more[line] += 1.0
    book = books["derive-srm"]
    before, after = book.charge(q, none), book.charge(more, none)
    assert after.equity - after.im >= before.equity - before.im - 1e-8
    assert after.equity - after.mm >= before.equity - before.mm - 1e-8


@pytest.mark.parametrize(
    ("name", "held"), [("derive-pmrm-v1", "ETH-9d-4500-C"), ("derive-pmrm-v2", "ETH-1y-30000-C")]
)
def test_a_gift_can_lower_the_net_initial_portfolio_margin(name: str, held: str) -> None:
    """A far call cannot lose more than it is worth, and yet its margin is above its value."""
    result = margin(name, {held: 1.0}, iv=0.6 if name.endswith("v1") else 0.2)
    assert result.equity > 0.0 > result.excess


def test_a_box_has_no_price_risk_but_two_discounts() -> None:
    short = {"ETH-1y-3000-C": -1.0, "ETH-1y-4000-C": 1.0, "ETH-1y-3000-P": 1.0, "ETH-1y-4000-P": -1.0}
    found = margin("derive-pmrm-v2", short)
    assert found.equity == pytest.approx(-1000.0 * math.exp(-0.05), abs=1e-9)
    # the debt is marked up to its undiscounted size, and no further
    assert found.excess == pytest.approx(-1000.0, abs=1e-9)
    long = margin("derive-pmrm-v2", {k: -q for k, q in short.items()})
    assert long.excess == pytest.approx(1000.0 * math.exp(-0.05) * 0.95 * math.exp(-0.16), abs=1e-9)


# -- what goes in, what comes out ---------------------------------------------------------------------------
def test_result_of_a_mixed_account() -> None:
    held, cash = {"ETH-PERPETUAL": -2.0, "ETH-9d-3000-C": -1.0}, {"USDC": 500.0, "ETH": 3.0, "USDT": 100.0}
    for name in NAMES:
        made = rule(name, feeds=FULL)
        result = made.requirement(account(held, cash), market(tuple(held)))
        result.check()
        assert (result.numeraire, result.basis, result.variant) == ("USD", "pnl", "mainnet")
        assert result.not_eligible == ({} if name.endswith("v2") else {"USDT": 100.0})
        steps = result.explain().set_index("what")["value"]
        assert steps["net initial margin"] == pytest.approx(result.excess, abs=1e-9)
        assert steps["equity"] == result.equity
        lines = made.line_im_equity(account(held, cash), market(tuple(held)))
        assert lines.size == 2 + len([c for c in cash if c != "USDC" and c not in result.not_eligible])
        alone = margin(name, {"ETH-PERPETUAL": -2.0})
        assert lines[0] == pytest.approx(alone.im, abs=1e-9)
        assert result.notes == ("feeds that were not given are replaced by defaults",)


def test_profit_of_a_perpetual_is_in_equity() -> None:
    perpetual = Position(instrument=instrument("ETH-PERPETUAL"), qty=2.0, entry_price=2900.0)
    held = Account(portfolio=Portfolio(positions=(perpetual,), as_of=NOW))
    for name in NAMES:
        result = rule(name, feeds=FULL).requirement(held, market(("ETH-PERPETUAL",)))
        assert result.equity == pytest.approx(2.0 * (3003.0 - 2900.0), abs=1e-9)


def test_unpublished_parts_print_assumed() -> None:
    steps = margin("derive-pmrm-v2", {"ETH-9d-3000-C": -1.0}, {"ETH": 1.0}).explain().set_index("what")
    assert steps.loc["collateral haircut", "status"] == "assumed"
    assert steps.loc["option contingency", "status"] == "published"
    assert set(steps["clause"].str[:3]) == {"DV2"}
    first = margin("derive-pmrm-v1", {"ETH-9d-3000-C": -1.0}).explain()
    assert set(first["clause"].str[:3]) == {"DV1"}
    notes = [s.note for name in NAMES for s in load_parameter_sets(name)]
    assert all("not known" in note for note in notes)


def test_fixed_part_of_the_forward_by_time_or_by_feed() -> None:
    held = {"ETH-15m-3000-C": -10.0}
    expiry = NOW + pd.Timedelta(seconds=900)
    forward = market(tuple(held)).forward("ETH", expiry)
    given_half = dataclasses.replace(FULL, expiries={("ETH", expiry): ExpiryFeed(0.05, fixed=0.5 * forward)})
    nothing = dataclasses.replace(FULL, expiries={("ETH", expiry): ExpiryFeed(0.05, fixed=0.0)})
    for name in NAMES[:2]:
        by_time = margin(name, held)
        assert margin(name, held, feeds=given_half).im == pytest.approx(by_time.im, rel=1e-12)
        assert margin(name, held, feeds=nothing).im > 1.5 * by_time.im


def test_standard_margin_adds_markets() -> None:
    eth, btc = {"ETH-9d-3000-C": -1.0}, {"BTC-9d-90000-P": -0.1, "BTC-PERPETUAL": 0.2}
    parts = [margin("derive-srm", held) for held in (eth, btc)]
    both = margin("derive-srm", {**eth, **btc})
    assert both.im == pytest.approx(sum(p.im for p in parts), abs=1e-9)
    assert both.mm == pytest.approx(sum(p.mm for p in parts), abs=1e-9)


def test_default_rules_need_no_feeds() -> None:
    assert default_rules() == ("es-fhs", "var-hs", "deribit-pm", "deribit-standard")


# -- every parameter moves a case ---------------------------------------------------------------------------
PANEL: tuple[tuple[dict[str, float], dict[str, float], Feeds, float], ...] = (
    ({"ETH-9d-3000-C": -1.0}, {}, FULL, 0.6),
    ({"ETH-12h-3000-C": -1.0, "ETH-60d-2400-P": -2.0}, {}, FULL, 0.15),
    ({"ETH-9d-3600-C": 5.0, "ETH-9d-2400-P": -5.0}, {}, FULL, 0.6),
    ({"ETH-1y-3000-C": 1.0, "ETH-1y-4000-C": -1.0}, {}, FULL, 0.6),
    ({"ETH-9d-3000-C": 1.0, "ETH-9d-2000-P": -1.0}, {}, FULL, 0.6),
    ({"ETH-9d-3000-P": -1.0}, {}, FULL, 0.6),
    ({"ETH-9d-4500-P": -1.0}, {}, FULL, 0.6),
    ({"ETH-9d-3600-C": -1.0}, {}, FULL, 0.6),
    ({"ETH-9d-2400-C": -3.0, "ETH-9d-2600-C": 2.0}, {}, FULL, 0.6),
    ({"ETH-15m-3000-C": -1.0, "ETH-5m-3010-C": 1.0}, {}, FULL, 0.6),
    ({"ETH-PERPETUAL": -1.0}, {"ETH": 2.0, "USDC": 100.0}, FULL, 0.6),
    ({"ETH-PERPETUAL": 1.0, "ETH-9d-3000-C": -1.0}, {"ETH": 1.0, "USDT": 50.0}, DOUBTED, 0.6),
    ({}, {"ETH": 1.0}, DOUBTED, 0.6),
    # above the undiscounted size of a debt the short discount is cut, so that it shows at high rates alone
    ({"ETH-1y-3000-C": -1.0}, {}, Feeds(default_confidence=1.0, default_rate=0.6), 0.6),
    ({"ETH-9d-9000-P": -1.0}, {}, FULL, 0.6),
    ({"ETH-9d-2400-C": 1.0, "ETH-9d-2000-C": -1.0, "ETH-9d-5000-C": -0.1}, {}, FULL, 0.6),
)  # fmt: skip
FIRST_SETS = {name: next(s for s in load_parameter_sets(name) if s.variant == "reference") for name in NAMES}


def figures(name: str, parameters: ParameterSet) -> list[float]:
    """Return IM, MM, scenario vector and basis row of the whole panel."""
    out: list[float] = []
    for held, collateral, feeds, iv in PANEL:
        result = margin(name, held, collateral, feeds, iv, variant="reference", parameters=(parameters,))
        out += [result.im, result.mm, *result.scenario_vector]
        matrix = result.figures.get("matrix")
        out += [] if matrix is None else [float(matrix["final"].iloc[-1])]
    return out


def moved(key: str, value: Any) -> Any:
    """Return another admissible value of a parameter."""
    if key == "scenarios":
        return (*value[:-1], (0.21, "up", *value[-1][2:]))
    if key == "collateral":
        return {c: {**t, "mm_haircut": t["mm_haircut"] + 0.05} for c, t in value.items()}
    if key in ("max_spot_req", "unpaired_im_scale", "perp_im_req", "im_factor", "min_spot_req"):
        return 1.1 * value
    if key in ("mm_call_spot_req", "perp_mm_req", "unpaired_mm_scale", "mm_factor", "base_im_scale"):
        return 0.9 * value
    if key in ("long_discount", "static_discount", "confidence_threshold") or key.startswith(
        "confidence_threshold"
    ):
        return 0.2 * value
    if key == "min_k_star":
        return 10.0 * value
    return value * 1.25 + (0.01 if value == 0.0 else 0.0)


KEYS = [(name, key) for name in NAMES for key in SCHEMAS[name]["reference"].model_fields]


@pytest.fixture(scope="module")
def before() -> dict[str, list[float]]:
    return {name: figures(name, FIRST_SETS[name]) for name in NAMES}


@pytest.mark.parametrize(("name", "key"), KEYS, ids=[f"{n}-{k}" for n, k in KEYS])
def test_every_parameter_moves_a_case(before: dict[str, list[float]], name: str, key: str) -> None:
    value = FIRST_SETS[name].table("ETH").model_dump()[key]
    changed = FIRST_SETS[name].with_values("ETH", **{key: moved(key, value)})
    after = figures(name, changed)
    assert len(after) == len(before[name])
    assert np.abs(np.array(after) - np.array(before[name])).max() > 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_haircut_and_motion_of_collateral(name: str) -> None:
    if name != "derive-pmrm-v2":
        assert "collateral" not in SCHEMAS[name]["mainnet"].model_fields
        return
    table = FIRST_SETS[name].table("ETH").model_dump()["collateral"]
    base = figures(name, FIRST_SETS[name])
    for change in ({"im_haircut": 0.5}, {"moves_with_spot": False}):
        terms = {**table, "ETH": {**table["ETH"], **change}}
        assert figures(name, FIRST_SETS[name].with_values("ETH", collateral=terms)) != base


# -- refusals -----------------------------------------------------------------------------------------------
def assert_refused(error: type[PmkitError], message: str, held: Account, feeds: Feeds | None = FULL) -> None:
    for name in NAMES:
        with pytest.raises(error, match=message):
            rule(name, feeds=feeds).requirement(held, market(tuple(i.name for i in held.instruments)))


def with_contract(contract: Any) -> Account:
    return Account(portfolio=Portfolio(positions=(Position(instrument=contract, qty=1.0),), as_of=NOW))


def test_contracts_that_the_rules_do_not_know() -> None:
    coin: dict[str, Any] = {
        "name": "ETH-X", "underlying": "ETH", "settlement": "inverse", "settlement_currency": "ETH",
        "multiplier": 1.0, "lot": 1.0,
    }  # fmt: skip
    assert_refused(
        ConventionError, "ETH-X: inverse perpetual settled in ETH", with_contract(Perpetual(**coin))
    )
    usd = {**coin, "settlement": "linear", "settlement_currency": "USDC"}
    dated = Future(**usd, expiry=NOW + pd.Timedelta(seconds=SECONDS["9d"]))
    assert_refused(ConventionError, "options and perpetuals settled in USD", with_contract(dated))


def test_accounts_outside_the_scope() -> None:
    two = account({"ETH-PERPETUAL": 1.0, "BTC-PERPETUAL": 1.0})
    for name in NAMES[:2]:
        with pytest.raises(ConventionError, match="holds ETH, BTC; expected one underlying"):
            rule(name, feeds=FULL).requirement(two, market(("ETH-PERPETUAL", "BTC-PERPETUAL")))
    assert_refused(ConventionError, "owes 1 ETH; expected debts in USDC or USD only",
            account({"ETH-PERPETUAL": 1.0}, {"ETH": -1.0}))  # fmt: skip
    assert_refused(ConventionError, "market-maker-protection or open-order margin",
            account({"ETH-PERPETUAL": 1.0}, mmp_margin={"ETH": 1.0}))  # fmt: skip
    assert_refused(DataGapError, "is empty", account({}))
    assert_refused(ConventionError, "collateral currency 'DOGE' has no price",
            account({"ETH-PERPETUAL": 1.0}, {"DOGE": 1.0}))  # fmt: skip


def test_what_the_feeds_do_not_say() -> None:
    held = account({"ETH-9d-3000-C": -1.0})
    assert_refused(DataGapError, "was given no feeds; expected confidences of the oracles", held, None)
    assert_refused(DataGapError, "no confidence for", held, Feeds(default_rate=0.05))
    assert_refused(DataGapError, r"no rate for ETH expiry 2026-01-30T00:00:00\+00:00", held,
            Feeds(default_confidence=1.0))  # fmt: skip
    with pytest.raises(DataGapError, match="no price for collateral USDT"):
        margin("derive-pmrm-v2", {"ETH-PERPETUAL": 1.0}, {"USDT": 5.0},
               Feeds(default_confidence=1.0, default_rate=0.0))  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"stable": 0.0}, "stable is 0.0; expected a positive price"),
        ({"stable": math.nan}, "stable is nan"),
        (
            {"underlyings": {"ETH": UnderlyingFeed(1.1)}},
            "spot confidence of ETH is 1.1; expected a number from 0",
        ),
        ({"underlyings": {"ETH": UnderlyingFeed(1.0, -0.1)}}, "perpetual confidence of ETH is -0.1"),
        ({"expiries": {("ETH", NOW): ExpiryFeed(math.inf)}}, "rate of ETH 2026-01-21.* is inf"),
        ({"expiries": {("ETH", NOW): ExpiryFeed(0.0, 2.0)}}, "forward confidence of"),
        ({"expiries": {("ETH", NOW): ExpiryFeed(0.0, 1.0, 2.0)}}, "rate confidence of"),
        ({"expiries": {("ETH", NOW): ExpiryFeed(0.0, 1.0, 1.0, math.nan)}}, "vol confidence of"),
        ({"expiries": {("ETH", NOW): ExpiryFeed(0.0, fixed=-1.0)}}, "fixed forward of .* is -1.0"),
        ({"collateral": {"USDT": CollateralFeed(-1.0)}}, "price of USDT is -1.0"),
        ({"default_confidence": 3.0}, "default_confidence is 3.0"),
        ({"default_rate": math.nan}, "default_rate is nan"),
    ],
)
def test_feeds_out_of_range(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Feeds(**entries)


def test_dates_and_variants() -> None:
    held, snapshot = account({"ETH-PERPETUAL": 1.0}), market(("ETH-PERPETUAL",))
    for name in NAMES:
        with pytest.raises(RuleVersionError, match="on 2025-01-01; expected a date from 2026-01-21 on"):
            rule(name, as_of="2025-01-01", feeds=FULL)
        with pytest.raises(RuleVersionError, match="last observed on 2026-01-21, 11 days before"):
            rule(name, as_of="2026-02-01", feeds=FULL)
        with pytest.raises(ParameterError, match="expected one of mainnet, reference"):
            rule(name, variant="testnet")
        early = dataclasses.replace(snapshot, as_of=NOW - pd.Timedelta(days=1))
        with pytest.raises(LookAheadError, match="is older than account"):
            rule(name, feeds=FULL).requirement(held, early)


def test_expired_and_unmarked_contracts() -> None:
    held = account({"ETH-9d-3000-C": -1.0})
    bare = market(())
    for name in NAMES:
        with pytest.raises(DataGapError, match="no implied vol for ETH-9d-3000-C"):
            rule(name, feeds=FULL).requirement(held, bare)
    later = dataclasses.replace(market(("ETH-9d-3000-C",)), as_of=NOW + pd.Timedelta(days=30))
    for name in NAMES:
        with pytest.raises(SchemaError, match="ETH-9d-3000-C expired at"):
            rule(name, feeds=FULL, stale="warn").requirement(held, later)


BAD_VALUES = [
    ("derive-pmrm-v1", "im_factor", 0.5, "im_factor: found 0.5"),
    ("derive-pmrm-v1", "basis_move_up", -0.05, "are not on both sides of 0"),
    ("derive-pmrm-v1", "scenarios", [(-1.5, "up")], r"scenarios\.0\.0: found -1.5"),
    ("derive-pmrm-v1", "scenarios", [(0.1, "abs skew")], r"scenarios\.0\.1: found 'abs skew'"),
    ("derive-pmrm-v1", "colour", 1.0, "colour: unknown key"),
    ("derive-pmrm-v2", "mm_factor", 1.5, "mm_factor 1.5 is above im_factor 1"),
    ("derive-pmrm-v2", "short_discount", 0.9, "short_discount: found 0.9"),
    ("derive-pmrm-v2", "scenarios", [(0.1, "abs skew", 1.0)], "a skew row with a price move of 0.1"),
    ("derive-pmrm-v2", "linear_base_cap", math.nan, "linear_base_cap: found nan"),
    ("derive-pmrm-v2", "collateral",
     {"ETH": {"mm_haircut": -0.1, "im_haircut": 0.0, "moves_with_spot": True}},
     r"collateral\.ETH\.mm_haircut: found -0.1"),
    ("derive-srm", "perp_mm_req", 0.5, "perp_mm_req 0.5 is above perp_im_req"),
    ("derive-srm", "base_margin_factor", 1.5, "base_margin_factor: found 1.5"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "key", "value", "message"), BAD_VALUES)
def test_parameters_out_of_range(name: str, key: str, value: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        FIRST_SETS[name].with_values("ETH", **{key: value})


def test_a_missing_key_is_named() -> None:
    from importlib import resources

    for name in NAMES:
        file = f"{name}.toml"
        text = resources.files("pmkit.margin").joinpath("params", file).read_text(encoding="utf-8")
        line = next(part for part in text.splitlines() if part.startswith("peg_loss_factor ="))
        with pytest.raises(ParameterError, match="peg_loss_factor: the key is missing"):
            parse_parameter_sets(text.replace(f"{line}\n", "", 1), file=file)
