"""What a test of a margin or VaR model reports: one shape for every test, p-values with their origin.

A statement that cannot be tested is told apart from one that was tested and stood: ``decision`` is
``"not_rejected"``, ``"rejected"`` or ``"not_evaluable"``. Doubts about a usable number are kept as text in
``warnings`` of the result, each beginning with the name of its class; they are not issued through
:mod:`warnings`, so that a table of fifty tests does not drown in fifty messages, and they travel with the
result into frames and reports.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.provenance import fingerprint
from pmkit.core.result import Result, format_number, jsonable

__all__ = ["BacktestTest", "Decision"]

Decision = Literal["not_rejected", "rejected", "not_evaluable"]
"""What the data say about the null hypothesis at the stated level."""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class BacktestTest(Result):
    """Outcome of one hypothesis test on hits: statistic, two kinds of p-value, and the decision at ``alpha``.

    Parameters
    ----------
    name : str
        The test.
    h0, h1 : str
        Null and alternative hypothesis in words.
    sidedness : str
        ``"two-sided"``, ``"greater"`` (too many hits) or ``"less"`` (too few).
    statistic : float
        Test statistic; NaN where it cannot be computed.
    distribution : str
        Law of the statistic under the null: ``"chi2"`` (as a limit) or ``"binomial"`` (exactly).
    df : int or None
        Degrees of freedom of the limit law.
    p_asymptotic : float
        p-value from the limit law, in [0, 1]; NaN where there is none.
    p_exact : float
        Exact or Monte Carlo p-value, in [0, 1]; NaN where there is none.
    p_exact_kind : str
        How ``p_exact`` was obtained; empty where there is none.
    p_exact_se : float
        Standard error of ``p_exact``: 0 if exact, positive if simulated, NaN if absent.
    critical_value : float
        Smallest value not compatible with the null at ``alpha``: a chi-square quantile that the statistic
        must exceed, or a count that it must reach. NaN where the rejection region has two ends.
    alpha : float
        Level of the decision, in (0, 1).
    decision : {"not_rejected", "rejected", "not_evaluable"}
        ``"not_evaluable"`` means that the data carry no information about the null.
    decided_by : {"asymptotic", "exact"}
        The p-value on which ``decision`` rests.
    n, x : int
        Observations and hits.
    p : float
        Tail probability 1 - level; NaN where the test does not use one.
    n_effective : int
        Observations or transitions that enter the statistic.
    horizon : float
        Horizon of one observation in days.
    warnings : tuple of str
        Assumptions that bent; each text begins with a class name of :mod:`pmkit.core.errors` or with
        ``"Note"``.
    references : tuple of str
        Bibliography keys.
    details : mapping of str to float, int, str or None
        Further numbers of this test, named in the docstring of the function that made it.

    Raises
    ------
    ParameterError
        The parts contradict each other (see :meth:`check`).

    Examples
    --------
    >>> from pmkit.backtest.var_tests import kupiec
    >>> result = kupiec(n=250, x=5, p=0.01)
    >>> round(result.statistic, 4), round(result.p_asymptotic, 4), round(result.p_exact, 4), result.decision
    (1.9568, 0.1619, 0.1078, 'not_rejected')
    """

    name: str
    h0: str
    h1: str
    sidedness: str
    statistic: float
    distribution: str
    df: int | None
    p_asymptotic: float
    p_exact: float
    p_exact_kind: str
    p_exact_se: float
    critical_value: float
    alpha: float
    decision: Decision
    decided_by: Literal["asymptotic", "exact"]
    n: int
    x: int
    p: float
    n_effective: int
    horizon: float = 1.0
    warnings: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    details: Mapping[str, float | int | str | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "details", dict(self.details))
        self.check()

    @property
    def expected(self) -> float:
        """Expected number of hits n·p under the null; NaN where no p is stated."""
        return self.n * self.p

    @property
    def p_value(self) -> float:
        """The p-value on which the decision rests, in [0, 1]."""
        return self.p_exact if self.decided_by == "exact" else self.p_asymptotic

    @property
    def decision_exact(self) -> Decision:
        """Decision by ``p_exact`` at ``alpha``; ``"not_evaluable"`` where there is no exact p-value."""
        if math.isnan(self.p_exact):
            return "not_evaluable"
        return "rejected" if self.p_exact <= self.alpha else "not_rejected"

    def check(self) -> None:
        """Recompute the identities between the parts.

        Raises
        ------
        ParameterError
            A p-value outside [0, 1], more hits than observations, or a decision that its own numbers
            contradict.
        """
        contradictions = [
            f"{label} is {value!r}"
            for label, value in (("p_asymptotic", self.p_asymptotic), ("p_exact", self.p_exact))
            if not (math.isnan(value) or 0.0 <= value <= 1.0)
        ]
        if not 0 <= self.x <= self.n:
            contradictions.append(f"x is {self.x} of n = {self.n}")
        if self.decision != "not_evaluable":
            if self.decided_by == "exact":
                supported = self.decision_exact
            else:
                supported = "rejected" if self.statistic > self.critical_value else "not_rejected"
            if self.decision != supported:
                contradictions.append(f"decision is {self.decision!r} where the numbers say {supported!r}")
        if contradictions:
            raise ParameterError(
                f"{self.name}: {', '.join(contradictions)}",
                "p-values in [0, 1], 0 <= x <= n, and a decision that follows from the numbers",
                "let the functions of pmkit.backtest.var_tests build the result",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return every field and derived number as plain, JSON-ready objects; NaN becomes None."""
        record = {item.name: getattr(self, item.name) for item in fields(self)}
        record["expected"] = self.expected
        record["p_value"] = self.p_value
        record["decision_exact"] = self.decision_exact
        plain: dict[str, Any] = jsonable(record)
        return plain

    def summary(self) -> pd.DataFrame:
        """Return one row, indexed by the name of the test, that stacks with the rows of other tests."""
        row = {
            "n": self.n,
            "x": self.x,
            "expected": self.expected,
            "statistic": self.statistic,
            "critical_value": self.critical_value,
            "p_asymptotic": self.p_asymptotic,
            "p_exact": self.p_exact,
            "decision": self.decision,
        }
        return pd.DataFrame(row, index=pd.Index([self.name], name="test"))

    def to_frame(self) -> pd.DataFrame:
        """Return one row with every number, the details as further columns, warnings joined by ``"; "``."""
        row = {
            item.name: getattr(self, item.name)
            for item in fields(self)
            if item.name not in ("name", "details")
        }
        row |= {"expected": self.expected, "p_value": self.p_value, "decision_exact": self.decision_exact}
        row |= {"warnings": "; ".join(self.warnings), "references": "; ".join(self.references)} | dict(
            self.details
        )
        return pd.DataFrame(row, index=pd.Index([self.name], name="test"))

    def _lines(self) -> list[tuple[str, str]]:
        """Return the labelled texts of the display, numbers at 8 significant digits."""
        law = self.distribution if self.df is None else f"{self.distribution}({self.df})"
        lines = [
            ("H0", self.h0),
            ("H1", f"{self.h1} ({self.sidedness})"),
            ("n, x, expected", ", ".join(format_number(value) for value in (self.n, self.x, self.expected))),
            ("statistic", f"{format_number(self.statistic)}, {law} under H0"),
            (
                "critical value",
                f"{format_number(self.critical_value)} at alpha = {format_number(self.alpha)}",
            ),
            ("p asymptotic", format_number(self.p_asymptotic)),
        ]
        if self.p_exact_kind:
            error = f", se {format_number(self.p_exact_se, 2)}" if self.p_exact_se > 0.0 else ""
            lines.append(("p exact", f"{format_number(self.p_exact)} ({self.p_exact_kind}{error})"))
        lines += [
            (key, format_number(value) if isinstance(value, float) else str(value))
            for key, value in self.details.items()
        ]
        other = f"; exact: {self.decision_exact}" if self.decided_by == "asymptotic" else ""
        lines.append(("decision", f"{self.decision} (by the {self.decided_by} p-value{other})"))
        return lines + [("warning", text) for text in self.warnings]

    def __repr__(self) -> str:
        lines = self._lines()
        width = max(len(label) for label, _ in lines)
        return "\n".join([f"{type(self).__name__}: {self.name}", *(f"  {k:<{width}}  {v}" for k, v in lines)])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in self._lines()
        )
        return f"<h4>{html.escape(self.name)}</h4><table>{rows}</table>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BacktestTest) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(fingerprint(self.to_dict()))
