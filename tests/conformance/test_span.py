"""Published and computed arrays of SPAN, re-typed with their figures.

Source of the published array: McMillan, *Options as a Strategic Investment*, chapter 34 (S&P 500 December
410 call and future, scan range 10,000). The other cases are own computations: future at 2790, call struck at
2825, vol 16 %, a quarter of a year, scan range 120 points, relative vol range 35 %, one day of look-ahead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.instruments import Future, Instrument, Option, Portfolio, Position, listed_future, listed_option
from pmkit.margin import Account, MarginResult, rule
from pmkit.margin.parameters import ParameterSet, load_parameter_sets
from pmkit.margin.rules.span import RiskArray, RiskArrays
from pmkit.market.snapshot import MarketSnapshot

NOW = pd.Timestamp("2018-06-01T20:00:00Z")
QUARTER = NOW + pd.Timedelta(seconds=0.25 * 31_536_000)

# P&L of a long call, and of the covered write, by scenario
CALL = (460, -610, 2640, 1730, -1270, -2340, 5210, 4540, -2540, -3430, 8060, 7640, -3380, -3990, 3130, -1500)
COVERED = (
    -460, 610, 690, 1600, -2060, -990, 1460, 2130, -4130, -3240, 1940, 2360, -6620, -6010, 3870, -5500,
)  # fmt: skip
FUTURE = (
    0, 0, 3330, 3330, -3330, -3330, 6670, 6670, -6670, -6670, 10_000, 10_000, -10_000, -10_000, 7000, -7000,
)  # fmt: skip

OWN_CALL = (
    -7596, 7768, -12613, 3075, -3111, 11388, -18152, -2699, 845, 14019, -24198, -9487, 4284, 15812,
)  # fmt: skip


def contracts(
    underlying: str = "ES", strike: float = 2825.0, multiplier: float = 250.0
) -> tuple[Option, Future]:
    """Return a call and the future of its month."""
    call = listed_option(underlying, QUARTER, strike, True, multiplier=multiplier)
    return call, listed_future(underlying, QUARTER, multiplier=multiplier)


def plain(**values: Any) -> ParameterSet:
    """Return the parameters of the computed cases."""
    base = load_parameter_sets("span")[0]
    given = {
        "price_scan_rate": 0.0, "price_scan_points": 120.0, "short_option_minimum": 0.0, "intermonth": (),
        "intercommodity": (), **values,
    }  # fmt: skip
    return base.with_values("ES", **given)


def market(
    spot: float = 2790.0, strike: float = 2825.0, iv: float = 0.16, multiplier: float = 250.0
) -> MarketSnapshot:
    call, _ = contracts(strike=strike, multiplier=multiplier)
    return MarketSnapshot.from_marks(
        NOW, {"ES": spot}, forwards={"ES": {QUARTER.isoformat(): spot}}, option_iv={call.name: iv}
    )


def book(*held: tuple[Instrument, float]) -> Account:
    positions = tuple(Position(instrument=i, qty=q) for i, q in held)
    return Account(portfolio=Portfolio(positions=positions, as_of=NOW))


def run(account: Account, snapshot: MarketSnapshot, parameters: ParameterSet, **options: Any) -> MarginResult:
    found = rule("span", parameters=(parameters,), **options).requirement(account, snapshot)
    assert isinstance(found, MarginResult)
    found.check()
    return found


# -- the published array ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("calls", "futures", "expected", "worst"),
    [
        (1.0, 0.0, 3990.0, "ES: scenario 14"),
        (-1.0, 0.0, 8060.0, "ES: scenario 11"),
        (-1.0, 1.0, 6620.0, "ES: scenario 13"),
    ],
)
def test_published_array(calls: float, futures: float, expected: float, worst: str) -> None:
    call, future = contracts(strike=410.0, multiplier=500.0)
    arrays = RiskArrays(
        arrays={
            call.name: RiskArray(tuple(-float(x) for x in CALL), 0.5),
            future.name: RiskArray(tuple(-float(x) for x in FUTURE), 1.0),
        }
    )
    held = {call: calls, future: futures}
    account = book(*((i, q) for i, q in held.items() if q != 0.0))
    given = {i.name: arrays.arrays[i.name] for i, q in held.items() if q != 0.0}
    found = run(account, market(410.0, 410.0, 0.2, 500.0), plain(), arrays=given)
    assert found.mm_equity == pytest.approx(expected, abs=1e-9)
    assert found.worst_scenario.name == worst
    if futures:
        assert tuple(found.scenario_vector) == tuple(float(x) for x in COVERED)


# -- own cases ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("multiplier", "cover", "extreme"), [(3.0, 0.33, (-21545, 5843)), (2.0, 0.35, (-13654, 5528))]
)
def test_call_array(multiplier: float, cover: float, extreme: tuple[int, int]) -> None:
    call, future = contracts()
    values = plain(extreme_multiplier=multiplier, covered_fraction=cover)
    made = rule("span", parameters=(values,)).risk_arrays(
        book((call, 1.0), (future, 1.0)).portfolio, market()
    )
    got = made.arrays[call.name]
    np.testing.assert_allclose(got.losses, (*OWN_CALL, *extreme), atol=0.5)
    assert got.delta == pytest.approx(0.45305, abs=5e-6)
    edge = 29_700.0 if multiplier == 3.0 else 21_000.0
    thirds = [0, 0, -1, -1, 1, 1, -2, -2, 2, 2, -3, -3, 3, 3]
    np.testing.assert_allclose(
        made.arrays[future.name].losses, [10_000.0 * x for x in thirds] + [-edge, edge], atol=1e-9
    )
    assert made.arrays[future.name].delta == 1.0


@pytest.mark.parametrize(
    ("futures", "expected", "worst"), [(1.0, 25_716.0, "ES: scenario 13"), (0.0, 24_198.0, "ES: scenario 11")]
)
def test_short_call_and_covered_write(futures: float, expected: float, worst: str) -> None:
    call, future = contracts()
    held = ((call, -1.0), (future, futures)) if futures else ((call, -1.0),)
    found = run(book(*held), market(), plain())
    assert found.mm_equity == pytest.approx(expected, abs=0.5)
    assert found.worst_scenario.name == worst
    # the requirement carries the premium of the written call
    assert found.mm - found.mm_equity == pytest.approx(18_290.86, abs=0.005)
    assert found.im_equity == pytest.approx(1.10 * found.mm_equity, rel=1e-12)


def test_intercommodity_credit() -> None:
    a, b = listed_future("ES", QUARTER, multiplier=1.0), listed_future("NQ", QUARTER, multiplier=1.0)
    spread = {"other": "NQ", "ratio": 1.0, "other_ratio": 1.0, "rate": 0.6, "same_side": False}
    values = plain(intercommodity=(spread,)).with_values("NQ", intermonth=(), short_option_minimum=0.0)
    signs = (0, 0, -1, -1, 1, 1, -2, -2, 2, 2, -3, -3, 3, 3, 0, 0)
    arrays = {
        a.name: {"losses": [300.0 * x for x in signs], "delta": 1.0},
        b.name: {"losses": [800.0 / 3.0 * x for x in signs], "delta": 1.0},
    }
    expiry = QUARTER.isoformat()
    snapshot = MarketSnapshot.from_marks(
        NOW, {"ES": 2790.0, "NQ": 7000.0}, forwards={"ES": {expiry: 2790.0}, "NQ": {expiry: 7000.0}}
    )
    found = run(book((a, 10.0), (b, -8.0)), snapshot, values, arrays=arrays)
    parts = found.figures["commodities"]
    assert parts["scan"].tolist() == pytest.approx([9000.0, 6400.0], abs=1e-9)
    assert parts["intercommodity_credit"].tolist() == pytest.approx([4320.0, 3840.0], abs=1e-9)
    assert found.mm == pytest.approx(15_400.0 - 8160.0, abs=1e-9)


@pytest.mark.parametrize(("method", "expected"), [("sum", 50.0), ("greater", 30.0)])
def test_short_option_minimum(method: str, expected: float) -> None:
    call = listed_option("ES", QUARTER, 9000.0, True, multiplier=250.0)
    put = listed_option("ES", QUARTER, 900.0, False, multiplier=250.0)
    snapshot = MarketSnapshot.from_marks(
        NOW,
        {"ES": 2790.0},
        forwards={"ES": {QUARTER.isoformat(): 2790.0}},
        option_iv={call.name: 0.16, put.name: 0.16},
    )
    values = plain(short_option_minimum=10.0, short_option_method=method)
    found = run(book((call, -3.0), (put, -2.0)), snapshot, values)
    assert found.mm_equity == pytest.approx(expected, abs=1e-6)


# -- the Indian set -----------------------------------------------------------------------------------------
def nifty(days: float, **more: Any) -> tuple[Future, MarketSnapshot]:
    now = pd.Timestamp("2025-06-20T10:00:00Z")
    expiry = now + pd.Timedelta(days=days)
    future = listed_future("NIFTY", expiry, multiplier=75.0, currency="INR", **more)
    return future, MarketSnapshot.from_marks(
        now, {"NIFTY": 25_000.0}, forwards={"NIFTY": {expiry.isoformat(): 25_000.0}}
    )


@pytest.mark.parametrize(
    ("days", "sigma", "rate", "exposure"),
    [
        # 6 sigma sqrt(2) below the floor of 9.3 %, above it, and the floor beyond nine months
        (20.0, 0.005, 0.093, 0.02), (20.0, 0.02, 6.0 * 0.02 * 2.0**0.5, 0.02), (300.0, 0.005, 0.177, 0.05),
    ],
)  # fmt: skip
def test_nse_future(days: float, sigma: float, rate: float, exposure: float) -> None:
    future, snapshot = nifty(days)
    portfolio = Portfolio(positions=(Position(instrument=future, qty=1.0),), as_of=snapshot.as_of)
    account = Account(portfolio=portfolio, collateral={"INR": 1e6})
    found = rule("span", variant="nse", sigma={"NIFTY": sigma}).requirement(account, snapshot)
    notional = 25_000.0 * 75.0
    assert found.figures["commodities"].loc["NIFTY", "scan"] == pytest.approx(notional * rate, rel=1e-12)
    assert found.addons["exposure margin"] == pytest.approx(notional * exposure, rel=1e-12)
    assert found.im == found.mm == pytest.approx(notional * (rate + exposure), rel=1e-12)
    assert found.numeraire == "INR" and found.equity == 1e6
