"""Sensitivities to what belongs to a model or to the response of implied vol, not to the walk."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmkit.backtest import (
    VolMoves,
    WalkSensitivity,
    called_margin,
    forecast_models,
    walk_forward,
    walk_sensitivity,
)
from pmkit.backtest.walk.varied import PARAMETERS, base_value, theta_of, varied_parameters
from pmkit.core.errors import ParameterError
from pmkit.market import load_history

SPAN = {"start": "2021-03-01", "end": "2021-03-31", "engine": "newton", "n_paths": 400}


@pytest.fixture(scope="module")
def btc():
    return load_history("crypto-daily-2020-2023").select(["BTC"])


def test_the_price_range_of_a_table_has_elasticity_one_for_a_linear_book(btc):
    found = walk_sensitivity("long_btc", btc, "matrix", values={"price": [0.12, 0.2], "steps": [2]}, **SPAN)
    table = found.summary()
    assert table.loc["price", "margin"] == pytest.approx(1.0, abs=1e-12)
    assert table.loc["price", "direction"] == "as expected"
    assert table.loc["steps", ["margin", "direction"]].tolist() == [pytest.approx(0.0), "no direction"]
    base = found.to_frame().set_index(["parameter", "value"])["base"]
    assert base.loc[("price", 0.16)] and not base.loc[("price", 0.12)]


def test_parameters_under_test_are_the_base(btc):
    options = {"values": {"decay": [0.9]}, "parameters": {"decay": 0.97}}
    table = walk_sensitivity("long_btc", btc, "ewma-normal", **options, **SPAN).to_frame().set_index("value")
    assert table["base"].to_dict() == {0.9: False, 0.97: True}
    run = walk_forward("long_btc", btc, "ewma-normal", parameters={"decay": 0.9}, **SPAN)
    assert table.loc[0.9, "margin"] == pytest.approx(float(run.margin.mean()), rel=1e-14)


def test_factors_on_the_vol_response_scale_its_law(btc):
    law = VolMoves(name="own", beta={"BTC": -1.0}, residual_sd={"BTC": 0.05})
    found = walk_sensitivity(
        "short_straddle_30d",
        btc,
        "hs",
        response=law,
        values={"vol_residual": [2.0], "vol_slope": [0.5]},
        **SPAN,
    )
    table = found.to_frame().set_index(["parameter", "value"])
    twice = VolMoves(name="twice", beta={"BTC": -1.0}, residual_sd={"BTC": 0.10})
    run = walk_forward("short_straddle_30d", btc, "hs", response=twice, **SPAN)
    assert table.loc[("vol_residual", 2.0), "margin"] == pytest.approx(float(run.margin.mean()), rel=1e-14)
    assert table.loc[("vol_residual", 2.0), "margin"] > table.loc[("vol_residual", 1.0), "margin"]
    assert np.isfinite(found.summary().loc["vol_slope", "margin"])


def test_tools_against_procyclicality_raise_the_called_margin_and_need_no_run(btc):
    run = walk_forward("long_btc", btc, "hs", **SPAN)
    values = {"stress_weight": [0.25, 0.5], "floor": [0.5, 1.0], "buffer": [0.1, 0.25]}
    found = walk_sensitivity("long_btc", btc, "hs", values=values, base=run, **SPAN)
    found.check()
    table, rows = found.summary(), found.to_frame().set_index(["parameter", "value"])
    assert table.index.tolist() == ["1 + stress_weight", "1 + floor", "1 + buffer"]
    assert (table["direction"] == "as expected").all() and (table["margin"] >= 0.0).all()
    assert (rows["against"].dropna() == 0.0).all() and rows.loc[("buffer", 0.0), "base"]
    assert rows.loc[("buffer", 0.0), "margin"] == pytest.approx(float(run.margin.mean()), rel=1e-14)
    path = run.margin
    weighed = 0.5 * path + 0.5 * path.cummax()
    assert rows.loc[("stress_weight", 0.5), "margin"] == pytest.approx(float(weighed.mean()), rel=1e-14)
    floored = np.maximum(path, path.expanding().mean())
    assert rows.loc[("floor", 1.0), "margin"] == pytest.approx(float(floored.mean()), rel=1e-14)
    hits = int((-run.frame["pnl"] > weighed).sum())
    assert rows.loc[("stress_weight", 0.5), "hits"] == hits <= rows.loc[("stress_weight", 0.0), "hits"]


def test_tools_under_test_are_part_of_every_row(btc):
    run = walk_forward("long_btc", btc, "hs", **SPAN)
    options = {"tools": {"buffer": 0.25}, "base": run, **SPAN}
    found = walk_sensitivity(
        "long_btc", btc, "hs", values={"buffer": [0.0], "margin_scale": [2.0]}, **options
    )
    rows = found.to_frame().set_index(["parameter", "value"])
    called = called_margin(run.margin, buffer=0.25)
    assert rows.loc[("buffer", 0.25), "base"]
    for row in (("buffer", 0.25), ("margin_scale", 1.0)):
        assert rows.loc[row, "margin"] == pytest.approx(float(called.mean()), rel=1e-14)
    assert rows.loc[("margin_scale", 2.0), "margin"] == pytest.approx(2.0 * float(called.mean()), rel=1e-12)
    # a buffer that shrinks the margin would be flagged
    upside = found.to_frame()
    upside.loc[upside["parameter"] == "buffer", "margin"] *= [1.0, 0.5]
    assert WalkSensitivity(table=upside, book="b", model="m").against_theory == ("1 + buffer",)


def test_the_called_margin_by_hand_and_what_it_refuses():
    path = pd.Series([1.0, 2.0, 1.0, 1.5])
    assert called_margin(path).tolist() == path.tolist()
    assert called_margin(path, buffer=0.25).tolist() == [1.25, 2.0, 1.25, 1.5]
    assert called_margin(path, floor=1.0).tolist() == pytest.approx([1.0, 2.0, 4.0 / 3.0, 1.5])
    # stress first, then the floor on what stress left, then the buffer
    all_three = called_margin(path, stress_weight=0.5, floor=1.0, buffer=0.1)
    assert all_three.tolist() == pytest.approx([1.1, 2.0, 1.65, 1.75])
    for settings, match in (
        ({"buffer": -0.1}, "buffer is -0.1"),
        ({"floor": float("nan")}, "floor is nan"),
        ({"stress_weight": 1.5}, "weight of stress is 1.5"),
        ({"buffer": True}, "buffer is True"),
    ):
        with pytest.raises(ParameterError, match=match):
            called_margin(path, **settings)
    with pytest.raises(ParameterError, match="margin is of type list"):
        called_margin([1.0, 2.0])


def test_tools_that_are_unknown_are_refused(btc):
    with pytest.raises(ParameterError, match="no tool 'cap'; expected some of stress_weight, floor, buffer"):
        walk_sensitivity("long_btc", btc, "hs", values={"buffer": [0.1]}, tools={"cap": 1.0}, **SPAN)


def test_every_parameter_has_a_direction_and_a_base():
    for model in forecast_models():
        for name in varied_parameters(model):
            assert name in PARAMETERS
            assert theta_of(name, base_value(name, model, {}, {})) >= 0.0


def test_parameters_of_another_model_are_refused(btc):
    with pytest.raises(ParameterError, match="no parameter 'price' to vary under model 'fhs'"):
        walk_sensitivity("long_btc", btc, "fhs", values={"price": [0.1]}, **SPAN)
