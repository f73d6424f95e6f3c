"""P&L explain: the profit between two markets by greek, carry, funding, currency and residual."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.instruments import Instrument, Option, Perpetual, Portfolio, Spot
from pmkit.market.snapshot import MarketSnapshot
from pmkit.pricing import greeks
from pmkit.risk.attribution.states import Later, ScenarioLater, SnapshotLater, State, state_before
from pmkit.risk.collateral import CollateralAccount
from pmkit.risk.inputs import check_held, check_market
from pmkit.risk.taylor_terms import TERMS
from pmkit.scenarios.inputs import check_kind
from pmkit.scenarios.scenario_set import ScenarioSet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PNL_PARTS", "PnLExplain", "explain_pnl"]

#: Parts of a P&L, in the order of the table.
PNL_PARTS = (
    "delta",
    "gamma",
    "vega",
    "vanna",
    "volga",
    "theta",
    "rho",
    "carry",
    "funding",
    "currency",
    "residual",
)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class PnLExplain(Result):
    """Profit of an account between two markets by line and cause, in the numeraire, gain positive.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a line (instruments, then ``collateral <currency>``), one column a part of
        :data:`PNL_PARTS`, and ``total``, the exact profit: the parts add up to it.
    numeraire : str
    label : str
        From where to where.
    days : float
        Days in between.
    """

    table: pd.DataFrame
    numeraire: str
    label: str
    days: float
    references: tuple[str, ...] = ("black1976", "haug2007")

    @property
    def total(self) -> float:
        """Profit of the account."""
        return math.fsum(self.table["total"])

    @property
    def unexplained(self) -> float:
        """Size of the residual over the gross size of all parts, from 0 to 1; 0 without any profit."""
        parts = self.table[list(PNL_PARTS)].to_numpy()
        sums = np.add.reduce(parts, axis=0)
        gross = math.fsum(np.abs(sums))
        return abs(float(sums[-1])) / gross if gross > 0.0 else 0.0

    def check(self) -> None:
        """Raise where the parts of a line do not add up to its profit to 1e-12 of their gross sum."""
        for name, row in self.table.iterrows():
            parts = row[list(PNL_PARTS)].to_numpy(dtype=np.float64)
            gap = abs(math.fsum(parts) - float(row["total"]))
            if gap > 1e-12 * max(math.fsum(np.abs(parts)), 1e-300):
                raise PmkitError(
                    f"parts of {name} miss its profit by {gap:g}", "agreement", "report this as a bug"
                )

    def to_frame(self) -> pd.DataFrame:
        """Return one row a line and one column a part."""
        return self.table

    def summary(self) -> pd.DataFrame:
        """Return the parts of the account's profit that are not 0, and the total."""
        sums = self.table.sum()
        kept = [part for part in PNL_PARTS if float(sums[part]) != 0.0]
        frame = sums[[*kept, "total"]].to_frame(self.numeraire)
        frame.index.name = f"{self.label}, {self.days:g} days"
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with a bar for every part of the account's profit that is not 0."""
        axes = new_axes(ax)
        sums = self.summary()[self.numeraire]
        axes.bar([str(part) for part in sums.index], sums.to_numpy())
        axes.axhline(0.0, color="black", linewidth=0.8)
        axes.set(ylabel=f"profit, {self.numeraire}", title=f"P&L explain: {self.label}")
        return axes


def explain_pnl(
    held: Portfolio | CollateralAccount,
    snapshot: MarketSnapshot,
    after: MarketSnapshot | ScenarioSet,
    *,
    scenario: int = 0,
    balances: Mapping[str, float] | None = None,
    numeraire: str = "USD",
) -> PnLExplain:
    """Return the profit of an account between two markets split by cause, in the numeraire.

    Parameters
    ----------
    held : Portfolio or Account
        Positions; an account brings its balances along.
    snapshot : MarketSnapshot
        Market before, where the greeks are taken.
    after : MarketSnapshot or ScenarioSet
        Market after: a later snapshot, or a set of which one scenario is taken.
    scenario : int
        Number of the scenario.
    balances : mapping of str to float, optional
        Collateral in units of each currency, with a portfolio alone.
    numeraire : str
        ``"USD"`` or a coin of the snapshot.

    Returns
    -------
    PnLExplain

    Raises
    ------
    ParameterError
        A scenario number out of range, or nothing to explain.
    DataGapError, ConventionError, SchemaError
        A contract settles between the snapshots, has no price, forward or vol in one of them, or a currency
        has no price.
    LookAheadError
        The second snapshot is older.

    Notes
    -----
    Second-order Taylor terms at the market before, with dF the move of the contract's own forward and dS that
    of the index: ``delta`` for ``dF = F dS/S``, ``carry`` for the rest of dF (basis and carry that runs off),
    ``gamma`` 1/2 dF^2, ``vega``, ``vanna``, ``volga`` for the move of its own vol, ``theta`` and ``rho``.
    Coin contracts in USD: a coin value c moves with its own greeks at S, the coin itself adds ``c dS`` to
    delta, and the products ``dc dS`` go to gamma and vanna. ``currency`` is the move of a quote currency, or
    of the numeraire. ``residual`` is what is left to the exact profit: third order, time with anything else.

    References
    ----------
    Haug (2007), chapter 2.

    Examples
    --------
    >>> from pmkit.scenarios import grid
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 50_000.0})
    >>> row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": 100, "as_of": "2026-08-01"}
    >>> scen = grid([0.1], dynamics="sticky_strike", underlyings=["BTC"])
    >>> explained = explain_pnl(Portfolio.from_records([row]), snap, scen)
    >>> (explained.table[["delta", "gamma", "total"]].round(6) + 0.0).to_numpy().tolist()
    [[100.0, 0.0, 100.0]]
    """
    check_held(held)
    check_market(snapshot)
    if isinstance(held, Portfolio):
        portfolio, cash = held, dict(balances or {})
    else:
        portfolio, cash = held.portfolio, held.balances(snapshot)
    cash = {currency: float(amount) for currency, amount in cash.items() if amount != 0.0}
    if not len(portfolio) and not cash:
        raise ParameterError("neither positions nor balances", "at least one", "add a position")
    later = _later(portfolio, snapshot, after, scenario)
    rates = (1.0, 1.0)
    if numeraire != "USD":
        rates = (snapshot.usd_price(numeraire), later.usd_price(numeraire))
    rows = {
        p.instrument.name: p.qty * _unit_parts(p.instrument, snapshot, later, numeraire, rates)
        for p in portfolio
    }
    for currency, amount in cash.items():
        before, now = snapshot.usd_price(currency), later.usd_price(currency)
        part = "delta" if currency in snapshot.underlyings else "currency"
        gain = amount * (now - before)
        line = pd.Series({part: gain, "total": gain})
        if currency == numeraire:
            line = pd.Series({"total": 0.0})
        elif numeraire != "USD":
            line = _translated(line, amount * before, rates)
        rows[f"collateral {currency}"] = line
    table = pd.DataFrame.from_dict(
        {name: line.reindex([*PNL_PARTS, "total"]).fillna(0.0) for name, line in rows.items()}, orient="index"
    )
    table.index.name = "line"
    return PnLExplain(table=table, numeraire=numeraire, label=later.label, days=later.days)


def _later(
    portfolio: Portfolio,
    snapshot: MarketSnapshot,
    after: MarketSnapshot | ScenarioSet,
    scenario: int,
) -> Later:
    if isinstance(after, MarketSnapshot):
        return SnapshotLater(snapshot, after)
    check_kind("after", after, ScenarioSet, "a later MarketSnapshot, or scenarios of which one is taken")
    if (
        isinstance(scenario, bool)
        or not isinstance(scenario, (int, np.integer))
        or not 0 <= scenario < len(after)
    ):
        raise ParameterError(
            f"scenario is {scenario!r}", f"a number from 0 to {len(after) - 1}", "correct the number"
        )
    return ScenarioLater(portfolio.instruments, snapshot, after.subset([int(scenario)]))


def _unit_parts(
    instrument: Instrument,
    snapshot: MarketSnapshot,
    later: Later,
    numeraire: str,
    rates: tuple[float, float],
) -> pd.Series:
    """Return the parts of the profit of one contract, and their sum as ``total``."""
    one, two = state_before(instrument, snapshot), later.state(instrument)
    if isinstance(instrument, Option):
        value, own = _option_parts(instrument, one, two)
    else:
        value, own = _price_parts(instrument, one, two)
    if isinstance(instrument, Perpetual):
        share = later.funding(instrument)
        own["funding"] = (
            -instrument.multiplier * share * (1.0 / one.price if instrument.is_inverse else one.price)
        )
    usd, coin = later.unit_pnl(instrument)
    if instrument.is_inverse and instrument.underlying == numeraire:
        return _with_residual(own, coin)
    parts = _in_usd(own, value, one, two, instrument.is_inverse, coin)
    line = _with_residual(parts, usd)
    return line if numeraire == "USD" else _translated(line, value * one.worth, rates)


def _option_parts(option: Option, one: State, two: State) -> tuple[float, dict[str, float]]:
    """Return the value of one contract before and its parts, in settlement currency."""
    found = greeks(one.price, option.strike, one.tau, one.iv, one.df, option.is_call, option.settlement)
    move, spot_move = two.price - one.price, one.price * (two.spot / one.spot - 1.0)
    vol, time = two.iv - one.iv, one.tau - two.tau
    rate = 0.0
    if not option.is_inverse and two.tau > 0.0:
        rate = math.log(one.df) / one.tau - math.log(two.df) / two.tau
    parts = {term: part(found, move, vol, time, rate) for term, part in TERMS.items()}
    parts |= {"delta": found.delta * spot_move, "carry": found.delta * (move - spot_move)}
    return option.multiplier * float(found.price), {k: option.multiplier * float(x) for k, x in parts.items()}


def _price_parts(instrument: Instrument, one: State, two: State) -> tuple[float, dict[str, float]]:
    """Return value and parts of one future, perpetual or coin, in settlement currency."""
    size, move = instrument.multiplier, two.price - one.price
    spot_move = one.price * (two.spot / one.spot - 1.0)
    slope = size / one.price**2 if instrument.is_inverse else size
    parts = {"delta": slope * spot_move, "carry": slope * (move - spot_move)}
    if instrument.is_inverse:
        parts["gamma"] = -size / one.price**3 * move**2
    return (size * one.price if isinstance(instrument, Spot) else 0.0), parts


def _in_usd(
    own: Mapping[str, float], value: float, one: State, two: State, inverse: bool, coin: float
) -> dict[str, float]:
    """Return the parts in USD of parts in settlement currency."""
    change = two.worth - one.worth
    parts = {name: x * one.worth for name, x in own.items()}
    if not inverse:
        # a quote currency moves by itself: all of it, products included, is its own part
        total = value + math.fsum(own.values())
        parts["currency"] = total * change
        return parts
    parts["delta"] += value * change
    parts["gamma"] += (own["delta"] + own["carry"]) * change
    parts["vanna"] = parts.get("vanna", 0.0) + own.get("vega", 0.0) * change
    if "funding" in own:
        parts["funding"] = own["funding"] * two.worth
    return parts


def _with_residual(parts: Mapping[str, float], total: float) -> pd.Series:
    line = dict(parts)
    line["residual"] = total - math.fsum(parts.values())
    return pd.Series(line | {"total": total})


def _translated(line: pd.Series, worth: float, rates: tuple[float, float]) -> pd.Series:
    """Return a line in another numeraire: parts at the later price, its worth before as ``currency``."""
    moved: pd.Series = line / rates[1]
    gain = worth / rates[1] - worth / rates[0]
    moved["currency"] = float(moved.get("currency", 0.0)) + gain
    moved["total"] = float(moved["total"]) + gain
    return moved
