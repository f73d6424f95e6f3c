"""Every model as the one under test, and every model as a challenger: a whole report of each."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmkit.backtest import ConstantBook, forecast_models
from pmkit.core.errors import ConventionError
from pmkit.report.validation import ValidationConfig, validate

NAMES = list(forecast_models())
# A model that states no law says nothing that these tests could judge.
SILENT = {"law", "ES"}


def test_every_pair_of_models_makes_a_configuration(config: ValidationConfig) -> None:
    for model in NAMES:
        for challenger in NAMES:
            if model != challenger:
                assert replace(config, model=model, challenger=challenger, sensitivity={}).model == model


def test_a_model_that_cannot_hold_the_book_says_so(config: ValidationConfig) -> None:
    alone = replace(config, model="gjr-t", books=(ConstantBook.preset("btc_eth_spread"),), sensitivity={})
    with pytest.raises(ConventionError, match=r"model 'gjr-t' for a book on BTC, ETH.*use model='fhs'"):
        validate(alone)


@pytest.mark.slow
@pytest.mark.parametrize("model", NAMES)
def test_a_report_under_every_model(config: ValidationConfig, model: str) -> None:
    challenger = NAMES[NAMES.index(model) - 1]
    one_coin = "gjr-t" in (model, challenger)  # it states no dependence between two
    names = ("long_btc" if one_coin else "btc_eth_spread", "short_straddle_30d")
    small = replace(
        config,
        books=tuple(ConstantBook.preset(name) for name in names),
        model=model,
        challenger=challenger,
        start="2021-05-01",
        end="2021-07-31",
        n_paths=500,
        sensitivity={"level": [0.98], "buffer": [0.25], "stress_weight": [0.25], "floor": [1.0]},
    )
    report = validate(small)
    report.check()
    tests = report.section("backtests").tables[2].frame
    assert set(tests.loc[tests["decision"] == "not stated", "subject"]) == (
        SILENT if model == "matrix" else set()
    )
    varied = report.section("sensitivities").tables[0].frame
    assert (varied["direction"] == "as expected").all() and len(varied) == 4
    words = forecast_models()
    for name in (small.model, small.challenger):
        assert words[name] in str(report.section("purpose").paragraphs)
