"""Euler attribution of expected shortfall: components that add up to it, with their errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.random import stream
from pmkit.core.result import Result
from pmkit.core.types import FloatArray, IntArray
from pmkit.instruments import Portfolio
from pmkit.risk.attribution.lines import Grouping, account_lines
from pmkit.risk.collateral import CollateralAccount
from pmkit.risk.cube import PnLCube
from pmkit.risk.measures.sample import replicates
from pmkit.risk.tail import SAME, Tail, tail_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["EulerAttribution", "euler_es", "tail_shares"]

#: losses closer than this share of the largest one are ties
_TIE = 1e-12


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class EulerAttribution(Result):
    """Expected shortfall of an account by line or group, in the numeraire.

    Attributes
    ----------
    es : float
        ES of the account, positive for a loss.
    level : float
    by : str
        Grouping in words.
    numeraire : str
    table : pandas.DataFrame
        One row a line or group: ``component`` (they add up to ``es``), ``share`` of ``es``, ``se``
        (asymptotic) and ``se_bootstrap`` of the component, ``marginal`` (ES for one more contract; NaN for
        groups), ``incremental`` (ES with it less ES without it) and ``standalone`` (its own ES).
    ties : int
        Scenarios whose loss equals the VaR; the weight needed there is spread over them alike.
    """

    es: float
    level: float
    by: str
    numeraire: str
    table: pd.DataFrame
    ties: int
    references: tuple[str, ...] = ("tasche1999", "acerbi2002")

    @property
    def diversification(self) -> float:
        """One less ES over the sum of the standalone figures; NaN where that sum is not positive."""
        alone = math.fsum(self.table["standalone"])
        return 1.0 - self.es / alone if alone > 0.0 else math.nan

    def check(self) -> None:
        """Raise where the components do not add up to the ES to 1e-12 of their gross sum."""
        components = self.table["component"].to_numpy()
        gross = math.fsum(np.abs(components))
        if abs(math.fsum(components) - self.es) > 1e-12 * max(gross, abs(self.es)):
            raise PmkitError(
                f"components add up to {math.fsum(components)}, ES is {self.es}",
                "agreement",
                "report this as a bug",
            )

    def to_frame(self) -> pd.DataFrame:
        """Return one row a line or group with every number."""
        return self.table

    def summary(self) -> pd.DataFrame:
        """Return the ten largest components by size, and the total."""
        order = self.table["component"].abs().sort_values(ascending=False, kind="stable").index
        columns = ["component", "se", "share", "incremental", "standalone"]
        frame = self.table.loc[order[:10], columns]
        total = pd.DataFrame(
            [[self.es, math.nan, 1.0, math.nan, math.fsum(self.table["standalone"])]],
            index=["account"],
            columns=columns,
        )
        frame = pd.concat([frame, total])
        frame.index.name = f"ES {self.level:.4g} in {self.numeraire} by {self.by}"
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with a bar a component and two standard errors either side."""
        axes = new_axes(ax)
        names = [str(name) for name in self.table.index]
        axes.barh(names, self.table["component"].to_numpy(), xerr=2.0 * self.table["se"].to_numpy())
        axes.axvline(0.0, color="black", linewidth=0.8)
        axes.invert_yaxis()
        title = f"ES {self.level:.4g} of {self.es:,.6g} {self.numeraire} by {self.by}"
        axes.set(xlabel=f"component of ES, {self.numeraire}", title=title)
        return axes


def tail_shares(tail: Tail) -> tuple[FloatArray, int]:
    """Return the weight of each scenario in the tail mean, in their own order, and the ties at VaR.

    What is needed of the threshold's weight is spread over all scenarios with that loss, so that the order
    of the scenarios does not matter.

    Examples
    --------
    >>> shares, ties = tail_shares(tail_of([-3.0, -1.0, -1.0, 2.0], 0.5))
    >>> shares.tolist(), ties
    ([0.5, 0.25, 0.25, 0.0], 2)
    """
    scale = float(np.abs(tail.loss[: tail.at + 1]).max())
    gap = tail.loss - tail.threshold
    above, tied = gap > _TIE * scale, np.abs(gap) <= _TIE * scale
    p = 1.0 - tail.level
    beyond = float(np.add.reduce(tail.weight[above]))
    at_threshold = float(np.add.reduce(tail.weight[tied]))
    share = np.where(above, tail.weight, 0.0)
    left = max(p - beyond, 0.0)
    if left > SAME:
        share[tied] = tail.weight[tied] * (left / at_threshold)
    share /= float(np.add.reduce(share))
    back = np.empty_like(share)
    back[tail.order] = share
    return back, int(tied.sum())


def euler_es(
    cube: PnLCube,
    held: Portfolio | CollateralAccount,
    level: float = 0.975,
    *,
    by: Grouping = "line",
    balances: Mapping[str, float] | None = None,
    numeraire: str = "USD",
    n_boot: int = 0,
    seed: int = 0,
) -> EulerAttribution:
    """Return the ES of an account split into components that add up to it, in the numeraire.

    Parameters
    ----------
    cube : PnLCube
    held : Portfolio or Account
        Positions in instruments of the cube; an account brings its balances along.
    level : float
        From 0.5 to below 1.
    by : {"line", "underlying", "expiry", "kind", "settlement"} or mapping of str to str
        A mapping names the group (desk, risk class) of every line, ``collateral <currency>`` among them.
    balances : mapping of str to float, optional
        Collateral in units of each currency, with a portfolio alone.
    numeraire : str
    n_boot : int
        Samples of the scenarios behind ``se_bootstrap``: 0 for none, else 2 or more.
    seed : int

    Returns
    -------
    EulerAttribution

    Raises
    ------
    ParameterError
        Level out of range, unknown grouping, a line without a group, or an account without lines.
    DataGapError, ConventionError
        As :meth:`PnLCube.account_pnl`.

    Notes
    -----
    ``ES_i = -E[pnl_i | tail]``, the scenarios of the tail weighted as in :func:`expected_shortfall`. ES is
    homogeneous of degree one, so this is quantity times derivative. Asymptotic error: spread of
    ``(loss_i - m_i) 1{loss > VaR} / (1 - level)`` with ``m_i = E[loss_i | loss = VaR]`` from the scenarios
    nearest to VaR; the error of VaR cancels at first order in the sum, not in a single component.

    References
    ----------
    Tasche (1999), section 3; Acerbi and Tasche (2002).

    Examples
    --------
    >>> from pmkit.market import MarketSnapshot
    >>> from pmkit.risk import revalue
    >>> from pmkit.scenarios import grid
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -100, "as_of": "2026-08-01"}
    >>> book = Portfolio.from_records([row])
    >>> cube = revalue(book, snap, grid([-0.1, 0.1], dynamics="sticky_strike", underlyings=["BTC"]))
    >>> euler_es(cube, book, 0.9, balances={"BTC": 0.05}).table["component"].round(6).tolist()
    [-100.0, 250.0]
    """
    lines = account_lines(cube, held, balances=balances, numeraire=numeraire).grouped(by)
    weights = cube.scenarios.weights
    tail = tail_of(lines.total, level, weights)
    shares, ties = tail_shares(tail)
    components = -np.add.reduce(lines.pnl * shares, axis=1)
    es = -float(np.add.reduce(lines.total * shares))
    near = _near_threshold(tail)
    alone = [tail_of(row, level, weights).es() for row in lines.pnl]
    without = [tail_of(lines.total - row, level, weights).es() for row in lines.pnl]
    table = pd.DataFrame(
        {
            "component": components,
            "share": components / es if es != 0.0 else np.full(components.size, math.nan),
            "se": [_component_error(-row, tail, near) for row in lines.pnl],
            "se_bootstrap": _bootstrap(lines.pnl, lines.total, weights, level, n_boot, seed),
            "marginal": components / lines.quantity,
            "incremental": es - np.array(without),
            "standalone": alone,
        },
        index=pd.Index(lines.names, name="line" if by == "line" else "group"),
    )
    words = by if isinstance(by, str) else "given group"
    return EulerAttribution(es=es, level=float(level), by=words, numeraire=numeraire, table=table, ties=ties)


def _near_threshold(tail: Tail) -> IntArray:
    """Return the scenarios whose losses lie nearest to VaR: as many either side as the root of the tail's."""
    reach = max(2, round(math.sqrt(tail.at + 1)))
    return tail.order[max(tail.at - reach, 0) : tail.at + reach + 1]


def _component_error(loss: FloatArray, tail: Tail, near: IntArray) -> float:
    """Return the asymptotic error of one component."""
    beyond = np.zeros(loss.size, dtype=bool)
    beyond[tail.order[: tail.at + 1]] = True
    weight = np.empty(loss.size)
    weight[tail.order] = tail.weight
    value = np.where(beyond, loss - float(np.mean(loss[near])), 0.0) / (1.0 - tail.level)
    mean = float(np.add.reduce(weight * value))
    return math.sqrt(float(np.add.reduce((weight * (value - mean)) ** 2)))


def _bootstrap(
    pnl: FloatArray, total: FloatArray, weights: FloatArray, level: float, n_boot: int, seed: int
) -> FloatArray:
    """Return the standard error of each component over samples of the scenarios."""
    count = replicates(n_boot)
    if count == 0:
        return np.full(pnl.shape[0], math.nan)
    values = np.empty((count, pnl.shape[0]))
    for replicate in range(count):
        drawn = stream(seed, "euler", replicate).integers(0, total.size, total.size)
        tail = tail_of(total[drawn], level, weights[drawn])
        used = tail_shares(tail)[0]
        kept = np.flatnonzero(used)
        values[replicate] = -np.add.reduce(pnl[:, drawn[kept]] * used[kept], axis=1)
    spread: FloatArray = values.std(axis=0, ddof=1)
    return spread
