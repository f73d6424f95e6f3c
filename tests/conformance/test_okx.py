"""Published figures of OKX: the response of its position builder, the minimum charge, written options.

Sources: application interface, method position-builder, response of 15 January 2025 10:26:41 UTC; notice
effective 24 December 2021; example of the position margin of a written call; third-party rewrite of the
notice on the charge for stablecoins.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pmkit.core.errors import StaleParametersWarning
from pmkit.margin import MarginResult, rule
from pmkit.margin.conformance.contracts import account_of
from pmkit.margin.parameters import select
from pmkit.margin.rules.okx.standard import written_option_margin
from pmkit.margin.rules.okx.unit import depeg_charge
from pmkit.margin.schemas import OkxStandardParameters
from pmkit.market.snapshot import MarketSnapshot

#: printed to sixteen or seventeen digits, of which the last comes from the order of the venue's sums
PRINTED = 2e-15
AS_OF = "2025-01-15T10:26:41.642Z"


def swap(coin: str, multiplier: float) -> dict[str, Any]:
    return {
        "name": f"{coin}-USDT-SWAP", "kind": "perpetual", "underlying": coin, "settlement": "linear",
        "settlement_currency": "USDT", "multiplier": multiplier,
    }  # fmt: skip


#: the loss of the LTC line since its entry, 78 980 USDT, is booked as cash
CASE: dict[str, Any] = json.loads((Path(__file__).parent / "cases" / "okx-pm.json").read_text())["cases"][0]


@pytest.fixture(scope="module")
def published() -> MarginResult:
    snapshot = MarketSnapshot.from_marks(AS_OF, CASE["spot"], perpetual=CASE["perpetual"], fx=CASE["fx"])
    result = rule("okx-pm").requirement(account_of(CASE, "position builder"), snapshot)
    result.check()
    return result


UNITS = {
    "BTC": {
        "MR1": 1164.4109244719994, "MR2": 0.0, "MR3": 0.0, "MR4": 19.4098073796, "MR5": 0.0,
        "MR6": 1164.4109244720003, "MR7": 43.67206660410001, "MR9": 0.0, "MMR": 1183.8207318516002,
        "IMR": 1538.9669514070802,
    },
    "LTC": {
        "MR1": 183.50672805719995, "MR2": 0.0, "MR3": 0.0, "MR4": 8.1562464, "MR5": 0.0,
        "MR6": 183.5067280572, "MR7": 7.1367156, "MR9": 0.0, "MMR": 191.6629744572,
        "IMR": 249.16186679436,
    },
}  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_measures_of_the_response(published: MarginResult, unit: str) -> None:
    found = published.figures["units"].loc[unit]
    for name, value in UNITS[unit].items():
        assert found[name] == pytest.approx(value, rel=PRINTED, abs=0.0), name


@pytest.mark.parametrize(
    ("unit", "cells"),
    [
        ("BTC", {4: 388.1369748240002, 8: 776.2739496480004, 12: 1164.4109244719994}),
        ("LTC", {6: -61.168909352399936, 12: -122.33781870480001, 18: -183.50672805719995}),
    ],
)
def test_scenarios_of_the_response(published: MarginResult, unit: str, cells: dict[int, float]) -> None:
    vector = published.scenario_vector
    for vol in ("down", "same", "up"):
        assert vector[f"{unit} 0%, vol {vol}"] == 0.0
        for move, pnl in cells.items():
            # printed with the rounding of a difference of two values
            assert vector[f"{unit} -{move}%, vol {vol}"] == pytest.approx(pnl, rel=2e-15)
            assert vector[f"{unit} +{move}%, vol {vol}"] == pytest.approx(-pnl, rel=2e-15)
    extreme = {"BTC": ("+24%", -2328.8218489440005), "LTC": ("-36%", -367.0134561144)}[unit]
    assert vector[f"{unit} {extreme[0]} extreme"] == pytest.approx(extreme[1], rel=PRINTED)


def test_account_of_the_response(published: MarginResult) -> None:
    steps = published.explain().set_index("what")["value"]
    assert published.equity == pytest.approx(-78553.21888979999, rel=PRINTED)
    assert steps["MR8 borrowing, maintenance"] == pytest.approx(1571.064377796, rel=PRINTED)
    assert steps["MR8 borrowing, initial"] == pytest.approx(7855.32188898, rel=PRINTED)
    assert published.figures["units"]["MMR"].sum() == pytest.approx(1375.4837063088003, rel=PRINTED)
    assert published.mm == pytest.approx(2946.5480841048, rel=PRINTED)
    assert published.im == pytest.approx(9643.45070718144, rel=PRINTED)
    assert (published.status, published.margin_ratio) == ("insolvent", float("inf"))
    assert published.param_set == "okx-pm-2025-01-15"


def test_example_of_the_minimum_charge_part_by_part() -> None:
    """Stress and basis 40 000, raw minimum 30 000: 10 000 + 2 x 20 000 = 50 000, which is the requirement."""
    as_of, price = "2021-12-24T08:00:00Z", 50_000.0
    expiry = (pd.Timestamp(as_of) + pd.Timedelta(days=1)).isoformat()
    # both legs are charged the least basis move, 0.2 %, and what is not hedged the largest fall, 15 %
    gross = 30_000.0 / 0.0045 / price
    net = (40_000.0 - 0.002 * gross * price) / (0.15 * price)
    record = {
        "as_of": as_of,
        "contracts": [
            swap("BTC", 1.0),
            {**swap("BTC", 1.0), "name": "F", "kind": "future", "expiry": expiry},
        ],
        "account": [
            {"type": "position", "instrument": "BTC-USDT-SWAP", "qty": (gross + net) / 2.0},
            {"type": "position", "instrument": "F", "qty": -(gross - net) / 2.0},
        ],
    }
    snapshot = MarketSnapshot.from_marks(as_of, {"BTC": price}, forwards={"BTC": {expiry: price}})
    result = rule("okx-pm").requirement(account_of(record, "hedged"), snapshot)
    row = result.figures["units"].loc["BTC-USDT"]
    assert row["MR1"] + row["MR4"] == pytest.approx(40_000.0, rel=1e-12)
    assert row["MR7"] == pytest.approx(50_000.0, rel=1e-12)
    assert (result.mm, result.im) == pytest.approx((50_000.0, 65_000.0), rel=1e-12)


def test_moves_by_date() -> None:
    moves = {
        "2024-05-09": (0.15, 0.30, 0.30), "2024-05-10": (0.15, 0.30, 0.10), "2025-01-05": (0.15, 0.30, 0.10),
        "2025-01-06": (0.12, 0.24, 0.05), "2025-01-15": (0.12, 0.24, 0.05),
    }  # fmt: skip
    for date, (spot, extreme, annual) in moves.items():
        table = select("okx-pm", date, "unified").table("BTC")
        assert table.spot_moves[0].moves[-1] == spot
        assert table.extreme_moves[0].rate == extreme
        assert table.basis_annual[0].rate == annual
    with pytest.warns(StaleParametersWarning, match="okx-pm-2025-01-15 was last observed on 2025-01-15"):
        select("okx-pm", "2026-01-01", "unified", stale="warn")


def test_example_of_the_stablecoin_charge() -> None:
    """Ten million offset: 1m x 0.75 % + 4m x 1.75 % + 5m x 2.5 % = 202 500 USD."""
    table = select("okx-pm", "2025-01-15", "unified").table("BTC")
    assert depeg_charge({"USDT": -10e6, "USD": 10e6}, {"USDT": 0.985}, table) == pytest.approx(202_500.0)


def test_example_of_a_written_call() -> None:
    """(max(0.1, 0.15 - 100/5900) 1.02 + 0.0575) 0.1 = 0.01932 coin a contract of a tenth of a coin."""
    table = OkxStandardParameters(im_floor=0.10, im_rate=0.15, mm_rate=0.03, margin_factor=1.02)
    initial, maintenance = written_option_margin(table, 6_000.0, 5_900.0, 0.0575, True)
    assert round(0.1 * initial, 5) == 0.01932
    assert maintenance == pytest.approx(0.03 * 1.02 + 0.0575, rel=1e-15)
