"""Slips of unit and of kind in scenario sets and their constructors are refused by name."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError
from pmkit.core.random import stream
from pmkit.market import MarketSnapshot, load_history
from pmkit.scenarios import (
    Factor,
    FactorCovariance,
    KouJumps,
    MertonJumps,
    ScenarioSet,
    StudentLaw,
    TermScaling,
    append_stressed,
    concatenate,
    convergence,
    cross,
    grid,
    historical,
    join,
    scan_list,
    table,
)
from pmkit.scenarios.inputs import check_kind


def alike(spot, vol=(0.0,), **more) -> ScenarioSet:
    return grid(spot, vol, **({"dynamics": "sticky_strike", "underlyings": ["BTC"]} | more))


def one(shocks, kind="spot", **more) -> ScenarioSet:
    return ScenarioSet(
        name="one", factors=(Factor(kind, "BTC"),), shocks=shocks, horizon_days=0.0,
        **({"dynamics": "sticky_strike"} | more),
    )  # fmt: skip


SNAP = MarketSnapshot.from_marks("2024-01-01T12:00:00Z", {"BTC": 42_000.0})
THREE = alike([-0.1, 0.0, 0.1])
SPOT = (Factor("spot", "BTC"),)


@pytest.mark.parametrize(
    "call",
    [
        lambda: alike([5.5, 10.0]),
        lambda: alike([0.0], [20.0]),
        lambda: alike([0.1], min_vol_up=40.0),
        lambda: one([[15.0]], "funding"),
        lambda: scan_list([("a", 1.0, 1.0)], price_range=15.0, vol_range=0.1, dynamics="sticky_strike"),
        lambda: MertonJumps(volatility=60.0, intensity=1.0, mean=0.0, sd=0.1),
        lambda: KouJumps(volatility=60.0, intensity=1.0, up_share=0.5, up_mean=0.05, down_mean=0.05),
        lambda: StudentLaw(FactorCovariance(factors=SPOT, matrix=np.array([[1600.0]]), horizon_days=1.0)),
    ],
)
def test_percent_in_place_of_decimals(call) -> None:
    with pytest.raises(ConventionError, match=r"looks like percent|a finite decimal|divide by 100"):
        call()


def test_moves_of_five_hundred_per_cent_are_legal() -> None:
    assert alike([5.0], [5.0]).shocks.tolist() == [[5.0, 5.0]]
    assert one([[9.0]], "funding").shocks.tolist() == [[9.0]]


def test_one_name_is_one_underlying() -> None:
    assert alike([0.1], underlyings="BTC").underlyings == ("BTC",)
    rows = [("up", 0.1, 0.0)]
    assert table(rows, dynamics="sticky_strike", underlyings="ETH").underlyings == ("ETH",)
    listed = scan_list(
        [("a", 1.0, 1.0)], price_range=0.1, vol_range=0.1, dynamics="sticky_strike", underlyings="BTC"
    )
    assert listed.underlyings == ("BTC",)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: alike(0.1), ParameterError, r"^spot is 0.1; expected a list such as"),
        (lambda: alike(None), ParameterError, r"^spot is None"),
        (lambda: table([("a", 0.1)], dynamics="sticky_strike"), ParameterError, r"^row 0 is \('a', 0.1\)"),
        (lambda: table(["abc"], dynamics="sticky_strike"), ParameterError, r"^row 0 is 'abc'"),
        (lambda: one([["a"]]), ParameterError, r"^shocks of 'one' are no table of numbers"),
        (lambda: one([[0.1], [0.1, 0.2]]), ParameterError, r"^shocks of 'one' are no table of numbers"),
        (lambda: THREE.subset([3]), ParameterError, r"^row 3; expected a number from 0 to 2"),
        (lambda: THREE.subset([-1]), ParameterError, r"^row -1; expected a number from 0 to 2"),
        (lambda: THREE.subset([0.5]), ParameterError, r"^rows are float64 of shape \(1,\)"),
        (lambda: THREE.subset([True, False, True]), ParameterError, r"a mask goes to filter"),
        (lambda: THREE.subset([]), ParameterError, r"^rows are float64 of shape \(0,\)"),
        (
            lambda: THREE.with_weights([1.0, 0.0, 0.0]).subset([1, 2]),
            DataGapError,
            r"^the 2 chosen scenarios",
        ),
        (lambda: concatenate([THREE, 1]), ConventionError, r"^an entry of sets is an int; expected a Scen"),
        (lambda: append_stressed(THREE, None), ConventionError, r"^an entry of sets is a NoneType"),
        (lambda: cross(THREE, None), ConventionError, r"^a factor of the product is a NoneType"),
        (lambda: join(None, THREE), ConventionError, r"^one of the sets is a NoneType"),
        (
            lambda: historical(pd.DataFrame(), SNAP),
            ConventionError,
            r"^history is a DataFrame; expected a P",
        ),
        (lambda: StudentLaw(np.eye(2)), ConventionError, r"^covariance is a ndarray; expected a FactorCov"),
        (lambda: stream(1.5, "a"), ParameterError, r"^seed is 1.5; expected a whole number, 0 or more"),
        (lambda: stream(-1, "a"), ParameterError, r"^seed is -1"),
    ],
)
def test_what_is_refused(call, error, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_a_snapshot_that_is_none() -> None:
    with pytest.raises(ConventionError, match=r"^snapshot is a NoneType; expected a MarketSnapshot"):
        historical(load_history("crypto-daily-2020-2023"), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("word", ["reference_days", "floor_days", "short_power", "long_power"])
@pytest.mark.parametrize("value", [math.nan, math.inf, "1", True])
def test_laws_of_tenor_that_are_none(word: str, value) -> None:
    with pytest.raises(ParameterError, match=f"^{word} of the term law is {value!r}"):
        TermScaling(**{word: value})


def test_days_of_a_law_are_positive_and_powers_any() -> None:
    for word in ("reference_days", "floor_days"):
        with pytest.raises(ParameterError, match=f"^{word} of the term law is -1.0; expected a positive"):
            TermScaling(**{word: -1.0})
    assert TermScaling(short_power=10.0, long_power=-6.0).scale(15.0) == 2.0**10


def test_check_kind_has_its_articles() -> None:
    with pytest.raises(ConventionError, match=r"^x is an int; expected a str; remedy: write it"):
        check_kind("x", 1, str, "write it")


def test_a_bar_over_replicates(monkeypatch, capsys) -> None:
    from pmkit.core import progress

    now = iter(np.arange(0.0, 100.0, 1.5))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(now)))
    convergence(lambda n, r: THREE, lambda s: float(len(s)), [1, 2], replicates=3, name="size", progress=True)
    assert "replicates" in capsys.readouterr().err
