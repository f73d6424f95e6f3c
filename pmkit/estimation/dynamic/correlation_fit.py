"""Fit of a correlation model to standardised residuals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.types import FloatArray
from pmkit.estimation.dynamic.correlation import CorrelationModel
from pmkit.estimation.dynamic.correlation_inputs import (
    LateFingerprint,
    canonical_order,
    check_independent,
    checked_residuals,
)
from pmkit.estimation.dynamic.correlation_parameters import PAPERS, PARAMETERS, CorrelationKind, check_kind
from pmkit.estimation.dynamic.dcc_errors import two_step_covariance
from pmkit.estimation.dynamic.dcc_likelihood import CorrelationLikelihood
from pmkit.estimation.dynamic.dcc_optimise import TOLERANCE, Maximum, maximise
from pmkit.estimation.dynamic.dcc_recursion import moment, to_correlation

__all__ = ["fit_correlation"]

_FEWEST = 100
#: where searches start: (a, b), and the share of g in the sum of all
_START, _SECOND_START, _LOSS_SHARE = (0.03, 0.94), (0.06, 0.80), 0.01
#: gain of the next step below which a maximum that is only a start is good enough
_ROUGH = 1e-2


def fit_correlation(
    residuals: pd.DataFrame | Mapping[Any, pd.Series],
    model: CorrelationKind = "cdcc",
    *,
    likelihood: Literal["full", "composite"] = "full",
    pairs: Literal["contiguous", "all"] = "contiguous",
    decay: float = 0.97,
    covariance: bool = True,
    lags: int | None = None,
) -> CorrelationModel:
    """Return the correlation model fitted to standardised residuals by maximum likelihood.

    Take ``cdcc`` unless there is a reason: its target is estimated consistently. ``dcc`` is the classic,
    ``adcc`` adds joint losses, ``deco`` is for hundreds of assets that move alike, ``ewma`` and ``ccc`` are
    the benchmarks to beat.

    Parameters
    ----------
    residuals : DataFrame, shape (rows, n), or mapping of Series
        Returns divided by their conditional volatility (``fit_volatility(r).residuals``), at least 100 rows
        and more rows than assets, finite, one calendar.
    model : {"cdcc", "dcc", "adcc", "deco", "ewma", "ccc"}
    likelihood : {"full", "composite"}
        ``composite`` maximises the sum of the likelihoods of pairs: for many assets it is much faster, and
        free of the bias of b towards 0 that the error of a large target brings.
    pairs : {"contiguous", "all"}
        Pairs of the composite likelihood: neighbours in the order of names, or every pair.
    decay : float
        Of ``ewma``, which estimates nothing but its start.
    covariance : bool
        Whether to compute two-step standard errors; it takes two to three times the time of the fit.
    lags : int, optional
        Of the Newey–West sum behind the errors; the fourth root of the rows where None.

    Returns
    -------
    CorrelationModel

    Raises
    ------
    SchemaError, DataGapError, ParameterError, ConventionError
        See :func:`pmkit.estimation.dynamic.correlation_inputs.checked_residuals`; perfectly collinear assets;
        unknown words; ``deco`` with the composite likelihood.

    Notes
    -----
    The target S is the second moment of the residuals (of the rescaled residuals, as a correlation, in
    ``cdcc`` and ``deco``, inside the likelihood). Errors allow for the estimation of S, not for that of the
    margins. A fit that ended at a bound or did not converge is returned with that status. Cost
    ``O(rows n^3)`` an evaluation, of which there are about five; ``O(rows n^2)`` for ``deco`` and
    ``O(rows n)`` for contiguous pairs.

    References
    ----------
    Engle (2002); Aielli (2013); Cappiello, Engle and Sheppard (2006); Engle and Kelly (2012); Pakel,
    Shephard, Sheppard and Engle (2021); Bollerslev (1990).

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> x = stream(4, "demo").standard_normal((400, 3))
    >>> z = pd.DataFrame(x + x.mean(axis=1, keepdims=True), columns=list("ABC")) / 1.29
    >>> fit = fit_correlation(z, "ccc")
    >>> bool(0.2 < fit.next_correlation.loc["A", "B"] < 0.6)
    True
    """
    kind = check_kind(model)
    if likelihood not in ("full", "composite") or pairs not in ("contiguous", "all"):
        raise ParameterError(
            f"likelihood is {likelihood!r}, pairs {pairs!r}",
            "'full' or 'composite'; 'contiguous' or 'all'",
            "name one of each",
        )
    if kind == "deco" and likelihood == "composite":
        raise ParameterError(
            "deco with the composite likelihood",
            "the full likelihood, which costs rows times n^2 only",
            "leave likelihood out",
        )
    if not (isinstance(decay, float) and 0.0 < decay < 1.0):
        raise ParameterError(f"decay is {decay!r}", "a number above 0 and below 1", "0.97 is usual")
    if lags is not None and (isinstance(lags, bool) or not isinstance(lags, (int, np.integer)) or lags < 0):
        raise ParameterError(f"lags is {lags!r}", "a whole number, 0 or more", "leave it out")
    columns = len(residuals) if isinstance(residuals, Mapping) else np.shape(residuals)[-1:]
    wide = columns if isinstance(columns, int) else (columns[0] if columns else 0)
    table = checked_residuals(residuals, fewest=max(_FEWEST, wide + 1))
    M = check_independent(table)
    if kind in ("ewma", "ccc"):
        return _unfitted(table, kind, decay, M)
    order = canonical_order(table.columns)
    z = np.take(table.to_numpy(), order, axis=1)
    found, problem, bound, used = _search(
        z, kind, "none" if likelihood == "full" else pairs, M[np.ix_(order, order)]
    )
    names = pd.Index(PARAMETERS[kind])
    V = np.full((len(names), len(names)), np.nan)
    if covariance and found.status == "ok":
        V = two_step_covariance(
            problem, found.theta, bound, int(len(z) ** 0.25) if lags is None else int(lags)
        )
    back = np.argsort(order, kind="stable")
    # the composite likelihood of the corrected model fills its target at its pairs only
    S = _full_target(problem, found.theta)[np.ix_(back, back)]
    losses = problem.loss_moment[np.ix_(back, back)] if kind == "adcc" else None
    labels = table.columns
    second = "pakel2021" if problem.pairs is not None else "engle2001dcc"
    papers = (*PAPERS[kind], second)
    with np.errstate(invalid="ignore"):
        errors = np.sqrt(np.diag(V))
    return CorrelationModel(
        model=kind,
        likelihood=likelihood,
        pairs="none" if likelihood == "full" else pairs,
        params=pd.Series(found.theta, index=names),
        std_errors=pd.Series(errors, index=names),
        covariance=pd.DataFrame(V, index=names, columns=names) if covariance else pd.DataFrame(),
        objective=found.evaluation.value,
        status=found.status,
        evaluations=used,
        target=pd.DataFrame(S, index=labels, columns=labels),
        loss_target=None if losses is None else pd.DataFrame(losses, index=labels, columns=labels),
        residuals=table,
        fitted_rows=len(table),
        provenance=Provenance(
            method=f"estimation.fit_correlation {kind}, {likelihood}, {found.status}",
            data=LateFingerprint("residuals", z, back),
            parameters={
                **dict(zip(PARAMETERS[kind], found.theta.tolist(), strict=True)),
                "pairs": pairs if likelihood == "composite" else "none",
                "lags": lags,
            },
        ),
        references=papers,
    )


def _search(
    z: FloatArray, kind: str, pairs: str, M: FloatArray
) -> tuple[Maximum, CorrelationLikelihood, float, int]:
    """Return the maximum, its likelihood, the bound of g and the evaluations spent."""
    if kind == "adcc":
        return _search_asymmetric(z, pairs, M)
    problem = CorrelationLikelihood(z, kind, pairs, M)
    starts, used = [np.array(_START), np.array(_SECOND_START)], 0
    if pairs == "none" and kind != "deco":
        # neighbours are a cheap and close start for all assets together
        rough, used = _best(CorrelationLikelihood(z, kind, "contiguous", M), starts, 1.0, _ROUGH)
        if rough.status == "ok":
            starts = [rough.theta, *starts]
    best, spent = _best(problem, starts, 1.0)
    return best, problem, 1.0, used + spent


def _search_asymmetric(
    z: FloatArray, pairs: str, M: FloatArray
) -> tuple[Maximum, CorrelationLikelihood, float, int]:
    """Return the same for the asymmetric model, starting at the maximum of the symmetric one."""
    plain, _, _, used = _search(z, "dcc", pairs, M)
    problem = CorrelationLikelihood(z, "adcc", pairs, M)
    bound = problem.loss_bound
    edge = np.append(plain.theta, 0.0)
    there = problem.evaluate(edge)
    if plain.status != "ok" or there.gradient[2] <= 0.0:
        # more g would lower the likelihood: the maximum lies on the edge of the region
        status = "not_converged" if plain.status == "not_converged" else "at_bound"
        return Maximum(theta=edge, evaluation=there, status=status, evaluations=1), problem, bound, used + 1
    inside = np.append(
        plain.theta * (1.0 - _LOSS_SHARE), 0.5 * _LOSS_SHARE * float(plain.theta.sum()) / bound
    )
    best, spent = _best(problem, [inside, np.array([*_SECOND_START, _LOSS_SHARE / bound])], bound)
    return best, problem, bound, used + 1 + spent


def _best(
    problem: CorrelationLikelihood, starts: list[FloatArray], bound: float, tolerance: float = TOLERANCE
) -> tuple[Maximum, int]:
    """Return the first maximum inside the region, or the highest on its edge; and the evaluations spent."""
    best, used = maximise(problem, starts[0], bound, tolerance), 0
    used += best.evaluations
    for start in starts[1:]:
        if best.status == "ok":
            break
        tried = maximise(problem, start, bound, tolerance)
        used += tried.evaluations
        if tried.evaluation.value > best.evaluation.value:
            best = tried
    return best, used


def _full_target(problem: CorrelationLikelihood, theta: FloatArray) -> FloatArray:
    """Return the target at the estimates, every pair of it."""
    e, _, S, _ = problem.target(theta)
    return to_correlation(moment(e, e)) if problem.corrected else S


def _unfitted(table: pd.DataFrame, kind: str, decay: float, M: FloatArray) -> CorrelationModel:
    """Return a benchmark model, whose target is the second moment of the residuals."""
    z = np.ascontiguousarray(table.to_numpy())
    known = CorrelationModel.from_parameters(
        {"decay": decay} if kind == "ewma" else {},
        table,
        kind,  # type: ignore[arg-type]
        M,
    )
    fields = {name: getattr(known, name) for name in known.__dataclass_fields__}
    fields |= {
        "status": "ok",
        "fitted_rows": len(table),
        "provenance": Provenance(
            method=f"estimation.fit_correlation {kind}",
            data={"residuals": fingerprint(z)},
            parameters={} if kind == "ccc" else {"decay": decay},
        ),
    }
    return CorrelationModel(**fields)
