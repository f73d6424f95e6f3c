"""Every test on one walk: the words of the verdicts, and that each test is the one it is called."""

from __future__ import annotations

import math
from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from pmkit.backtest import BacktestResult, Battery, es_tests, every_test, var_tests, walk_forward
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
    assert table.summary().loc["law", "not stated"] == 6
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
    }
    for name, outcome in expected.items():
        assert frame.loc[name, "statistic"] == pytest.approx(outcome.statistic, rel=1e-12), name
        p_value = outcome.p_asymptotic if math.isnan(outcome.p_exact) else outcome.p_exact
        assert frame.loc[name, "p_value"] == pytest.approx(p_value, rel=1e-12), name
    assert len(frame) == 24 and frame.index.is_unique


def test_overlapping_losses_are_tested_by_offset(found):
    frame = found["overlap"].to_frame()
    assert frame.loc["Kupiec", "n"] == frame["n"].max()
    assert np.isfinite(frame.loc["conditional coverage", "p_value"])
    assert set(found["overlap"].verdicts) <= {"rejected", "not rejected", "not evaluable"}


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
