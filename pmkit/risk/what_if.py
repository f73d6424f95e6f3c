"""What trades do to the measures of an account: one cube, one pass over the scenarios a trade."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.instruments import Portfolio
from pmkit.risk.accounts import tails, unit_rows
from pmkit.risk.accounts_result import MEASURES, check_level, kept_scenarios, measured
from pmkit.risk.accounts_table import AccountPositions, account_table
from pmkit.risk.collateral import CollateralAccount
from pmkit.risk.cube import PnLCube
from pmkit.risk.parallel import check_count
from pmkit.scenarios.inputs import check_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["TradeMeasures", "trade_measures"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class TradeMeasures(Result):
    """ES and VaR of an account before and after each of many trades, positive losses.

    Attributes
    ----------
    before : Series
        Measures of the account without a trade, with ``worst_pnl`` and ``worst_scenario``.
    after : DataFrame
        One row a trade: the same of the account after it.
    level : float
    numeraire : str
    """

    before: pd.Series[float]
    after: pd.DataFrame
    level: float
    numeraire: str
    provenance: Provenance = field(default_factory=lambda: Provenance(method="risk.trade_measures"))
    references: tuple[str, ...] = ("acerbi2002",)

    def __len__(self) -> int:
        return len(self.after)

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures that were asked for."""
        return tuple(m for m in MEASURES if m in self.after)

    @property
    def change(self) -> pd.DataFrame:
        """After minus before, one row a trade and one column a measure; negative where the trade helps."""
        names = list(self.measures)
        return self.after[names] - self.before[names]

    def to_frame(self) -> pd.DataFrame:
        """Return one row a trade: measures after it and their changes."""
        return self.after.join(self.change.add_suffix("_change"))

    def summary(self) -> pd.DataFrame:
        """Return the five trades that lower the first measure most and the five that raise it most."""
        ordered = self.to_frame().sort_values(f"{self.measures[0]}_change", kind="stable")
        shown = ordered if len(ordered) <= 10 else pd.concat([ordered.iloc[:5], ordered.iloc[-5:]])
        return shown[[*self.measures, *(f"{m}_change" for m in self.measures)]]

    def check(self) -> None:
        """Raise where a measure after a trade is above the worst loss after it."""
        worst = -self.after["worst_pnl"]
        for name in self.measures:
            if (self.after[name] > worst + 1e-9 * worst.abs().clip(lower=1.0)).any():
                raise PmkitError(f"{name} above the worst loss", "at most that", "report this as a bug")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the change of the first measure, trades in order of it."""
        axes = new_axes(ax)
        name = self.measures[0]
        change = self.change[name].sort_values(kind="stable")
        axes.bar(range(len(change)), change.to_numpy(), width=1.0)
        axes.axhline(0.0, color="black", linewidth=0.8)
        axes.set(
            xlabel="trade, in order of what it does",
            ylabel=f"change of {name.upper()}, {self.numeraire}",
            title=f"{len(self):,} trades at {self.level:.4g}",
        )
        return axes


def trade_measures(
    cube: PnLCube,
    held: Portfolio | CollateralAccount,
    trades: AccountPositions,
    *,
    level: float = 0.975,
    measures: Sequence[str] = ("es", "var"),
    balances: Mapping[str, float] | None = None,
    payments: pd.DataFrame | None = None,
    numeraire: str = "USD",
    threads: int = 1,
) -> TradeMeasures:
    """Return ES and VaR of an account before and after each of many trades, positive losses.

    The account's own profits are added up once; each trade then costs one pass over the scenarios.

    Parameters
    ----------
    cube : PnLCube
        Unit profits of what is held and of what may be traded.
    held : Portfolio or Account
    trades : mapping of str to Portfolio, DataFrame, or scipy.sparse matrix
        Quantities bought (negative: sold), one row a trade; forms as in
        :func:`pmkit.risk.account_measures`.
    level : float
        From 0.5 to below 1.
    measures : sequence of {"es", "var"}
    balances : mapping of str to float, optional
        Collateral besides a portfolio, in units of each currency.
    payments : DataFrame, optional
        What each trade adds to the balances (negative: what is paid), one row a trade and one column a
        currency. Matters where the currency moves: a premium in coin is coin that can no longer fall.
    numeraire : str
        ``"USD"`` or a currency that the scenarios move.
    threads : int
        Threads that share the trades, 1 or more; equal bits for any number.

    Returns
    -------
    TradeMeasures

    Raises
    ------
    ParameterError
        Level, measures, threads or trades are not as said.
    DataGapError
        Something held or traded is not in the cube.

    Notes
    -----
    Some ten microseconds a trade for 10,000 scenarios: the worst scenarios of one trade's account bound those
    of the next one's.

    References
    ----------
    Acerbi and Tasche (2002), definition 2.6.

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot
    >>> from pmkit.risk import revalue
    >>> from pmkit.scenarios import grid
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> line = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 100, "as_of": "2026-08-01"}
    >>> book = Portfolio.from_records([line])
    >>> cube = revalue(book, snap, grid([-0.1, 0.1], dynamics="sticky_strike"))
    >>> deals = pd.DataFrame({"BTC-PERPETUAL": [50.0, -80.0]}, index=["add", "hedge"])
    >>> trade_measures(cube, book, deals, level=0.9).change["es"].round(6).tolist()
    [50.0, -80.0]
    """
    check_kind("cube", cube, PnLCube, "pmkit.risk.revalue")
    check_count("threads", threads)
    check_level(level)
    base = cube.account_pnl(held, balances=balances, numeraire=numeraire)
    names = [i.name for i in cube.instruments]
    table = account_table(trades, names, balances=payments, snapshot=cube.snapshot)
    nothing = account_table(pd.DataFrame(index=["before"]), names)
    weights = cube.scenarios.weights
    keep = kept_scenarios(weights, level)
    provenance = Provenance(
        method="risk.trade_measures",
        data={"cube": cube.provenance.id},
        parameters={"level": level, "numeraire": numeraire, "trades": len(table)},
        seed=cube.provenance.seed,
        simulated=cube.provenance.simulated,
    )
    matrix = unit_rows(cube, table.currencies, numeraire)
    before, after = (
        measured(
            tails(matrix, lines, keep, base=base, threads=threads), lines.accounts, weights,
            level=level, measures=measures, numeraire=numeraire, provenance=provenance,
        )
        for lines in (nothing, table)
    )  # fmt: skip
    return TradeMeasures(
        before=before.values.iloc[0],
        after=after.values,
        level=float(level),
        numeraire=numeraire,
        provenance=provenance,
    )
