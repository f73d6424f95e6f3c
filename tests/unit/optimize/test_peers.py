"""The same shortfall problem in libraries that only the environment of the benchmarks has."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.risk import expected_shortfall
from tests.unit.optimize.test_shortfall import minimum, simulated

LEVEL = 0.95


def value_of(unit: Any, weights: Any) -> float:
    """Return the shortfall of weights scaled to sum to one."""
    shares = np.asarray(weights, dtype=np.float64)
    shares = shares / shares.sum()
    return float(expected_shortfall(np.add.reduce(unit * shares[:, None], axis=0), LEVEL).value)


def test_skfolio_finds_the_same_optimum() -> None:
    pytest.importorskip("skfolio", reason="skfolio is installed in the environment of the benchmarks only")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from skfolio import RiskMeasure
        from skfolio.optimization import MeanRisk

        unit = simulated(400, 15, 21)
        found, _ = minimum(unit, np.full(400, 1.0 / 400), LEVEL, every=False)
        model = MeanRisk(risk_measure=RiskMeasure.CVAR, cvar_beta=LEVEL)
        model.fit(pd.DataFrame(unit.T))
    assert found.value == pytest.approx(value_of(unit, model.weights_), rel=1e-6)


def test_riskfolio_finds_the_same_optimum() -> None:
    pytest.importorskip(
        "riskfolio", reason="Riskfolio-Lib is installed in the environment of the benchmarks only"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import riskfolio

        unit = simulated(400, 15, 22)
        found, _ = minimum(unit, np.full(400, 1.0 / 400), LEVEL, every=False)
        port = riskfolio.Portfolio(returns=pd.DataFrame(unit.T, columns=[f"a{i}" for i in range(15)]))
        port.assets_stats(method_mu="hist", method_cov="hist")
        port.alpha = 1.0 - LEVEL
        port.solvers = ["CLARABEL"]
        weights = port.optimization(model="Classic", rm="CVaR", obj="MinRisk", rf=0, hist=True)
    assert found.value == pytest.approx(value_of(unit, weights["weights"].to_numpy()), rel=1e-6)
