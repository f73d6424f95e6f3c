"""What static arbitrage in shocked surfaces is worth in margin: the same scenarios, with and without it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.margin.accounts.account import Account
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk.projected import revalue_shocked
from pmkit.scenarios import ScenarioSet
from pmkit.surface.sliced import SlicedSurface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ShockMargin", "shock_margin"]


@dataclass(frozen=True, kw_only=True, repr=False)
class ShockMargin(Result):
    """Profit of an account under shocked surfaces as specified and projected, and both worst losses.

    Attributes
    ----------
    account : str
    numeraire : str
        Currency of every amount, chosen before the measure.
    collateral : str
        ``"revalued"``: balances move with the scenarios; ``"left out"``: positions alone.
    table : DataFrame
        One row per scenario: ``specified`` and ``projected`` (profit in the numeraire, gain positive),
        ``difference`` (projected less specified), ``butterfly`` and ``calendar`` (expiries at which a surface
        as specified admits arbitrage), ``moved`` (vol points by which projecting moved a quoted strike at
        most).
    surfaces : DataFrame
        The last three by scenario and underlying, and at which expiry.
    """

    account: str
    numeraire: str
    collateral: str
    table: pd.DataFrame
    surfaces: pd.DataFrame
    references: tuple[str, ...] = ("black1976", "gatheral2014", "martini2022")

    @property
    def loss_specified(self) -> float:
        """Worst loss under the surfaces as specified, positive, in the numeraire."""
        return max(-float(self.table["specified"].min()), 0.0)

    @property
    def loss_projected(self) -> float:
        """Worst loss under the surfaces without static arbitrage, positive, in the numeraire."""
        return max(-float(self.table["projected"].min()), 0.0)

    @property
    def difference(self) -> float:
        """Worst loss projected less that as specified: what the arbitrage hides, or adds where negative."""
        return self.loss_projected - self.loss_specified

    def check(self) -> None:
        """Raise where a profit is not finite, or the difference is not that of the two."""
        frame = self.table
        gap = (frame["projected"] - frame["specified"] - frame["difference"]).abs().max()
        if not np.isfinite(frame[["specified", "projected"]].to_numpy()).all() or gap > 0.0:
            raise PmkitError(
                "profits that are not finite or do not add up", "an identity", "report this as a bug"
            )

    @property
    def violating(self) -> int:
        """Number of scenarios in which a surface as specified admits static arbitrage."""
        return int(((self.table["butterfly"] > 0) | (self.table["calendar"] > 0)).sum())

    def summary(self) -> pd.DataFrame:
        """Return both worst losses, their difference, and the largest change of one scenario's profit."""
        names = self.table.index
        first, second, gap = (
            self.table[c].to_numpy(dtype=np.float64) for c in ("specified", "projected", "difference")
        )
        widest = int(np.argmax(np.abs(gap)))
        rows = {
            "worst loss as specified": (self.loss_specified, str(names[int(np.argmin(first))])),
            "worst loss projected": (self.loss_projected, str(names[int(np.argmin(second))])),
            "difference": (self.difference, ""),
            "largest change of profit": (float(gap[widest]), str(names[widest])),
        }
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["amount", "scenario"])
        seen = f"arbitrage in {self.violating} of {len(self.table)} scenarios"
        frame.index.name = f"{self.account}, {self.numeraire}, collateral {self.collateral}, {seen}"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return one row per scenario."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the profit of every scenario both ways, in the order of the table."""
        axes = new_axes(ax)
        at = np.arange(len(self.table))
        axes.plot(at, self.table["specified"].to_numpy(), marker="o", label="as specified")
        axes.plot(at, self.table["projected"].to_numpy(), marker="x", linestyle="--", label="projected")
        axes.axhline(0.0, color="black", linewidth=0.8)
        if len(at) <= 40:
            axes.set_xticks(at, [str(name) for name in self.table.index], rotation=90, fontsize=6)
        axes.set(
            ylabel=f"profit, {self.numeraire}",
            title=f"{self.account}: worst loss {self.loss_specified:,.6g} as specified, "
            f"{self.loss_projected:,.6g} projected",
        )
        axes.legend()
        return axes


def shock_margin(
    account: Account,
    snapshot: MarketSnapshot,
    scenarios: ScenarioSet,
    surfaces: Mapping[str, SlicedSurface[Any]],
    *,
    numeraire: str = "USD",
    collateral: bool = True,
    own_vols: bool = True,
) -> ShockMargin:
    """Return worst losses of an account under shocked surfaces, with and without static arbitrage.

    A vol-up grid of the form ``1 + s (30/T)^p`` creates butterfly and calendar arbitrage. A venue margins on
    such surfaces all the same, so that both figures are shown and neither is called right.

    Parameters
    ----------
    account : Account
    snapshot : MarketSnapshot
    scenarios : ScenarioSet
        Moves of spot and vol, such as :func:`pmkit.scenarios.grid`.
    surfaces : mapping of str to SlicedSurface
        By underlying, fitted to the quotes of the snapshot.
    numeraire : str
        ``"USD"`` or a coin, chosen before the measure.
    collateral : bool
        True: balances are revalued in the scenarios. False: positions alone, as a risk matrix counts.
    own_vols : bool
        True: every contract keeps its own vol and only the move is the surface's.

    Raises
    ------
    LookAheadError
        The snapshot is older than the account.
    DataGapError, ConventionError, SchemaError
        As :func:`pmkit.risk.revalue_shocked`.

    Notes
    -----
    Projected, each contract's vol is that as specified times ``iv_projected/iv_specified`` of the surface at
    its strike; see :meth:`pmkit.surface.ShockedSurface.arbitrage` for what was there.
    """
    account.check_against(snapshot)
    cubes = revalue_shocked(account.portfolio, snapshot, scenarios, surfaces, own_vols=own_vols)
    balances = account.balances(snapshot) if collateral else {}
    specified, projected = (
        cube.account_pnl(account.portfolio, balances=balances, numeraire=numeraire)
        for cube in (cubes.specified, cubes.projected)
    )
    names = [scenarios.label(i) for i in range(len(scenarios))]
    counts = cubes.surfaces.groupby("number")
    found = counts.agg({"butterfly": "sum", "calendar": "sum", "moved": "max"})
    found = found.reindex(range(len(scenarios)), fill_value=0)
    table = pd.DataFrame(
        {
            "specified": specified,
            "projected": projected,
            "difference": projected - specified,
            **{column: found[column].to_numpy() for column in found},
        },
        index=pd.Index(names, name="scenario"),
    )
    return ShockMargin(
        account=account.name,
        numeraire=numeraire,
        collateral="revalued" if collateral else "left out",
        table=table,
        surfaces=cubes.surfaces,
    )
