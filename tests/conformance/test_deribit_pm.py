"""Published and independently computed cases of the risk matrix.

The first is the response example of the venue's API reference; the cases with options were computed apart
from the package, from the formulas of the rule's page; the last is the documented example of another venue's
copy of the classic matrix.
"""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from pmkit.core.errors import LotWarning, StaleParametersWarning
from pmkit.instruments import Future, Portfolio, Position
from pmkit.margin import Account, MarginResult, rule
from pmkit.margin.engine.matrix_cells import matrix_scenarios
from pmkit.margin.engine.risk_matrix import MatrixSpec, evaluate
from pmkit.margin.parameters import select
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import revalue
from pmkit.scenarios import TermScaling

INDEX = 65_666.19


@pytest.fixture(scope="module")
def published() -> MarginResult:
    as_of = "2024-06-17T10:00:00Z"
    perpetual, future = 65_910.57, 67_371.75
    snapshot = MarketSnapshot.from_marks(
        as_of,
        {"BTC": INDEX},
        perpetual={"BTC": perpetual},
        forwards={"BTC": {"2024-06-28T08:00:00Z": future}},
    )
    coins = {"BTC-PERPETUAL": (0.314538364, perpetual), "BTC-28JUN24": (-0.001187534, future)}
    rows = [
        {"type": "position", "instrument": name, "qty": size * mark / 10.0, "as_of": as_of}
        for name, (size, mark) in coins.items()
    ]
    with pytest.warns(LotWarning):
        account = Account.from_records(
            [*rows, {"type": "collateral", "instrument": "BTC", "qty": 1, "as_of": as_of}]
        )
    account = dataclasses.replace(account, mmp_margin={"BTC": 0.06}, open_order_margin={"BTC": 0.000018212})
    return rule("deribit-pm").requirement(account, snapshot)


PUBLISHED_CELLS = {
    "-16%": -0.05968587238095238,
    "-12%": -0.04272965863636367,
    "-8%": -0.02724789826,
    "-4%": -0.01305628458,
}


def test_published_example_vector(published: MarginResult) -> None:
    matrix = published.figures["matrix"]
    for move, cell in PUBLISHED_CELLS.items():
        for vol in ("vol down", "vol same", "vol up"):
            assert matrix.loc[f"{move}, {vol}", "final"] == pytest.approx(cell, abs=6e-12)
    gains = matrix[(matrix["table"] == "standard") & (matrix["move"] >= 0.0)]
    assert len(gains) == 15 and (gains["final"] == 0.0).all()
    assert (matrix.loc[matrix["table"] == "extended", "final"] == 0.0).all()
    assert len(matrix) == 27 + 8


def test_published_example_of_the_perpetual_alone() -> None:
    as_of = "2024-06-17T10:00:00Z"
    snapshot = MarketSnapshot.from_marks(as_of, {"BTC": INDEX}, perpetual={"BTC": 65_910.57})
    with pytest.warns(LotWarning):
        account = Account.from_records(
            [
                {
                    "type": "position",
                    "instrument": "BTC-PERPETUAL",
                    "qty": 0.314538364 * 6591.057,
                    "as_of": as_of,
                }
            ]
        )
    matrix = rule("deribit-pm").requirement(account, snapshot).figures["matrix"]
    tail = matrix[matrix["table"] == "extended"]
    # Every tail row of a future equals the row at the edge of the range.
    assert tail.loc[tail["move"] < 0.0, "adjusted"].tolist() == pytest.approx([-0.0599120693] * 2, abs=5e-11)
    assert tail.loc[tail["move"] > 0.0, "adjusted"].tolist() == pytest.approx([0.0433846019] * 6, abs=5e-11)


def test_published_example_requirement(published: MarginResult) -> None:
    steps = published.explain().set_index("what")["value"]
    assert published.figures["matrix"]["final"].min() == pytest.approx(-0.059685872, abs=5e-10)
    assert published.addons["roll_shock"] == pytest.approx(0.00315725898, abs=5e-12)
    assert published.addons["delta_shock"] == 0.0
    assert steps["worst case: -16%, vol same"] == 0.059685872
    assert steps["risk matrix margin"] == pytest.approx(0.06284313098, abs=5e-12)
    assert published.mm == pytest.approx(0.050274504784, abs=5e-13)
    assert published.im == pytest.approx(0.122861343, abs=5e-10)
    assert published.numeraire == "BTC" and published.param_set == "deribit-pm-spm-btc-2024-06"
    published.check()


def short_calls(contracts: int) -> MarginResult:
    as_of, name = "2024-06-08T08:00:00Z", "BTC-28JUN24-90000-C"
    snapshot = MarketSnapshot.from_marks(
        as_of, {"BTC": INDEX}, forwards={"BTC": {"2024-06-28T08:00:00Z": INDEX}}, option_iv={name: 0.60}
    )
    account = Account.from_records(
        [{"type": "position", "instrument": name, "qty": -contracts, "as_of": as_of}]
    )
    return rule("deribit-pm").requirement(account, snapshot)


TAIL = {  # move: (sum, after the rescale, dampener, final)
    "+50%": (-26.616857, -11.013872, 2.789710, -8.224161),
    "+100%": (-63.433113, -17.498790, 6.892226, -10.606564),
    "+200%": (-108.488874, -22.445974, 15.097256, -7.348717),
}


def test_200_short_calls_are_charged_in_the_tail() -> None:
    result = short_calls(200)
    matrix = result.figures["matrix"]
    for move, row in TAIL.items():
        found = matrix.loc[f"{move} extended, vol up", ["pnl", "adjusted", "cap", "dampened"]]
        assert found.tolist() == pytest.approx(row, abs=5e-7)
    rest = [matrix.loc[f"{m} extended, vol up", "final"] for m in ("+300%", "+400%", "+500%", "-66%", "-33%")]
    assert rest == pytest.approx([-0.850421, 0.0, 0.0, 0.0, 0.0], abs=5e-7)
    assert matrix.loc["+16%, vol up", "pnl"] == pytest.approx(-6.006293, abs=5e-7)
    assert result.figures["roll"]["delta"].sum() == pytest.approx(-2.969149, abs=5e-7)
    assert result.worst_scenario.name == "+100% extended, vol up"
    assert result.addons["roll_shock"] == pytest.approx(0.029691, abs=5e-7)
    assert (result.im, result.mm) == pytest.approx((10.636255, 8.509004), abs=5e-7)


def test_200_short_calls_vols() -> None:
    term = TermScaling(short_power=0.30, long_power=0.13)
    assert term.scale(20.0) == pytest.approx(1.1293469, abs=5e-8)
    assert 0.6 * (1.0 + 0.5 * term.scale(20.0)) == pytest.approx(0.9388041, abs=5e-8)
    assert 0.6 * (1.0 - 0.25 * term.scale(20.0)) == pytest.approx(0.4305980, abs=5e-8)
    result = short_calls(200)
    assert result.net_option_value == pytest.approx(-200 * 0.00070619, abs=200 * 5e-9)


def test_50_short_calls_are_charged_in_the_standard_table() -> None:
    result = short_calls(50)
    assert result.worst_scenario.name == "+16%, vol up"
    assert result.worst_scenario.pnl == pytest.approx(-1.501573, abs=5e-7)
    assert result.addons["roll_shock"] == pytest.approx(0.007423, abs=5e-7)
    assert (result.im, result.mm) == pytest.approx((1.508996, 1.207197), abs=5e-7)
    per_contract = [short_calls(50).im / 50, short_calls(200).im / 200]
    assert per_contract == pytest.approx([0.0302, 0.0532], abs=5e-5)


def test_classic_variant() -> None:
    as_of, name = "2022-01-01T08:00:00Z", "BTC-31JAN22-70000-C"
    snapshot = MarketSnapshot.from_marks(
        as_of, {"BTC": 60_000.0}, forwards={"BTC": {"2022-01-31T08:00:00Z": 60_000.0}}, option_iv={name: 0.60}
    )
    held = {name: -10, "BTC-PERPETUAL": 5 * 60_000 / 10}
    account = Account.from_records(
        [{"type": "position", "instrument": n, "qty": q, "as_of": as_of} for n, q in held.items()]
    )
    result = rule("deribit-pm", variant="classic").requirement(account, snapshot)
    assert result.worst_scenario.pnl == pytest.approx(-0.8359705, abs=5e-8)
    assert result.addons == pytest.approx(
        {"futures_contingency": 0.03, "options_contingency": 0.10}, abs=1e-12
    )
    assert (result.mm, result.im) == pytest.approx((0.9659705, 1.1591646), abs=5e-8)
    assert len(result.figures["matrix"]) == 33


def test_documented_copy_of_the_classic_matrix() -> None:
    """Ten linear ETH futures of 20 days, basis 8 %: −3 380 USD at −15 %, 676 a step, 134.6 contingency."""
    as_of = "2022-01-11T08:00:00Z"
    index, forward = 2_243.3, 2_253.2
    snapshot = MarketSnapshot.from_marks(
        as_of, {"ETH": index}, forwards={"ETH": {"2022-01-31T08:00:00Z": forward}}
    )
    future = Future(
        name="ETH-LINEAR", underlying="ETH", settlement="linear", settlement_currency="USD", multiplier=1.0,
        lot=1.0, expiry=pd.Timestamp("2022-01-31T08:00:00Z"),
    )  # fmt: skip
    book = Portfolio(positions=(Position(instrument=future, qty=10.0),), as_of=snapshot.as_of)
    with pytest.warns(StaleParametersWarning):
        table = select("deribit-pm", "2022-01-11", "classic", stale="warn").table("BTC")
    spec = MatrixSpec(
        price_range=table.price_range, buckets_per_side=table.buckets_per_side,
        vol_up=table.volatility_range_up, vol_down=table.volatility_range_down, vol_term=TermScaling(),
    )  # fmt: skip
    cube = revalue(book, snapshot, matrix_scenarios(spec, "ETH"))
    outcome = evaluate(spec, cube.unit_usd, book.quantities, index)
    assert outcome.worst_pnl == pytest.approx(-3_380.0, abs=0.5)
    steps = outcome.frame.loc[outcome.frame["vol"] == 0, "pnl"].diff().dropna()
    assert len(steps) == 10 and steps.tolist() == pytest.approx([676.0] * 10, abs=0.5)
    assert table.futures_contingency * index * 10.0 == pytest.approx(134.6, abs=0.05)
