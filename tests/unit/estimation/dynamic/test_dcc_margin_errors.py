"""Errors that allow for the margins: the derivative they rest on, by refits, and what they refuse."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.random import stream
from pmkit.estimation import CorrelationModel, VolatilityModel, fit_correlation, fit_volatility
from pmkit.estimation.dynamic import dcc_margin_errors as errors
from pmkit.estimation.dynamic.dcc_errors import expansion, two_step_covariance
from pmkit.estimation.dynamic.dcc_likelihood import CorrelationLikelihood

NAMES = list("abc")


@cache
def margins(dist: str = "normal") -> dict[str, VolatilityModel]:
    """Return GARCH fits of simulated returns whose correlation moves."""
    S = 0.5 * np.eye(3) + 0.5
    known = CorrelationModel.from_parameters(
        {"a": 0.05, "b": 0.9}, pd.DataFrame(np.ones((1, 3)), columns=NAMES), "cdcc", S
    )
    z = known.simulate(1500, draws=stream(8, "margins").standard_normal((1, 1500, 3)))[0]
    returns, variance = np.empty_like(z), np.full(3, 1e-4)
    for t in range(1500):
        returns[t] = np.sqrt(variance) * z[t]
        variance = 4e-6 + 0.1 * returns[t] ** 2 + 0.86 * variance
    table = pd.DataFrame(returns, index=pd.date_range("2018-01-01", periods=1500), columns=NAMES)
    return {name: fit_volatility(table[name], "garch", dist) for name in NAMES}  # type: ignore[arg-type]


def residuals(dist: str = "normal") -> pd.DataFrame:
    return pd.DataFrame({name: margin.residuals for name, margin in margins(dist).items()})


@pytest.mark.parametrize("model", ["dcc", "cdcc", "deco"])
def test_errors_grow_a_little(model: str) -> None:
    fit = fit_correlation(residuals(), model)  # type: ignore[arg-type]
    wide = errors.with_margin_errors(fit, margins())
    ratio = wide.std_errors / fit.std_errors
    assert ratio.between(0.8, 1.6).all() and (ratio != 1.0).all()
    assert wide.params.equals(fit.params) and "errors of margins" in wide.provenance.method


def test_the_cross_derivative_predicts_a_refit() -> None:
    """Move one parameter of one margin: the estimates move by ``-H^-1 (d score / d phi)``."""
    fit = fit_correlation(residuals(), "cdcc", covariance=False)
    margin = margins()["b"]
    shift = 0.1 * margin.std_errors["alpha"]
    found = []
    for sign in (1.0, -1.0):
        moved = margin.params.copy()
        moved["alpha"] += sign * shift
        other = VolatilityModel.from_parameters(
            moved, margin.returns, "garch", "normal", backcast=margin.backcast
        )
        found.append(fit_correlation(residuals().assign(b=other.residuals), "cdcc", covariance=False).params)
    by_refit = (found[0] - found[1]).to_numpy() / 2.0
    z = np.ascontiguousarray(residuals().to_numpy())
    H, _ = expansion(CorrelationLikelihood(z, "cdcc"), fit.params.to_numpy(), 1.0)
    change, _ = errors._margin_parts(margin, ["alpha"])
    gradients = []
    for sign in (1.0, -1.0):
        x = z.copy()
        x[:, 1] += sign * change[0]
        gradients.append(CorrelationLikelihood(x, "cdcc").evaluate(fit.params.to_numpy()).gradient)
    steps = 0.1 / errors._STEP
    predicted = -np.linalg.solve(H, 0.5 * (gradients[0] - gradients[1])) * steps
    assert by_refit == pytest.approx(predicted, rel=0.03)


@pytest.mark.parametrize("dist", ["normal", "t"])
def test_a_margins_influences_are_its_own_sandwich(dist: str) -> None:
    margin = margins(dist)["a"]
    names = [n for n in ("mu", "omega", "alpha", "beta", "nu") if margin.std_errors[n] > 0.0]
    _, own = errors._margin_parts(margin, names)
    spread = np.sqrt((own**2).sum(axis=0)) * errors._STEP
    # in standard errors of the fit, whose own are the same sandwich
    assert spread == pytest.approx(np.ones(len(names)), rel=0.1)
    r, p = margin.returns.to_numpy(), margin.params.to_numpy()
    z, terms = errors._residuals_and_terms(r, p, margin.backcast)
    assert z == pytest.approx(margin.residuals.to_numpy(), rel=1e-12)
    assert terms.sum() == pytest.approx(margin.loglik, rel=1e-9)


def test_known_margins_change_nothing() -> None:
    fit = fit_correlation(residuals(), "dcc")
    known = {
        name: VolatilityModel.from_parameters(m.params, m.returns, "garch", "normal", backcast=m.backcast)
        for name, m in margins().items()
    }
    same = errors.with_margin_errors(fit, known)
    assert same.covariance.to_numpy() == pytest.approx(fit.covariance.to_numpy(), rel=1e-12)
    z = np.ascontiguousarray(residuals().to_numpy())
    direct = two_step_covariance(CorrelationLikelihood(z, "dcc"), fit.params.to_numpy(), 1.0, 6)
    assert fit.covariance.to_numpy() == pytest.approx(direct, rel=1e-9)


def test_bad_input() -> None:
    fit = fit_correlation(residuals(), "dcc", covariance=False)
    with pytest.raises(SchemaError, match="no margin for 'c'"):
        errors.with_margin_errors(fit, {n: margins()[n] for n in "ab"})
    with pytest.raises(SchemaError, match="residuals of 'a' are not those of its margin"):
        errors.with_margin_errors(fit, {**margins(), "a": margins()["b"]})
    with pytest.raises(ParameterError, match="a ccc model"):
        errors.with_margin_errors(fit_correlation(residuals(), "ccc"), margins())
