"""Backtests of every portfolio by every test, with the multiplicity of the table allowed for."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from pmkit.backtest import (
    BacktestTest,
    MarginCoverage,
    OffsetOutcomes,
    es_tests,
    margin_coverage,
    overlapping_pof,
    var_tests,
)
from pmkit.backtest.var_tests import BaselOutcome
from pmkit.report.validation.config import ValidationConfig
from pmkit.report.validation.runs import BookRuns, ValidationRuns

__all__ = ["coverage_of", "evidence_table", "zones"]

Outcome = BacktestTest | OffsetOutcomes

#: Simulations behind one p-value: its standard error is at most half a point.
_DRAWS = 9_999


def _var_outcomes(runs: BookRuns, alpha: float, seed: int) -> list[Outcome]:
    """Return the tests of the hits against the called margin, those of number before those of order."""
    horizon = float(runs.model.horizon)
    wanted: dict[str, Any] = {
        "hits": runs.hits,
        "horizon": horizon if horizon > 1.0 else None,
        "alpha": alpha,
    }
    drawn = {**wanted, "draws": _DRAWS, "seed": seed}
    outcomes: list[Outcome] = [
        var_tests.kupiec(**wanted),
        var_tests.binomial_exact(**wanted, alternative="greater"),
        var_tests.basel_zone(**wanted),
    ]
    if horizon > 1.0:
        outcomes.append(overlapping_pof(hits=runs.hits, alpha=alpha, seed=seed))
    tests: tuple[Callable[..., Outcome], ...] = (
        var_tests.christoffersen_independence,
        var_tests.christoffersen,
        var_tests.haas_mixed,
        var_tests.weibull_duration,
        var_tests.gmm_duration,
    )
    outcomes += [test(**drawn) for test in tests]
    outcomes.append(var_tests.dynamic_quantile(**drawn, var=runs.called))
    return outcomes


def _es_outcomes(runs: BookRuns, alpha: float, seed: int) -> list[Outcome]:
    """Return the tests of the size of losses beyond VaR, on the model before any tool."""
    horizon = float(runs.model.horizon)
    series = BookRuns.tail(runs.model)
    wanted: dict[str, Any] = {"horizon": horizon if horizon > 1.0 else None, "alpha": alpha}
    drawn = {**wanted, "draws": _DRAWS, "seed": seed}
    return [
        es_tests.mcneil_frey(series, **drawn),
        es_tests.acerbi_szekely(series, kind="z2", null="t", df=5.0, **drawn),
        es_tests.e_backtest(series, **wanted),
    ]


def _row(portfolio: str, subject: str, outcome: Outcome) -> dict[str, Any]:
    offsets = isinstance(outcome, OffsetOutcomes)
    parts = outcome.outcomes if isinstance(outcome, OffsetOutcomes) else (outcome,)
    p_value = outcome.p_combined if isinstance(outcome, OffsetOutcomes) else parts[0].p_exact
    how = "smallest of the offsets, Bonferroni" if offsets else parts[0].p_exact_kind
    if math.isnan(p_value) and not offsets:
        p_value, how = parts[0].p_asymptotic, "limit law"
    decision = "not_evaluable"
    if outcome.decision != "not_evaluable" and not math.isnan(p_value):
        decision = "rejected" if p_value <= outcome.alpha else "not_rejected"
    expected = sum(part.expected for part in parts)
    zone = max((z for z in zones(outcome)), key=("", "green", "yellow", "red").index, default="")
    return {
        "portfolio": portfolio,
        "subject": subject,
        "test": outcome.name,
        "n": outcome.n,
        "hits": outcome.x,
        "expected": expected,
        "statistic": math.nan if offsets else parts[0].statistic,
        "p_value": p_value,
        "p_from": how,
        "decision": decision.replace("_", " "),
        "zone": zone,
        "conservative": decision == "rejected" and outcome.x < expected,
        "remarks": "; ".join(outcome.warnings),
    }


def zones(outcome: Outcome) -> tuple[str, ...]:
    """Return the Basel zone of each offset; empty for other tests."""
    parts = outcome.outcomes if isinstance(outcome, OffsetOutcomes) else (outcome,)
    return tuple(part.zone for part in parts if isinstance(part, BaselOutcome))


def evidence_table(config: ValidationConfig, runs: ValidationRuns) -> pd.DataFrame:
    """Return one row a portfolio and test: counts, statistic, p-value with its origin, decision.

    Parameters
    ----------
    config : ValidationConfig
    runs : ValidationRuns

    Returns
    -------
    DataFrame
        Columns portfolio, subject (``margin`` or ``ES``), test, n, hits, expected, statistic, p_value,
        p_from, decision (``rejected``, ``not rejected``, ``not evaluable``), zone, conservative
        (rejected with fewer hits than expected), remarks, p_adjusted.

    Notes
    -----
    Exact or simulated p-values decide where they exist. ``p_adjusted`` is that of Benjamini and Yekutieli
    (2001) over the whole table, valid under any dependence between tests and portfolios; rows that cannot be
    evaluated do not count.
    """
    rows = []
    for name, book in runs.books.items():
        rows += [_row(name, "margin", one) for one in _var_outcomes(book, config.alpha, config.seed)]
        rows += [_row(name, "ES", one) for one in _es_outcomes(book, config.alpha, config.seed)]
    table = pd.DataFrame(rows)
    table["p_adjusted"] = np.nan
    judged = table.index[table["decision"] != "not evaluable"]
    if len(judged):
        table.loc[judged, "p_adjusted"] = multipletests(
            table.loc[judged, "p_value"].to_numpy(dtype=np.float64), alpha=config.alpha, method="fdr_by"
        )[1]
    return table


def coverage_of(runs: ValidationRuns) -> MarginCoverage:
    """Return breaches of the called margin by portfolio and date."""
    margin = pd.DataFrame({name: book.called for name, book in runs.books.items()})
    pnl = pd.DataFrame({name: book.model.frame["pnl"] for name, book in runs.books.items()})
    return margin_coverage(margin, pnl)
