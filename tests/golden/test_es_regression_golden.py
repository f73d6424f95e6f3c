"""Figures of a published package on its own example: 4,527 forecasts of VaR and ES of an index at 97.5 %.

The forecasts are not part of the project: without the folder of study data these tests are skipped.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2

from pmkit.backtest.es.regression_fit import fit_joint
from pmkit.backtest.es_tests import TailSeries, compare_forecasts, es_regression, mcneil_frey, nolde_ziegel
from pmkit.backtest.var_tests import christoffersen_independence, haas, haas_mixed, kupiec

FEW = {"draws": 99}


@pytest.fixture(scope="module")
def forecasts() -> tuple[TailSeries, np.ndarray]:
    folder = os.environ.get("PMKIT_EXTRA_DATA")
    path = Path(folder or ".") / "esback" / "risk_forecasts.csv"
    if folder is None or not path.exists():
        pytest.skip("no example forecasts: set PMKIT_EXTRA_DATA to a folder with esback/risk_forecasts.csv")
    data = pd.read_csv(path)
    loss, var, es = (-data[name].to_numpy() for name in ("r", "q", "e"))
    return TailSeries(loss=loss, var=var, es=es, level=0.975), data["s"].to_numpy()


def test_hits_and_their_transitions(forecasts):
    series, _ = forecasts
    counts = series.hits.counts()
    assert (series.n, series.hits.x) == (4527, 155)
    assert (counts.n00, counts.n01, counts.n10, counts.n11) == (4232, 139, 139, 16)
    assert f"{kupiec(hits=series.hits).statistic:.6f}" == "14.239433"
    assert f"{christoffersen_independence(hits=series.hits, **FEW).statistic:.6f}" == "15.515178"


def test_conditional_calibration_and_residuals(forecasts):
    series, deviation = forecasts
    simple = nolde_ziegel(series, **FEW)
    general = nolde_ziegel(series, kind="general", scale=deviation, **FEW)
    assert f"{simple.statistic:.6f} {simple.p_asymptotic:.11f}" == "14.030508 0.00089807770"
    assert f"{general.statistic:.6f} {general.p_asymptotic:.8f}" == "1.788347 0.18112769"
    raw = mcneil_frey(series, scale=np.ones(series.n), **FEW)
    scaled = mcneil_frey(series, scale=deviation, **FEW)
    assert f"{raw.statistic:.6f} {scaled.statistic:.6f}" == "1.117305 1.340727"
    assert compare_forecasts(series, series).decision == "not_evaluable"


@pytest.mark.slow
def test_regression_finds_a_smaller_loss_near_the_printed_coefficients(forecasts):
    """The package searches by simplex with random restarts; the loss at its coefficients is above ours."""
    series, _ = forecasts
    found = {kind: es_regression(series, kind=kind, **FEW) for kind in ("strict", "auxiliary", "intercept")}
    names = ("var_intercept", "var_slope", "es_intercept", "es_slope")
    fitted = [found["strict"].details[name] for name in names]
    np.testing.assert_allclose(fitted, [0.3175855, 0.7355989, 0.5215500, 0.9478242], atol=6e-3)
    pnl, x = -series.loss, -series.es
    top, p = pnl.max(), series.p
    q, e = -0.3175855 - top + 0.7355989 * x, -0.5215500 - top + 0.9478242 * x
    shortfall = np.maximum(q - (pnl - top), 0.0)
    printed = np.mean(-shortfall / (p * e) + q / e + np.log(-e) - 1.0)
    assert fit_joint(x, x, pnl, p).loss < printed
    # The same three verdicts; the covariance follows the same formulas with its own optimiser and density.
    assert found["auxiliary"].p_asymptotic == pytest.approx(0.00084278305, rel=0.2)
    assert found["intercept"].p_asymptotic == pytest.approx(0.0046048916, rel=0.2)
    assert 0.0001 < found["strict"].p_asymptotic < 0.001


def test_times_between_failures_have_the_printed_degrees_of_freedom():
    """57 failures of 1,043 observations: ratios of 88.491 and 88.952 are printed with these p-values."""
    hits = np.zeros(1043, dtype=bool)
    hits[np.linspace(5, 1030, 57).astype(int)] = True
    alone, mixed = (test(hits=hits, p=0.05, **FEW) for test in (haas, haas_mixed))
    assert mixed.statistic - alone.statistic == pytest.approx(0.46147, abs=5e-6)
    for result, printed, p_value in ((alone, 88.491, "0.0047475"), (mixed, 88.952, "0.0055565")):
        assert f"{chi2.sf(printed, result.df):.7f}"[:8] == p_value[:8]
