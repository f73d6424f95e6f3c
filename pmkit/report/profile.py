"""The picture of an account: its P&L against the price of one underlying, now and at the horizon."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.types import Dynamics, FloatArray
from pmkit.instruments import Future, Option, Portfolio
from pmkit.margin.accounts.account import STABLECOINS, Account
from pmkit.market import MarketSnapshot
from pmkit.report.style import BLUE, INK, MUTED, ORANGE, USD_AXIS, house_style
from pmkit.risk import revalue
from pmkit.scenarios import Factor, ScenarioSet, grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["pnl_profile"]


def _profile_scenarios(
    book: Portfolio,
    snapshot: MarketSnapshot,
    underlying: str,
    moves: FloatArray,
    days: float,
    dynamics: Dynamics,
) -> ScenarioSet:
    """Return moves of one price after ``days``, everything else as it is.

    The index moves at once and stays, so what settles on the way settles at the moved index.
    """
    still = [0.0] * len(moves)
    lists = {name: moves.tolist() if name == underlying else still for name in snapshot.underlyings}
    base = grid(lists, horizon_days=days, dynamics=dynamics, name="P&L profile")
    end = snapshot.as_of + pd.Timedelta(days=days)
    dated = [i for i in book.instruments if isinstance(i, (Future, Option))]
    settling = sorted({(i.underlying, i.expiry) for i in dated if i.expiry <= end})
    if not settling:
        return base
    fixings = tuple(Factor("fixing", name, expiry) for name, expiry in settling)
    columns = [np.log1p(moves if f.underlying == underlying else np.zeros(len(moves))) for f in fixings]
    return replace(base, factors=base.factors + fixings, shocks=np.column_stack([base.shocks, *columns]))


def pnl_profile(
    account: Account | Portfolio,
    snapshot: MarketSnapshot,
    *,
    underlying: str | None = None,
    horizon_days: float = 2.0,
    width: float = 0.4,
    points: int = 161,
    dynamics: Dynamics | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the P&L of an account in USD against the price of one underlying, today and at the horizon.

    Every point is a full revaluation. The smile moves as ``dynamics`` says; the level of implied vol, the
    basis and other underlyings stand still. Collateral in coin is revalued with the positions, and a thin
    curve shows the positions alone; a plain portfolio has no collateral.

    Parameters
    ----------
    account : Account or Portfolio
    snapshot : MarketSnapshot
    underlying : str, optional
        Whose price moves; the first one held by default.
    horizon_days : float
        Days until the second curve, positive.
    width : float
        Range of the price on each side as a share of spot, between 0 and 1.
    points : int
        Prices per curve, 3 or more.
    dynamics : {"sticky_strike", "sticky_moneyness", "sticky_delta"}, optional
        ``sticky_moneyness`` by default where the snapshot has a surface, else ``sticky_strike``.
    ax : matplotlib Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    DataGapError
        The account holds no position in the underlying.
    ParameterError
        ``width``, ``points`` or ``horizon_days`` outside its range.
    """
    if not (0.0 < width < 1.0 and points >= 3 and horizon_days > 0.0):
        raise ParameterError(
            f"width {width!r}, points {points!r}, horizon_days {horizon_days!r}",
            "a width between 0 and 1, at least 3 points, a positive horizon",
            "correct the argument",
        )
    holder = account if isinstance(account, Account) else Account(portfolio=account, name=account.name)
    book = holder.portfolio
    name = underlying or next(iter(book.underlyings), "")
    if name not in book.underlyings:
        raise DataGapError(
            f"account {holder.name!r} holds no position in {name or 'any underlying'}",
            f"a position in {', '.join(book.underlyings) or 'some underlying'}",
            "choose another underlying, or add positions",
        )
    seen = snapshot.market(name)
    chosen: Dynamics = dynamics or ("sticky_strike" if seen.surface is None else "sticky_moneyness")
    moves = np.linspace(-width, width, points)
    prices, cash = seen.spot * (1.0 + moves), holder.balances(snapshot)

    def curve(days: float, balances: Mapping[str, float]) -> FloatArray:
        scenarios = _profile_scenarios(book, snapshot, name, moves, days, chosen)
        return revalue(book, snapshot, scenarios).account_pnl(book, balances=balances)

    options = [i for i in book.instruments if isinstance(i, Option) and i.underlying == name]
    strikes = sorted({o.strike for o in options if prices[0] <= o.strike <= prices[-1]})
    with house_style():
        ax = new_axes(ax)
        ax.axhline(0.0, color=INK, linewidth=0.8)
        ax.axvline(seen.spot, color=INK, linewidth=0.8, linestyle=":", label=f"spot {seen.spot:,.0f} USD")
        if any(currency not in STABLECOINS for currency in cash):
            ax.plot(prices, curve(0.0, {}), color=MUTED, linewidth=1.0, label="now, positions alone")
        ax.plot(prices, curve(0.0, cash), color=BLUE, label="now")
        ax.plot(
            prices, curve(horizon_days, cash), color=ORANGE, linestyle="--", label=f"in {horizon_days:g} days"
        )
        if strikes:
            foot, heights = ax.get_xaxis_transform(), [0.015] * len(strikes)
            ax.plot(strikes, heights, "|", color=MUTED, markersize=7.0, transform=foot, label="strikes held")
        ax.set_xlim(float(prices[0]), float(prices[-1]))
        ax.set_xlabel(f"price of {name}, USD")
        ax.set_ylabel("P&L of the account, USD")
        ax.set_title(f"{holder.name}: P&L against the price of {name}")
        ax.xaxis.set_major_formatter(USD_AXIS)
        ax.yaxis.set_major_formatter(USD_AXIS)
        ax.legend(loc="best")
    return ax
