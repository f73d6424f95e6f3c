"""Does margin cover: breaches by account, group and date, and their size in money and of the margin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import BoolArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MarginCoverage", "margin_coverage"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class MarginCoverage(Result):
    """Breaches of margin, dates × accounts: where the loss went strictly beyond the requirement.

    Attributes
    ----------
    margin, pnl : DataFrame, shape (dates, accounts)
        Requirement (positive) and the P&L that followed (gain positive); NaN in both where an account was not
        held.
    groups : Series or None
        Group (product, asset class, desk) of each account.
    """

    margin: pd.DataFrame
    pnl: pd.DataFrame
    groups: pd.Series | None = None
    provenance: Provenance = field(default_factory=lambda: Provenance(method="backtest.margin_coverage"))
    references: tuple[str, ...] = ("cpmi2012",)

    @property
    def shortfall(self) -> pd.DataFrame:
        """Loss beyond margin, 0 where there is none, NaN where nothing was held."""
        return (-self.pnl - self.margin).clip(lower=0.0)

    @property
    def breaches(self) -> pd.DataFrame:
        """True where the loss went strictly beyond the margin."""
        return -self.pnl > self.margin

    @property
    def coverage(self) -> float:
        """Share of account-dates without a breach, in [0, 1]."""
        return 1.0 - float(self.breaches.to_numpy().sum()) / float(self.margin.notna().to_numpy().sum())

    def _figures(self, margin: pd.DataFrame, shortfall: pd.DataFrame) -> dict[str, float]:
        asked, beyond = margin.to_numpy(), shortfall.to_numpy()
        hit: BoolArray = np.nan_to_num(beyond) > 0.0
        n, x = int(np.isfinite(asked).sum()), int(hit.sum())
        sizes, against = beyond[hit], beyond[hit] / np.where(asked[hit] > 0.0, asked[hit], np.nan)
        return {
            "n": n,
            "breaches": x,
            "coverage": 1.0 - x / n,
            "mean_breach": float(sizes.mean()) if x else 0.0,
            "max_breach": float(sizes.max()) if x else 0.0,
            "mean_breach_of_margin": float(np.nanmean(against)) if np.isfinite(against).any() else math.nan,
            "max_breach_of_margin": float(np.nanmax(against)) if np.isfinite(against).any() else math.nan,
        }

    def by_account(self) -> pd.DataFrame:
        """Return one row an account: observations, breaches, coverage, mean and largest breach."""
        rows = {
            str(name): self._figures(self.margin[[name]], self.shortfall[[name]])
            for name in self.margin.columns
        }
        return _table(rows, "account")

    def by_group(self) -> pd.DataFrame:
        """Return the same, one row a group.

        Raises
        ------
        DataGapError
            No groups were given.
        """
        if self.groups is None:
            raise DataGapError("no groups are given", "a group for each account", "pass groups=")
        rows = {}
        for name, members in self.groups.groupby(self.groups).groups.items():
            rows[str(name)] = self._figures(self.margin[list(members)], self.shortfall[list(members)])
        return _table(rows, "group")

    def by_date(self) -> pd.DataFrame:
        """Return one row a date with a breach: accounts held, breaches, total shortfall, worst account."""
        beyond = self.shortfall
        dates = beyond.index[self.breaches.any(axis=1)]
        frame = pd.DataFrame(
            {
                "held": self.margin.loc[dates].notna().sum(axis=1),
                "breaches": self.breaches.loc[dates].sum(axis=1),
                "shortfall": beyond.loc[dates].sum(axis=1),
                "worst": beyond.loc[dates].idxmax(axis=1),
            }
        )
        return frame.sort_values("shortfall", ascending=False)

    def summary(self) -> pd.DataFrame:
        """Return one row for all accounts together, then one row an account."""
        rows = pd.DataFrame(
            self._figures(self.margin, self.shortfall), index=pd.Index(["all"], name="account")
        )
        return rows if self.margin.shape[1] == 1 else pd.concat([rows, self.by_account()])

    def to_frame(self) -> pd.DataFrame:
        """Return one row an account and date: margin, pnl, shortfall, breach."""
        parts = {
            "margin": self.margin,
            "pnl": self.pnl,
            "shortfall": self.shortfall,
            "breach": self.breaches,
        }
        held = self.margin.notna().stack()
        tidy = pd.DataFrame({name: part.stack() for name, part in parts.items()})
        return tidy[held.reindex(tidy.index)].rename_axis(["date", "account"])

    def check(self) -> None:
        """Raise unless the breaches by date and by account are the same number."""
        by_date, by_account = int(self.by_date()["breaches"].sum()), int(self.by_account()["breaches"].sum())
        if by_date != by_account:
            raise ParameterError(
                f"{by_date} and {by_account} breaches", "one number", "report this as an error"
            )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the accounts in breach by date."""
        axes, counts = new_axes(ax), self.breaches.sum(axis=1)
        axes.vlines(counts.index, 0.0, counts.to_numpy(), color="#cc3311", linewidth=1.0)
        axes.set(ylabel="accounts in breach", title=f"Coverage {self.coverage:.4%}", ylim=(0.0, None))
        return axes


def _table(rows: dict[str, dict[str, float]], name: str) -> pd.DataFrame:
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis(name)
    return frame.astype({"n": "int64", "breaches": "int64"})


def _wide(values: pd.DataFrame | pd.Series, name: str) -> pd.DataFrame:
    if isinstance(values, pd.Series):
        return values.to_frame(str(values.name or "account")).astype(np.float64)
    if not isinstance(values, pd.DataFrame):
        raise SchemaError(
            f"{name} is of type {type(values).__name__}",
            "a DataFrame of dates × accounts, or a Series",
            "pass one of them",
        )
    return values.astype(np.float64)


def margin_coverage(
    margin: pd.DataFrame | pd.Series,
    pnl: pd.DataFrame | pd.Series,
    *,
    groups: Mapping[str, str] | None = None,
) -> MarginCoverage:
    """Return the breaches of margin by account, group and date, with their size in money and of the margin.

    Two kinds of P&L are usual: clean (positions held fixed) judges the model, actual judges the requirement
    that was called. Run both and say which.

    Parameters
    ----------
    margin : DataFrame, shape (dates, accounts), or Series
        Requirements, 0 or positive. NaN where an account was not held.
    pnl : DataFrame or Series
        P&L over the margin period that follows, gain positive, with the same dates and accounts and NaN at
        the same places.
    groups : mapping of str to str, optional
        Group of each account.

    Returns
    -------
    MarginCoverage

    Raises
    ------
    SchemaError
        Other dates or accounts in the two, NaN in one alone, an infinite number, an account without a group.
    ConventionError
        A negative margin.
    DataGapError
        Nothing at all.

    References
    ----------
    CPMI-IOSCO (2012), principle 6, key consideration 6 (backtesting of coverage).

    Examples
    --------
    >>> import pandas as pd
    >>> margin = pd.DataFrame({"a": [2.0, 2.0, 3.0], "b": [1.0, 1.0, 1.0]})
    >>> pnl = pd.DataFrame({"a": [-3.0, 1.0, -3.0], "b": [0.5, -1.5, 0.0]})
    >>> margin_coverage(margin, pnl).by_account()[["breaches", "mean_breach"]].values.tolist()
    [[1.0, 1.0], [1.0, 0.5]]
    """
    asked, came = _wide(margin, "margin"), _wide(pnl, "pnl")
    if isinstance(margin, pd.Series) and isinstance(pnl, pd.Series):
        came.columns = asked.columns
    if not asked.index.equals(came.index) or not asked.columns.equals(came.columns):
        raise SchemaError(
            f"margin has shape {asked.shape} and pnl {came.shape}, or other labels",
            "the same dates and accounts in both",
            "align them first",
        )
    if asked.index.has_duplicates or asked.columns.has_duplicates:
        raise SchemaError("a date or an account appears twice", "distinct labels", "merge them first")
    held = asked.notna()
    if not held.to_numpy().any():
        raise DataGapError("no account was held on any date", "at least one margin", "check the dates")
    if not held.equals(came.notna()):
        row, column = np.argwhere(held.to_numpy() != came.notna().to_numpy())[0]
        raise SchemaError(
            f"{str(asked.columns[column])!r} on {asked.index[row]!s} has a margin or a P&L alone",
            "both, or neither",
            "fill the gap knowingly, or leave the date out in both",
        )
    for what, values in (("margin", asked), ("P&L", came)):
        if np.isinf(values.to_numpy()).any():
            row, column = np.argwhere(np.isinf(values.to_numpy()))[0]
            raise SchemaError(
                f"{what} of {str(values.columns[column])!r} on {values.index[row]!s} is infinite",
                "finite numbers",
                "mend the data or the model behind it",
            )
    if (asked < 0.0).to_numpy().any():
        row, column = np.argwhere((asked < 0.0).to_numpy())[0]
        raise ConventionError(
            f"margin of {str(asked.columns[column])!r} on {asked.index[row]!s} is "
            f"{float(asked.to_numpy()[row, column]):.8g}",
            "0 or a positive requirement",
            "turn the sign if it is stored as a deficit",
        )
    belongs = None
    if groups is not None:
        absent = [name for name in asked.columns if name not in groups]
        if absent:
            raise SchemaError(f"no group for {', '.join(map(str, absent[:5]))}", "a group each", "add them")
        belongs = pd.Series({name: str(groups[name]) for name in asked.columns}, name="group")
    return MarginCoverage(
        margin=asked,
        pnl=came,
        groups=belongs,
        provenance=Provenance(
            method="backtest.margin_coverage",
            data={"margin": fingerprint(asked.to_numpy()), "pnl": fingerprint(came.to_numpy())},
            parameters={"accounts": [str(name) for name in asked.columns]},
        ),
    )
