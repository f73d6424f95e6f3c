"""Backtests of every portfolio by every test, with the multiplicity of the table allowed for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.stats.multitest import multipletests

from pmkit.backtest import MarginCoverage, OffsetOutcomes, margin_coverage
from pmkit.backtest.var_tests import BaselOutcome
from pmkit.backtest.walk.inventory import Group, Judged, Outcome, run_inventory
from pmkit.report.validation.config import ValidationConfig
from pmkit.report.validation.runs import BookRuns, ValidationRuns

__all__ = ["coverage_of", "evidence_table", "judged_of", "zones"]

#: Simulations behind one p-value. The smallest that they can give must survive the adjustment for the table.
_DRAWS = 9_999


#: What a test says something about, by what it looks at.
_SUBJECT = {"number": "margin", "order": "margin", "overlap": "margin", "law": "law"}


def judged_of(runs: BookRuns) -> Judged:
    """Return what the tests see: hits of the called margin, law and ES of the model before any tool."""
    frame = runs.model.frame
    has_law = not bool(frame["pit"].isna().any())
    return Judged(
        hits=runs.hits,
        var=runs.called.to_numpy(dtype=np.float64),
        loss=-frame["pnl"].to_numpy(dtype=np.float64),
        pits=runs.model.pits() if has_law else None,
        tail=BookRuns.tail(runs.model) if has_law else None,
    )


def _row(portfolio: str, name: str, group: Group, outcome: Outcome | None) -> dict[str, Any]:
    head = {"portfolio": portfolio, "subject": _SUBJECT.get(group, "ES"), "test": name}
    if outcome is None:
        nothing = dict.fromkeys(("expected", "statistic", "p_value"), math.nan)
        words = {"p_from": "", "decision": "not stated", "zone": "", "conservative": False, "remarks": ""}
        return {**head, "n": 0, "hits": 0, **nothing, **words}
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
        **head,
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
        p_from, decision (``rejected``, ``not rejected``, ``not evaluable``; ``not stated`` where the model
        says nothing that the test could judge), zone, conservative (rejected with fewer hits than expected),
        remarks, p_adjusted. ``subject`` is ``margin`` (after the tool), ``law`` or ``ES`` (of the model).

    Notes
    -----
    All tests of :func:`pmkit.backtest.every_test`. Exact or simulated p-values decide where they exist.
    ``p_adjusted`` is that of Benjamini and Yekutieli (2001) over the whole table, valid under any dependence
    between tests and portfolios; rows without a decision do not count.
    """
    rows = []
    for name, book in runs.books.items():
        found = run_inventory(
            judged_of(book), alpha=config.alpha, null="t", df=5.0, draws=_DRAWS, seed=config.seed
        )
        rows += [_row(name, test, group, outcome) for test, (group, outcome) in found.items()]
    table = pd.DataFrame(rows)
    table["p_adjusted"] = np.nan
    judged = table.index[table["decision"].isin(["rejected", "not rejected"])]
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
