"""OKX's rules: a plain calculation of every measure, properties with counterexamples, named refusals."""

from __future__ import annotations

import dataclasses
import math
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
    RuleVersionError,
    SchemaError,
)
from pmkit.core.types import FloatArray
from pmkit.margin import Account, MarginResult, compare, rule
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.margin.rules.okx.cells import spot_in_use, unit_scenarios
from pmkit.margin.rules.okx.pm import OkxPm
from pmkit.margin.rules.okx.unit import depeg_charge, vega_span
from pmkit.market import load_snapshot

pytestmark = pytest.mark.filterwarnings("ignore::pmkit.core.errors.StaleParametersWarning")

NEWEST = load_parameter_sets("okx-pm")[-1]
BOOK = {
    "BTC-PERP-USDT": -20.0, "BTC-30d-USDC": 5.0, "BTC-PERP-USD": 2_000.0, "BTC-30d-60000-C-USDT": -10.0,
    "BTC-7d-55000-P-USD": 7.0, "BTC-180d-70000-C-USD": 4.0,
}  # fmt: skip
#: tiers that do not rise and no charge for spans or stablecoins: what is left is a maximum of sums
PLAIN = NEWEST.with_values(
    "BTC",
    vega_span_points=0.0,
    minimum_tiers=[{"coins": ["*"], "floors": [0.0], "factors": [1.0]}],
    depeg_bands=[{"price_from": 0.0, "floors": [0.0], "factors": [0.0]}],
)


def margin(
    venue: Any, held: dict[str, float], cash: dict[str, float] | None = None, **more: Any
) -> MarginResult:
    result = rule("okx-pm", stale="warn", **more).requirement(venue.account(held, cash), venue.market(held))
    result.check()
    return result


# -- a plain calculation ------------------------------------------------------------------------------------
def normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def black(F: float, K: float, tau: float, iv: float, call: bool) -> float:
    if tau <= 0.0 or iv <= 0.0:
        return max(F - K, 0.0) if call else max(K - F, 0.0)
    width = iv * math.sqrt(tau)
    d1 = math.log(F / K) / width + width / 2.0
    value = F * normal(d1) - K * normal(d1 - width)
    return value if call else value - F + K


class Line:
    """One line of a book, revalued from scratch."""

    def __init__(self, name: str, qty: float, spot: float) -> None:
        self.coin, tenor, *rest, self.ccy = name.split("-")
        self.days = 0.0 if tenor == "PERP" else float(tenor[:-1])
        self.option, self.inverse = bool(rest), self.ccy == "USD"
        self.K, self.call = (float(rest[0]), rest[1] == "C") if rest else (0.0, True)
        self.price = spot * (1.001 if tenor == "PERP" else 1.0 + 0.05 * self.days / 365.0)
        self.qty = qty * (100.0 if self.inverse and not rest else 1.0)
        self.spot, self.tau = spot, self.days / 365.0

    def value(self, move: float, iv: float, days: float = 0.0, rate: float = 0.0) -> float:
        """Return the USD value of the line, of a future the gain since its mark."""
        price, index = self.price + self.spot * move, self.spot * (1.0 + move)
        if self.option:
            price *= math.exp(rate * self.tau)
            premium = black(price, self.K, self.tau - days / 365.0, iv, self.call)
            return self.qty * (premium / price * index if self.inverse else premium)
        if days or rate:
            return 0.0
        return self.qty * ((1.0 / self.price - 1.0 / price) * index if self.inverse else self.spot * move)

    @property
    def delta(self) -> float:
        if not self.option:
            return self.qty if self.inverse else self.qty * self.price
        width = 0.6 * math.sqrt(self.tau)
        unit = normal(math.log(self.price / self.K) / width + width / 2.0) - (0.0 if self.call else 1.0)
        return self.qty * unit * self.price

    @property
    def vega(self) -> float:
        if not self.option:
            return 0.0
        width = 0.6 * math.sqrt(self.tau)
        d1 = math.log(self.price / self.K) / width + width / 2.0
        density = math.exp(-d1 * d1 / 2.0) / math.sqrt(2.0 * math.pi)
        return self.qty * self.price * density * math.sqrt(self.tau) / 100.0


def plain(held: dict[str, float], spot: float) -> dict[str, float]:
    """Return the measures of a merged BTC unit under the newest set, USDT and USDC at 1 USD."""
    lines = [Line(name, qty, spot) for name, qty in held.items()]

    def loss(move: float = 0.0, vol: float = 0.0, days: float = 0.0, rate: float = 0.0) -> float:
        gain = 0.0
        for line in lines:
            power = 0.30 if line.days < 30.0 else 0.13
            scale = (30.0 / max(line.days, 1.0)) ** power if line.option else 0.0
            iv = 0.6 * max(1.0 + scale * vol, 0.0)
            gain += line.value(move, iv, days, rate) - line.value(0.0, 0.6)
        return max(-gain, 0.0)

    groups: dict[float, float] = {}
    vegas: dict[float, float] = {}
    for line in lines:
        groups[line.days] = groups.get(line.days, 0.0) + line.delta
        vegas[line.days] = vegas.get(line.days, 0.0) + line.vega
    raw = 0.0045 * sum(abs(line.delta) for line in lines)
    moves = (-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12)
    quoted = {c: sum(line.delta for line in lines if line.ccy == c) for c in ("USDT", "USDC", "USD")}
    offset = 0.0
    for one, other in (("USDT", "USD"), ("USDT", "USDC"), ("USDC", "USD")):
        if quoted[one] * quoted[other] < 0.0:
            size = min(abs(quoted[one]), abs(quoted[other]))
            quoted[one] -= math.copysign(size, quoted[one])
            quoted[other] -= math.copysign(size, quoted[other])
            offset += 0.005 * min(size, 1e6) + 0.01 * max(size - 1e6, 0.0)
    measures = {
        "MR1": max(loss(m, v) for m in moves for v in (-0.25, 0.0, 0.5)),
        "MR2": loss(days=1.0),
        "MR3": (sum(abs(v) for v in vegas.values()) - abs(sum(vegas.values()))) / 2.0,
        "MR4": sum(abs(d) * max(0.05 * days / 365.0, 0.002) for days, d in groups.items()),
        "MR5": max(loss(rate=r) for r in (-0.01, 0.01)),
        "MR6": 0.5 * max(loss(m) for m in (-0.24, 0.24)),
        "MR7": raw,
        "MR9": offset,
    }
    stress = max(measures["MR1"], measures["MR2"], measures["MR6"])
    core = stress + measures["MR3"] + measures["MR4"] + measures["MR5"]
    return {**measures, "MMR": max(core, raw) + offset}


@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_measures_against_a_plain_calculation(venue: Any, flip: float) -> None:
    held = {name: flip * qty for name, qty in BOOK.items()}
    found = margin(venue, held).figures["units"].loc["BTC"]
    for name, value in plain(held, 60_000.0).items():
        assert found[name] == pytest.approx(value, rel=1e-9, abs=1e-6), name
    assert found["IMR"] == pytest.approx(1.3 * found["MMR"], rel=1e-15)


def test_spot_in_use_offsets_a_short_delta(venue: Any) -> None:
    short = {"BTC-PERP-USDT": -2.0}
    alone, covered, more = (margin(venue, short, cash) for cash in ({}, {"BTC": 1.0}, {"BTC": 5.0}))
    spot = 60_000.0
    assert alone.worst_scenario.pnl == pytest.approx(-0.12 * 2.0 * spot)
    assert covered.worst_scenario.pnl == pytest.approx(-0.12 * spot)
    used = more.figures["units"].loc["BTC", "spot in use"]
    assert used == pytest.approx(2.0 * 1.001)
    # the coins in use count in full, the rest at its rate: no coin is both revalued and cut
    assert more.equity == pytest.approx(spot * (used + 0.95 * (5.0 - used)))
    assert margin(venue, {"BTC-PERP-USDT": 2.0}, {"BTC": 1.0}).equity == pytest.approx(0.95 * spot)


def test_debts_in_two_currencies(venue: Any) -> None:
    result = margin(venue, {"BTC-PERP-USDT": 1.0}, {"USDT": -1_000.0, "ETH": -2.0, "BTC": 1.0})
    assert result.figures["borrowed"].to_dict() == {"USDT": 1_000.0, "ETH": 6_000.0, "BTC": 0.0}
    assert result.addons["MR8"] == pytest.approx(700.0)
    assert result.mm == pytest.approx(result.figures["units"]["MMR"].sum() + 140.0)
    assert result.equity == pytest.approx(0.95 * 60_000.0 - 7_000.0)


def test_profit_and_premium_are_in_the_equity_of_their_currency(venue: Any) -> None:
    held = {"BTC-PERP-USD": -600.0, "BTC-PERP-USDC": 2.0, "BTC-30d-60000-C-USD": -1.0}
    account = venue.account(held, {"BTC": 1.0}, entry={"BTC-PERP-USD": 50_000.0, "BTC-PERP-USDC": 61_000.0})
    snapshot = venue.market(held)
    result = rule("okx-pm", stale="warn").requirement(account, snapshot)
    coin = 60_000.0 * (1.0 / 60_060.0 - 1.0 / 50_000.0)
    premium = -snapshot.mark(account.instruments[2]).price
    borrowed = result.figures["borrowed"]
    assert borrowed["USDC"] == pytest.approx(2.0 * 940.0)
    assert borrowed["BTC"] == 0.0
    # the coins are in use where the delta is short, and it is long here
    whole = (1.0 + coin + premium) * 60_000.0
    used = result.figures["units"].loc["BTC", "spot in use"] * 60_000.0
    assert result.equity == pytest.approx(used + 0.95 * (whole - used) - 1_880.0)
    assert result.net_option_value == pytest.approx(premium * 60_000.0)


def test_units_before_and_after_the_merge(venue: Any) -> None:
    held = {"BTC-PERP-USDT": 1.0, "BTC-PERP-USD": -600.0, "BTC-PERP-USDC": 1.0}
    before = [s for s in load_parameter_sets("okx-pm") if s.id == "okx-pm-2024-05"]
    apart = margin(venue, held, parameters=tuple(before)).figures["units"]
    assert list(apart.index) == ["BTC-USDT", "BTC-USD", "BTC-USDC"]
    assert (apart["MR9"] == 0.0).all() and apart["MR1"].sum() == pytest.approx(0.15 * 180_000.0, rel=1e-3)
    merged = margin(venue, held).figures["units"]
    assert list(merged.index) == ["BTC"] and merged.loc["BTC", "MR9"] > 0.0


def test_what_is_not_published_is_marked(venue: Any) -> None:
    steps = margin(venue, {"BTC-30d-60000-C-USDT": -1.0}).explain().set_index("what")
    status = steps["status"].to_dict()
    for name in ("MR1 spot shock", "MR3 vega across expiries", "MR5 interest rates", "MR7 minimum charge"):
        assert status[f"BTC {name}"] == "assumed"
    assert status["BTC MR6 extreme move"] == status["BTC initial margin"] == "published"
    assert set(steps["clause"]) == {f"OKX-{n}" for n in range(3, 16)}
    futures = margin(venue, {"BTC-PERP-USDT": -1.0})
    assert futures.explain().set_index("what")["status"]["BTC MR1 spot shock"] == "published"
    assert futures.notes == ("USDT counted at 1 USD",)


def test_lines_alone(venue: Any) -> None:
    made, snapshot = rule("okx-pm", stale="warn"), venue.market(BOOK)
    lines = made.line_im_equity(venue.account(BOOK, {"BTC": 3.0}), snapshot)
    for line, (name, qty) in enumerate(BOOK.items()):
        # alone a written option leaves a debt of its premium, which belongs to the balances
        units = margin(venue, {name: qty}).figures["units"]
        assert lines[line] == pytest.approx(float(units["IMR"].sum()), rel=1e-12)


# -- properties ---------------------------------------------------------------------------------------------
QUANTITIES = st.lists(st.integers(-20, 20), min_size=len(BOOK), max_size=len(BOOK)).map(
    lambda q: np.array(q, dtype=np.float64)
)


def unit_of(venue: Any, parameters: ParameterSet) -> Any:
    account = venue.account(dict.fromkeys(BOOK, 1.0))
    made = OkxPm(parameters=(parameters,), stale="warn")
    return made.book(account, venue.market(BOOK), parameters).units[0]


@settings(max_examples=25)
@given(a=QUANTITIES, b=QUANTITIES, times=st.floats(0.1, 8.0))
def test_without_tiers_spans_and_depeg_homogeneous_subadditive_and_convex(
    venue: Any, a: FloatArray, b: FloatArray, times: float
) -> None:
    unit = unit_of(venue, PLAIN)
    one, two, both = (unit.charge(q, 0.0).mmr for q in (a, b, a + b))
    assert unit.charge(times * a, 0.0).mmr == pytest.approx(times * one, rel=1e-9, abs=1e-6)
    assert both <= one + two + 1e-6
    assert unit.charge((a + b) / 2.0, 0.0).mmr <= (one + two) / 2.0 + 1e-6


@settings(max_examples=25)
@given(q=QUANTITIES, times=st.floats(1.0, 50.0))
def test_growing_at_least_in_proportion(venue: Any, q: FloatArray, times: float) -> None:
    unit = unit_of(venue, NEWEST)
    assert unit.charge(times * q, 0.0).mmr >= times * unit.charge(q, 0.0).mmr * (1.0 - 1e-12)


def test_tiers_break_homogeneity_and_subadditivity(venue: Any) -> None:
    hedged = {"BTC-PERP-USDT": 1_500.0, "BTC-30d-USDT": -1_500.0}
    once = margin(venue, hedged, {"USDT": 1e7})
    twice = margin(venue, {name: 2.0 * q for name, q in hedged.items()}, {"USDT": 1e7})
    assert once.figures["units"].loc["BTC", "MR7"] == once.figures["units"].loc["BTC", "MMR"]
    assert twice.im > 2.5 * once.im


def test_spans_and_stablecoins_break_convexity() -> None:
    table = NEWEST.table("BTC")
    near, far = {"near": 100.0}, {"far": -100.0}
    assert vega_span(near, 1.0) == vega_span(far, 1.0) == 0.0 < vega_span({**near, **far}, 1.0)
    one, two = {"USDT": 1e6}, {"USD": -1e6}
    assert depeg_charge(one, {}, table) == depeg_charge(two, {}, table) == 0.0
    assert depeg_charge({**one, **two}, {}, table) == pytest.approx(5_000.0)


def test_a_gift_can_lower_the_excess(venue: Any) -> None:
    """A far call cannot lose more than it is worth, but 1.3 times its loss is asked for."""
    result = margin(venue, {"BTC-7d-75000-C-USDT": 1.0})
    assert result.net_option_value > 0.0 > result.excess


# -- the margin of written options --------------------------------------------------------------------------
def test_written_options_one_by_one(venue: Any) -> None:
    held = {"BTC-30d-60000-C-USD": -2.0, "BTC-30d-90000-C-USD": -1.0, "BTC-30d-55000-P-USD": -1.0,
            "BTC-7d-60000-C-USD": 5.0}  # fmt: skip
    account, snapshot = venue.account(held, {"BTC": 5.0}), venue.market(held)
    result = rule("okx-standard").requirement(account, snapshot)
    result.check()
    forward = snapshot.forward("BTC", account.portfolio.expiries[-1])
    mark = {i.name: snapshot.mark(i).price for i in account.instruments}
    shares = {
        "BTC-30d-60000-C-USD": 0.15, "BTC-30d-90000-C-USD": 0.10,
        "BTC-30d-55000-P-USD": max(0.15 - (forward - 55_000.0) / forward, 0.10),
    }  # fmt: skip
    assert result.im == pytest.approx(
        math.fsum(-held[name] * (share + mark[name]) for name, share in shares.items()), rel=1e-12
    )
    assert result.mm == pytest.approx(
        math.fsum(-held[name] * (0.03 + mark[name]) for name in shares), rel=1e-12
    )
    assert (result.numeraire, result.basis) == ("BTC", "cash")
    assert result.im_equity == pytest.approx(result.im + result.net_option_value)
    lines = rule("okx-standard").line_im_equity(account, snapshot)
    assert lines.sum() == pytest.approx(result.im_equity, rel=1e-12)
    assert set(result.explain()["clause"]) == {"OKS-3", "OKS-4", "OKS-6"}


def test_a_deep_put_is_margined_by_its_mark(venue: Any) -> None:
    eth = {"ETH-180d-70000-P-USD": -1.0}
    result = rule("okx-standard").requirement(venue.account(eth), venue.market(eth))
    mark = -result.net_option_value
    assert mark > 20.0
    assert result.mm == pytest.approx(0.05 * mark + mark) and result.im == result.mm


def test_written_options_settled_in_stablecoins(venue: Any) -> None:
    held = {"BTC-30d-60000-C-USDT": -2.0, "BTC-30d-90000-C-USDC": -1.0, "ETH-30d-2900-P-USDT": -10.0,
            "BTC-7d-60000-P-USDT": 5.0}  # fmt: skip
    account, snapshot = (
        venue.account(held, {"USDT": 1_000.0, "BTC": 1.0}),
        venue.market(held, fx={"USDT": 0.99}),
    )
    made = rule("okx-standard-usd", as_of="2026-05-01")
    result = made.requirement(account, snapshot)
    result.check()
    mark = {i.name: snapshot.mark(i).price for i in account.instruments}
    forward = 3_000.0 * (1.0 + 0.05 * 30.0 / 365.0)
    initial = {
        "BTC-30d-60000-C-USDT": 0.15 * 60_000.0, "BTC-30d-90000-C-USDC": 0.10 * 60_000.0,
        "ETH-30d-2900-P-USDT": (0.15 - (forward - 2_900.0) / forward) * 3_000.0,
    }  # fmt: skip
    assert result.im == pytest.approx(
        math.fsum(-held[n] * (x + mark[n]) for n, x in initial.items()), rel=1e-12
    )
    rates = {"BTC": 0.03 * 60_000.0, "ETH": 0.05 * 3_000.0}
    assert result.mm == pytest.approx(
        math.fsum(-held[n] * (rates[n[:3]] + mark[n]) for n in initial), rel=1e-12
    )
    assert result.equity == pytest.approx(990.0 + math.fsum(q * mark[n] for n, q in held.items()))
    assert (result.basis, result.numeraire, result.not_eligible) == ("cash", "USD", {"BTC": 1.0})
    assert set(result.explain()["clause"]) == {"OKS-6", "OKS-7", "OKS-8"}
    # the mark is charged once: line by line on the basis of equity, where nothing nets
    lines = made.line_im_equity(account, snapshot)
    assert lines.sum() == pytest.approx(result.im_equity, rel=1e-12)
    perpetual = {"BTC-PERP-USDT": 1.0}
    with pytest.raises(ConventionError, match="is a perpetual; expected options: okx-standard-usd knows"):
        made.requirement(venue.account(perpetual), venue.market(perpetual))


# -- bad input ----------------------------------------------------------------------------------------------
def test_contracts_that_the_rules_do_not_take(venue: Any) -> None:
    euro = {"BTC-PERP-EUR": 1.0}
    with pytest.raises(
        ConventionError, match="BTC-PERP-EUR: linear perpetual settled in EUR; expected options,"
    ):
        margin(venue, euro)
    perpetual = {"BTC-PERP-USD": 1.0}
    with pytest.raises(
        ConventionError, match="is a perpetual; expected options: okx-standard knows no others"
    ):
        rule("okx-standard").requirement(venue.account(perpetual), venue.market(perpetual))
    linear = {"BTC-30d-60000-C-USDT": -1.0}
    with pytest.raises(ConventionError, match="okx-standard margins each coin apart"):
        rule("okx-standard").requirement(venue.account(linear), venue.market(linear))


def test_obligations_prices_and_gaps(venue: Any) -> None:
    made, held = rule("okx-pm", stale="warn"), {"BTC-PERP-USDT": 1.0}
    owing = dataclasses.replace(venue.account(held), open_order_margin={"USDT": 5.0})
    with pytest.raises(ConventionError, match="okx-pm has no such charge"):
        made.requirement(owing, venue.market(held))
    with pytest.raises(ConventionError, match="collateral currency 'DOGE' has no price"):
        margin(venue, held, {"DOGE": 5.0})
    priced = made.requirement(venue.account(held, {"DOGE": 5.0}), venue.market(held, fx={"DOGE": 0.2}))
    assert priced.equity == pytest.approx(0.5)
    with pytest.raises(DataGapError, match="is empty"):
        margin(venue, {})
    option = {"BTC-30d-60000-C-USDT": -1.0}
    with pytest.raises(DataGapError, match="no implied vol for BTC-30d-60000-C-USDT"):
        made.requirement(venue.account(option), venue.market())
    with pytest.raises(LookAheadError, match="is older than account"):
        made.requirement(venue.account(held, as_of="2026-02-02T08:00:00Z"), venue.market(held))
    late = dataclasses.replace(venue.market(option), as_of=pd.Timestamp("2026-12-01T00:00:00Z"))
    with pytest.raises(SchemaError, match="BTC-30d-60000-C-USDT expired at"):
        made.requirement(venue.account(option), late)


def test_a_mark_far_below_the_index(venue: Any) -> None:
    held = {"BTC-PERP-USDT": 1.0}
    wide = venue.market(held, perpetual={"BTC": 10_000.0, "ETH": 3_000.0, "LTC": 100.0})
    with pytest.raises(ConventionError, match="a fall of 14400 USD takes its price of 10000 to zero"):
        rule("okx-pm", stale="warn").requirement(venue.account(held), wide)


def test_dates() -> None:
    with pytest.raises(RuleVersionError, match="on 2021-12-23; expected a date from 2021-12-24 on"):
        rule("okx-pm", as_of="2021-12-23")
    with pytest.raises(RuleVersionError, match="last observed on 2025-01-15, 17 days before 2025-02-01"):
        rule("okx-pm", as_of="2025-02-01")
    with pytest.raises(ParameterError, match="unknown variant 'classic' of okx-pm; expected one of unified"):
        rule("okx-pm", variant="classic")


REST = {"coins": ["*"], "rate": 0.1}
BAD: list[tuple[str, Any, str]] = [
    ("spot_moves", [{"coins": ["*"], "moves": [0.2, 0.1]}], r"moves \[0.2, 0.1\] do not rise"),
    ("spot_moves", [{"coins": ["*"], "moves": [1.0]}], "moves.0: found 1.0"),
    ("basis_annual", [{"coins": ["BTC"], "rate": 0.1}], "basis_annual has no group of the rest"),
    ("basis_minimum", [REST, {"coins": ["BTC", "*"], "rate": 0.1}], r"basis_minimum holds \* in two groups"),
    ("minimum_rate", [{"coins": ["*"], "rate": -0.1}], r"minimum_rate\.0\.rate: found -0.1"),
    ("extreme_moves", [{"coins": ["*"], "rate": 1.5}], "a move of 1 or more"),
    ("collateral_rate", [{"coins": ["*"], "rate": 1.5}], "a rate above 1"),
    ("minimum_tiers", [{"coins": ["*"], "floors": [0.0, 5.0], "factors": [1.0]}], "1 factors for 2 floors"),
    ("minimum_tiers", [{"coins": ["*"], "floors": [1.0], "factors": [1.0]}], "do not rise from 0"),
    ("depeg_bands", [{"price_from": 0.9, "floors": [0.0], "factors": [1.0]}], "do not fall to 0"),
    ("borrow_mm_rate", 0.5, "borrow_mm_rate 0.5 is above borrow_im_rate 0.1"),
    ("im_factor", 0.9, "im_factor: found 0.9"),
    ("haircut", 0.1, "haircut: unknown key"),
]


@pytest.mark.parametrize(("key", "value", "message"), BAD)
def test_parameters_out_of_range(key: str, value: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        NEWEST.with_values("BTC", **{key: value})


def test_rates_of_written_options_out_of_order() -> None:
    with pytest.raises(ParameterError, match=r"mm_rate 0\.2, im_floor 0\.1, im_rate 0\.15 do not rise"):
        load_parameter_sets("okx-standard")[0].with_values("BTC", mm_rate=0.2)


def test_scenarios_and_coins_of_the_rest() -> None:
    table = NEWEST.table("BTC")
    assert [s.label for s in unit_scenarios(table, "PEPE")][:3] == [
        "-25%, vol down", "-25%, vol same", "-25%, vol up",
    ]  # fmt: skip
    assert unit_scenarios(table, "PEPE")[-1].move == 0.36
    assert spot_in_use(-1.0, -60_000.0, 60_000.0) == 0.0


# -- beside other rules -------------------------------------------------------------------------------------
@pytest.mark.filterwarnings("ignore::pmkit.core.errors.PmkitWarning")
def test_coin_settled_accounts_compare_with_the_other_rules() -> None:
    chain = load_snapshot("deribit-btc-2026-08-01")
    spot = chain.spot("BTC")
    rows: list[dict[str, Any]] = [
        {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -round(spot)},
        {"type": "position", "instrument": "BTC-28AUG26-70000-C", "qty": -5.0},
        {"type": "position", "instrument": "BTC-28AUG26-60000-P", "qty": 5.0},
        {"type": "collateral", "instrument": "BTC", "qty": 10.0},
    ]
    account = Account.from_records([{"as_of": "2026-08-01T17:58:04Z", **row} for row in rows])
    found = compare(
        account, chain, rules=["deribit-pm", "okx-pm", rule("es-fhs", n_paths=1000)], stale="warn"
    )
    found.check()
    okx = found["okx-pm"]
    assert okx.equity <= account.equity(chain) and okx.param_set == "okx-pm-2025-01-15"
    assert 0.0 < okx.figures["units"].loc["BTC", "spot in use"] <= 10.0
    assert 0.0 <= okx.implied_level <= 1.0 and okx.netting_benefit < 1.0


def test_discounts_scale_linear_options(venue: Any) -> None:
    names = {"okx-pm": "BTC-30d-60000-C-USDT", "paradex-pm": "BTC-30d-60000-C-USDC"}
    flat = venue.market(names.values())
    factors = {"BTC": {expiry.isoformat(): 0.9 for expiry in flat.market("BTC").forwards}}
    discounted = venue.market(names.values(), discounts=factors)
    for name, option in names.items():
        made, account = rule(name, stale="warn"), venue.account({option: 5.0})
        before, after = (made.requirement(account, m) for m in (flat, discounted))
        assert after.net_option_value == pytest.approx(0.9 * before.net_option_value, rel=1e-12)
        assert after.worst_scenario.pnl == pytest.approx(0.9 * before.worst_scenario.pnl, rel=1e-12)
