"""The ten points: properties, groups, every key, named refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    ParameterError,
    RuleVersionError,
    SchemaError,
    StaleParametersWarning,
)
from pmkit.core.types import FloatArray
from pmkit.instruments import Portfolio, Position, listed_future
from pmkit.margin import Account, MarginResult, rule
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.margin.rules.tims import group_vector, scan_group
from pmkit.margin.schemas import TimsParameters
from pmkit.market.snapshot import MarketSnapshot
from tests.unit.margin.listed_books import NOW, Leg, account, contract, market, requirement

SET = load_parameter_sets("tims")[0]

BOOK: dict[str, tuple[Leg, ...]] = {
    "SPX": (("C", 2100.0, -2.0, 25.0), ("P", 1900.0, -3.0, 20.0), ("C", 2200.0, 4.0, 6.0)),
    "NDX": (("P", 4000.0, 2.0, 80.0), ("C", 4400.0, -1.0, 90.0)),
    "XYZ": (("S", 0.0, 300.0, 0.0),),
}
SPOTS = {"SPX": 2000.0, "NDX": 4200.0, "XYZ": 100.0}


def names() -> list[tuple[str, Leg]]:
    return [(u, leg) for u, held in BOOK.items() for leg in held]


def charge(quantities: FloatArray, parameters: ParameterSet = SET) -> float:
    """Return the requirement of other quantities of the contracts of the book."""
    held: dict[str, list[Leg]] = {}
    for (underlying, leg), qty in zip(names(), quantities, strict=True):
        held.setdefault(underlying, []).append((leg[0], leg[1], float(qty), leg[3]))
    positions = tuple(
        Position(instrument=contract(leg, u), qty=leg[2]) for u, group in held.items() for leg in group
    )
    book = Portfolio(positions=positions, as_of=NOW)
    made = rule("tims", parameters=(parameters,))
    return made.requirement(Account(portfolio=book), MARKET).im


MARKET: MarketSnapshot = market(SPOTS, BOOK)
QUANTITIES = st.lists(st.integers(-3, 3), min_size=6, max_size=6).map(lambda q: np.array(q, dtype=float))


# -- properties ---------------------------------------------------------------------------------------------
@settings(max_examples=20)
@given(QUANTITIES, QUANTITIES, st.integers(2, 4))
def test_homogeneous_subadditive_and_so_convex(a: FloatArray, b: FloatArray, times: int) -> None:
    first, second, both = charge(a), charge(b), charge(a + b)
    scale = 1e-9 * max(1.0, first + second)
    assert charge(times * a) == pytest.approx(times * first, rel=1e-12, abs=1e-9)
    assert both <= first + second + scale
    assert 0.5 * both <= 0.5 * first + 0.5 * second + scale


def test_not_monotone_in_gains_beyond_the_minimum() -> None:
    # a gift that is worth something at every point can raise the requirement: it brings a minimum charge
    nothing = charge(np.zeros(6))
    assert nothing == 0.0
    gift = np.zeros(6)
    gift[0] = 1.0
    assert charge(gift) > 0.0


def test_more_scan_gain_never_raises_the_scan() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        x = rng.normal(size=(3, 10))
        more = x + np.abs(rng.normal(size=(3, 10)))
        offset = float(rng.uniform())
        assert (
            scan_group(group_vector(more, offset), 0.0).scan <= scan_group(group_vector(x, offset), 0.0).scan
        )


def test_offset_between_one_and_no_netting() -> None:
    rng = np.random.default_rng(2)
    for _ in range(100):
        x = rng.normal(size=(4, 10))
        scans = [scan_group(group_vector(x, o), 0.0).scan for o in (0.0, 0.5, 1.0)]
        alone = sum(scan_group(row, 0.0).scan for row in x)
        assert max(-x.sum(axis=0).min(), 0.0) == pytest.approx(scans[2], abs=1e-12)
        assert scans[2] <= scans[1] + 1e-12 <= scans[0] + 2e-12 <= alone + 3e-12


def test_groups_of_the_book() -> None:
    found = rule("tims").requirement(account(BOOK), MARKET)
    assert isinstance(found, MarginResult)
    found.check()
    assert list(found.figures["products"].index) == [
        "high-capitalisation broad index", "other broad index", "XYZ",
    ]  # fmt: skip
    groups = found.figures["groups"]
    assert list(groups.index) == ["broad index", "XYZ"]
    products = found.figures["products"]
    high, other = (products.loc[n].to_numpy() for n in products.index[:2])
    joint = np.where(high < 0, high, 0.75 * high) + np.where(other < 0, other, 0.75 * other)
    assert groups.loc["broad index", "scan"] == pytest.approx(-joint.min(), rel=1e-12)
    assert groups.loc["XYZ", "requirement"] == pytest.approx(300.0 * 15.0, rel=1e-12)
    assert found.im == pytest.approx(groups["requirement"].sum(), rel=1e-12)
    clauses = {"TMS-4", "TMS-7", "TMS-8", "TMS-9", "TMS-10"}
    assert clauses <= set(found.explain()["clause"])
    assert {"assumed", "published"} <= set(found.explain()["status"])


def test_line_requirements_add_up_to_more() -> None:
    made = rule("tims")
    lines = made.line_im_equity(account(BOOK), MARKET)
    assert lines.shape == (6,) and lines.sum() > made.requirement(account(BOOK), MARKET).im_equity


def test_futures_move_with_the_index() -> None:
    future = listed_future("SPX", NOW.replace(month=3), multiplier=50.0)
    snapshot = MarketSnapshot.from_marks(
        NOW, {"SPX": 2000.0}, forwards={"SPX": {future.expiry.isoformat(): 2010.0}}
    )
    book = Portfolio(positions=(Position(instrument=future, qty=-2.0),), as_of=NOW)
    found = rule("tims").requirement(Account(portfolio=book), snapshot)
    assert found.im == pytest.approx(2.0 * 50.0 * 2010.0 * 0.06, rel=1e-12)


# -- every key ----------------------------------------------------------------------------------------------
STOCK: tuple[Leg, ...] = (("S", 0.0, 100.0, 0.0),)
SHORT: tuple[Leg, ...] = (("S", 0.0, -100.0, 0.0),)
STRADDLE: tuple[Leg, ...] = (("C", 100.0, 10.0, 5.0), ("P", 100.0, 10.0, 5.0))
#: key: lowest, highest, figure, direction, legs of XYZ
EXTREMES: dict[str, tuple[Any, Any, str, int, tuple[Leg, ...]]] = {
    "down": (0.001, 0.999, "im", 1, STOCK),
    "up": (0.001, 5.0, "im", 1, SHORT),
    # between two points a long straddle gains at both; finer points see the loss in the middle
    "points_per_side": (1, 50, "scan", 1, STRADDLE),
    "leverage": (0.1, 6.0, "im", 1, STOCK),
    "minimum_per_contract": (0.0, 1.0, "im", 1, (("C", 200.0, -5.0, 0.0001),)),
    "minimum_equity": (0.0, 1e6, "im", 1, STOCK),
    "im_factor": (1.0, 3.0, "im", 1, STOCK),
}
#: keys about groups: values of SPX and NDX before and after, and the direction
GROUPS: dict[str, tuple[Any, Any, int]] = {
    "product_group": ("", "one", -1),
    "product_offset": (0.0, 1.0, -1),
    "portfolio_group": ("", "one", -1),
    "portfolio_offset": (0.0, 1.0, -1),
}


def test_every_key_is_covered() -> None:
    assert {*EXTREMES, *GROUPS, "european"} == set(TimsParameters.model_fields)


@pytest.mark.parametrize("key", list(EXTREMES))
def test_every_key_moves_a_case_in_its_direction(key: str) -> None:
    low, high, figure, sign, held = EXTREMES[key]
    options: dict[str, Any] = {"with_minimum_equity": True} if key == "minimum_equity" else {}
    got = []
    for value in (low, high):
        sets = (SET.with_values("*", **{"european": True, key: value}),)
        found = requirement("tims", 100.0, held, parameters=sets, **options)
        got.append(found.im if figure == "im" else float(found.figures["groups"]["scan"].iloc[0]))
    assert sign * (got[1] - got[0]) > 1e-6


@pytest.mark.parametrize("key", list(GROUPS))
def test_every_key_of_groups_moves_a_case(key: str) -> None:
    low, high, sign = GROUPS[key]
    base = {
        "product_group": {"portfolio_group": "", "product_offset": 0.9, "portfolio_offset": 0.0},
        "product_offset": {"product_group": "one", "portfolio_group": ""},
        "portfolio_group": {"product_group": "", "portfolio_offset": 0.75},
        "portfolio_offset": {"product_group": "", "portfolio_group": "one"},
    }[key]
    held: dict[str, tuple[Leg, ...]] = {
        "SPX": (("S", 0.0, 10.0, 0.0),), "NDX": (("S", 0.0, -5.0, 0.0),),
    }  # fmt: skip
    snapshot = MarketSnapshot.from_marks(NOW, SPOTS)
    got = []
    for value in (low, high):
        sets = SET
        for underlying in held:
            sets = sets.with_values(underlying, **{**base, key: value})
        got.append(rule("tims", parameters=(sets,)).requirement(account(held), snapshot).im)
    assert sign * (got[1] - got[0]) > 1.0


# -- refusals -----------------------------------------------------------------------------------------------
CALL: tuple[Leg, ...] = (("C", 100.0, -1.0, 5.0),)


def test_an_option_that_may_be_american_needs_theoretical_values() -> None:
    with pytest.raises(DataGapError, match=r"XYZ-3MAR15-100-C may be exercised early.*at the 10 points"):
        requirement("tims", 100.0, CALL)
    name = contract(CALL[0]).name
    values = [1.0, 1.5, 2.2, 3.0, 3.9, 6.2, 8.0, 10.2, 12.8, 15.6]
    found = requirement("tims", 100.0, CALL, theoretical={name: values})
    assert found.im == pytest.approx(1060.0, abs=1e-6)
    assert found.provenance.data["theoretical"]


@pytest.mark.parametrize(
    ("values", "message"),
    [([1.0] * 9, r"shape \(9,\); expected 10 finite"), ([float("nan")] * 10, "10 finite values")],
)
def test_theoretical_values_of_another_shape(values: list[float], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        requirement("tims", 100.0, CALL, theoretical={contract(CALL[0]).name: values})


def test_theoretical_values_of_what_is_not_held() -> None:
    with pytest.raises(SchemaError, match="theoretical values for 'ABC'; expected contracts of the account"):
        requirement("tims", 100.0, STOCK, theoretical={"ABC": [0.0] * 10})


def test_groups_that_contradict_themselves() -> None:
    sets = (SET.with_values("SPX", portfolio_offset=0.5),)
    with pytest.raises(ParameterError, match=r"portfolio_offset of group 'broad index' is 0\.5 and 0\.75"):
        rule("tims", parameters=sets).requirement(account(BOOK), MARKET)
    sets = (SET.with_values("SPX", points_per_side=4),)
    with pytest.raises(ParameterError, match="points_per_side differs between SPX, NDX, XYZ"):
        rule("tims", parameters=sets).requirement(account(BOOK), MARKET)


@pytest.mark.parametrize(
    ("pnl", "offset", "message"),
    [
        (np.zeros(3), 0.5, r"pnl of shape \(3,\)"), (np.full((2, 2), np.nan), 0.5, "finite numbers"),
        (np.zeros((2, 2)), 1.5, "offset is 1.5"),
    ],
)  # fmt: skip
def test_vectors_out_of_range(pnl: FloatArray, offset: float, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        group_vector(pnl, offset)


def test_price_that_would_reach_zero() -> None:
    with pytest.raises(ParameterError, match=r"down 0\.15 times leverage 7 takes the price to zero"):
        SET.with_values("*", leverage=7.0)


def test_dates_variants_and_contracts() -> None:
    with pytest.raises(RuleVersionError, match="no parameter set of tims"):
        rule("tims", as_of="2005-01-01")
    with pytest.raises(ParameterError, match="unknown variant 'retail' of tims"):
        rule("tims", variant="retail")
    coin = Account.from_records(
        [{"type": "position", "instrument": "BTC-PERPETUAL", "qty": 1, "as_of": "2020-01-02T00:00Z"}]
    )
    snapshot = MarketSnapshot.from_marks("2020-01-02T00:00Z", {"BTC": 7000.0})
    with pytest.raises(ConventionError, match="inverse perpetual settled in BTC; expected stocks, futures"):
        rule("tims").requirement(coin, snapshot)
    with pytest.warns(StaleParametersWarning, match="last observed on 2021-11-18"):
        late = MarketSnapshot.from_marks("2024-01-02T00:00Z", {"XYZ": 100.0})
        rule("tims", stale="warn").parameter_set(late)


def test_cash_alone_needs_nothing() -> None:
    found = rule("tims").requirement(account({}, cash=1000.0), MARKET)
    assert (found.im, found.mm, found.equity, found.status) == (0.0, 0.0, 1000.0, "ok")
