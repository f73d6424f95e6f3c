"""Isolated, cross and portfolio margin of one account, side by side on one basis."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError, PmkitWarning
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.instruments.contracts import Option, Spot
from pmkit.instruments.portfolio import Portfolio, Position
from pmkit.margin.accounts.account import Account
from pmkit.margin.accounts.numbers import checked_share
from pmkit.margin.engine.coin_rule import CoinRule
from pmkit.margin.parameters import Stale
from pmkit.margin.result import MarginResult
from pmkit.margin.rule import AnyRule
from pmkit.margin.rule import rule as make_rule
from pmkit.market.snapshot import MarketSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Modes", "gross_notional", "margin_modes"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Modes(Result):
    """What one account must hold, and what it is called for, in three modes, in USD.

    Attributes
    ----------
    account, rule : str
    as_of : pandas.Timestamp
    table : pandas.DataFrame
        One row a mode: ``im``, ``mm`` (against equity that includes option value), ``equity``, ``excess``,
        ``margin_ratio``, ``call`` (USD to be paid in), ``utilisation``, ``efficiency``, ``saving``,
        ``status``.
    lines : pandas.DataFrame
        One row a position in isolated mode: ``im``, ``mm``, ``equity``, ``margin_ratio``, ``call``,
        ``status``, in USD.
    notional : float
        Gross notional of the positions, USD.
    """

    account: str
    rule: str
    as_of: pd.Timestamp
    table: pd.DataFrame
    lines: pd.DataFrame
    notional: float
    warnings: tuple[str, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance(method="margin.modes"))
    references: tuple[str, ...] = ()

    def check(self) -> None:
        """Raise where isolated lines do not add up to the isolated row, or the modes differ in equity."""
        for column in ("im", "mm", "equity"):
            isolated = float(self.table[column]["isolated"])
            gap = math.fsum(self.lines[column]) - isolated
            if abs(gap) > 1e-6 * (1.0 + abs(isolated)):
                raise PmkitError(f"isolated {column} off by {gap:g}", "a sum", "report this as a bug")
        equity = self.table["equity"]
        if (equity - equity.iloc[0]).abs().max() > 1e-6 * (1.0 + abs(equity.iloc[0])):
            raise PmkitError("the modes differ in equity", "one equity", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return one row a mode, USD."""
        frame = self.table.copy()
        frame.index.name = f"{self.account} under {self.rule}, USD"
        return frame.round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a mode."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with IM and MM of each mode as bars and equity as a line, USD."""
        axes = new_axes(ax)
        at = range(len(self.table))
        axes.bar([x - 0.2 for x in at], self.table["im"].to_list(), width=0.4, label="IM")
        axes.bar([x + 0.2 for x in at], self.table["mm"].to_list(), width=0.4, label="MM")
        axes.axhline(float(self.table["equity"].iloc[0]), color="black", linewidth=0.8, label="equity")
        axes.set_xticks(list(at), [str(name) for name in self.table.index])
        axes.set(ylabel="USD", title=f"{self.account} under {self.rule}")
        axes.legend()
        return axes


def gross_notional(portfolio: Portfolio, snapshot: MarketSnapshot) -> float:
    """Return the gross notional of the positions in USD: sizes times the index, signs ignored.

    Parameters
    ----------
    portfolio : Portfolio
    snapshot : MarketSnapshot

    Notes
    -----
    One contract counts its multiplier in coins at the index; of an inverse future or perpetual, its face in
    USD. Options count in full, whatever their delta.

    Examples
    --------
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 60_000.0})
    >>> row = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -100, "as_of": "2026-08-01"}
    >>> gross_notional(Portfolio.from_records([row]), snap)
    1000.0
    """
    return math.fsum(
        abs(p.qty)
        * p.instrument.multiplier
        * (
            snapshot.spot(p.instrument.underlying)
            if isinstance(p.instrument, (Option, Spot)) or not p.instrument.is_inverse
            else 1.0
        )
        for p in portfolio
    )


def margin_modes(
    account: Account,
    snapshot: MarketSnapshot,
    rule: str | AnyRule,
    *,
    allocation: Mapping[str, float] | None = None,
    stale: Stale = "error",
) -> Modes:
    """Return requirement, equity, ratio and margin call of an account in three modes, in USD.

    Parameters
    ----------
    account : Account
        At least one position.
    snapshot : MarketSnapshot
    rule : str or rule
    allocation : mapping of str to float, optional
        Share of the collateral that stands behind each instrument in isolated mode, sum 1; by initial margin
        where left out.
    stale : {"error", "warn"}
        For a rule given by name.

    Returns
    -------
    Modes

    Raises
    ------
    ParameterError
        No position, or an allocation that does not fit the positions.
    PmkitError
        Whatever the rule raises.

    Notes
    -----
    ``isolated``: every line stands alone with the collateral assigned to it, and is called and closed alone.
    ``cross``: the same requirements, summed, against all equity. ``portfolio``: the rule on the whole
    account. Under a rule that revalues collateral, its own requirement is a further charge of ``isolated``
    (shared out like the collateral) and ``cross``. Utilisation is MM over equity, efficiency the gross
    notional carried by one USD of IM, saving ``1 − IM/IM isolated``. The rule is asked once a position.
    """
    if not len(account.portfolio):
        raise ParameterError("the account has no position", "at least one", "modes compare positions")
    used = make_rule(rule, stale=stale) if isinstance(rule, str) else rule
    # the whole account first: a rule that keeps its cube then has every contract
    whole = used.requirement(account, snapshot)
    bare = replace(account, collateral={}, mmp_margin={}, open_order_margin={})
    alone = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)  # the whole account has given every warning
        for position in account.portfolio:
            one = account.portfolio.with_positions((position,))
            alone[position.instrument.name] = _usd(
                used.requirement(bare.with_portfolio(one), snapshot), snapshot
            )
        risk_im, risk_mm = _collateral_risk(used, account, snapshot)
    im, mm, equity = _usd(whole, snapshot)
    lines = _isolated(account, alone, equity, (risk_im, risk_mm), allocation)
    notional = gross_notional(account.portfolio, snapshot)
    sums = {"im": math.fsum(lines["im"]), "mm": math.fsum(lines["mm"])}
    rows = {
        "isolated": _row(sums["im"], sums["mm"], equity, notional, sums["im"]),
        "cross": _row(sums["im"], sums["mm"], equity, notional, sums["im"]),
        "portfolio": {
            **_row(im, mm, equity, notional, sums["im"]),
            "margin_ratio": whole.margin_ratio,
            "status": whole.status,
        },
    }
    order = ("ok", "below_im", "below_mm", "insolvent")
    rows["isolated"]["call"] = math.fsum(lines["call"])
    rows["isolated"]["margin_ratio"] = float(lines["margin_ratio"].max())
    rows["isolated"]["status"] = max(lines["status"], key=order.index)
    if whole.parts:
        rows["portfolio"]["call"] = math.fsum(
            max(0.0, -part.excess) * snapshot.usd_price(part.numeraire) for part in whole.parts.values()
        )
    return Modes(
        account=account.name,
        rule=f"{whole.rule} {whole.variant}".strip(),
        as_of=snapshot.as_of,
        table=pd.DataFrame.from_dict(rows, orient="index"),
        lines=lines,
        notional=notional,
        warnings=whole.warnings,
        provenance=Provenance(method="margin.modes", data={"portfolio": whole.provenance.id}),
        references=whole.cite(),
    )


def _usd(result: MarginResult, snapshot: MarketSnapshot) -> tuple[float, float, float]:
    """Return IM and MM against equity with option value, and equity, in USD."""
    rate = snapshot.usd_price(result.numeraire)
    return result.im_equity * rate, result.mm_equity * rate, result.equity * rate


def _collateral_risk(used: AnyRule, account: Account, snapshot: MarketSnapshot) -> tuple[float, float]:
    """Return the requirement of balances and obligations without positions, USD."""
    nothing: tuple[Position, ...] = ()
    only = account.with_portfolio(account.portfolio.with_positions(nothing))
    if not any(account.collateral.values()):
        # rules refuse an account without positions and balances; only those of one coin know obligations
        owed = (*account.mmp_margin.items(), *account.open_order_margin.items())
        known = isinstance(used, CoinRule)
        return math.fsum(x * account.price(c, snapshot) for c, x in owed if known), 0.0
    return _usd(used.requirement(only, snapshot), snapshot)[:2]


def _row(im: float, mm: float, equity: float, notional: float, isolated: float) -> dict[str, float | str]:
    ratio = im / equity if equity > 0.0 else math.inf if im > 0.0 else 0.0
    return {
        "im": im,
        "mm": mm,
        "equity": equity,
        "excess": equity - im,
        "margin_ratio": ratio,
        "call": max(im - equity, 0.0),
        "utilisation": mm / equity if equity > 0.0 else math.inf if mm > 0.0 else 0.0,
        "efficiency": notional / im if im > 0.0 else math.inf,
        "saving": 1.0 - im / isolated if isolated > 0.0 else math.nan,
        "status": _status(im, mm, equity),
    }


def _status(im: float, mm: float, equity: float) -> str:
    if equity <= 0.0 and im > 0.0:
        return "insolvent"
    return "below_mm" if equity < mm else "below_im" if equity < im else "ok"


def _isolated(
    account: Account,
    alone: Mapping[str, tuple[float, float, float]],
    equity: float,
    risk: tuple[float, float],
    allocation: Mapping[str, float] | None,
) -> pd.DataFrame:
    """Return the lines with their share of collateral; what a line is worth itself stays with it."""
    names = [p.instrument.name for p in account.portfolio]
    if allocation is None:
        needs = [max(alone[name][0], 0.0) for name in names]
        total = math.fsum(needs)
        shares = [n / total if total > 0.0 else 1.0 / len(names) for n in needs]
    else:
        unknown = [name for name in allocation if name not in alone]
        shares = [checked_share(f"allocation of {name}", allocation.get(name, 0.0)) for name in names]
        if unknown or abs(math.fsum(shares) - 1.0) > 1e-9:
            raise ParameterError(
                f"allocation of {unknown[0]}" if unknown else f"allocation sums to {math.fsum(shares):g}",
                "shares of the account's instruments that sum to 1",
                "correct the allocation",
            )
    collateral = equity - math.fsum(own for _, _, own in alone.values())
    rows = {}
    for name, share in zip(names, shares, strict=True):
        im, mm, own = alone[name]
        need, keep, worth = im + share * risk[0], mm + share * risk[1], own + share * collateral
        rows[name] = {
            "im": need,
            "mm": keep,
            "equity": worth,
            "margin_ratio": need / worth if worth > 0.0 else math.inf if need > 0.0 else 0.0,
            "call": max(need - worth, 0.0),
            "status": _status(need, keep, worth),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("instrument")
