"""Every test on one walk: the words of the verdicts, and that each test is the one it is called."""

from __future__ import annotations

import inspect
import math
from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest

from pmkit import backtest
from pmkit.backtest import (
    BacktestResult,
    Battery,
    es_tests,
    every_test,
    overlapping_pof,
    uniformity,
    var_tests,
    walk_forward,
)
from pmkit.backtest.walk.inventory import INVENTORY, LEFT_OUT
from pmkit.core.errors import ParameterError, PmkitError
from pmkit.market import load_history

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def runs() -> dict[str, BacktestResult]:
    history = load_history("crypto-daily-2020-2023")
    options = {"engine": "newton", "n_paths": 400}
    return {
        name: walk_forward("long_btc", history, model, "2021-01-01", "2022-12-31", **options, **own)
        for name, model, own in (
            ("right", "fhs", {}),
            ("half", "fhs", {"margin_scale": 0.5}),
            ("table", "matrix", {}),
            ("overlap", "hs", {"horizon": 2}),
        )
    }


@pytest.fixture(scope="module")
def found(runs) -> dict[str, Battery]:
    return {name: every_test(run, draws=199) for name, run in runs.items()}


def test_half_the_margin_is_rejected_and_the_whole_is_not(found):
    assert found["half"].count() >= 12
    assert found["right"].count() <= 2
    assert not found["half"].to_frame()["too_few"].any()


def test_a_table_of_moves_is_silent_where_it_states_nothing(found):
    table = found["table"]
    frame = table.to_frame()
    assert (frame.loc[frame["group"].isin(["law", "size", "betting"]), "verdict"] == "not stated").all()
    assert frame.loc["independence", "verdict"] == "not evaluable"
    assert frame.loc["Kupiec", ["verdict", "too_few"]].tolist() == ["rejected", True]
    assert frame.loc[frame["verdict"].isin(["not stated", "not evaluable"]), "p_value"].isna().all()
    assert table.summary().loc["law", "not stated"] == 12
    assert table.summary().to_numpy().sum() == len(frame)


def test_each_outcome_is_that_of_its_test(runs, found):
    run, frame = runs["half"], found["half"].to_frame()
    hits, tail, pits = run.hits(), run.tail(), run.pits()
    drawn = {"draws": 199, "seed": 0}
    expected = {
        "Kupiec": var_tests.kupiec(hits=hits),
        "Haas": var_tests.haas(hits=hits, **drawn),
        "dynamic quantile": var_tests.dynamic_quantile(hits=hits, var=run.frame["var"], **drawn),
        "Berkowitz tail": var_tests.berkowitz(pits, kind="tail", **drawn),
        "Costanzino-Curran": es_tests.costanzino_curran(pits),
        "McNeil-Frey": es_tests.mcneil_frey(tail, **drawn),
        "Acerbi Z1": es_tests.acerbi_szekely(tail, kind="z1", null="t", df=5.0, **drawn),
        "Nolde-Ziegel": es_tests.nolde_ziegel(tail, null="t", df=5.0, **drawn),
        "Acerbi Z3": es_tests.acerbi_szekely(tail, kind="z3", null="t", df=5.0, **drawn),
        "ES by quantiles": es_tests.es_by_quantiles(pits, **drawn),
        "Kolmogorov-Smirnov": uniformity(pits, distance="ks", **drawn),
        "ES regression, strict": es_tests.es_regression(tail, null="t", df=5.0, draws=99),
        "e-backtest of VaR": es_tests.e_backtest(tail, measure="var"),
        "dynamic quantile, GAS": var_tests.dynamic_quantile(
            hits=hits, var=run.frame["var"], loss=-run.frame["pnl"], specification="gas", **drawn
        ),
    }
    for name, outcome in expected.items():
        assert frame.loc[name, "statistic"] == pytest.approx(outcome.statistic, rel=1e-12), name
        p_value = outcome.p_asymptotic if math.isnan(outcome.p_exact) else outcome.p_exact
        assert frame.loc[name, "p_value"] == pytest.approx(p_value, rel=1e-12), name
    assert set(frame.index) == {entry.name for entry in INVENTORY if entry.group != "overlap"}


def decides(function) -> bool:
    """Whether a public function reports a decision: it returns a test, or takes a level."""
    signature = inspect.signature(function)
    return "BacktestTest" in str(signature.return_annotation) or bool(
        {"alpha", "size"} & set(signature.parameters)
    )


def test_every_public_test_is_run_or_left_out_with_a_reason():
    public = {
        name: getattr(room, name)
        for room in (var_tests, es_tests, backtest)
        for name in room.__all__
        if inspect.isfunction(getattr(room, name))
    }
    run = {entry.test for entry in INVENTORY}
    assert {
        function for name, function in public.items() if decides(function) and name not in LEFT_OUT
    } == run
    assert set(LEFT_OUT) <= set(public)
    assert not run & {public[name] for name in LEFT_OUT} and all(LEFT_OUT.values())
    # a test with kinds is run with each of them
    for test, word in (
        (es_tests.es_regression, "kind"),
        (es_tests.acerbi_szekely, "kind"),
        (uniformity, "distance"),
    ):
        assert len({entry.own.get(word) for entry in INVENTORY if entry.test is test}) == 3


def test_a_battery_says_what_it_leaves_out(found):
    assert found["right"].left_out["number under overlap"] == "losses of one step share no days"
    assert set(found["overlap"].left_out) == set(LEFT_OUT)


def test_regressions_of_long_series_take_the_limit_and_of_short_ones_few_draws(runs, found):
    assert found["right"].outcomes["ES regression, strict"].decided_by == "exact"  # 18 hits are expected
    long = replace(runs["right"], frame=pd.concat([runs["right"].frame] * 2, ignore_index=True))
    long.frame.index = pd.date_range("2020-01-01", periods=len(long.frame))
    assert every_test(long, draws=99).outcomes["ES regression, intercept"].decided_by == "asymptotic"
    # a law of the tail alone cannot be regressed: the normal law stands in
    plain = every_test(runs["right"], draws=99, null="exponential", df=None)
    assert "normal" in plain.outcomes["ES regression, strict"].p_exact_kind
    assert "exponential" in plain.outcomes["Acerbi Z2"].p_exact_kind


def test_overlapping_losses_are_tested_by_offset(runs, found):
    frame = found["overlap"].to_frame()
    assert frame.loc["Kupiec", "n"] == frame["n"].max()
    assert np.isfinite(frame.loc["conditional coverage", "p_value"])
    assert set(found["overlap"].verdicts) <= {"rejected", "not rejected", "not evaluable"}
    whole = overlapping_pof(hits=runs["overlap"].hits(), draws=199)
    assert frame.loc["number under overlap", "p_value"] == pytest.approx(whole.p_exact, rel=1e-12)
    assert (frame["group"] == "overlap").sum() == 3


def test_results_are_shown_checked_and_cited(runs, found):
    battery = found["right"]
    battery.check()
    assert battery.plot().get_title() == runs["right"].title
    assert {"kupiec1995", "engle2004"} <= set(battery.cite())
    assert battery.provenance.data["walk"] == runs["right"].provenance.id
    with pytest.raises(PmkitError, match="tests and groups differ"):
        replace(battery, groups={"Kupiec": "number"}).check()


def test_what_is_refused(found):
    with pytest.raises(ParameterError, match="result is a int"):
        every_test(5)
    with pytest.raises(ParameterError, match="verdict is 'passed'"):
        found["right"].count("passed")
