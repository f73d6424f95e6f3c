"""What a walk-forward found: figures by date, the refit log, hits, tests and a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.backtest.series.es_series import PitSeries, TailSeries
from pmkit.backtest.series.hits import HitSeries
from pmkit.backtest.series.overlap import OffsetOutcomes
from pmkit.backtest.series.test_result import BacktestTest
from pmkit.backtest.var_tests import basel_zone, christoffersen, christoffersen_independence, kupiec
from pmkit.backtest.walk.walk_tables import outcome_picture, test_row
from pmkit.core.errors import ConventionError, ParameterError, PmkitError
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result, format_number, jsonable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BacktestResult"]

_TESTS: dict[str, Any] = {
    "kupiec": kupiec,
    "christoffersen_independence": christoffersen_independence,
    "christoffersen": christoffersen,
    "basel_zone": basel_zone,
}


@dataclass(frozen=True, kw_only=True, repr=False)
class BacktestResult(Result):
    """Margin figures of a model along a history, each from its own past, against the P&L that came.

    Attributes
    ----------
    book, model : str
    numeraire : str
        Currency of all figures; they are per unit of notional.
    horizon : int
        Dates from forecast to outcome.
    level, es_level : float
        Levels of ``var`` and of ``var_es_level`` and ``es``.
    frame : DataFrame
        One row a forecast date t (close known): ``until`` (end of the P&L), ``var`` at ``level``,
        ``var_es_level`` and ``es`` at ``es_level`` (positive losses, after ``margin_scale``), ``pnl`` (gain
        positive), ``hit`` and ``hit_es_level`` (loss strictly above the VaR of that level), ``sigma``
        (next-day volatility of the first underlying, decimal; ``sigma_<name>`` for others), ``refit``,
        ``pit`` (probability that the model gave to a P&L of at most the one that came, mid-ranked among the
        scenarios, strictly inside (0, 1); NaN for a model that states no law).
    refits : DataFrame
        One row a fit and underlying.
    margin_scale, shift : float, int
        Deliberate spoiling of the forecasts; 1 and 0 in earnest.
    model_marked : bool
        True where options are valued with simulated implied vols.
    vol_label : str
        Origin of the implied vols; empty without options.
    warnings, notes : tuple of str
        Assumptions that bent, each once; conventions.
    provenance : Provenance
    """

    book: str
    model: str
    numeraire: str
    horizon: int
    level: float
    es_level: float
    frame: pd.DataFrame
    refits: pd.DataFrame
    provenance: Provenance
    margin_scale: float = 1.0
    shift: int = 0
    model_marked: bool = False
    vol_label: str = ""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    references: tuple[str, ...] = ("baroneadesi1999", "glosten1993", "acerbi2002", "kupiec1995")

    @property
    def title(self) -> str:
        """One line for tables and pictures; says ``model-marked`` where option P&L is not observed."""
        first, last = self.frame.index[0].date(), self.frame.index[-1].date()
        text = f"{self.book}, {self.model}, {self.horizon}-day, {first} to {last}"
        if self.model_marked:
            return f"{text} (P&L model-marked: implied vols simulated, {self.vol_label})"
        return text

    @property
    def margin(self) -> pd.Series:
        """VaR at ``level``, the margin under test, per unit of notional."""
        return self.frame["var"].rename("margin")

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels at which VaR was forecast, highest first."""
        return tuple(sorted({self.level, self.es_level}, reverse=True))

    def _column(self, level: float | None) -> str:
        wanted = self.level if level is None else level
        for at, name in ((self.level, "var"), (self.es_level, "var_es_level")):
            if isinstance(wanted, (int, float)) and math.isclose(at, wanted, rel_tol=0.0, abs_tol=1e-12):
                return name
        raise ParameterError(
            f"level is {level!r}",
            f"{' or '.join(f'{at:.8g}' for at in self.levels)}, at which VaR was forecast (ES has no hits)",
            "name one of them, or walk forward with that level",
        )

    def hits(self, level: float | None = None) -> HitSeries:
        """Return the hits against the VaR of one level, overlapping where the horizon exceeds a day.

        Parameters
        ----------
        level : float, optional
            ``level`` or ``es_level`` of the result; ``level`` where None.

        Raises
        ------
        ParameterError
            A level at which no VaR was forecast.
        """
        column = self._column(level)
        at = self.level if column == "var" else self.es_level
        # 1 - 0.99 is not 0.01 in binary: tests compare tail probabilities as decimals.
        return HitSeries.from_losses(
            -self.frame["pnl"], self.frame[column], p=round(1.0 - at, 12), horizon=self.horizon, step=1.0
        )

    def tail(self) -> TailSeries:
        """Return losses with VaR and ES at ``es_level``, for the tests of ES."""
        return TailSeries(
            loss=-self.frame["pnl"].to_numpy(),
            var=self.frame["var_es_level"].to_numpy(),
            es=self.frame["es"].to_numpy(),
            level=self.es_level,
            horizon=self.horizon,
            step=1.0,
            dates=self._dates,
        )

    @property
    def _dates(self) -> pd.DatetimeIndex:
        return pd.DatetimeIndex(self.frame.index)

    def pits(self, level: float | None = None) -> PitSeries:
        """Return the probabilities that the model gave to the outcomes, for tests of the whole law.

        Parameters
        ----------
        level : float, optional
            Level of the tail that the test looks at; ``es_level`` where None.

        Raises
        ------
        ConventionError
            The model states no law: its requirement is the worst of a table.
        """
        pit = self.frame["pit"]
        if pit.isna().any():
            raise ConventionError(
                f"model {self.model!r} gives no probabilities to its scenarios",
                "a model with a law of returns",
                "test its hits, or walk forward under a model that has one",
            )
        at = self.es_level if level is None else level
        return PitSeries(pit=pit.to_numpy(), level=at, horizon=self.horizon, step=1.0, dates=self._dates)

    def coverage(self, level: float | None = None) -> float:
        """Return the share of dates without a hit, to compare with the level."""
        hits = self.hits(level)
        return 1.0 - hits.x / hits.n

    def test(
        self, name: str, level: float | None = None, alpha: float = 0.05
    ) -> BacktestTest | OffsetOutcomes:
        """Return the outcome of one test at one level; per non-overlapping offset beyond one day.

        Parameters
        ----------
        name : {"kupiec", "christoffersen_independence", "christoffersen", "basel_zone"}
        level : float, optional
            As in :meth:`hits`.
        alpha : float
            Level of the decision, in (0, 1).
        """
        if name not in _TESTS:
            raise ParameterError(f"no test {name!r}", f"one of {', '.join(_TESTS)}", "name one of them")
        horizon = float(self.horizon) if self.horizon > 1 else None
        outcome: BacktestTest | OffsetOutcomes = _TESTS[name](
            hits=self.hits(level), horizon=horizon, alpha=alpha
        )
        return outcome

    def tests(self, alpha: float = 0.05) -> pd.DataFrame:
        """Return every test at every level: one row each, or one an offset and one for all beyond one day.

        Columns: level, test, offset (``"all"`` for the verdict), n, x, expected, statistic, p_asymptotic,
        p_exact, zone, decision. On the ``"all"`` row of overlapping data ``p_exact`` is Bonferroni's p-value,
        n and x count days that offsets share, and there is no zone.
        """
        rows = []
        for level in self.levels:
            for name in _TESTS:
                outcome = self.test(name, level, alpha)
                if isinstance(outcome, OffsetOutcomes):
                    rows += [test_row(level, name, str(at), item) for at, item in enumerate(outcome.outcomes)]
                    rows.append(
                        {
                            "level": level,
                            "test": name,
                            "offset": "all",
                            "n": outcome.n,
                            "x": outcome.x,
                            "expected": math.nan,
                            "statistic": math.nan,
                            "p_asymptotic": outcome.p_combined_asymptotic,
                            "p_exact": outcome.p_combined,
                            "zone": "",
                            "decision": outcome.decision,
                        }
                    )
                else:
                    rows.append(test_row(level, name, "all", outcome))
        return pd.DataFrame(rows)

    def breaches(self, level: float | None = None) -> pd.DataFrame:
        """Return the dates with a hit: until, loss, VaR, and loss over VaR."""
        column = self._column(level)
        hit = self.frame[-self.frame["pnl"] > self.frame[column]]
        loss = -hit["pnl"]
        return pd.DataFrame(
            {"until": hit["until"], "loss": loss, "var": hit[column], "ratio": loss / hit[column]}
        )

    def window(self, start: Any, end: Any) -> pd.DataFrame:
        """Return the rows of ``frame`` from ``start`` to ``end``, both included: a look at one episode."""
        return self.frame.loc[pd.Timestamp(start) : pd.Timestamp(end)]

    def summary(self) -> pd.DataFrame:
        """Return one row a level: hits against expected, coverage, mean and range of VaR, the worst loss."""
        rows = {}
        for level in self.levels:
            column = self._column(level)
            var, beyond = self.frame[column], self.breaches(level)
            lowest = float(var.min())
            worst = int(np.argmax(beyond["ratio"])) if len(beyond) else -1
            rows[f"{level:.8g}"] = {
                "n": len(var),
                "hits": len(beyond),
                "expected": round(len(var) * (1.0 - level), 8),
                "coverage": 1.0 - len(beyond) / len(var),
                "mean VaR": float(var.mean()),
                "peak / trough": float(var.max()) / lowest if lowest > 0.0 else math.inf,
                "worst loss / VaR": float(beyond["ratio"].max()) if len(beyond) else math.nan,
                "on": "" if worst < 0 else f"{beyond['until'].iloc[worst]:%Y-%m-%d}",
            }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("level")

    def to_frame(self) -> pd.DataFrame:
        """Return a copy of ``frame``."""
        return self.frame.copy()

    def to_dict(self) -> dict[str, Any]:
        """Return title, settings, summary, warnings, notes, refits, frame and provenance, JSON-ready."""
        record: Mapping[str, Any] = {
            "title": self.title,
            "book": self.book,
            "model": self.model,
            "numeraire": self.numeraire,
            "horizon": self.horizon,
            "level": self.level,
            "es_level": self.es_level,
            "margin_scale": self.margin_scale,
            "shift": self.shift,
            "model_marked": self.model_marked,
            "summary": self.summary().reset_index().to_dict(orient="list"),
            "warnings": self.warnings,
            "notes": self.notes,
            "refits": self.refits.to_dict(orient="list"),
            "frame": self.frame.reset_index().to_dict(orient="list"),
            "provenance": self.provenance.to_dict(),
        }
        plain: dict[str, Any] = jsonable(dict(record))
        return plain

    def check(self) -> None:
        """Recompute the identities between the columns.

        Raises
        ------
        PmkitError
            Hits that do not follow from P&L and VaR, ES below its VaR, VaR below that of a lower level,
            values that are not finite, or dates out of order.
        """
        frame = self.frame
        numbers = frame[["var", "var_es_level", "es", "pnl", "sigma"]].to_numpy(dtype=np.float64)
        higher, lower = ("var", "var_es_level") if self.level >= self.es_level else ("var_es_level", "var")
        slack = 1e-12 * frame["es"].abs().max()
        broken = {
            "figures are not finite": not np.isfinite(numbers).all(),
            "dates are out of order": not (frame.index.is_monotonic_increasing and frame.index.is_unique),
            "outcomes end before their date": not bool((frame["until"] > frame.index).all()),
            "hits differ from pnl and var": not bool((frame["hit"] == (-frame["pnl"] > frame["var"])).all()),
            "hits at es_level differ from pnl and its var": not bool(
                (frame["hit_es_level"] == (-frame["pnl"] > frame["var_es_level"])).all()
            ),
            "ES lies below its VaR": bool((frame["es"] < frame["var_es_level"] - slack).any()),
            "VaR falls with its level": bool((frame[higher] < frame[lower] - slack).any()),
            "VaR is negative": bool((frame[["var", "var_es_level"]] < 0.0).any(axis=None)),
        }
        found = [text for text, wrong in broken.items() if wrong]
        if found:
            raise PmkitError(
                f"{self.title}: {', '.join(found)}",
                "hit = loss > VaR of the same level, ES ≥ VaR ≥ 0",
                "let walk_forward build the result",
            )

    def plot(self, ax: Axes | None = None, *, events: Mapping[str, Any] | None = None) -> Axes:
        """Return axes with P&L, minus VaR at ``level``, the hits, and named dates.

        Parameters
        ----------
        ax : Axes, optional
            A new figure of 9 by 4 inches where None.
        events : mapping of str to date, optional
            Names and dates of vertical lines.
        """
        return outcome_picture(self, ax, events)

    def __repr__(self) -> str:
        table = self.summary().to_string(float_format=format_number)
        return "\n".join([f"{type(self).__name__}: {self.title}", table, *self.warnings])

    def _repr_html_(self) -> str:
        from html import escape

        table = self.summary().to_html(float_format=format_number)
        said = "".join(f"<li>{escape(text)}</li>" for text in (*self.warnings, *self.notes))
        return f"<h4>{escape(self.title)}</h4>{table}<ul>{said}</ul>"
