"""Many assets in blocks of dates: the figures of the walk day by day, the past alone, refusals."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest

from pmkit.backtest import ConstantBook, PanelWalk, walk_forward, walk_panel
from pmkit.backtest.walk.walk_panel import PANEL_MODELS
from pmkit.core.errors import DataGapError, ParameterError, PmkitError, SchemaError
from pmkit.core.random import stream
from pmkit.market import load_history
from pmkit.market.history import PriceHistory

matplotlib.use("Agg")

SPAN = {"start": "2008-08-01", "end": "2008-12-31", "window": 400, "refit_every": 40, "n_paths": 800}


@pytest.fixture(scope="module")
def stocks() -> PriceHistory:
    return load_history("us-stocks-1990-2022").select(["GE", "KO"])


@pytest.fixture(scope="module")
def filtered(stocks) -> PanelWalk:
    return walk_panel(stocks, "fhs", **SPAN)


@pytest.mark.parametrize("side", ["long", "short"])
@pytest.mark.parametrize("model", PANEL_MODELS)
def test_blocks_give_the_figures_of_the_walk_day_by_day(stocks, model, side):
    panel = walk_panel(stocks, model, side=side, **SPAN)
    panel.check()
    leg = {"underlying": "GE", "kind": "perpetual", "weight": 1.0 if side == "long" else -1.0}
    slow = walk_forward(ConstantBook.from_legs([leg]), stocks, model, engine="newton", **SPAN)
    for name, part in (("var", panel.var), ("var_es_level", panel.var_es_level), ("es", panel.es)):
        np.testing.assert_allclose(part["GE"], slow.frame[name], rtol=1e-12)
    np.testing.assert_allclose(panel.pnl["GE"], slow.frame["pnl"], rtol=0.0, atol=1e-15)
    assert (panel.hits["GE"] == slow.frame["hit"]).all()
    assert len(panel.fits) == (2 * len(slow.refits) if model in ("fhs", "evt", "gjr-t") else 0)


@pytest.mark.parametrize("model", PANEL_MODELS)
def test_the_past_does_not_move_when_the_future_does(stocks, model):
    later = stocks.prices.copy()
    noise = stream(6, "later").standard_normal(later.loc["2009":].shape)
    later.loc["2009":] *= np.exp(np.cumsum(0.1 * noise, axis=0))
    panels = [
        walk_panel(h, model, **SPAN | {"end": "2008-12-30"}) for h in (stocks, PriceHistory.from_frame(later))
    ]
    pd.testing.assert_frame_equal(panels[0].var, panels[1].var, check_exact=True)
    pd.testing.assert_frame_equal(panels[0].es, panels[1].es, check_exact=True)


def test_blocks_end_where_the_dates_end(stocks):
    whole = walk_panel(stocks, "fhs", **SPAN)
    shorter = walk_panel(stocks, "fhs", **SPAN | {"end": "2008-10-15"})
    pd.testing.assert_frame_equal(shorter.var, whole.var.loc[:"2008-10-15"], check_exact=True)
    one = walk_panel(stocks, "fhs", **SPAN | {"end": SPAN["start"]})
    assert one.var.shape == (1, 2)
    pd.testing.assert_frame_equal(one.var, whole.var.iloc[:1], check_exact=True)


def test_the_series_and_tables_agree(filtered):
    table = filtered.summary()
    assert filtered.hits_of("KO").x == table.loc["KO", "hits"] == filtered.hits["KO"].sum()
    tail = filtered.tail_of("GE")
    assert tail.hits.x == int((-filtered.pnl["GE"] > filtered.var_es_level["GE"]).sum())
    assert filtered.margin_coverage().by_account()["breaches"].tolist() == table["hits"].tolist()
    frame = filtered.to_frame()
    assert len(frame) == filtered.var.size and frame["hit"].sum() == table["hits"].sum()
    assert filtered.plot().get_title() == "fhs, long"
    with pytest.raises(DataGapError, match="no asset 'XOM'"):
        filtered.hits_of("XOM")


def test_more_smoothing_memory_or_tail_is_another_figure(stocks):
    span = SPAN | {"end": "2008-09-30"}
    for model, option in (("ewma-normal", {"decay": 0.97}), ("evt", {"tail_share": 0.2})):
        usual, other = walk_panel(stocks, model, **span), walk_panel(stocks, model, **option, **span)
        assert not np.allclose(usual.var, other.var, rtol=1e-4)
        assert usual.provenance.id != other.provenance.id


def test_check_finds_what_was_tampered_with(filtered):
    for change in ({"es": 0.5 * filtered.es}, {"pnl": filtered.pnl * np.nan}, {"var": -filtered.var}):
        with pytest.raises(PmkitError, match="not finite or not in order"):
            replace(filtered, **change).check()


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"model": "matrix"}, ParameterError, "model is 'matrix'"),
        ({"side": "flat"}, ParameterError, "side is 'flat'"),
        ({"decay": 0.9}, ParameterError, "decay is given for model 'hs'"),
        ({"model": "ewma-normal", "decay": 1.5}, ParameterError, "decay is 1.5"),
        ({"model": "evt", "tail_share": 0.9}, ParameterError, "tail_share is 0.9"),
        ({"window": 9000}, DataGapError, "9000 returns before the first date"),
        ({"level": 0.01}, PmkitError, "looks like a tail probability"),
    ],
)
def test_what_is_refused(stocks, options, error, match):
    with pytest.raises(error, match=match):
        walk_panel(stocks, **{"model": "hs", **SPAN, **options})


def test_prices_that_are_refused(stocks):
    with pytest.raises(SchemaError, match="history is a DataFrame"):
        walk_panel(stocks.prices, "hs")
    holes = stocks.prices.copy()
    holes.iloc[4600, 0] = np.nan
    with pytest.raises(DataGapError, match="no price of GE"):
        walk_panel(PriceHistory.from_frame(holes), "hs", **SPAN)
