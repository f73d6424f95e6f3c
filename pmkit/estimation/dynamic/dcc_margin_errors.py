"""Standard errors of a dynamic correlation that allow for the estimation of the margins as well."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import gammaln

from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.types import FloatArray
from pmkit.estimation.dynamic.correlation import CorrelationModel
from pmkit.estimation.dynamic.correlation_inputs import canonical_order
from pmkit.estimation.dynamic.dcc_errors import expansion, sandwich
from pmkit.estimation.dynamic.dcc_likelihood import CorrelationLikelihood
from pmkit.estimation.univariate.parameters import PARAMETERS
from pmkit.estimation.univariate.recursion import filter_variance
from pmkit.estimation.univariate.volatility import VolatilityModel

__all__ = ["with_margin_errors"]

#: step of a difference, in standard errors of the margin's parameter
_STEP = 0.05


def with_margin_errors(
    model: CorrelationModel, margins: Mapping[Any, VolatilityModel], *, lags: int | None = None
) -> CorrelationModel:
    """Return the model with standard errors that allow for the estimated margins too.

    Parameters
    ----------
    model : CorrelationModel
        A ``dcc``, ``adcc``, ``cdcc`` or ``deco`` fit of status ok over the margins' residuals.
    margins : mapping of VolatilityModel
        The fit behind each column. Parameters without a standard error (at a bound, given) count as known.
    lags : int, optional
        Of the Newey-West sum; the fourth root of the rows where None.

    Returns
    -------
    CorrelationModel

    Raises
    ------
    SchemaError
        Not one margin a column, or residuals that are not those of the margins.
    ParameterError
        A model without a maximum inside its region.

    Notes
    -----
    The stacked first-order conditions: to the influence of a day on the score of the correlation comes
    ``(d s / d phi) A^-1 s_phi,t``, where ``phi`` are the margins' parameters, A minus the Hessian of their
    likelihood and ``s_phi,t`` their score. Derivatives by central differences; ``2 p`` likelihoods with score
    an asset of p parameters.

    References
    ----------
    Engle and Sheppard (2001).
    """
    if model.status != "ok" or model.fitted_rows != len(model.residuals) or len(model.params) < 2:
        raise ParameterError(
            f"a {model.model} model of status {model.status}, fitted to {model.fitted_rows} of "
            f"{len(model.residuals)} rows",
            "a fitted dcc, adcc, cdcc or deco of status ok over its own rows",
            "pass the result of fit_correlation",
        )
    order = canonical_order(model.names)
    z = np.ascontiguousarray(model.residuals.to_numpy()[:, order])
    for name in model.names:
        if name not in margins or not isinstance(margins[name], VolatilityModel):
            raise SchemaError(f"no margin for {name!r}", "a VolatilityModel for every column", "add it")
        ours, theirs = model.residuals[name].to_numpy(), margins[name].residuals.to_numpy()
        if len(ours) != len(theirs) or not np.allclose(ours, theirs, rtol=1e-9, atol=1e-9):
            raise SchemaError(
                f"the residuals of {name!r} are not those of its margin",
                "the residuals that the model was fitted to",
                "pass the fits behind the columns",
            )
    theta = model.params.to_numpy()

    def problem(values: FloatArray) -> CorrelationLikelihood:
        return CorrelationLikelihood(values, model.model, model.pairs)

    plain = problem(z)
    bound = plain.loss_bound if model.model == "adcc" else 1.0
    H, influence = expansion(plain, theta, bound)
    for column, position in enumerate(order):
        margin = margins[model.names[int(position)]]
        free = [
            n for n in PARAMETERS if n in margin.covariance.index and margin.std_errors[n] > 0.0
        ]  # NaN is not above 0
        if not free:
            continue
        shifts, own = _margin_parts(margin, free)
        for k in range(len(free)):
            gradients = []
            for sign in (1.0, -1.0):
                moved = z.copy()
                moved[:, column] += sign * shifts[k]
                gradients.append(problem(moved).evaluate(theta).gradient)
            influence += own[:, k : k + 1] * (0.5 * (gradients[0] - gradients[1]))[None, :]
    V = sandwich(H, influence, int(len(z) ** 0.25) if lags is None else int(lags))
    names = model.params.index
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(np.diag(V))
    return replace(
        model,
        covariance=pd.DataFrame(V, index=names, columns=names),
        std_errors=pd.Series(errors, index=names),
        provenance=replace(model.provenance, method=f"{model.provenance.method}, errors of margins"),
    )


def _margin_parts(margin: VolatilityModel, free: list[str]) -> tuple[FloatArray, FloatArray]:
    """Return half the change of residuals by a step of each parameter, and each day's influence, in steps."""
    base = margin.params[list(PARAMETERS)].to_numpy(dtype=np.float64)
    r = margin.returns.to_numpy()
    at = [PARAMETERS.index(n) for n in free]
    steps = _STEP * margin.std_errors[free].to_numpy(dtype=np.float64)
    m = len(free)

    def run(shift: FloatArray) -> tuple[FloatArray, FloatArray]:
        p = base.copy()
        p[at] += shift * steps
        return _residuals_and_terms(r, p, margin.backcast)

    unit = np.eye(m)
    ups, downs = [run(unit[k]) for k in range(m)], [run(-unit[k]) for k in range(m)]
    middle = np.add.reduce(run(np.zeros(m))[1])
    A = np.empty((m, m))
    for k in range(m):
        A[k, k] = -(np.add.reduce(ups[k][1]) - 2.0 * middle + np.add.reduce(downs[k][1]))
        for j in range(k):
            same = [np.add.reduce(run(x * (unit[k] + unit[j]))[1]) for x in (1.0, -1.0)]
            other = [np.add.reduce(run(x * (unit[k] - unit[j]))[1]) for x in (1.0, -1.0)]
            A[k, j] = A[j, k] = -0.25 * (sum(same) - sum(other))
    scores = np.stack([0.5 * (u[1] - d[1]) for u, d in zip(ups, downs, strict=True)], axis=1)
    shifts = np.stack([0.5 * (u[0] - d[0]) for u, d in zip(ups, downs, strict=True)])
    return shifts, scores @ np.linalg.inv(A)


def _residuals_and_terms(r: FloatArray, p: FloatArray, start: float) -> tuple[FloatArray, FloatArray]:
    """Return residuals and log-likelihood of each day under ``mu, omega, alpha, gamma, beta, nu``."""
    mu, omega, alpha, gamma, beta, nu = (float(x) for x in p)
    deviations, variance = r - mu, np.empty(r.size + 1)
    filter_variance(deviations, omega, alpha, gamma, beta, start, variance)
    variance = variance[:-1]
    z = deviations / np.sqrt(variance)
    if math.isinf(nu):
        return z, -0.5 * (np.log(2.0 * math.pi * variance) + z * z)
    constant = float(gammaln(0.5 * (nu + 1.0)) - gammaln(0.5 * nu)) - 0.5 * math.log(math.pi * (nu - 2.0))
    return z, constant - 0.5 * np.log(variance) - 0.5 * (nu + 1.0) * np.log1p(z * z / (nu - 2.0))
