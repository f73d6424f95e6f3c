"""VaR and ES: definitions by hand, coherence, weights, errors, tails."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pmkit.core.errors import ParameterError, PmkitError, ThinTailError, ThinTailWarning
from pmkit.core.random import stream
from pmkit.risk import expected_shortfall, tail_check, value_at_risk
from pmkit.scenarios import ScenarioSet, grid
from tests.unit.risk.conftest import random_scenarios

LEVELS = st.sampled_from([0.5, 0.9, 0.95, 0.975, 0.99, 0.999])
PNL = arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6, width=32))
WEIGHTED = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        arrays(np.float64, n, elements=st.floats(-1e3, 1e3, width=32)),
        arrays(np.float64, n, elements=st.integers(0, 5).map(float)).filter(lambda w: w.sum() > 0),
    )
)


def plain(pnl: np.ndarray, level: float, weights: np.ndarray | None = None) -> tuple[float, float]:
    """VaR and ES from the definitions: walk down the sorted losses until the tail's weight is used up."""
    w = np.full(len(pnl), 1.0) if weights is None else weights
    pairs = sorted(zip(-pnl, w / w.sum(), strict=True), reverse=True)
    left, total = 1.0 - level, 0.0
    var = None
    for loss, weight in pairs:
        if weight > left + 1e-12:
            var = loss
            break
        total += weight * loss
        left -= weight
    if var is None:
        var = next(loss for loss, weight in reversed(pairs) if weight > 0)
    return var, (total + left * var) / (1.0 - level)


@given(PNL, LEVELS)
def test_equal_weights_against_definitions(pnl: np.ndarray, level: float) -> None:
    var, es = plain(pnl, level)
    assert value_at_risk(pnl, level).value == var
    assert expected_shortfall(pnl, level).value == pytest.approx(es, rel=1e-9, abs=1e-6)


@given(WEIGHTED, LEVELS)
def test_weights_against_definitions(sample: tuple[np.ndarray, np.ndarray], level: float) -> None:
    pnl, weights = sample
    var, es = plain(pnl, level, weights)
    assert value_at_risk(pnl, level, weights).value == pytest.approx(var)
    assert expected_shortfall(pnl, level, weights).value == pytest.approx(es, rel=1e-9, abs=1e-6)


@given(WEIGHTED, LEVELS)
def test_es_is_never_below_var_and_the_tail_adds_up(
    sample: tuple[np.ndarray, np.ndarray], level: float
) -> None:
    pnl, weights = sample
    es = expected_shortfall(pnl, level, weights)
    assert es.value >= es.threshold == value_at_risk(pnl, level, weights).value
    es.check()
    tail = es.tail_scenarios
    assert -(tail["pnl"] * tail["share"]).sum() == pytest.approx(es.value, rel=1e-9, abs=1e-6)
    assert es.tail_weight <= 1.0 - level + 1e-9


@settings(max_examples=60)
@given(st.integers(1, 40), LEVELS, st.floats(0.0, 50.0), st.floats(-1e3, 1e3), st.integers(0, 10**6))
def test_coherence(n: int, level: float, scale: float, cash: float, seed: int) -> None:
    x, y = (stream(seed, name).standard_t(3, n) for name in "xy")

    def es(pnl: np.ndarray) -> float:
        return float(expected_shortfall(pnl, level))

    assert es(x + cash) == pytest.approx(es(x) - cash, abs=1e-8)
    assert es(scale * x) == pytest.approx(scale * es(x), rel=1e-9, abs=1e-9)
    assert es(x + y) <= es(x) + es(y) + 1e-9
    assert es(np.maximum(x, y)) <= es(x) + 1e-12

    def var(pnl: np.ndarray) -> float:
        return float(value_at_risk(pnl, level))

    assert var(x + cash) == pytest.approx(var(x) - cash, abs=1e-8)
    assert var(scale * x) == pytest.approx(scale * var(x), rel=1e-9, abs=1e-9)
    assert var(np.maximum(x, y)) <= var(x) + 1e-12
    comonotone = np.sort(x) + np.sort(y)
    assert es(comonotone) == pytest.approx(es(x) + es(y), rel=1e-9, abs=1e-9)
    assert float(value_at_risk(comonotone, level)) == pytest.approx(
        float(value_at_risk(x, level)) + float(value_at_risk(y, level)), rel=1e-9, abs=1e-9
    )


def test_counts_at_round_levels() -> None:
    """0.99 of 100 means 99, though 1 - 0.99 is not 0.01 in binary."""
    losses = np.arange(1.0, 1001.0)
    assert float(value_at_risk(-losses, 0.99)) == 990.0
    assert float(expected_shortfall(-losses, 0.99)) == pytest.approx(995.5, rel=1e-12)
    assert float(value_at_risk(-losses, 0.975)) == 975.0
    assert value_at_risk(-losses, 0.99).tail_weight == pytest.approx(0.01)


def test_simulation_errors_are_what_repetition_shows() -> None:
    values = {"VaR": [], "ES": []}
    errors = {"VaR": [], "ES": []}
    for repetition in range(400):
        pnl = stream(repetition, "repeat").standard_t(4, 4000)
        for figure in (value_at_risk(pnl, 0.975), expected_shortfall(pnl, 0.975)):
            values[figure.measure].append(figure.value)
            errors[figure.measure].append(figure.se_simulation)
    for measure in ("VaR", "ES"):
        assert np.mean(errors[measure]) == pytest.approx(np.std(values[measure]), rel=0.12)


def test_errors_inside_strata() -> None:
    """Where the design fixes how many paths each window gets, only the spread inside windows is noise."""
    windows, replications = 200, 20
    strata = np.tile(np.arange(windows), replications)
    mean = stream(1, "windows").standard_normal(windows)
    repeated = []
    for repetition in range(300):
        pnl = np.tile(mean, replications) + 0.3 * stream(repetition, "noise").standard_normal(strata.size)
        repeated.append(float(expected_shortfall(pnl, 0.95)))
    figure = expected_shortfall(pnl, 0.95, strata=strata)
    plain_error = expected_shortfall(pnl, 0.95).se_simulation
    assert figure.se_simulation == pytest.approx(np.std(repeated), rel=0.2)
    assert figure.se_simulation < 0.6 * plain_error
    assert value_at_risk(pnl, 0.95, strata=strata).se_simulation < value_at_risk(pnl, 0.95).se_simulation


def test_labels_of_the_tail() -> None:
    scen = grid([-0.2, -0.1, 0.1], dynamics="sticky_strike", underlyings=["BTC"])
    figure = expected_shortfall([-5.0, -7.0, 1.0], 0.5, scenarios=scen)
    assert figure.tail_scenarios["label"].tolist() == ["spot -10%, vol +0%", "spot -20%, vol +0%"]
    assert figure.tail_scenarios["share"].tolist() == pytest.approx([2 / 3, 1 / 3])
    with pytest.raises(ParameterError, match="2 profits for 3 scenarios"):
        expected_shortfall([1.0, 2.0], 0.9, scenarios=scen)


def test_figure_display_and_errors_filled_in() -> None:
    figure = expected_shortfall(stream(2, "x").standard_normal(500), 0.99)
    full = figure.with_errors(se_estimation=0.5, influential_date="2020-03-12", value_without_date=2.0)
    assert (full.se_estimation, full.influential_date, full.value_without_date) == (0.5, "2020-03-12", 2.0)
    assert full.value == figure.value and math.isnan(figure.se_estimation)
    assert full.to_dict()["estimator"].startswith("Acerbi") and figure.to_dict()["se_estimation"] is None
    assert "2020-03-12" in repr(full)
    with pytest.raises(PmkitError, match="below VaR"):
        dataclasses.replace(figure, threshold=99.0).check()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (([],), "pnl has shape"),
        (([[1.0]],), "pnl has shape"),
        ((["a"],), "pnl is not numeric"),
        (([1.0, math.nan],), "pnl of scenario 1 is nan"),
        (([1.0], 0.01), "level is 0.01; expected the confidence level.*write 0.99"),
        (([1.0], 1.0), "level is 1.0"),
        (([1.0], 99), "level is 99.*write 0.99 for 99 per cent"),
        (([1.0, 2.0], 0.99, [1.0]), "weights have shape"),
        (([1.0, 2.0], 0.99, [1.0, -1.0]), "weights have shape"),
        (([1.0, 2.0], 0.99, [0.0, 0.0]), "a positive sum"),
    ],
)
def test_bad_input(arguments: tuple, text: str) -> None:
    for function in (value_at_risk, expected_shortfall):
        with pytest.raises(ParameterError, match=text):
            function(*arguments)
    with pytest.raises(ParameterError, match="strata have shape"):
        value_at_risk([1.0, 2.0], strata=[1])


def with_history(n_independent: float) -> ScenarioSet:
    return dataclasses.replace(random_scenarios("sticky_strike", n=5), n_independent=n_independent)


def test_tail_check_counts_history_and_not_paths() -> None:
    assert tail_check(with_history(1460.0), 0.99) == pytest.approx(14.6)
    with pytest.warns(
        ThinTailWarning, match=r"7.3 independent observations beyond the 0.99 level .730 non-overlapping"
    ):
        assert tail_check(with_history(730.0), 0.99) == pytest.approx(7.3)
    with pytest.raises(ThinTailError, match=r"2.5 independent observations.*expected at least 3"):
        tail_check(with_history(250.0), 0.99)
    assert tail_check(with_history(250.0), 0.99, min_tail=2.0, error_below=1.0) == pytest.approx(2.5)
    for bad in ({"level": 0.01}, {"min_tail": 1.0, "error_below": 2.0}, {"error_below": -1.0}):
        with pytest.raises(ParameterError, match="error_below"):
            tail_check(with_history(250.0), **{"level": 0.99, **bad})


def test_the_tail_holds_only_scenarios_that_enter_the_mean() -> None:
    figure = expected_shortfall(np.arange(-100.0, 0.0), 0.99)
    assert figure.tail_scenarios["pnl"].tolist() == [-100.0]
    figure = expected_shortfall(np.arange(-1000.0, 0.0), 0.99)
    assert len(figure.tail_scenarios) == 10
    assert figure.tail_scenarios["share"].tolist() == pytest.approx([0.1] * 10)
