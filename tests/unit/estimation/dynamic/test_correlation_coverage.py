"""Confidence intervals of simulated dynamic correlations hold what they promise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmkit.core.random import stream
from pmkit.estimation import CorrelationModel, fit_correlation, fit_volatility, with_margin_errors


@pytest.mark.slow
@pytest.mark.parametrize(("model", "likelihood"), [("dcc", "full"), ("cdcc", "full"), ("cdcc", "composite")])
def test_intervals_cover(model: str, likelihood: str) -> None:
    """500 samples of 2000 days and 4 assets; a 95 per cent interval must hold the truth in 92 to 98."""
    truth, names = {"a": 0.04, "b": 0.93}, list("abcd")
    S = 0.6 * np.eye(4) + 0.4
    seed = pd.DataFrame(np.ones((1, 4)), columns=names)
    known = CorrelationModel.from_parameters(truth, seed, model, S)  # type: ignore[arg-type]
    inside = np.zeros(2)
    for k in range(500):
        z = known.simulate(2000, draws=stream(k, "coverage", model).standard_normal((1, 2000, 4)))[0]
        fit = fit_correlation(pd.DataFrame(z, columns=names), model, likelihood=likelihood)  # type: ignore[arg-type]
        bounds = fit.confidence_interval().to_numpy()
        inside += (bounds[:, 0] < list(truth.values())) & (list(truth.values()) < bounds[:, 1])
    assert (inside >= 0.92 * 500).all() and (inside <= 0.98 * 500).all(), inside / 500


@pytest.mark.slow
def test_intervals_cover_with_estimated_margins() -> None:
    """The same with GARCH margins that are estimated too, 300 samples, errors that allow for them."""
    truth, names = {"a": 0.04, "b": 0.93}, list("abc")
    S = 0.6 * np.eye(3) + 0.4
    known = CorrelationModel.from_parameters(truth, pd.DataFrame(np.ones((1, 3)), columns=names), "cdcc", S)
    inside = np.zeros(2)
    for k in range(300):
        z = known.simulate(2000, draws=stream(k, "coverage", "margins").standard_normal((1, 2000, 3)))[0]
        returns, variance = np.empty_like(z), np.full(3, 1e-4)
        for t in range(2000):
            returns[t] = np.sqrt(variance) * z[t]
            variance = 2e-6 + 0.06 * returns[t] ** 2 + 0.92 * variance
        margins = {
            name: fit_volatility(pd.Series(returns[:, i]), "garch", "normal", engine="newton")
            for i, name in enumerate(names)
        }
        table = pd.DataFrame({name: margin.residuals for name, margin in margins.items()})
        fit = with_margin_errors(fit_correlation(table, "cdcc", covariance=False), margins)
        bounds = fit.confidence_interval().to_numpy()
        inside += (bounds[:, 0] < list(truth.values())) & (list(truth.values()) < bounds[:, 1])
    assert (inside >= 0.92 * 300).all() and (inside <= 0.98 * 300).all(), inside / 300
