"""Every public function of the room against hostile histories, settings and counts."""

from __future__ import annotations

import importlib.util
import inspect
import math
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pmkit import backtest as bt
from pmkit.backtest.walk.inventory import INVENTORY
from pmkit.core.errors import PmkitError


def _table() -> Any:
    place = importlib.util.spec_from_file_location(
        "hostile_input", Path(__file__).with_name("hostile_input.py")
    )
    assert place is not None and place.loader is not None
    module = importlib.util.module_from_spec(place)
    sys.modules["hostile_input"] = module
    place.loader.exec_module(module)
    return module


H = _table()
SITUATIONS = H.situations()
SLOW = {"every_test", "es_regression, simulated"}

#: Public functions that take no history of losses: their arguments are tried by their own tests.
NOT_MET = {
    "basel_multiplier",
    "basel_zone_limits",
    "forecast_models",
    "kupiec_non_rejection",
    "load_walks",
    "quantile_gap",
    "random_books",
    "run_vol_scenarios",
    "save_walks",
}
#: Prices or vols in, not losses.
OF_PRICES = {"walk_books", "walk_forward", "walk_many", "walk_panel", "walk_sensitivity"}


def test_every_public_function_is_met():
    met = {name.partition(",")[0] for name in H.CALLERS}
    for room in (bt.var_tests, bt.es_tests, bt):
        for name in room.__all__:
            if inspect.isfunction(getattr(room, name)) and "vol" not in name and "heston" not in name:
                assert (name in met) != (name in NOT_MET | OF_PRICES), name
    assert set(H.REFUSED) | set(H.OVERLAPPING) <= set(SITUATIONS)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in SLOW else name for name in H.CALLERS],
)
def test_hostile_histories_meet_a_state_or_a_named_error(name):
    found = []
    for situation, history in SITUATIONS.items():
        word, wrong = H.meet(name, history)
        demanded = H.required(name, situation)
        if demanded is not None and word != demanded.__name__:
            wrong.append(f"{word} where {demanded.__name__} is due")
        found += [f"{situation}: {text}" for text in dict.fromkeys(wrong)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("situation", "silent"),
    [
        ("no hits", "christoffersen_independence haas weibull_duration gmm_duration dynamic_quantile "
         "dynamic_logit du_escanciano_conditional mcneil_frey nolde_ziegel overlapping_independence "
         "overlapping_quantile"),
        ("all hits", "christoffersen_independence weibull_duration dynamic_quantile dynamic_logit"),
        ("one observation", "basel_zone kupiec_first_hit christoffersen christoffersen_independence haas "
         "haas_mixed weibull_duration gmm_duration dynamic_quantile dynamic_logit berkowitz "
         "du_escanciano_conditional mcneil_frey nolde_ziegel compare_forecasts overlapping_quantile"),
        ("losses equal to VaR", "christoffersen_independence haas weibull_duration mcneil_frey nolde_ziegel"),
    ],
)  # fmt: skip
def test_histories_without_information_are_not_evaluable(situation, silent):
    for name in silent.split():
        assert H.meet(name, SITUATIONS[situation]) == ("not_evaluable", []), name


def test_a_constant_forecast_is_no_regressor_and_says_so():
    for kind in ("strict", "auxiliary", "intercept"):
        found = bt.es_tests.es_regression(SITUATIONS["constant VaR"].tail, kind=kind, draws=0)
        assert found.decision == "not_evaluable" and "must vary" in " ".join(found.warnings)
    # the dynamic quantile drops it, and the degrees of freedom with it
    history = SITUATIONS["constant VaR"]
    constant = bt.var_tests.dynamic_quantile(hits=history.hits, var=history.var, draws=99)
    varied = SITUATIONS["control"]
    assert constant.df == bt.var_tests.dynamic_quantile(hits=varied.hits, var=varied.var, draws=99).df - 1


def test_ties_are_no_hits_and_are_told():
    outcome = bt.var_tests.kupiec(hits=SITUATIONS["losses equal to VaR"].hits)
    assert outcome.x == 0 and "equal VaR and count as no hit" in " ".join(outcome.warnings)


def test_an_es_that_equals_var_leaves_the_battery_standing():
    found = bt.every_test(H._result(SITUATIONS["ES equal to VaR"]), draws=99)
    silent = found.verdicts[found.verdicts == "not stated"].index.tolist()
    assert silent == ["Acerbi Z3", "e-backtest of ES"]


# -- settings --------------------------------------------------------------------------------------

FOREIGN: dict[str, tuple[Any, ...]] = {
    "alpha": (0.0, 1.0, -0.1, math.nan, "a", True, None),
    "size": (0.0, 1.0, math.nan, "a", None),
    "draws": (-1, 5, 98, 100.5, math.nan, "many", True, None),
    "seed": (-1, 1.5, "a", None, True),
    "horizon": (0, -1, math.nan, math.inf, "long", True),
    "kind": ("foreign", None, 3),
    "null": ("foreign", None, 3),
    "distance": ("foreign", None),
    "measure": ("foreign", None),
    "betting": ("foreign", None),
    "hypothesis": ("foreign", None),
    "combination": ("foreign", None),
    "bet": (0.0, 0.6, math.nan, "a", True, None),
    "score": ("foreign", None),
    "alternative": ("foreign", None),
    "specification": ("foreign", None),
    "method": ("foreign", None),
    "bootstrap": ("foreign", None),
    "lags": (-1, 2.5, "a", True, 10**9),
    "block": (0, -1, 2.5, "a", 10**9),
}


def _calls():
    """Yield each test with the arguments that it needs."""
    s = SITUATIONS["control"]
    for test in dict.fromkeys(entry.test for entry in INVENTORY):
        known = inspect.signature(test).parameters
        if "hits" in known:
            yield test, (), {"hits": s.hits} | ({"var": s.var} if "var" in known else {})
        else:
            yield test, (s.pits if test.__name__ in {n.partition(",")[0] for n in H.OF_PITS} else s.tail,), {}
    yield bt.es_tests.compare_forecasts, (s.tail, s.other), {}
    yield bt.es_tests.e_process, (s.tail,), {}
    yield bt.model_confidence_set, (H._pair(s),), {}
    yield bt.beats_benchmark, (s.tail, {"other": s.other}), {}
    yield bt.every_test, (H._result(s),), {}
    yield bt.many_accounts, (bt.margin_coverage(*H._panel(s)),), {"p": 0.025}
    yield bt.many_books, ({"a": H._result(s)},), {}
    yield bt.factor_laws, ({"spot": s.pits},), {}
    yield bt.factor_dependence, H._draws(s), {}


@pytest.mark.parametrize(
    ("test", "series", "needed"), list(_calls()), ids=lambda x: getattr(x, "__name__", "")
)
def test_foreign_settings_are_refused_by_name(test, series, needed):
    let_through = []
    for name in inspect.signature(test).parameters:
        for value in FOREIGN.get(name, ()):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                try:
                    test(*series, **(needed | {name: value}))
                except PmkitError as error:
                    assert "expected" in str(error)
                except Exception as error:
                    let_through.append(f"{name}={value!r}: {type(error).__name__}: {error}")
                else:
                    let_through.append(f"{name}={value!r} is accepted")
    assert not let_through, "\n".join(let_through)


# -- counts ----------------------------------------------------------------------------------------

COUNTS = ("kupiec", "binomial_exact", "basel_zone")


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(
    "counts",
    [
        {"n": 0, "x": 0, "p": 0.01},
        {"n": 10, "x": 11, "p": 0.01},
        {"n": 10, "x": -1, "p": 0.01},
        {"n": 10.5, "x": 1, "p": 0.01},
        {"n": "ten", "x": 1, "p": 0.01},
        {"n": math.nan, "x": 1, "p": 0.01},
        {"n": 10, "x": math.nan, "p": 0.01},
        {"n": 10, "x": True, "p": 0.01},
        {"n": 10, "x": 1, "p": 0.0},
        {"n": 10, "x": 1, "p": 1.0},
        {"n": 10, "x": 1, "p": 0.99},
        {"n": 10, "x": 1, "p": math.nan},
        {"n": 10, "x": 1, "p": "1 %"},
        {"n": 10, "x": 1},
        {"n": 10, "p": 0.01},
        {"hits": [1, 0], "n": 2, "x": 1, "p": 0.01},
        {"hits": [0.5, 1.0], "p": 0.01},
        {"hits": [0, 1]},
        {},
    ],
    ids=str,
)
def test_counts_that_cannot_be_are_refused_by_name(name, counts):
    with pytest.raises(PmkitError, match="expected"):
        getattr(bt.var_tests, name)(**counts)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(("n", "x"), [(1, 0), (1, 1), (250, 0), (250, 250), (10**6, 10**6), (10**6, 0)])
def test_counts_at_the_edges_have_a_p_value(name, n, x):
    outcome = getattr(bt.var_tests, name)(n=n, x=x, p=0.01)
    assert H.contradictions(outcome) == []
    assert outcome.decision == "not_evaluable" or math.isfinite(outcome.p_value)
    assert np.isfinite(outcome.statistic)
