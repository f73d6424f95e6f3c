"""Accounts that breach on the same dates: which of them breach too often, and whether all together do."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import binom
from statsmodels.stats.multitest import multipletests

from pmkit.backtest.margins.coverage import MarginCoverage
from pmkit.backtest.series.checks import check_alpha, check_count, check_probability
from pmkit.core.errors import ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ManyAccounts", "many_accounts"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ManyAccounts(Result):
    """Inference on many accounts whose breaches fall on the same dates.

    Attributes
    ----------
    table : DataFrame
        One row an account, worst first: ``n``, ``breaches``, ``p_value`` (exact, one-sided), ``p_adjusted``
        (Benjamini and Yekutieli: valid under any dependence), ``rejected`` at ``alpha``.
    p, alpha : float
        Tail probability of the margin, and level of the false discovery rate.
    total, expected : float
        Breaches of all accounts, and their expected number n·p.
    interval : tuple of float
        Bootstrap interval at 1 - alpha of the share of account-dates in breach, whole dates resampled.
    rate, rate_se : float
        Share of account-dates in breach, and its bootstrap standard error.
    dates : int
        Dates with an account held.
    """

    table: pd.DataFrame
    p: float
    alpha: float
    total: int
    expected: float
    rate: float
    interval: tuple[float, float]
    rate_se: float
    dates: int
    provenance: Provenance = field(default_factory=lambda: Provenance(method="backtest.many_accounts"))
    references: tuple[str, ...] = ("benjamini2001", "efron1993")

    @property
    def covers(self) -> bool:
        """Whether the interval of the breach rate holds p or lies below it: no sign of too little margin."""
        return self.interval[0] <= self.p

    @property
    def inflation(self) -> float:
        """Variance of the breach rate over that of independent account-dates; 1 without common dates."""
        independent = self.rate * (1.0 - self.rate) / float(self.table["n"].sum())
        return self.rate_se**2 / independent if independent > 0.0 else math.nan

    def summary(self) -> pd.DataFrame:
        """Return one row: breaches against expectation, rate with its interval, accounts rejected."""
        row = {
            "accounts": len(self.table),
            "dates": self.dates,
            "breaches": self.total,
            "expected": self.expected,
            "rate": self.rate,
            "rate_low": self.interval[0],
            "rate_high": self.interval[1],
            "inflation": self.inflation,
            "rejected": int(self.table["rejected"].sum()),
        }
        return pd.DataFrame(row, index=pd.Index([f"p = {self.p:g}"], name="margin"))

    def to_frame(self) -> pd.DataFrame:
        """Return the table of accounts."""
        return self.table.copy()

    def check(self) -> None:
        """Raise unless adjusted p-values are at least the plain ones and the total is their sum."""
        smaller = (self.table["p_adjusted"] < self.table["p_value"] - 1e-12).any()
        if smaller or int(self.table["breaches"].sum()) != self.total:
            raise ParameterError("table and totals differ", "one account of the breaches", "report this")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the ordered p-values and the line that they must fall below to be rejected."""
        axes, values = new_axes(ax), np.sort(self.table["p_value"].to_numpy())
        rank = np.arange(1, values.size + 1)
        bound = self.alpha * rank / (values.size * float(np.sum(1.0 / rank)))
        axes.plot(rank, values, "o", color="#4477aa", markersize=3, label="accounts")
        axes.plot(rank, bound, color="#cc3311", label="Benjamini-Yekutieli")
        axes.set(
            xlabel="rank", ylabel="p-value", title=f"{int(self.table['rejected'].sum())} accounts rejected"
        )
        axes.legend(frameon=False)
        return axes


def many_accounts(
    coverage: MarginCoverage, *, p: float, alpha: float = 0.05, draws: int = 2_000, seed: int = 0
) -> ManyAccounts:
    """Return which accounts breach too often, and whether all together do, common dates allowed for.

    Parameters
    ----------
    coverage : MarginCoverage
    p : float
        Tail probability that the margin stands for, in (0, 0.5].
    alpha : float
        False discovery rate, and one minus the confidence of the interval.
    draws : int
        Bootstrap samples of dates, 99 or more.
    seed : int
        Root seed.

    Returns
    -------
    ManyAccounts

    Raises
    ------
    ParameterError, ConventionError
        Not a MarginCoverage; p, alpha, draws or seed outside their domain.

    Notes
    -----
    Accounts share dates, so that their p-values depend on each other and their breaches come together: the
    false discovery rate is controlled under any dependence, and the rate of all is judged by resampling whole
    dates. Dates that depend on each other (overlapping margin periods) need blocks; thin the dates first.

    References
    ----------
    Benjamini and Yekutieli (2001), theorem 1.3; Efron and Tibshirani (1993), percentile interval.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from pmkit.backtest import margin_coverage
    >>> margin = pd.DataFrame(np.full((200, 3), 2.0), columns=list("abc"))
    >>> pnl = pd.DataFrame(np.where(np.arange(600).reshape(200, 3) % 40 == 0, -3.0, 1.0), columns=list("abc"))
    >>> many_accounts(margin_coverage(margin, pnl), p=0.01).total
    15
    """
    if not isinstance(coverage, MarginCoverage):
        raise ParameterError(
            f"coverage is of type {type(coverage).__name__}", "a MarginCoverage", "call margin_coverage first"
        )
    tail, level = check_probability(p), check_alpha(alpha)
    count, root = check_count(draws, "draws"), check_count(seed, "seed", largest=2**64 - 1)
    if count < 99:
        raise ParameterError(f"draws is {count}", "99 or more", "leave the default")
    held, hits = coverage.margin.notna(), coverage.breaches
    n, x = held.sum().to_numpy(), hits.sum().to_numpy()
    seen = n > 0
    plain = binom.sf(x[seen] - 1, n[seen], tail)
    rejected, adjusted, _, _ = multipletests(plain, alpha=level, method="fdr_by")
    table = pd.DataFrame(
        {"n": n[seen], "breaches": x[seen], "p_value": plain, "p_adjusted": adjusted, "rejected": rejected},
        index=coverage.margin.columns[seen].rename("account"),
    ).sort_values(["p_value", "breaches"], ascending=[True, False], kind="stable")
    daily_n, daily_x = held.sum(axis=1).to_numpy(), hits.sum(axis=1).to_numpy()
    rates = _bootstrap(daily_n.astype(np.float64), daily_x.astype(np.float64), count, root)
    half = 100.0 * level / 2.0
    low, high = np.percentile(rates, [half, 100.0 - half])
    total = int(x.sum())
    return ManyAccounts(
        table=table,
        p=tail,
        alpha=level,
        total=total,
        expected=float(n.sum()) * tail,
        rate=total / float(n.sum()),
        interval=(float(low), float(high)),
        rate_se=float(np.std(rates, ddof=1)),
        dates=int((daily_n > 0).sum()),
        provenance=Provenance(
            method="backtest.many_accounts",
            data=dict(coverage.provenance.data),
            parameters={"p": tail, "alpha": level, "draws": count},
            seed=root,
        ),
    )


def _bootstrap(n: FloatArray, x: FloatArray, draws: int, seed: int) -> FloatArray:
    """Return the breach rate of resampled dates, shape (draws,)."""
    rng = stream(seed, "date-clusters")
    dates = np.flatnonzero(n > 0.0)
    rates = np.empty(draws)
    for draw in range(draws):
        at = dates[rng.integers(0, dates.size, dates.size)]
        rates[draw] = np.add.reduce(x[at]) / np.add.reduce(n[at])
    return rates
