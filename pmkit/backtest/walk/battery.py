"""Every test of the room on one walk-forward: what is rejected, what stands, what cannot be told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.backtest.series.checks import check_alpha
from pmkit.backtest.series.overlap import OffsetOutcomes
from pmkit.backtest.walk.inventory import Judged, Outcome, left_out, run_inventory
from pmkit.backtest.walk.walk_result import BacktestResult
from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Battery", "every_test"]

#: Order of the verdicts in tables and pictures.
VERDICTS = ("rejected", "not rejected", "not evaluable", "not stated")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Battery(Result):
    """Outcomes of every test on one walk-forward.

    Attributes
    ----------
    title : str
        Of the walk-forward.
    outcomes : mapping of str to outcome
        By test; None where the model makes no statement that the test could judge.
    groups : mapping of str to str
        What each test looks at: ``number`` and ``order`` of hits, both under ``overlap``, ``law``, ``size``
        of losses, ``betting``.
    left_out : mapping of str to str
        What is not run on a model by itself, with the reason.
    alpha : float
        Level of every decision.

    Notes
    -----
    ``not evaluable``: the data carry no information, such as the order of no hits. ``not stated``: the model
    says nothing to be judged, such as the ES of a table of fixed moves. Neither is ``not rejected``.
    """

    title: str
    outcomes: Mapping[str, Outcome | None]
    groups: Mapping[str, str]
    left_out: Mapping[str, str] = field(default_factory=dict)
    alpha: float = 0.05
    provenance: Provenance = field(default_factory=lambda: Provenance(method="backtest.every_test"))
    references: tuple[str, ...] = ()

    @property
    def verdicts(self) -> pd.Series:
        """One verdict a test: rejected, not rejected, not evaluable, not stated."""
        return self.to_frame()["verdict"]

    def count(self, verdict: str = "rejected") -> int:
        """Return the number of tests with a verdict.

        Raises
        ------
        ParameterError
            A word that is no verdict.
        """
        if verdict not in VERDICTS:
            raise ParameterError(
                f"verdict is {verdict!r}", f"one of {', '.join(VERDICTS)}", "name one of them"
            )
        return int((self.verdicts == verdict).sum())

    def to_frame(self) -> pd.DataFrame:
        """Return one row a test: group, n, x, statistic, p_value (exact if there is one), verdict.

        ``too_few`` is True where a test of the number rejects for fewer hits than expected: the margin is
        larger than its level says.
        """
        rows = {}
        for name, outcome in self.outcomes.items():
            rows[name] = {"group": self.groups[name], **_facts(outcome, self.alpha)}
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("test")

    def summary(self) -> pd.DataFrame:
        """Return one row a group: how many tests gave which verdict."""
        frame = self.to_frame()
        table = pd.crosstab(frame["group"], frame["verdict"])
        return table.reindex(columns=list(VERDICTS), fill_value=0).reindex(frame["group"].unique())

    def check(self) -> None:
        """Raise unless every test has a group and every verdict is a known word."""
        if set(self.outcomes) != set(self.groups) or not set(self.verdicts) <= set(VERDICTS):
            raise PmkitError("tests and groups differ", "one group a test", "let every_test build it")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the p-value of each test that has one, on a logarithmic scale."""
        axes, frame = new_axes(ax), self.to_frame().dropna(subset="p_value")
        colors = ["#D55E00" if verdict == "rejected" else "#0072B2" for verdict in frame["verdict"]]
        axes.scatter(frame["p_value"], frame.index.astype(str), c=colors, s=18)
        axes.axvline(self.alpha, color="0.3", linewidth=0.8, linestyle="--")
        axes.set(xscale="log", xlabel="p-value", title=self.title)
        axes.invert_yaxis()
        return axes


def _facts(outcome: Outcome | None, alpha: float) -> dict[str, Any]:
    """Return counts, statistic, p-value and verdict of one outcome."""
    if outcome is None:
        return {"n": 0, "x": 0, "statistic": math.nan, "p_value": math.nan, "verdict": "not stated",
                "too_few": False}  # fmt: skip
    if isinstance(outcome, OffsetOutcomes):
        p_value, statistic = outcome.p_combined, math.nan
        expected = sum(part.expected for part in outcome.outcomes)
    else:
        p_value = outcome.p_asymptotic if math.isnan(outcome.p_exact) else outcome.p_exact
        statistic, expected = outcome.statistic, outcome.expected
    verdict = "not evaluable"
    if outcome.decision != "not_evaluable" and not math.isnan(p_value):
        verdict = "rejected" if p_value <= alpha else "not rejected"
    few = verdict == "rejected" and not math.isnan(expected) and outcome.x < expected
    return {
        "n": outcome.n,
        "x": outcome.x,
        "statistic": statistic,
        "p_value": math.nan if verdict == "not evaluable" else p_value,
        "verdict": verdict,
        "too_few": few,
    }


def every_test(
    result: BacktestResult,
    *,
    alpha: float = 0.05,
    null: str = "t",
    df: float | None = 5.0,
    draws: int = 999,
    seed: int = 0,
) -> Battery:
    """Return the outcome of every test on one walk-forward, decided by exact or simulated p-values.

    Use it to see at a glance which statement of a model fails: how many hits, their order, the whole law,
    their size, or the patience of a bettor. Read the number of rejections with the number of tests in mind.

    Parameters
    ----------
    result : BacktestResult
        Losses that overlap are tested on each offset without overlap, and the p-values combined; three tests
        of the group ``overlap`` see all of them.
    alpha : float
        Level of each decision, in (0, 1).
    null, df : str, float
        Law of losses under which the statistics of Acerbi and Szekely, of the minimally biased test, of
        Nolde and Ziegel and of the ES regressions are simulated. ``"exponential"`` is a law of the tail
        alone: Z3 and the regressions then take the normal law.
    draws : int
        Simulations behind one p-value, 99 or more; at most 999 for the dynamic logit and the geometric
        duration, and 99 for the ES regressions, which take their limit law where 25 hits or more are
        expected.
    seed : int
        Root seed.

    Returns
    -------
    Battery

    Raises
    ------
    ParameterError
        Not a BacktestResult, or arguments outside their domain.

    Notes
    -----
    Tests of the hits are at ``result.level``, all others at ``result.es_level``. A model whose requirement is
    the worst of a table states neither a law nor an ES: those tests say ``not stated``.

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> from pmkit.backtest import walk_forward
    >>> history = load_history("crypto-daily-2020-2023")
    >>> run = walk_forward("long_btc", history, "matrix", "2021-01-01", "2021-12-31")
    >>> found = every_test(run, draws=99)
    >>> found.verdicts["Kupiec"], found.verdicts["independence"], found.verdicts["Acerbi Z2"]
    ('not rejected', 'not evaluable', 'not stated')
    """
    if not isinstance(result, BacktestResult):
        raise ParameterError(f"result is a {type(result).__name__}", "a BacktestResult", "walk forward first")
    level = check_alpha(alpha)
    has_law = not bool(result.frame["pit"].isna().any())
    judged = Judged(
        hits=result.hits(),
        var=result.frame["var"].to_numpy(dtype=np.float64),
        loss=-result.frame["pnl"].to_numpy(dtype=np.float64),
        pits=result.pits() if has_law else None,
        tail=result.tail() if has_law else None,
    )
    found = run_inventory(judged, alpha=level, null=null, df=df, draws=draws, seed=seed)
    outcomes = {name: outcome for name, (_, outcome) in found.items()}
    papers = tuple(dict.fromkeys(key for one in outcomes.values() if one is not None for key in _papers(one)))
    return Battery(
        title=result.title,
        outcomes=outcomes,
        groups={name: group for name, (group, _) in found.items()},
        left_out=left_out(judged),
        alpha=level,
        references=papers,
        provenance=Provenance(
            method="backtest.every_test",
            data={"walk": result.provenance.id},
            parameters={"alpha": level, "null": null, "df": df, "draws": draws},
            seed=seed,
            simulated=result.provenance.simulated,
        ),
    )


def _papers(outcome: Outcome) -> tuple[str, ...]:
    one = outcome.outcomes[0] if isinstance(outcome, OffsetOutcomes) else outcome
    return one.references
