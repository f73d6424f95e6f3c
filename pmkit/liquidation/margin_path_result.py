"""What rules ask through time: every requirement with its call, its loss and the dates it was made for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import ConventionError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.margin.accounts.numbers import checked_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLUMNS", "DATED", "MarginPath"]

#: columns of the table
COLUMNS = (
    "numeraire", "unit", "equity", "im", "mm", "excess", "margin_ratio", "status", "call", "loss", "breach",
    "beyond", "param_set", "dated",
)  # fmt: skip

#: where a snapshot lies against the dates of a parameter set, the mildest first
DATED = ("in its dates", "after its dates", "before its dates")

_FLAGGED = ("below_mm", "insolvent")


@dataclass(frozen=True, kw_only=True, repr=False)
class MarginPath(Result):
    """Requirements of accounts under several rules along a path; nothing is closed, nothing paid in.

    Attributes
    ----------
    table : DataFrame
        Index book, rule and as_of. ``equity`` that the rule counts, ``im``, ``mm`` (against equity with
        option value), ``excess``, ``call``, ``loss`` until the next snapshot (NaN at the last) and ``beyond``
        (loss above the initial margin, 0 or more), all in USD at the index; ``margin_ratio``; ``status``;
        ``breach``; ``numeraire`` of the rule with its ``unit`` in USD (NaN where it margins several coins
        apart); ``param_set``; ``dated`` (``"in its dates"``, ``"after its dates"``,
        ``"before its dates"``).
    warnings, notes : tuple of str
    """

    table: pd.DataFrame
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance(method="liquidation.margin_path"))
    references: tuple[str, ...] = ()

    @property
    def books(self) -> tuple[str, ...]:
        """Labels of the books."""
        return tuple(str(name) for name in self.table.index.unique("book"))

    @property
    def rules(self) -> tuple[str, ...]:
        """Labels of the rules."""
        return tuple(str(name) for name in self.table.index.unique("rule"))

    def of(self, rule: str, book: str | None = None) -> pd.DataFrame:
        """Return the rows of one rule and book by instant; the book may be left out where there is one.

        Raises
        ------
        ParameterError
            No rule or book of that label, or several books and none named.
        """
        held = self._book(book)
        if rule not in self.rules:
            raise ParameterError(f"no rule {rule!r}", f"one of {', '.join(self.rules)}", "correct the label")
        index = self.table.index
        chosen = (index.get_level_values("book") == held) & (index.get_level_values("rule") == rule)
        return self.table[chosen].droplevel(["book", "rule"])

    def wide(self, column: str = "im", book: str | None = None) -> pd.DataFrame:
        """Return one column of the table, instants down and rules across.

        Raises
        ------
        ParameterError
            No such column, or as :meth:`of`.
        """
        held = self._book(book)
        if column not in self.table:
            raise ParameterError(f"no column {column!r}", f"one of {', '.join(COLUMNS)}", "correct the name")
        return pd.DataFrame({name: self.of(name, held)[column] for name in self.rules})

    def funded_at(self, multiple: float) -> MarginPath:
        """Return the path as if each account had begun with a multiple of its own initial margin.

        Equity is shifted by cash in the numeraire of the rule, the same amount on every day; requirements
        and losses stay. Exact where such cash carries no margin, as USD under a rule in USD and a coin under
        a rule in that coin.

        Parameters
        ----------
        multiple : float
            Equity over initial margin at the first snapshot, above 0.

        Raises
        ------
        ParameterError
            A multiple that is not positive.
        ConventionError
            A rule that margins several coins apart: which coin the cash is would decide.
        """
        checked_number("multiple", multiple, low=0.0, open_low=True)
        table = self.table.copy()
        if table["unit"].isna().any():
            raise ConventionError(
                f"{table.index[table['unit'].isna()][0][1]} margins several coins apart",
                "rules with one numeraire",
                "use books of one coin, or fund the accounts before the walk",
            )
        first = table.groupby(level=["book", "rule"], sort=False).transform("first")
        cash = (multiple * first["im"] - first["equity"]) / first["unit"]
        table["equity"] += cash * table["unit"]
        table["excess"] = table["equity"] - table["im"]
        table["call"] = (-table["excess"]).clip(lower=0.0)
        funded = table["equity"] > 0.0
        ratio = table["im"] / table["equity"].where(funded)
        table["margin_ratio"] = ratio.where(funded, np.where(table["im"] > 0.0, np.inf, 0.0))
        table["status"] = np.select(
            [
                ~funded & (table["im"] > 0.0),
                table["equity"] < table["mm"],
                table["equity"] < table["im"],
            ],
            ["insolvent", "below_mm", "below_im"],
            "ok",
        )
        note = f"equity at the first snapshot is {multiple:g} times initial margin, by cash in the numeraire"
        return replace(self, table=table, notes=(*self.notes, note))

    def check(self) -> None:
        """Raise where excess is not equity less requirement, MM exceeds IM, or a call falls short."""
        t = self.table
        size = 1.0 + t["im"].abs() + t["equity"].abs()
        gap = (t["excess"] - t["equity"] + t["im"]).abs()
        faults = {
            "excess is not equity less requirement": (gap / size).max(),
            "maintenance exceeds initial margin": ((t["mm"] - t["im"]) / size).max(),
            "a call falls short": ((-t["excess"] - t["call"]) / size).max(),
            "a loss beyond margin and no breach": float(((t["beyond"] > 0.0) != t["breach"]).any()),
        }
        for text, found in faults.items():
            if found > 1e-9:
                raise PmkitError(f"{text}: {found:g}", "identities that hold", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return one row a book and rule: requirement, calls, flags, breaches, and the dates of the rule.

        ``called`` counts snapshots below initial margin, ``flagged`` those below maintenance margin,
        ``outcomes`` those that have a loss.
        """
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for book in self.books:
            for name in self.rules:
                t = self.of(name, book)
                called, flagged = t["status"] != "ok", t["status"].isin(_FLAGGED)
                rows[book, name] = {
                    "im_first": float(t["im"].iloc[0]),
                    "im_max": float(t["im"].max()),
                    "first_call": _first(called),
                    "called": int(called.sum()),
                    "first_flag": _first(flagged),
                    "flagged": int(flagged.sum()),
                    "largest_call": float(t["call"].max()),
                    "breaches": int(t["breach"].sum()),
                    "outcomes": int(t["loss"].notna().sum()),
                    "beyond": float(t["beyond"].max()),
                    "dated": ", ".join(word for word in DATED if (t["dated"] == word).any()),
                }
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index = pd.MultiIndex.from_tuples(list(rows), names=["book", "rule"])
        numbers = frame.select_dtypes("number").columns
        return frame.assign(**{str(c): frame[c].round(8) for c in numbers})

    def to_frame(self) -> pd.DataFrame:
        """Return one row a book, rule and snapshot."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None, *, book: str | None = None, column: str = "im") -> Axes:
        """Return axes with one column by instant, a line a rule, of a book (the first where left out)."""
        axes = new_axes(ax)
        held = self.books[0] if book is None else book
        for name, line in self.wide(column, held).items():
            axes.plot(line.index.to_numpy(), line.to_numpy(), label=str(name), linewidth=1.1)
        axes.set(xlabel="UTC", ylabel=column, title=held)
        axes.tick_params(axis="x", rotation=30)
        axes.legend(fontsize=7)
        return axes

    def _book(self, book: str | None) -> str:
        if book is None and len(self.books) == 1:
            return self.books[0]
        if book is None or book not in self.books:
            raise ParameterError(f"book {book!r}", f"one of {', '.join(self.books)}", "name one of them")
        return book


def _first(where: pd.Series) -> Any:
    """Return the first instant at which something holds, NaT where it never does."""
    hit = where[where].index
    return hit[0] if len(hit) else pd.NaT
