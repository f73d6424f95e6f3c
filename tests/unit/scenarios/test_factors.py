"""Factors: kinds and units, what a set refuses, and what it says of itself."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, ParameterError, PmkitError
from pmkit.scenarios import Factor, FactorKind, ScenarioSet, TermScaling, from_frame, grid
from pmkit.scenarios.factors import unit_of

EXPIRY = pd.Timestamp("2026-12-25T08:00:00Z")


def one(*factors: Factor, shock: float = 0.1, **settings) -> ScenarioSet:
    values = {"horizon_days": 0.0, "dynamics": "sticky_strike"} | settings
    return ScenarioSet(name="one", factors=factors, shocks=np.full((1, len(factors)), shock), **values)


def test_every_kind_has_meaning_unit_and_a_row_in_the_description() -> None:
    factors = [
        Factor(k, "USDC" if k in ("rate", "fx") else "BTC", EXPIRY if k in ("basis", "fixing") else None)
        for k in get_args(FactorKind)
    ]
    words = one(*factors, vol_unit="relative").describe()["says"]
    for factor in factors:
        assert len(factor.meaning) > 10
        assert factor.meaning in words[factor.kind] and factor.underlying in words[factor.kind]
        assert unit_of(factor, "log", "relative") in words[factor.kind]
    assert (
        unit_of(factors[0], "log", "relative") == "log"
        and unit_of(factors[1], "log", "relative") == "relative"
    )
    assert "(1 expiry)" in words["basis"]


def test_description_says_horizon_dynamics_weights_term_law_and_source() -> None:
    law = TermScaling(short_power=0.3, long_power=0.13)
    scen = grid([-0.1, 0.2], [0.5], 7, dynamics="sticky_delta", vol_term=law, min_vol_up=0.2)
    words = scen.describe()["says"]
    assert words["scenarios"] == "2 named" and words["horizon"] == "7 days"
    assert words["dynamics"] == "sticky_delta: vol is held at ln(K/F)/(sigma_ATM sqrt(tau))"
    assert words["weights"] == "equal, 0.5 each"
    assert "(30/days)^0.3 below 30 days" in words["vol"] and "at least 0.2 where it rises" in words["vol"]
    assert words["source"] == f"scenarios.grid, fingerprint {scen.fingerprint}"
    assert "every tenor moves alike" in grid([0.1], dynamics="sticky_delta").describe().loc["vol", "says"]


def test_description_of_weighted_dated_simulated_sets() -> None:
    days = {"dates": np.array([[0], [2]]), "history_dates": pd.date_range("2020-03-11", periods=3)}
    scen = ScenarioSet(
        name="two", factors=(Factor("spot", "BTC"),), shocks=np.array([[-0.4], [0.1]]), horizon_days=1.0,
        dynamics="sticky_strike", weights=np.array([0.75, 0.25]), n_independent=1.6, **days,
    )  # fmt: skip
    words = scen.describe()["says"]
    assert words["horizon"] == "1 day"
    assert words["weights"] == "unequal, 0.25 to 0.75; worth 1.6 equal ones"
    assert words["evidence"] == "1.6 independent observations, days 2020-03-11 to 2020-03-13"


def test_display_is_the_description_and_the_table() -> None:
    scen = grid([-0.1], dynamics="sticky_strike", underlyings=["BTC"])
    assert repr(scen).startswith("ScenarioSet 'grid'\nscenarios  1 named\nspot       BTC: move of the index")
    assert "BTC spot" in repr(scen) and repr(scen) == repr(
        grid([-0.1], dynamics="sticky_strike", underlyings=["BTC"])
    )
    assert (
        "<h4>ScenarioSet grid</h4>" in scen._repr_html_()
        and "vol is held at the strike" in scen._repr_html_()
    )


def test_summary_shows_the_unit_of_every_kind() -> None:
    frame = pd.DataFrame(
        {"BTC spot": [0.1], "USD rate": [0.01], "BTC skew": [0.02], "USDC fx": [-0.1]}, index=["a"]
    )
    assert from_frame(frame, dynamics="sticky_strike").summary()["unit"].tolist() == [
        "relative", "rate a year", "vol per sd", "log",
    ]  # fmt: skip


BTC = Factor("spot", "BTC")


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: one(BTC, shock=-1.0, spot_unit="relative"),
            ParameterError,
            r"spot move -1 in scenario 0 \(BTC spot\)",
        ),
        (lambda: one(BTC, shock=-1.5, spot_unit="relative"), ParameterError, "above -1"),
        (
            lambda: one(Factor("vol", "BTC"), shock=-1.01, vol_unit="relative"),
            ParameterError,
            "vol move -1.01",
        ),
        (lambda: one(BTC, shock=math.nan), ParameterError, "spot move nan in scenario 0"),
        (lambda: one(BTC, shock=math.inf), ParameterError, "finite numbers"),
        (lambda: one(BTC, BTC), ParameterError, "factor BTC spot appears twice"),
        (lambda: one(Factor("vega", "BTC")), ConventionError, "a Factor of kind spot, vol, basis"),
        (lambda: one(("spot", "BTC", None)), ConventionError, "a Factor of kind"),
        (lambda: one(Factor("spot", "BTC", EXPIRY)), ParameterError, "names an expiry.*drop the expiry"),
        (lambda: one(Factor("fixing", "BTC")), ParameterError, "names no expiry.*instant of settlement"),
        (lambda: one(BTC, Factor("fx", "BTC")), ConventionError, "BTC moves as spot and as fx"),
        (lambda: one(Factor("rate", "USD"), shock=5.0), ConventionError, "looks like percent.*divide by 100"),
        (lambda: one(Factor("term", "BTC"), shock=-9.0), ConventionError, "BTC term moves by -9"),
        (lambda: one(BTC, horizon_days=-1.0), ParameterError, "horizon_days is -1.0"),
        (lambda: one(BTC, horizon_days=math.inf), ParameterError, "horizon_days is inf"),
        (lambda: one(BTC, min_vol_up=-0.1), ParameterError, "min_vol_up is -0.1"),
        (lambda: one(BTC, spot_unit="percent"), ParameterError, "spot_unit is 'percent'"),
        (lambda: one(BTC, labels=("a", "b")), ParameterError, "2 labels for 1 scenarios"),
        (lambda: one(BTC, weights=np.array([0.9])), ParameterError, "sum 0.9.*sum 1"),
        (
            lambda: one(BTC, weights=np.array([math.nan])),
            ParameterError,
            "one non-negative weight a scenario",
        ),
        (lambda: one(BTC, weights=np.array([0.5, 0.5])), ParameterError, r"shape \(2,\)"),
        (lambda: one(BTC, dynamics="sticky"), ConventionError, "smile dynamics 'sticky'"),
        (
            lambda: ScenarioSet(
                name="x",
                factors=(BTC,),
                shocks=np.zeros((0, 1)),
                horizon_days=0.0,
                dynamics="sticky_strike",
            ),
            ParameterError,
            r"shape \(0, 1\) for 1 factors",
        ),
    ],
)
def test_a_set_refuses_what_makes_no_sense(call, error, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_log_moves_below_minus_one_are_legal() -> None:
    assert one(BTC, shock=-1.5).spot_multiplier("BTC")[0] == pytest.approx(math.exp(-1.5), rel=1e-15)
    assert one(Factor("vol", "BTC"), shock=-1.0, vol_unit="relative").shocks[0, 0] == -1.0


def test_given_weights_are_copied_not_frozen() -> None:
    w = np.array([0.5, 0.5])
    grid([-0.1, 0.1], dynamics="sticky_strike").with_weights(w)
    w[0] = 0.0
    assert w[0] == 0.0


def test_two_settlements_of_one_day_have_names_of_their_own() -> None:
    early, late = (Factor("fixing", "BTC", pd.Timestamp(f"2026-12-25T{h}:00:00Z")) for h in ("08", "20"))
    assert [early.label, late.label] == ["BTC fixing 2026-12-25", "BTC fixing 2026-12-25T20:00"]
    assert len(one(early, late).summary()) == 2


def test_check_of_dates_beyond_the_calendar() -> None:
    days = {"dates": np.array([[5]]), "history_dates": pd.date_range("2020-03-11", periods=3)}
    one(BTC, **(days | {"dates": np.array([[2]])})).check()
    with pytest.raises(PmkitError, match="points at day 5 of 3"):
        one(BTC, **days).check()


def test_plot_shows_vol_against_spot() -> None:
    axes = grid([-0.1, 0.1], [0.5], 2, dynamics="sticky_strike", underlyings=["BTC"]).plot()
    assert axes.get_xlabel() == "move of BTC over 2 days, %" and axes.get_title() == "grid: 2 scenarios"
    assert axes.lines[0].get_ydata().tolist() == [50.0, 50.0]
    with pytest.raises(ParameterError, match="'one' moves no spot"):
        one(Factor("rate", "USD")).plot()
