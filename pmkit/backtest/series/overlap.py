"""Losses that share days: the test on each offset without overlap, and the verdict on all of them."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from scipy.special import xlogy

from pmkit.backtest.series.test_result import BacktestTest, Decision
from pmkit.core.errors import ParameterError
from pmkit.core.result import Result, format_number, jsonable

__all__ = ["OffsetOutcomes", "collect", "doubling_e_value"]

# exp of this stays finite, and so does the sum over any number of offsets that can occur.
_LARGEST_LOG_E = 700.0


def doubling_e_value(n: int, x: int, p: float) -> float:
    """Return the evidence against "a hit has probability p at most", as the final wealth of a constant bet.

    Parameters
    ----------
    n, x : int
        Observations without overlap, and hits.
    p : float
        Tail probability in (0, 0.5].

    Returns
    -------
    float
        Non-negative; 1 says nothing, 20 rejects at 5 %. Capped at e^700.

    Notes
    -----
    The factor of one observation is 1 - λ + λ·hit/p with λ = p/(1 - p) at every date: 2 for a hit and (1 -
    2p)/(1 - p) for none. Its mean is 1 if the hit has probability p given the past, and less if it has less,
    so that the product E has mean 1 at most whatever the dependence of later on earlier hits, and P(E ≥ 1/α)
    ≤ α. The product is the likelihood ratio of hit probability 2p against p: it is one-sided and grows
    fastest if hits are twice as frequent.

    References
    ----------
    Vovk and Wang (2021), e-values; Wang, Wang and Ziegel (2022), e-backtesting.

    Examples
    --------
    >>> round(doubling_e_value(250, 10, 0.01), 3)
    89.559
    """
    log_e = x * math.log(2.0) + float(xlogy(n - x, (1.0 - 2.0 * p) / (1.0 - p)))
    return math.exp(min(log_e, _LARGEST_LOG_E))


@dataclass(frozen=True, kw_only=True, repr=False)
class OffsetOutcomes(Result):
    """One test on each non-overlapping offset of a series, and the combined verdict at their common level.

    Parameters
    ----------
    outcomes : tuple of BacktestTest
        Outcome of offset 0, 1, ...; all of the same test at the same ``alpha``.
    horizon : float
        Horizon of the losses in days.

    Raises
    ------
    ParameterError
        No outcome, or outcomes of different tests or levels.

    Notes
    -----
    The offsets share days, so their p-values depend on each other in an unknown way. Two combinations hold
    under any dependence: the smallest p-value times the number of offsets (Bonferroni), and the mean of the
    e-values. Offsets that cannot be evaluated still count in the number of offsets. The decision is
    Bonferroni's, on the exact p-values where they exist: an offset has few observations and the limit laws
    are poor there.

    References
    ----------
    Vovk and Wang (2021), proposition 3.1 (means of e-values).

    Examples
    --------
    >>> from pmkit.backtest import HitSeries, var_tests
    >>> hits = HitSeries(hits=[False, True, True, False] * 50, p=0.05, horizon=2)
    >>> both = var_tests.kupiec(hits=hits, horizon=2)
    >>> [outcome.x for outcome in both.outcomes], both.decision
    ([50, 50], 'rejected')
    """

    outcomes: tuple[BacktestTest, ...]
    horizon: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "outcomes", tuple(self.outcomes))
        kinds = {(outcome.name, outcome.alpha) for outcome in self.outcomes}
        if len(kinds) != 1:
            raise ParameterError(
                f"outcomes of {len(kinds)} tests or levels: {sorted(kinds)}",
                "one outcome or more, of one test at one level",
                "let the functions of pmkit.backtest.var_tests build the result",
            )
        cited = dict.fromkeys(key for outcome in self.outcomes for key in outcome.references)
        object.__setattr__(self, "references", (*cited, "vovk2021"))

    @property
    def name(self) -> str:
        """Name of the test."""
        return self.outcomes[0].name

    @property
    def alpha(self) -> float:
        """Level of the combined decision."""
        return self.outcomes[0].alpha

    @property
    def n(self) -> int:
        """Observations of all offsets together; they share days."""
        return sum(outcome.n for outcome in self.outcomes)

    @property
    def x(self) -> int:
        """Hits of all offsets together; they share days."""
        return sum(outcome.x for outcome in self.outcomes)

    @property
    def n_effective(self) -> int:
        """Observations of the longest offset: as many as share no days."""
        return max(outcome.n for outcome in self.outcomes)

    @property
    def p_combined(self) -> float:
        """Bonferroni p-value of the exact p-values, else of those of the limit law; NaN if there is none."""
        return self._bonferroni(
            [item.p_asymptotic if math.isnan(item.p_exact) else item.p_exact for item in self.outcomes]
        )

    @property
    def p_combined_asymptotic(self) -> float:
        """Bonferroni p-value in [0, 1] from the limit law; NaN if no offset has one."""
        return self._bonferroni([outcome.p_asymptotic for outcome in self.outcomes])

    @property
    def e_value(self) -> float:
        """Mean e-value against too many hits (see :func:`doubling_e_value`); NaN if the test states no p."""
        values = [_e_value(outcome) for outcome in self.outcomes]
        return math.fsum(values) / len(values)

    @property
    def p_from_e(self) -> float:
        """p-value min(1, 1/e) of the mean e-value: one-sided, conservative, valid under any dependence."""
        e_value = self.e_value
        return min(1.0, 1.0 / e_value) if e_value > 0.0 else (1.0 if e_value == 0.0 else math.nan)

    @property
    def decision(self) -> Decision:
        """Decision by ``p_combined`` at ``alpha``; ``"not_evaluable"`` if no offset can be evaluated."""
        combined = self.p_combined
        if math.isnan(combined):
            return "not_evaluable"
        return "rejected" if combined <= self.alpha else "not_rejected"

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of the offsets, each text once, and how many offsets could not be evaluated."""
        texts = dict.fromkeys(text for outcome in self.outcomes for text in outcome.warnings)
        idle = sum(outcome.decision == "not_evaluable" for outcome in self.outcomes)
        note = (f"Note: {idle} of {len(self.outcomes)} offsets cannot be evaluated",) if idle else ()
        return (*texts, *note)

    def _bonferroni(self, p_values: Sequence[float]) -> float:
        finite = [value for value in p_values if not math.isnan(value)]
        return min(1.0, min(finite) * len(self.outcomes)) if finite else math.nan

    def summary(self) -> pd.DataFrame:
        """Return one row an offset, with its e-value."""
        rows = pd.concat([outcome.summary() for outcome in self.outcomes], ignore_index=True)
        rows.insert(
            list(rows.columns).index("decision"), "e_value", [_e_value(outcome) for outcome in self.outcomes]
        )
        return rows.rename_axis("offset")

    def to_frame(self) -> pd.DataFrame:
        """Return one row an offset with every number of its outcome."""
        return pd.concat([outcome.to_frame() for outcome in self.outcomes], ignore_index=True).rename_axis(
            "offset"
        )

    def _combined(self) -> dict[str, Any]:
        names = (
            "n",
            "x",
            "n_effective",
            "p_combined",
            "p_combined_asymptotic",
            "e_value",
            "p_from_e",
            "decision",
        )
        return {"name": self.name, "horizon": self.horizon, "alpha": self.alpha} | {
            name: getattr(self, name) for name in names
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the combined figures and each offset's record as JSON-ready objects; NaN becomes None."""
        record: dict[str, Any] = jsonable(
            self._combined() | {"warnings": self.warnings, "references": self.references}
        )
        return record | {"offsets": [outcome.to_dict() for outcome in self.outcomes]}

    def _lines(self) -> list[tuple[str, str]]:
        lines = [
            (k, format_number(v) if isinstance(v, (int, float)) else v) for k, v in self._combined().items()
        ]
        return lines + [("warning", text) for text in self.warnings]

    def __repr__(self) -> str:
        table = self.summary().to_string(float_format=format_number)
        lines = [f"  {label:<21}  {text}" for label, text in self._lines()]
        return "\n".join(
            [f"{type(self).__name__}: {self.name} on {len(self.outcomes)} offsets", table, *lines]
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in self._lines()
        )
        table = self.summary().to_html(float_format=format_number)
        return f"<h4>{html.escape(self.name)}, each offset</h4>{table}<table>{rows}</table>"


def _e_value(outcome: BacktestTest) -> float:
    value = outcome.details.get("e_value")
    return float(value) if isinstance(value, (int, float)) else math.nan


def collect(outcomes: Sequence[BacktestTest], horizon: float | None) -> BacktestTest | OffsetOutcomes:
    """Return the one outcome where no horizon was asked for, else the outcomes of all offsets together."""
    return (
        outcomes[0] if horizon is None else OffsetOutcomes(outcomes=tuple(outcomes), horizon=float(horizon))
    )
