"""A requirement from net Greeks, for teaching and monitoring, and how far it is from full revaluation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.margin.accounts.account import Account
from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.greek_charges.exposures import exposures
from pmkit.market.snapshot import MarketSnapshot
from pmkit.risk import revalue
from pmkit.scenarios import Factor, ScenarioSet, TermScaling

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GreekCharges", "greek_charges"]


@dataclass(frozen=True, kw_only=True, repr=False)
class GreekCharges(Result):
    """Charges for net delta, gamma and vega by underlying, beside full revaluation, in USD.

    Attributes
    ----------
    account : str
    as_of : pandas.Timestamp
    table : pandas.DataFrame
        One row an underlying: ``delta``, ``gamma``, ``vega`` (net, USD as :func:`exposures`),
        ``delta_charge``, ``gamma_charge``, ``vega_charge``, ``charge`` (their sum), ``taylor`` (worst loss of
        the second-order expansion over the grid), ``full`` (worst loss of full revaluation over the grid),
        ``gap`` (charge less full).
    scenarios : pandas.DataFrame
        One row an underlying and grid point: ``underlying``, ``spot``, ``vol`` (relative moves), ``taylor``
        and ``full`` (profit, USD) and ``error`` (taylor less full).
    """

    account: str
    as_of: pd.Timestamp
    table: pd.DataFrame
    scenarios: pd.DataFrame
    provenance: Provenance = field(default_factory=lambda: Provenance(method="margin.greek_charges"))
    references: tuple[str, ...] = ("black1976",)

    @property
    def charge(self) -> float:
        """Sum of all charges, USD; no offset between underlyings."""
        return math.fsum(self.table["charge"])

    @property
    def gap(self) -> float:
        """Charges less the worst losses of full revaluation, summed over underlyings, USD."""
        return math.fsum(self.table["gap"])

    def check(self) -> None:
        """Raise where charges do not add up, or fall short of the worst loss of their own expansion."""
        t = self.table
        total = t["delta_charge"] + t["gamma_charge"] + t["vega_charge"]
        scale = 1e-9 * (1.0 + t["charge"].abs())
        if ((total - t["charge"]).abs() > scale).any() or (t["taylor"] > t["charge"] + scale).any():
            raise PmkitError("charges do not cover their own expansion", "a bound", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return the charges, the worst full loss and the gap by underlying, USD."""
        columns = ["delta_charge", "gamma_charge", "vega_charge", "charge", "taylor", "full", "gap"]
        frame = self.table[columns].copy()
        if len(frame) > 1:
            frame.loc["all"] = frame.sum()
        return frame.round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return one row an underlying and grid point."""
        return self.scenarios.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the profit by spot move without vol move, expansion against full, USD."""
        axes = new_axes(ax)
        for name, rows in self.scenarios[self.scenarios["vol"] == 0.0].groupby("underlying", sort=False):
            axes.plot(100.0 * rows["spot"].to_numpy(), rows["full"].to_numpy(), label=f"{name} full")
            axes.plot(
                100.0 * rows["spot"].to_numpy(), rows["taylor"].to_numpy(), "--", label=f"{name} expansion"
            )
        axes.axhline(0.0, color="black", linewidth=0.8)
        axes.set(xlabel="spot move, %", ylabel="profit, USD", title=f"{self.account}: Greeks and revaluation")
        axes.legend()
        return axes


def greek_charges(
    account: Account,
    snapshot: MarketSnapshot,
    *,
    price_range: float | Mapping[str, float],
    vol_up: float = 0.0,
    vol_down: float = 0.0,
    vol_term: TermScaling = TermScaling(),  # noqa: B008 (frozen)
    steps: int = 8,
) -> GreekCharges:
    """Return charges for net delta, gamma and vega in USD, with the gap to full revaluation.

    Parameters
    ----------
    account : Account
        Its positions; collateral plays no part.
    snapshot : MarketSnapshot
    price_range : float or mapping of str to float
        Largest relative spot move m, by underlying or for all, above 0 and below 1.
    vol_up, vol_down : float
        Relative vol moves up (0 or more) and down (0 to 1) at the reference tenor.
    vol_term : TermScaling
        How the vol move reaches other tenors.
    steps : int
        Spot moves of the grid on each side, 1 or more.

    Returns
    -------
    GreekCharges

    Raises
    ------
    DataGapError
        The account has no position, or an underlying without a range.
    ParameterError
        A move outside its range.
    LookAheadError
        The snapshot is older than the account.

    Notes
    -----
    By underlying: delta ``|Δ| m``; gamma ``max(0, −Γ m²/2)``; vega, expiry by expiry without offset,
    ``Σ_T max(−ν_T u_T, ν_T d_T, 0)`` with u and d the moves at the tenor and ν the net vega of the expiry.
    The sum bounds the loss of the expansion ``Δx + Γx²/2 + Σ ν y`` on the grid. Full revaluation moves all
    expiries together and keeps what the expansion drops: where a book is short far strikes its loss is larger
    than any charge from Greeks at the money.

    References
    ----------
    Black (1976).
    """
    account.check_against(snapshot)
    portfolio = account.portfolio
    if not len(portfolio):
        raise DataGapError(f"account {account.name!r} has no position", "at least one", "add its positions")
    checked_number("vol_up", vol_up, low=0.0)
    checked_number("vol_down", vol_down, low=0.0, high=1.0)
    checked_number("steps", steps, low=1)
    lines = exposures(portfolio, snapshot)
    scale = np.array([0.0 if math.isnan(d) else vol_term.scale(d) for d in lines["days"]])
    lines["scaled"] = lines["vega_relative"] * scale
    rows, frames = {}, []
    for name, group in lines.groupby("underlying", sort=False):
        underlying = str(name)
        reach = price_range if isinstance(price_range, (int, float)) else price_range.get(underlying)
        if reach is None:
            raise DataGapError(f"no price range of {underlying}", "one for each underlying", "add it")
        checked_number(f"price range of {underlying}", reach, low=0.0, high=1.0 - 1e-9, open_low=True)
        delta, gamma = math.fsum(group["delta"]), math.fsum(group["gamma"])
        nets = [math.fsum(v) for _, v in group.dropna(subset="expiry").groupby("expiry")["scaled"]]
        charges = {
            "delta_charge": abs(delta) * reach,
            "gamma_charge": max(0.0, -0.5 * gamma * reach**2),
            "vega_charge": math.fsum(max(-v * vol_up, v * vol_down, 0.0) for v in nets),
        }
        moves = np.linspace(-reach, reach, 2 * int(steps) + 1)
        moves[int(steps)] = 0.0
        levels = sorted({0.0, float(vol_up), -float(vol_down)})
        points = np.array([[x, y] for y in levels for x in moves])
        grid = ScenarioSet(
            name=f"{underlying} grid",
            factors=(Factor("spot", underlying), Factor("vol", underlying)),
            shocks=points,
            horizon_days=0.0,
            dynamics="sticky_strike",
            spot_unit="relative",
            vol_unit="relative",
            vol_term=vol_term,
        )
        book = portfolio.of_underlying(underlying)
        full = revalue(book, snapshot, grid).account_pnl(book)
        x, y = points.T
        taylor = delta * x + 0.5 * gamma * x**2 + math.fsum(nets) * y
        rows[underlying] = {
            "delta": delta,
            "gamma": gamma,
            "vega": math.fsum(group["vega"]),
            **charges,
            "charge": math.fsum(charges.values()),
            "taylor": max(0.0, -float(taylor.min())),
            "full": max(0.0, -float(full.min())),
        }
        frames.append(
            pd.DataFrame(
                {"underlying": underlying, "spot": x, "vol": y, "taylor": taylor, "full": full,
                 "error": taylor - full}
            )
        )  # fmt: skip
    table = pd.DataFrame.from_dict(rows, orient="index")
    table["gap"] = table["charge"] - table["full"]
    table.index.name = "underlying"
    return GreekCharges(
        account=account.name,
        as_of=snapshot.as_of,
        table=table,
        scenarios=pd.concat(frames, ignore_index=True),
        provenance=Provenance(
            method="margin.greek_charges",
            data={"snapshot": snapshot.fingerprint},
            parameters={"vol_up": vol_up, "vol_down": vol_down, "steps": int(steps)},
        ),
    )
