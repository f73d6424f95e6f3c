"""Every backtest, from the cases of the recorded table: size, power, series that tell nothing, bad input."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from pmkit import backtest
from pmkit.backtest import HitSeries, PitSeries, TailSeries, es_tests, var_tests
from pmkit.core.errors import ConventionError, DataGapError, SchemaError


def _script() -> ModuleType:
    path = Path(__file__).resolve().parents[2] / "sizes" / "run_all.py"
    place = importlib.util.spec_from_file_location("sizes_run_all", path)
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    sys.modules["sizes_run_all"] = module
    place.loader.exec_module(module)
    return module


SIZES = _script()
CASES = SIZES.cases()


#: No cases: tables, runs of other tests, and tests of factors, which their own files measure.
NO_CASE = {
    "every_test",
    "factor_dependence",
    "factor_laws",
    "kupiec_non_rejection",
    "many_books",
    "run_vol_scenarios",
}


def test_every_test_of_the_room_has_a_case():
    known = {case.name.partition(",")[0] for case in CASES}
    for room in (var_tests, es_tests, backtest):
        for name in room.__all__:
            function = getattr(room, name)
            if not inspect.isfunction(function):
                continue
            words = inspect.signature(function)
            if "BacktestTest" in str(words.return_annotation) or {"alpha", "size"} & set(words.parameters):
                assert (name in known) != (name in NO_CASE), name
    assert {law for case in CASES for law in (case.right, *case.wrong)} <= set(SIZES.WORDS)


def test_the_recorded_table_holds_every_case():
    rows = SIZES.PAGE.read_text(encoding="utf-8").splitlines()
    assert [row.split("|")[1].strip() for row in rows if row.startswith("|")][2:] == [c.name for c in CASES]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_right_model_stands_and_a_wrong_one_falls(case):
    most = SIZES.largest_size(case)
    assert SIZES.run(case, case.right).rejected <= most
    shares = [SIZES.run(case, law) for law in case.wrong]
    # A test that never rejects finds neither fault: one of them must be seen more often than chance allows.
    assert max(share.rejected for share in shares) > most


STATES = {"rejected", "not_rejected", "not_evaluable"}
NOT_OF_ONE = ("overlapping", "compare_forecasts", "model_confidence_set", "beats_", "many_", "average_")
OWN = [case for case in CASES if not case.name.startswith(NOT_OF_ONE)]
NEEDS_HITS = (
    "christoffersen",
    "dynamic",
    "haas",
    "weibull",
    "gmm",
    "geometric",
    "mcneil",
    "acerbi_szekely, z1",
    "nolde",
    "du_escanciano_conditional",
)


def _days(loss, sigma):
    loss, sigma = np.asarray(loss, dtype=float), np.asarray(sigma, dtype=float)
    return SIZES.Days(loss, SIZES.VAR * sigma, SIZES.ES * sigma, np.asarray(norm.sf(loss / sigma)))


@pytest.mark.parametrize("case", OWN, ids=lambda case: case.name)
@pytest.mark.parametrize(
    "days",
    [
        pytest.param(_days(np.full(60, -0.5), 1.0 + np.arange(60) % 3), id="no hits"),
        pytest.param(_days(np.full(60, 9.0), 1.0 + np.arange(60) % 3), id="all hits"),
        pytest.param(_days(np.sin(np.arange(60.0) ** 2) * 2.5, np.ones(60)), id="constant VaR"),
        pytest.param(_days([0.3], [1.0]), id="one observation"),
    ],
)
def test_little_information_gives_a_state(case, days):
    outcome = case.call(days, 1)
    assert outcome.decision in STATES
    assert np.isnan(outcome.p_exact) or 0.0 <= outcome.p_exact <= 1.0
    if days.loss.max() < 0.0 and case.name.startswith(NEEDS_HITS) and case.name != "kupiec_first_hit":
        assert outcome.decision == "not_evaluable" or "coverage" in outcome.h0 or "probability" in outcome.h0
    if outcome.decision == "not_evaluable":
        assert any(
            "evaluable" in text or "cannot be evaluated" in text or "few" in text for text in outcome.warnings
        )


@pytest.mark.parametrize("case", OWN, ids=lambda case: case.name)
def test_overlap_is_refused_by_tests_that_assume_none(case):
    days = _days(np.sin(np.arange(60.0) ** 2) * 2.5, 1.0 + np.arange(60) % 3)

    class Shared(SIZES.Days):
        @property
        def tail(self):
            return TailSeries(loss=self.loss, var=self.var, es=self.es, level=0.975, horizon=5.0)

        @property
        def probabilities(self):
            return PitSeries(pit=self.pit, level=0.975, horizon=5.0)

        @property
        def hits(self):
            return HitSeries.from_losses(self.loss, self.var, 0.025, horizon=5.0)

    with pytest.raises(ConventionError, match="overlap"):
        case.call(Shared(*days), 1)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"var": -1.0}, ConventionError, "negative"),
        ({"es": 0.5}, ConventionError, "below VaR"),
        ({"loss": np.nan}, SchemaError, "missing"),
        ({"var": np.inf}, SchemaError, "infinite"),
    ],
)
def test_values_of_the_wrong_sign_or_missing_are_named(change, error, message):
    columns = {"loss": np.zeros(5), "var": np.ones(5), "es": 2.0 * np.ones(5)}
    for name, value in change.items():
        columns[name][3] = value
    with pytest.raises(error, match=message):
        TailSeries(level=0.975, **columns)


def test_dates_that_do_not_match_are_named():
    days = pd.date_range("2024-01-01", periods=5, tz="UTC")
    loss = pd.Series(np.zeros(5), index=days)
    with pytest.raises(SchemaError, match=r"date|index"):
        TailSeries(
            loss=loss, var=pd.Series(np.ones(5), index=days.shift(1)), es=2.0 * np.ones(5), level=0.975
        )
    with pytest.raises((SchemaError, DataGapError), match=r"es has 4|empty"):
        TailSeries(loss=loss, var=np.ones(5), es=2.0 * np.ones(4), level=0.975)
