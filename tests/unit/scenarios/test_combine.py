"""Sets put together, side by side, filtered, weighted and aged."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.scenarios import (
    Factor,
    ScenarioSet,
    TermScaling,
    age_weighted,
    age_weights,
    append_stressed,
    concatenate,
    cross,
    filtered_historical,
    from_frame,
    grid,
    join,
    volatility_scaled,
)


def spots(moves, name: str = "BTC", **more) -> ScenarioSet:
    return grid(list(moves), dynamics="sticky_strike", underlyings=[name], **more)


def dated(moves, factor: Factor, first: str = "2020-03-10", **more) -> ScenarioSet:
    n = len(moves)
    return ScenarioSet(
        name=factor.label, factors=(factor,), shocks=np.array(moves, dtype=float)[:, None], horizon_days=1.0,
        dynamics="sticky_strike", dates=np.arange(n)[:, None], history_dates=pd.date_range(first, periods=n),
        n_independent=float(n), **more,
    )  # fmt: skip


BTC, ETH = Factor("spot", "BTC"), Factor("spot", "ETH")


def listed(label: str, moves: dict[str, float]) -> ScenarioSet:
    return from_frame(pd.DataFrame(moves, index=[label]), dynamics="sticky_strike")


def test_concatenate_weighs_by_number_or_by_share() -> None:
    two, one = spots([-0.1, 0.1]), spots([-0.5])
    plain = concatenate([two, one])
    assert plain.weights.tolist() == pytest.approx([1 / 3] * 3, rel=1e-15)
    assert plain.column("spot", "BTC").tolist() == [-0.1, 0.1, -0.5]
    shared = concatenate([two, one], shares=[0.5, 0.5], name="mix")
    assert shared.weights.tolist() == [0.25, 0.25, 0.5] and shared.name == "mix"
    assert shared.labels == (*two.labels, *one.labels)


def test_concatenate_of_two_is_append_stressed() -> None:
    calm, wild = spots([-0.1, 0.1]), spots([-0.6])
    a, b = append_stressed(calm, wild, 0.3), concatenate([calm, wild], shares=[0.7, 0.3])
    assert np.array_equal(a.weights, b.weights) and np.array_equal(a.shocks, b.shocks)


def test_concatenate_aligns_columns_and_fills_on_request() -> None:
    a = from_frame(
        pd.DataFrame({"BTC spot": [0.1], "ETH spot": [0.2]}, index=["a"]), dynamics="sticky_strike"
    )
    b = from_frame(
        pd.DataFrame({"ETH spot": [0.4], "BTC spot": [0.3]}, index=["b"]), dynamics="sticky_strike"
    )
    assert concatenate([a, b]).shocks.tolist() == [[0.1, 0.2], [0.3, 0.4]]
    c = from_frame(
        pd.DataFrame({"BTC spot": [-0.5], "USDC fx": [-0.1]}, index=["c"]), dynamics="sticky_strike"
    )
    with pytest.raises(ConventionError, match=r"ETH spot, USDC fx.*missing='zero'"):
        concatenate([a, c])
    assert concatenate([a, c], missing="zero").shocks.tolist() == [[0.1, 0.2, 0.0], [-0.5, 0.0, -0.1]]


def test_concatenate_keeps_dates_over_one_calendar_and_the_evidence() -> None:
    a, b = dated([0.1, 0.2], BTC, "2020-01-01"), dated([0.3, 0.4, 0.5], BTC, "2020-01-02")
    both = concatenate([a, b], shares=[0.4, 0.6])
    assert [str(both.history_dates[i].date()) for i in both.dates[:, 0]] == [
        "2020-01-01", "2020-01-02", "2020-01-02", "2020-01-03", "2020-01-04",
    ]  # fmt: skip
    assert both.n_independent == pytest.approx(1 / (0.4**2 / 2 + 0.6**2 / 3), rel=1e-14)
    assert (
        concatenate(
            [a, spots([0.1], horizon_days=1.0, spot_unit="log", vol_unit="log")], missing="zero"
        ).dates
        is None
    )


@settings(derandomize=True, max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4))
def test_concatenate_in_one_step_or_two(sizes: list[int]) -> None:
    sets = [spots(np.linspace(-0.2, 0.3, n) + 0.01 * i) for i, n in enumerate(sizes)]
    whole = concatenate(sets)
    stepwise = sets[0]
    for one in sets[1:]:
        stepwise = concatenate([stepwise, one])
    assert np.array_equal(whole.shocks, stepwise.shocks)
    assert np.allclose(whole.weights, stepwise.weights, rtol=1e-14, atol=0.0)


def test_cross_is_the_product_with_joint_weights() -> None:
    a = spots([-0.1, 0.1]).with_weights([0.3, 0.7])
    b = spots([-0.2, 0.0, 0.2], "ETH").with_weights([0.5, 0.25, 0.25])
    both = cross(a, b)
    assert len(both) == 6 and both.factors == a.factors + b.factors
    assert both.weights.tolist() == pytest.approx(
        np.outer([0.3, 0.7], [0.5, 0.25, 0.25]).ravel().tolist(), rel=1e-15
    )
    assert both.column("spot", "BTC").tolist() == [-0.1] * 3 + [0.1] * 3
    assert both.column("spot", "ETH").tolist() == [-0.2, 0.0, 0.2] * 2
    assert any("independent" in note for note in both.notes)


def test_cross_takes_units_from_the_set_that_uses_them() -> None:
    law = TermScaling(short_power=0.4)
    vols = ScenarioSet(
        name="vols", factors=(Factor("vol", "BTC"),), shocks=np.array([[0.3]]), horizon_days=0.0,
        dynamics="sticky_strike", vol_unit="log", vol_term=law, min_vol_up=0.1,
    )  # fmt: skip
    rates = from_frame(
        pd.DataFrame({"BTC spot": [0.1], "USD rate": [0.01]}, index=["up"]), dynamics="sticky_strike"
    )
    both = cross(rates, vols)
    assert (both.spot_unit, both.vol_unit, both.vol_term, both.min_vol_up) == ("relative", "log", law, 0.1)
    other = ScenarioSet(
        name="v2", factors=(Factor("vol", "ETH"),), shocks=np.array([[0.3]]), horizon_days=0.0,
        dynamics="sticky_strike",
    )  # fmt: skip
    with pytest.raises(ConventionError, match="vol_term is"):
        cross(vols, other)


def test_cross_keeps_the_dates_of_one_set_only() -> None:
    past = dated([0.1, 0.2], BTC)
    made = from_frame(
        pd.DataFrame({"USD rate": [0.0, 0.01]}, index=["a", "b"]), dynamics="sticky_strike", horizon_days=1.0
    )
    assert cross(past, made).dates[:, 0].tolist() == [0, 0, 1, 1]
    assert cross(past, dated([0.1], ETH)).dates is None


def test_join_matches_days_in_any_order() -> None:
    a = dated([0.1, 0.2, 0.3], BTC)
    b = dated([-0.3, -0.2, -0.1], ETH).subset([2, 0, 1])
    both = join(a, b)
    assert both.shocks.tolist() == [[0.1, -0.3], [0.2, -0.2], [0.3, -0.1]]
    assert both.history_dates.equals(a.history_dates)


def test_join_of_other_calendars() -> None:
    a, b = dated([0.1, 0.2, 0.3], BTC, "2020-01-01"), dated([0.4, 0.5, 0.6], ETH, "2020-01-02")
    with pytest.raises(ConventionError, match="2 windows in common, 1 only in 'BTC spot' and 1 only"):
        join(a, b)
    both = join(a, b, how="inner")
    assert both.shocks.tolist() == [[0.2, 0.4], [0.3, 0.5]] and both.weights.tolist() == [0.5, 0.5]
    assert "joined on 2 windows; 1 and 1 without a partner were left out" in both.notes
    assert both.n_independent == 2.0


def test_subset_predicate_and_mask_agree() -> None:
    scen = spots([-0.3, -0.1, 0.2]).with_weights([0.2, 0.3, 0.5])
    a = scen.filter(lambda f: f["BTC spot"] < 0.0)
    b = scen.filter([True, True, False], "falls")
    assert np.array_equal(a.shocks, b.shocks) and a.weights.tolist() == pytest.approx([0.4, 0.6])
    assert b.name == "falls" and b.provenance.method == "scenarios.filter"
    assert "2 of 3 scenarios are kept; they had 50.000% of the weight" in b.notes


def test_filter_knows_less() -> None:
    past = dated(np.linspace(-0.1, 0.1, 10), BTC)
    assert past.filter(lambda f: f["BTC spot"] < 0.0).n_independent == pytest.approx(5.0)


def test_weights_by_label_and_normalised() -> None:
    scen = from_frame(pd.DataFrame({"BTC spot": [0.1, 0.2]}, index=["a", "b"]), dynamics="sticky_strike")
    assert scen.with_weights({"b": 0.75, "a": 0.25}).weights.tolist() == [0.25, 0.75]
    assert scen.with_weights([1, 3], normalise=True).weights.tolist() == [0.25, 0.75]


def test_uneven_weights_know_less() -> None:
    past = dated([0.1, 0.2], BTC)
    assert past.with_weights([0.25, 0.75]).n_independent == pytest.approx(1.6)
    undated = ScenarioSet(
        name="u", factors=(BTC,), shocks=np.array([[0.1], [0.2]]), horizon_days=1.0, dynamics="sticky_strike",
        n_independent=100.0,
    )  # fmt: skip
    assert undated.with_weights([0.25, 0.75]).n_independent == pytest.approx(80.0)
    assert undated.with_weights([0.5, 0.5]).n_independent == 100.0


def test_age_is_the_power_of_the_days() -> None:
    past = dated(np.linspace(-0.1, 0.1, 8), BTC)
    assert past.age(0.9).weights.tolist() == pytest.approx(age_weights(8, 0.9).tolist(), rel=1e-13)
    assert past.age(0.9).cite() == ("boudoukh1998",)
    assert past.age(1.0).weights.tolist() == pytest.approx([0.125] * 8)
    assert past.age(0.5).n_independent == pytest.approx(3.0, rel=0.02)
    shuffled = past.subset([3, 0, 7])
    assert shuffled.age(0.5).weights.tolist() == pytest.approx((np.array([16, 2, 256]) / 274).tolist())


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: concatenate([]), ParameterError, "no set"),
        (lambda: concatenate([spots([0.1]), spots([0.1])], shares=[0.5, 0.6]), ParameterError, "sum 1"),
        (lambda: concatenate([spots([0.1]), spots([0.1])], shares=[1.0]), ParameterError, "for 2 sets"),
        (lambda: concatenate([spots([0.1])], missing="drop"), ParameterError, "missing is 'drop'"),
        (
            lambda: concatenate([spots([0.1]), spots([0.1], horizon_days=1)]),
            ConventionError,
            "horizon_days is 0.0",
        ),
        (
            lambda: concatenate([spots([0.1]), grid([0.1], dynamics="sticky_delta", underlyings=["BTC"])]),
            ConventionError,
            "dynamics",
        ),
        (lambda: cross(spots([0.1]), spots([0.2])), ConventionError, "both move BTC spot, BTC vol"),
        (lambda: cross(spots([0.1]), spots([0.2], "ETH", horizon_days=2)), ConventionError, "horizon_days"),
        (
            lambda: cross(spots(np.linspace(0, 1, 9000)), spots(np.linspace(0, 1, 9000), "ETH")),
            ParameterError,
            "filter the sets first",
        ),
        (lambda: join(dated([0.1], BTC), dated([0.1], BTC)), ConventionError, "both move BTC spot"),
        (lambda: join(dated([0.1], BTC), dated([0.1], ETH), how="outer"), ParameterError, "how is 'outer'"),
        (
            lambda: join(dated([0.1], BTC), spots([0.1], "ETH", horizon_days=1)),
            ConventionError,
            "carries no dates",
        ),
        (
            lambda: join(dated([0.1], BTC, "2020-01-01"), dated([0.1], ETH, "2021-01-01"), how="inner"),
            ConventionError,
            "at least one common window",
        ),
        (
            lambda: join(dated([0.1, 0.2], BTC), dated([0.1, 0.2], ETH).with_weights([0.9, 0.1])),
            ConventionError,
            "weigh differently",
        ),
        (
            lambda: join(dated([0.1, 0.2], BTC), dated([0.1, 0.2], ETH).subset([0, 0, 1])),
            ConventionError,
            "appear again",
        ),
        (lambda: spots([0.1]).filter([1]), ParameterError, "a mask of int64"),
        (lambda: spots([0.1]).filter([True, False]), ParameterError, "1 truth values"),
        (lambda: spots([0.1]).filter(lambda f: f["BTC spot"] < 0.0), DataGapError, "passes the filter"),
        (lambda: spots([0.1]).with_weights([0.9]), ParameterError, "sum 0.9"),
        (lambda: spots([0.1]).with_weights([]), ParameterError, "one non-negative weight"),
        (lambda: spots([0.1, 0.2]).with_weights([-1.0, 2.0]), ParameterError, "non-negative"),
        (lambda: spots([0.1]).with_weights([math.nan], normalise=True), ParameterError, "non-negative"),
        (lambda: spots([0.1]).with_weights({"x": 1.0}), ParameterError, "weights by name do not fit"),
        (lambda: spots([0.1]).with_weights("half"), ParameterError, "weights of type str"),
        (lambda: spots([0.1]).age(0.9), DataGapError, "carries no dates"),
        (lambda: dated([0.1], BTC).age(1.5), ParameterError, "decay is 1.5"),
    ],
)
def test_bad_combinations(call, error, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_sets_cite_their_methods_and_so_do_combinations(history, snapshot) -> None:
    aged = age_weighted(history, snapshot, replications=1)
    scaled = volatility_scaled(history, snapshot, replications=1)
    assert aged.cite() == ("boudoukh1998",) and scaled.cite() == ("hullwhite1998",)
    filtered = filtered_historical(history, snapshot, n_paths=20, vol_anchor="filter")
    assert filtered.cite() == ("baroneadesi1999",)
    assert concatenate([filtered, aged]).cite() == ("baroneadesi1999", "boudoukh1998")
    assert filtered.subset([0, 1]).cite() == filtered.cite()
