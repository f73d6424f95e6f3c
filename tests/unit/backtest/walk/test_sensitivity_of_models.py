"""Sensitivities to what belongs to a model or to the response of implied vol, not to the walk."""

from __future__ import annotations

import numpy as np
import pytest

from pmkit.backtest import VolMoves, walk_forward, walk_sensitivity
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


def test_parameters_of_another_model_are_refused(btc):
    with pytest.raises(ParameterError, match="no parameter 'price' to vary under model 'fhs'"):
        walk_sensitivity("long_btc", btc, "fhs", values={"price": [0.1]}, **SPAN)
