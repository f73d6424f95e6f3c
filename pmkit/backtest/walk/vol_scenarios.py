"""The same walk-forward under several laws of implied vol: what differs between them is not a finding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pmkit.backtest.walk.book import ConstantBook
from pmkit.backtest.walk.forecast import ForecastModel
from pmkit.backtest.walk.vol_laws.sizes import VOL_OF_VOL
from pmkit.backtest.walk.walk_books import walk_books
from pmkit.backtest.walk.walk_forward import Book, walk_forward
from pmkit.backtest.walk.walk_result import BacktestResult
from pmkit.core.errors import ParameterError
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.market.history import PriceHistory

__all__ = ["VolScenarioRuns", "run_vol_scenarios"]


@dataclass(frozen=True, kw_only=True, repr=False)
class VolScenarioRuns(Result):
    """Walk-forwards of one book under several paths of implied vol, and which conclusions hold in all.

    Attributes
    ----------
    runs : mapping of str to BacktestResult
        By name of the path: ``"low"``, ``"base"``, ``"high"``, or those of the laws.
    alpha : float
        Level of every decision.

    Notes
    -----
    A conclusion is the decision of one test at one level, or the zone of the traffic light where there is
    one. It is stated only if it is the same in all runs.
    """

    runs: Mapping[str, BacktestResult]
    alpha: float = 0.05

    @property
    def title(self) -> str:
        """One line for tables: the title of the first run with the origin of all paths named."""
        first, *_ = runs = list(self.runs.values())
        size = " vol-of-vol"
        labels = [run.vol_label for run in runs]
        together = ", ".join(labels)
        if all(label.endswith(size) for label in labels):
            together = together.replace(size, "") + size
        return first.title.replace(first.vol_label, together) if first.vol_label else first.title

    def conclusions(self) -> pd.DataFrame:
        """Return one row a level and test: verdict of each run, ``stable``, conclusion or ``not stated``."""
        verdicts = {}
        for name, run in self.runs.items():
            table = run.tests(self.alpha)
            whole = table[table["offset"] == "all"].set_index(["level", "test"])
            verdicts[name] = whole["zone"].where(whole["zone"] != "", whole["decision"])
        frame = pd.DataFrame(verdicts)
        stable = frame.nunique(axis=1) == 1
        first = frame.iloc[:, 0]
        frame["stable"] = stable
        frame["conclusion"] = first.where(stable, "not stated")
        return frame

    @property
    def conclusion_stable(self) -> bool:
        """Whether every verdict is the same in all runs."""
        return bool(self.conclusions()["stable"].all())

    @property
    def provenance(self) -> Provenance:
        """Record of the runs by their identities."""
        return Provenance(
            method="backtest.run_vol_scenarios",
            data={name: run.provenance.id for name, run in self.runs.items()},
            parameters={"alpha": self.alpha},
            simulated=True,
        )

    def summary(self) -> pd.DataFrame:
        """Return one row a run and level: hits, coverage, mean VaR."""
        parts = {name: run.summary() for name, run in self.runs.items()}
        return pd.concat(parts, names=["implied vols"])

    def to_frame(self) -> pd.DataFrame:
        """Return the frames of all runs below each other, with a column ``implied_vols``."""
        parts = [run.frame.assign(implied_vols=name).reset_index() for name, run in self.runs.items()]
        return pd.concat(parts, ignore_index=True)

    def check(self) -> None:
        """Check every run."""
        for run in self.runs.values():
            run.check()

    def cite(self) -> tuple[str, ...]:
        """Return the keys of the papers behind the runs."""
        return tuple(dict.fromkeys(key for run in self.runs.values() for key in run.cite()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.title}\n{self.conclusions().to_string()}"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<h4>{escape(self.title)}</h4>{self.summary().to_html()}{self.conclusions().to_html()}"


def run_vol_scenarios(
    book: Book | str,
    history: PriceHistory,
    model: str | ForecastModel = "fhs",
    start: Any = None,
    end: Any = None,
    *,
    paths: Mapping[str, Any] | None = None,
    alpha: float = 0.05,
    **options: Any,
) -> VolScenarioRuns:
    """Return walk-forwards under several paths of implied vol, with the conclusions that all of them share.

    Use it whenever option P&L is model-marked: nothing is concluded that changes between the paths.

    Parameters
    ----------
    book, history, model, start, end
        As in :func:`walk_forward`.
    paths : mapping of str to ``vol_path``, optional
        Two or more, each as for :func:`walk_forward`; low, base and high vol-of-vol where None. The three
        laws are ``paths=pm.backtest.vol_law_paths(history)``.
    alpha : float
        Level of the tests, in (0, 1).
    **options
        Further arguments of :func:`walk_forward`, ``vol_path`` excepted.

    Returns
    -------
    VolScenarioRuns

    Raises
    ------
    ParameterError
        ``vol_path`` is given, fewer than two paths, or the book holds no options, so that there is nothing to
        vary.

    Examples
    --------
    >>> from pmkit.market import load_history
    >>> history = load_history("crypto-daily-2020-2023")
    >>> laws = {"har": "har", "jumps": "jumps"}
    >>> runs = run_vol_scenarios("short_straddle_30d", history, "hs", "2021-05-18", "2021-05-27",
    ...                          paths=laws, n_paths=400)
    >>> [int(run.hits().x) for run in runs.runs.values()]
    [1, 1]
    """
    if "vol_path" in options:
        raise ParameterError(
            "vol_path is given", "no vol_path: this function sets it", "use walk_forward for one path"
        )
    chosen = {name: name for name in VOL_OF_VOL} if paths is None else dict(paths)
    if len(chosen) < 2:
        raise ParameterError(
            f"paths holds {len(chosen)} path(s)", "two or more to compare", "use walk_forward for one path"
        )
    constant = ConstantBook.preset(book) if isinstance(book, str) else book
    if isinstance(constant, ConstantBook) and not constant.holds_options:
        raise ParameterError(
            f"book {constant.name!r} holds no options", "a book with options", "use walk_forward"
        )
    if isinstance(model, str):
        held = {name: (constant, path) for name, path in chosen.items()}
        runs = walk_books(held, history, model, start, end, **options)
    else:
        runs = {
            name: walk_forward(constant, history, model, start, end, vol_path=path, **options)
            for name, path in chosen.items()
        }
    return VolScenarioRuns(runs=runs, alpha=alpha)
