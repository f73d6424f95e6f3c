"""Nominal 95 % intervals of the fitted parameters, on samples simulated from known ones."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from pmkit.core.random import stream
from pmkit.estimation import VolatilityModel
from pmkit.estimation.univariate.newton_fit import fit_newton, from_theta
from pmkit.estimation.univariate.recursion import start_variance

SAMPLES, ROWS, BURN = 1000, 5000, 500
TRUTH = {
    ("garch", "normal"): {"mu": 3e-4, "omega": 4e-6, "alpha": 0.08, "gamma": 0.0, "beta": 0.88},
    ("gjr", "t"): {"mu": 3e-4, "omega": 4e-6, "alpha": 0.04, "gamma": 0.08, "beta": 0.88, "nu": 7.0},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["robust", "classic"])
@pytest.mark.parametrize(("model", "dist"), list(TRUTH))
def test_intervals_cover_the_truth(model: str, dist: str, kind: str) -> None:
    """A coverage of 95 % over 1000 samples has a standard error of 0.7 points; 92 to 98 are allowed."""
    truth = pd.Series(TRUTH[model, dist])
    law = VolatilityModel.from_parameters(truth, pd.Series([0.01, -0.01]), model, dist)  # type: ignore[arg-type]
    rng = stream(20260801, "coverage", model, dist)
    shape = (SAMPLES, ROWS + BURN)
    nu = truth.get("nu", math.inf)
    z = rng.standard_normal(shape)
    if math.isfinite(nu):
        z = z * np.sqrt((nu - 2.0) / rng.chisquare(nu, shape))
    returns = np.ascontiguousarray(law.simulate(z, 0.01)[0][:, BURN:])
    hits, bounds = [], 0
    for y in returns:
        fit = fit_newton(y, model, dist, "constant", start_variance(y - y.mean()))
        bounds += fit.status != "ok"
        cov = fit.covariance(y, kind)
        error = pd.Series(np.sqrt(np.diag(cov)), index=cov.index)
        found = from_theta(fit.theta)[fit.names]
        hits.append((abs(found - truth[fit.names]) <= 1.959964 * error).to_dict())
    coverage = pd.DataFrame(hits).mean()
    assert bounds <= SAMPLES // 50
    assert ((coverage >= 0.92) & (coverage <= 0.98)).all(), coverage.to_dict()
