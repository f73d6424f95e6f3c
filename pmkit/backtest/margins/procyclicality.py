"""How much margin moves for an unchanged portfolio: across the cycle, over days, as calls in stress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.backtest.series.checks import as_float_array, check_count
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Procyclicality",
    "ProcyclicalityFrontier",
    "procyclicality",
    "procyclicality_frontier",
]

_DAYS = (1, 5, 20, 30)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Procyclicality(Result):
    """Measures of one margin path of a constant portfolio.

    Attributes
    ----------
    margin : Series, shape (n,)
        Positive requirements in order of time.
    days : tuple of int
        Windows of the rises, in observations.
    losses : ndarray, shape (n,), or None
        Loss of the day after each requirement was set, positive where money was lost.
    """

    margin: pd.Series
    days: tuple[int, ...] = _DAYS
    losses: FloatArray | None = None
    provenance: Provenance = field(default_factory=lambda: Provenance(method="backtest.procyclicality"))
    references: tuple[str, ...] = ("murphy2014",)

    @property
    def _values(self) -> FloatArray:
        return self.margin.to_numpy(dtype=np.float64)

    @property
    def mean(self) -> float:
        """Mean margin: what the model costs."""
        return float(np.add.reduce(self._values) / self._values.size)

    @property
    def peak_to_trough(self) -> float:
        """Largest margin over smallest, 1 or more."""
        return float(self._values.max() / self._values.min())

    @property
    def sd_change(self) -> float:
        """Standard deviation of daily changes, in money (divisor n - 1)."""
        return float(np.std(np.diff(self._values), ddof=1))

    @property
    def sd_log_change(self) -> float:
        """Standard deviation of daily log changes (divisor n - 1)."""
        return float(np.std(np.diff(np.log(self._values)), ddof=1))

    def rise(self, days: int, *, relative: bool = False) -> float:
        """Return the largest rise over ``days`` observations, in money or as a share of where it began."""
        count = check_count(days, "days", largest=self._values.size - 1)
        if count < 1:
            raise ParameterError("days is 0", "1 or more", "name a window")
        before, after = self._values[:-count], self._values[count:]
        return float(np.max(after / before - 1.0 if relative else after - before))

    def call(self, days: int) -> float:
        """Return the largest cash call over ``days``: rise of the margin plus the losses paid meanwhile.

        Raises
        ------
        DataGapError
            No losses were given.
        """
        if self.losses is None:
            raise DataGapError("no losses are given", "the loss of each day", "pass losses=")
        paid = np.concatenate([[0.0], np.cumsum(self.losses)])[: self._values.size]
        total = self._values + paid
        count = check_count(days, "days", largest=self._values.size - 1)
        return float(np.max(total[count:] - total[:-count]))

    def summary(self) -> pd.DataFrame:
        """Return one row: mean, extremes and their ratio, spread of changes, largest rises and calls."""
        row: dict[str, float] = {
            "mean": self.mean,
            "max": float(self._values.max()),
            "min": float(self._values.min()),
            "peak_to_trough": self.peak_to_trough,
            "sd_change": self.sd_change,
            "sd_log_change": self.sd_log_change,
        }
        for days in self.days:
            row[f"rise_{days}d"] = self.rise(days)
            row[f"rise_{days}d_relative"] = self.rise(days, relative=True)
            if self.losses is not None:
                row[f"call_{days}d"] = self.call(days)
        return pd.DataFrame(
            row,
            index=pd.Index(["margin" if self.margin.name is None else str(self.margin.name)], name="model"),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the path: margin, its change and log change."""
        frame = pd.DataFrame({"margin": self.margin})
        frame["change"] = frame["margin"].diff()
        frame["log_change"] = np.log(frame["margin"]).diff()
        return frame

    def check(self) -> None:
        """Raise unless a longer window of a rising path rises as far as its parts allow."""
        worst = max(self.rise(days) for days in self.days)
        if worst > float(self._values.max() - self._values.min()) * (1.0 + 1e-12):
            raise ParameterError(
                f"rise {worst:g}", "at most the range of the margin", "report this as an error"
            )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the margin along time, its largest rise of the longest window marked."""
        axes, values = new_axes(ax), self._values
        axes.plot(self.margin.index, values, color="#4477aa", linewidth=1.0)
        days = self.days[-1]
        end = int(np.argmax(values[days:] - values[:-days])) + days
        axes.plot(
            self.margin.index[[end - days, end]],
            values[[end - days, end]],
            "o-",
            color="#cc3311",
            label=f"largest rise in {days} days",
        )
        axes.set(ylabel="margin", title=f"Peak to trough {self.peak_to_trough:.3g}")
        axes.legend(frameon=False)
        return axes


def procyclicality(
    margin: pd.Series | npt.ArrayLike,
    *,
    losses: pd.Series | npt.ArrayLike | None = None,
    days: Sequence[int] = _DAYS,
) -> Procyclicality:
    """Return the measures of procyclicality of a margin path, in its own money and as ratios.

    The portfolio must be constant: a margin that follows the positions says nothing about the model.

    Parameters
    ----------
    margin : Series or array-like, shape (n,)
        Positive requirements in order of time. NaN is refused.
    losses : Series or array-like, shape (n,), optional
        Loss of the period that follows each requirement, positive where money was lost; adds the cash calls.
    days : sequence of int
        Windows in observations, 1 or more each and shorter than the path.

    Returns
    -------
    Procyclicality

    Raises
    ------
    ConventionError
        A margin that is zero or negative.
    SchemaError, DataGapError
        Missing values, fewer than three observations, losses of another length or index.
    ParameterError
        A window outside its domain.

    Notes
    -----
    peak to trough max M/min M; n-day rise max(M_{t+n} - M_t), relative max(M_{t+n}/M_t) - 1; standard
    deviations of ΔM and Δln M; cash call max(M_{t+n} - M_t + Σ losses of the n periods).

    References
    ----------
    Murphy, Vasios and Vause (2014), measures of procyclicality across the cycle and over short horizons.

    Examples
    --------
    >>> result = procyclicality([10.0, 12.0, 9.0, 15.0], days=(1, 2))
    >>> round(result.peak_to_trough, 6), result.rise(1), round(result.rise(2, relative=True), 2)
    (1.666667, 6.0, 0.25)
    """
    values = as_float_array(margin, "margin")
    if values.size < 3:
        raise DataGapError(f"{values.size} margins", "three or more", "use a longer path")
    if not (values > 0.0).all():
        at = int(np.argmin(values))
        raise ConventionError(
            f"margin[{at}] is {values[at]:.8g}",
            "positive requirements",
            "leave out dates without positions, or turn the sign",
        )
    path = margin if isinstance(margin, pd.Series) else pd.Series(values, name="margin")
    paid: FloatArray | None = None
    if losses is not None:
        paid = as_float_array(losses, "losses")
        other = isinstance(losses, pd.Series) and not losses.index.equals(path.index)
        if paid.size != values.size or (isinstance(margin, pd.Series) and other):
            raise SchemaError(
                f"{paid.size} losses for {values.size} margins, or another index",
                "one loss for each margin",
                "align them first",
            )
    windows = tuple(check_count(value, "days", largest=values.size - 1) for value in days)
    if not windows or min(windows) < 1:
        raise ParameterError(f"days is {tuple(days)}", "windows of 1 or more", "leave the default")
    return Procyclicality(
        margin=path.astype(np.float64),
        days=windows,
        losses=paid,
        provenance=Provenance(
            method="backtest.procyclicality",
            data={"margin": fingerprint(values), **({} if paid is None else {"losses": fingerprint(paid)})},
            parameters={"days": list(windows)},
        ),
    )


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class ProcyclicalityFrontier(Result):
    """Coverage against procyclicality of several margin models or tools on one P&L.

    Attributes
    ----------
    table : DataFrame
        One row a model: ``coverage``, ``breaches``, ``mean`` margin, ``mean_breach``, ``peak_to_trough``,
        ``rise`` (largest relative rise over ``days``), ``sd_log_change``, and ``dominated``: another model
        covers at least as much with no more procyclicality, and is better in one of the two.
    days : int
        Window of the rise.
    """

    table: pd.DataFrame
    days: int
    provenance: Provenance = field(
        default_factory=lambda: Provenance(method="backtest.procyclicality_frontier")
    )
    references: tuple[str, ...] = ("murphy2014", "murphy2016")

    def summary(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def check(self) -> None:
        """Raise unless some model is not dominated."""
        if bool(self.table["dominated"].all()):
            raise ParameterError("every model is dominated", "one that is not", "report this as an error")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with coverage against the largest relative rise, a labelled point a model."""
        axes = new_axes(ax)
        for name, row in self.table.iterrows():
            faint = bool(row["dominated"])
            point = (100.0 * row["rise"], 100.0 * row["coverage"])
            axes.plot(*point, "o", color="#bbbbbb" if faint else "#4477aa")
            axes.annotate(str(name), point, xytext=(4, 4), textcoords="offset points", fontsize=8)
        axes.set(
            xlabel=f"largest rise of margin in {self.days} days, %",
            ylabel="days covered, %",
            title="Coverage against procyclicality (grey: dominated)",
        )
        return axes


def procyclicality_frontier(
    margins: Mapping[str, pd.Series], pnl: pd.Series, *, days: int = 5
) -> ProcyclicalityFrontier:
    """Return coverage, cost and procyclicality of several margin paths against the P&L that followed.

    Parameters
    ----------
    margins : mapping of str to Series, shape (n,)
        Positive requirements by date.
    pnl : Series, shape (n,)
        P&L after each requirement, gain positive, on the same dates.
    days : int
        Window of the rise in observations.

    Returns
    -------
    ProcyclicalityFrontier

    Raises
    ------
    SchemaError
        No margin, or one with other dates than the P&L.
    ConventionError, DataGapError, ParameterError
        As in :func:`procyclicality`.

    References
    ----------
    Murphy, Vasios and Vause (2014, 2016), tools against procyclicality compared.

    Examples
    --------
    >>> import pandas as pd
    >>> pnl = pd.Series([-1.0, 2.0, -4.0, 1.0])
    >>> flat, quick = pd.Series([5.0] * 4), pd.Series([1.5, 1.0, 3.0, 6.0])
    >>> procyclicality_frontier({"flat": flat, "quick": quick}, pnl, days=1).table["dominated"].tolist()
    [False, True]
    """
    if not margins:
        raise SchemaError("no margin path", "one or more", "pass a mapping of name to series")
    loss = -as_float_array(pnl, "pnl")
    rows: dict[str, dict[str, Any]] = {}
    for name, path in margins.items():
        if not isinstance(path, pd.Series) or not path.index.equals(pnl.index):
            raise SchemaError(f"{name} has other dates than the P&L", "equal indexes", "align them first")
        measured = procyclicality(path, days=(days,))
        beyond = loss - path.to_numpy(dtype=np.float64)
        breaches = beyond > 0.0
        rows[name] = {
            "coverage": 1.0 - float(breaches.mean()),
            "breaches": int(breaches.sum()),
            "mean": measured.mean,
            "mean_breach": float(beyond[breaches].mean()) if breaches.any() else 0.0,
            "peak_to_trough": measured.peak_to_trough,
            "rise": measured.rise(days, relative=True),
            "sd_log_change": measured.sd_log_change,
        }
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    covered, rise = table["coverage"].to_numpy(), table["rise"].to_numpy()
    table["dominated"] = [
        bool(
            ((covered >= covered[i]) & (rise <= rise[i]) & ((covered > covered[i]) | (rise < rise[i]))).any()
        )
        for i in range(len(table))
    ]
    return ProcyclicalityFrontier(
        table=table,
        days=days,
        provenance=Provenance(
            method="backtest.procyclicality_frontier",
            data={"pnl": fingerprint(loss), "margins": fingerprint([m.to_numpy() for m in margins.values()])},
            parameters={"days": days, "models": list(margins)},
        ),
    )
