"""Stress scenarios on a snapshot: named days, their basis and vol, settlements on the way, set moves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, HistoryEndsWarning, ParameterError
from pmkit.instruments import Portfolio
from pmkit.market import MarketSnapshot, PriceHistory
from pmkit.risk import revalue
from pmkit.scenarios import Factor, FactorCovariance, factor_covariance, factor_response, stress, stress_event

SPX = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"SPX": 6_000.0})
THREE = MarketSnapshot.from_marks("2024-01-01T18:00:00Z", {"BTC": 42_000.0, "ETH": 2_300.0, "HYPE": 25.0})


def test_named_day_moves_spot_as_observed_and_the_rest_by_response(snapshot) -> None:
    scen = stress("btc-2020-03-12", snapshot, dynamics="sticky_strike")
    moves, own = stress_event("btc-2020-03-12").moves, factor_response()
    assert scen.horizon_days == 0.0 and scen.labels == ("btc-2020-03-12",)
    for name in ("BTC", "ETH"):
        spot = scen.column("spot", name)[0]
        assert spot == moves[name]
        assert scen.column("vol", name)[0] == pytest.approx(own.of(name).vol_slope * spot, rel=1e-15)
        for factor in scen.factors:
            if factor.kind == "basis" and factor.underlying == name:
                scale = own.basis_scale(snapshot.days(factor.expiry))
                want = scale * own.of(name).basis_slope * spot
                assert scen.column(*factor)[0] == pytest.approx(want, rel=1e-14)
    notes = "\n".join(scen.notes)
    assert (
        "BTC: -37.17%, observed" in notes and "assumed: expected response, beyond the largest fall" in notes
    )
    assert scen.provenance.parameters["before"] == "2020-03-11" and not scen.provenance.simulated
    status = scen.provenance.parameters["status"]
    assert status["BTC spot"] == "observed" and status["BTC vol"] == "assumed"
    assert set(status) == {f.label for f in scen.factors}
    assert scen.describe().loc["note 2", "says"] == "BTC: -37.17%, observed"


def test_several_names_make_one_set(snapshot) -> None:
    names = ["btc-2020-03-12", "luna-2022", "ftx-2022-11"]
    scen = stress(names, snapshot, dynamics="sticky_strike", sessions=1)
    assert scen.labels == tuple(names) and scen.weights.tolist() == pytest.approx([1 / 3] * 3)
    assert np.expm1(scen.column("spot", "BTC")).round(4).tolist() == [-0.3717, -0.1597, -0.1435]


def test_aged_stress_settles_on_the_straight_line(snapshot) -> None:
    scen = stress("luna-2022", snapshot, dynamics="sticky_strike", sessions=2, aged=True)
    path = stress_event("luna-2022").window(2).path["BTC"].to_numpy()
    assert scen.horizon_days == 2.0
    fixings = [f for f in scen.factors if f.kind == "fixing" and f.underlying == "BTC"]
    assert len(fixings) == 3
    for f in fixings:
        t = snapshot.days(f.expiry)
        day = int(t)
        want = path[day] + (t - day) * (path[day + 1] - path[day])
        assert scen.column(*f)[0] == pytest.approx(want, rel=1e-12)
    assert any("straight line between closes" in note for note in scen.notes)


def test_a_stress_revalues_a_book(snapshot) -> None:
    line = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 1_000, "as_of": "2024-01-01"}
    book = Portfolio.from_records([line])
    cube = revalue(book, snapshot, stress("btc-2020-03-12", snapshot, dynamics="sticky_strike"))
    # an inverse perpetual of 10 000 USD: N (1/S - 1/S') coins at S'
    ratio = math.exp(stress_event("btc-2020-03-12").moves["BTC"])
    assert cube.account_pnl(book)[0] == pytest.approx(10_000.0 * (ratio - 1.0), rel=1e-12)


def test_other_names_by_column_beta_or_conditional_expectation(real_history) -> None:
    vols = {"HYPE": 0.5}
    named = stress("btc-2020-03-12", THREE, dynamics="sticky_strike", assets={"HYPE": "LINK"}, vol_moves=vols)
    moves = stress_event("btc-2020-03-12").moves
    assert named.column("spot", "HYPE")[0] == moves["LINK"]
    assert any("that of LINK, observed" in note for note in named.notes)
    assert any("vol +50.0%, given; its basis is not moved" in note for note in named.notes)
    scaled = stress("btc-2020-03-12", THREE, dynamics="sticky_strike", betas={"HYPE": 1.5}, vol_moves=vols)
    assert scaled.column("spot", "HYPE")[0] == pytest.approx(1.5 * moves["BTC"], rel=1e-15)
    assert any("HYPE: -50.20%, assumed: beta 1.5 to BTC" in note for note in scaled.notes)
    assert np.expm1(scaled.column("vol", "HYPE")[0]) == pytest.approx(0.5, rel=1e-14)
    # two weights of a regression on the observed ones
    prices = real_history.prices[["BTC", "ETH", "LINK"]].rename(columns={"LINK": "HYPE"})
    history = PriceHistory.from_frame(prices)
    given = stress("btc-2020-03-12", THREE, dynamics="sticky_strike", model=history, vol_moves=vols)
    S = history.returns().cov()
    w = np.linalg.solve(S.loc[["BTC", "ETH"], ["BTC", "ETH"]], S.loc[["BTC", "ETH"], "HYPE"])
    want = w @ moves[["BTC", "ETH"]].to_numpy()
    assert given.column("spot", "HYPE")[0] == pytest.approx(want, rel=1e-10)
    assert any("assumed: expected given" in note for note in given.notes)
    law = FactorCovariance(
        factors=tuple(Factor("spot", u) for u in S.index), matrix=S.to_numpy(), horizon_days=1.0
    )
    same = stress("btc-2020-03-12", THREE, dynamics="sticky_strike", model=law, vol_moves=vols)
    assert np.allclose(same.shocks, given.shocks, rtol=1e-12)


def test_stablecoins_move_as_they_did(snapshot, real_history) -> None:
    scen = stress("luna-2022", snapshot, dynamics="sticky_strike", currencies=["USDT", "USDC"])
    closes = real_history.prices["USDT"]
    assert math.exp(scen.column("fx", "USDT")[0]) == pytest.approx(
        closes["2022-06-18"] / closes["2022-05-04"], rel=1e-14
    )
    assert scen.describe().loc["fx", "says"].startswith("USDT, USDC: log move of a collateral currency")
    with pytest.raises(DataGapError, match="DAI has no price in 'luna-2022'"):
        stress("luna-2022", snapshot, dynamics="sticky_strike", currencies=["DAI"])


def test_equity_stress_needs_a_name_and_a_vol_move() -> None:
    with pytest.raises(DataGapError, match=r"SPX has no price in 'equity-1987-10-19'.*assets=.'SPX'"):
        stress("equity-1987-10-19", SPX, dynamics="sticky_strike")
    with pytest.raises(DataGapError, match=r"says nothing of vol of SPX.*vol_moves=.'SPX': 0.5"):
        stress("equity-1987-10-19", SPX, dynamics="sticky_strike", assets={"SPX": "SP500"})
    scen = stress(
        "equity-1987-10-19", SPX, dynamics="sticky_strike", assets={"SPX": "SP500"}, vol_moves={"SPX": 1.0}
    )
    assert np.expm1(scen.shocks[0]).tolist() == pytest.approx([224.84 / 282.70 - 1.0, 1.0], rel=1e-12)
    assert scen.notes[0].endswith("typed in")


def test_set_moves_are_exact_and_the_rest_expected(history, snapshot) -> None:
    law = factor_covariance(history, snapshot, horizon=1)
    scen = stress({"BTC": -0.3}, snapshot, dynamics="sticky_moneyness", model=law)
    assert math.exp(scen.column("spot", "BTC")[0]) == pytest.approx(0.7, rel=1e-15)
    found = law.conditional({"BTC": math.log(0.7)})
    for factor, move in zip(law.factors, found.expected, strict=True):
        column = scen.column(*factor)
        assert (column is None) == (factor.kind == "fixing")
        assert column is None or column[0] == pytest.approx(move, rel=1e-12)
    assert scen.label(0) == "BTC spot -30.0%" and scen.horizon_days == 0.0
    sd = scen.provenance.parameters["conditional_sd"]
    assert sd["BTC spot"] == 0.0 and sd["ETH spot"] == pytest.approx(
        found.sd[law.factors.index(Factor("spot", "ETH"))]
    )
    assert any("conditional sd in brackets: BTC vol" in note for note in scen.notes)


def test_set_moves_from_a_history_aged_with_two_conditions(history, snapshot) -> None:
    scen = stress(
        {"BTC": -0.2, Factor("vol", "BTC"): 0.8}, snapshot, dynamics="sticky_strike", model=history, aged=True
    )
    assert np.expm1(scen.column("vol", "BTC")[0]) == pytest.approx(0.8, rel=1e-14)
    assert scen.horizon_days == 1.0 and any(f.kind == "fixing" for f in scen.factors)


def test_an_old_history_warns(real_history, snapshot) -> None:
    with pytest.warns(HistoryEndsWarning, match="history ends 2023-06-30"):
        stress({"BTC": -0.1}, snapshot, dynamics="sticky_strike", model=real_history.until("2023-06-30"))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda s, h: stress("x", s, dynamics="sticky_strike"), DataGapError, "no stress 'x'"),
        (lambda s, h: stress([], s, dynamics="sticky_strike"), ParameterError, "no stress is named"),
        (
            lambda s, h: stress(["luna-2022"] * 2, s, dynamics="sticky_strike", aged=True),
            ConventionError,
            "one horizon a set",
        ),
        (
            lambda s, h: stress({"BTC": -0.3}, s, dynamics="sticky_strike"),
            ConventionError,
            "pass model=history",
        ),
        (
            lambda s, h: stress({"BTC": -0.3}, s, dynamics="sticky_strike", model=h, sessions=1),
            ConventionError,
            "sessions beside set moves",
        ),
        (
            lambda s, h: stress({"BTC": -1.0}, s, dynamics="sticky_strike", model=h),
            ParameterError,
            "spot move -1 in scenario 'BTC spot'.*write -0.16",
        ),
        (
            lambda s, h: stress({"BTC": -30.0}, s, dynamics="sticky_strike", model=h),
            ParameterError,
            "above -1",
        ),
        (
            lambda s, h: stress({"BTC": math.nan}, s, dynamics="sticky_strike", model=h),
            ParameterError,
            "finite numbers",
        ),
        (
            lambda s, h: stress({"BTC": "-30%"}, s, dynamics="sticky_strike", model=h),
            ParameterError,
            "the move of BTC spot is '-30%'",
        ),
        (
            lambda s, h: stress({"SOL": -0.3}, s, dynamics="sticky_strike", model=h),
            DataGapError,
            "no factor 'SOL' to move",
        ),
        (
            lambda s, h: stress("luna-2022", s, dynamics="sticky_strike", sessions=100),
            ParameterError,
            "from 1 to 45",
        ),
        (
            lambda s, h: stress("luna-2022", s, dynamics="sticky_strike", vol_moves={"BTC": -1.0}),
            ParameterError,
            "vol move of BTC is -1.0",
        ),
        (
            lambda s, h: stress("luna-2022", s, dynamics="sticky_strike", betas={"SOL": 1.0}),
            ParameterError,
            "betas names SOL; expected underlyings of the set: BTC, ETH",
        ),
        (
            lambda s, h: stress("luna-2022", s, dynamics="sticky_strike", betas={"ETH": math.nan}),
            ParameterError,
            "beta of ETH is nan",
        ),
        (
            lambda s, h: stress("luna-2022", s, dynamics="sticky_strike", response="x"),
            DataGapError,
            "no response set 'x'",
        ),
    ],
)
def test_bad_stresses(history, snapshot, call, error, text: str) -> None:
    with pytest.raises(error, match=text):
        call(snapshot, history)


def test_underlyings_beside_a_covariance(history, snapshot) -> None:
    law = factor_covariance(history, snapshot)
    with pytest.raises(ConventionError, match="response beside a covariance"):
        stress({"BTC": -0.1}, snapshot, dynamics="sticky_strike", model=law, response=factor_response())
    with pytest.raises(ConventionError, match="underlyings beside a covariance"):
        stress({"BTC": -0.1}, snapshot, dynamics="sticky_strike", model=law, underlyings=["BTC"])


def test_names_beyond_the_snapshot(snapshot) -> None:
    frame = pd.Series(stress_event("luna-2022").moves)
    assert "SOL1" in frame.index
    with pytest.raises(Exception, match="SOL1"):
        stress("luna-2022", snapshot, dynamics="sticky_strike", underlyings=["SOL1"])
