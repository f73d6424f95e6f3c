"""One outcome of a test from what was tested, its statistic and p-values; the decision follows from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from pmkit.backtest.series.samples import Sample
from pmkit.backtest.series.simulated_null import NO_SIMULATION, SimulatedP
from pmkit.backtest.series.test_result import BacktestTest, Decision

__all__ = ["outcome"]


def outcome(
    sample: Sample,
    *,
    name: str,
    h0: str,
    h1: str,
    sidedness: str,
    statistic: float,
    distribution: str,
    critical_value: float,
    alpha: float,
    references: tuple[str, ...],
    details: Mapping[str, float | int | str | None],
    df: int | None = None,
    p_asymptotic: float = math.nan,
    found: SimulatedP = NO_SIMULATION,
    decided_by: Literal["asymptotic", "exact"] = "exact",
    n_effective: int | None = None,
    notes: tuple[str, ...] = (),
) -> BacktestTest:
    """Return the outcome of a test whose decision rests on one of its two p-values.

    Parameters
    ----------
    sample : Sample
        What was tested; brings n, x, p and the horizon. Its notes are part of ``notes`` where they belong.
    statistic, critical_value : float
        NaN where they cannot be computed.
    found : SimulatedP
        Exact or Monte Carlo p-value; ``NO_SIMULATION`` where there is none.
    decided_by : {"exact", "asymptotic"}
        ``"exact"`` rejects iff ``found.value`` is at most ``alpha``, ``"asymptotic"`` iff the statistic
        exceeds the critical value. Where that number is NaN, the decision is ``"not_evaluable"``.
    n_effective : int, optional
        Observations that enter the statistic; n where absent.
    """
    ground = found.value if decided_by == "exact" else statistic
    decision: Decision = "not_evaluable"
    if not math.isnan(ground):
        extreme = ground <= alpha if decided_by == "exact" else ground > critical_value
        decision = "rejected" if extreme else "not_rejected"
    return BacktestTest(
        name=name,
        h0=h0,
        h1=h1,
        sidedness=sidedness,
        statistic=statistic,
        distribution=distribution,
        df=df,
        p_asymptotic=p_asymptotic,
        p_exact=found.value,
        p_exact_kind=found.kind,
        p_exact_se=found.error,
        critical_value=critical_value,
        alpha=alpha,
        decision=decision,
        decided_by=decided_by,
        n=sample.n,
        x=sample.x,
        p=sample.p,
        n_effective=sample.n if n_effective is None else n_effective,
        horizon=sample.horizon,
        warnings=notes,
        references=references,
        details=details,
    )
