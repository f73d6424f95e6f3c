"""Collateral where it is cheapest: which balance to pledge for which obligation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result
from pmkit.margin import tiered_haircut
from pmkit.optimize.linear.model import Affine, LinearModel
from pmkit.optimize.linear.solver import Solution, solve_linear
from pmkit.optimize.words import number_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Asset", "CollateralPlan", "Obligation", "Terms", "allocate_collateral"]


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A balance that can be pledged.

    Attributes
    ----------
    name : str
    balance : float
        Units, 0 or more.
    price : float
        USD per unit, positive.
    cost : float
        What pledging one USD of it costs a year, decimal: its yield elsewhere less what it earns here.
    """

    name: str
    balance: float
    price: float = 1.0
    cost: float = 0.0

    def __post_init__(self) -> None:
        for word, value, least in (("balance", self.balance, 0.0), ("price", self.price, 1e-300)):
            if not (math.isfinite(value) and value >= least):
                raise ParameterError(
                    f"{word} of {self.name} is {value!r}", "a finite number, 0 or more", "correct it"
                )
        if not math.isfinite(self.cost) or abs(self.cost) > 1.0:
            raise ParameterError(
                f"cost of {self.name} is {self.cost!r}",
                "a decimal a year, 0.05 for five per cent",
                "correct it",
            )


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How an obligation counts an asset.

    Attributes
    ----------
    haircuts : tuple of float
        Share that does not count, by tier, rising from 0 to 1.
    limits : tuple of float
        Upper ends in units of all tiers but the last, rising.
    share : float
        Most of the counted value that may come from this asset, 1 for no limit.
    """

    haircuts: tuple[float, ...] = (0.0,)
    limits: tuple[float, ...] = ()
    share: float = 1.0

    def __post_init__(self) -> None:
        tiered_haircut(0.0, self.limits, self.haircuts)
        if list(self.haircuts) != sorted(self.haircuts) or not 0.0 <= self.share <= 1.0:
            raise ParameterError(
                f"haircuts {self.haircuts} with share {self.share!r}",
                "haircuts that rise with the tiers, and a share from 0 to 1",
                "correct the terms: falling haircuts would reward concentration",
            )


@dataclass(frozen=True, kw_only=True)
class Obligation:
    """A requirement that takes collateral.

    Attributes
    ----------
    name : str
    amount : float
        USD of counted value that is needed, 0 or more.
    accepts : mapping of str to Terms
        By asset; what is not here is not eligible.
    """

    name: str
    amount: float
    accepts: Mapping[str, Terms] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.amount) and self.amount >= 0.0):
            raise ParameterError(
                f"obligation {self.name} is {self.amount!r}", "USD, 0 or more and finite", "correct it"
            )


@dataclass(frozen=True, kw_only=True, repr=False)
class CollateralPlan(Result):
    """Which balance covers which obligation.

    Attributes
    ----------
    status : {"optimal", "infeasible"}
    words : str
    cost : float
        USD a year.
    bound : float
        No allocation costs less.
    pledged : DataFrame
        One row a pledge: ``asset``, ``obligation``, ``units``, ``gross`` and ``counted`` (USD), ``cost``.
    prices : DataFrame
        ``price`` of each obligation (USD a year for one USD more) and of each scarce balance (USD a year
        that one USD more of it saves).
    shortfall : mapping of str to float
        USD by which obligations stay uncovered; empty where all are covered.
    """

    status: str
    words: str
    cost: float
    bound: float
    pledged: pd.DataFrame
    prices: pd.DataFrame
    obligations: tuple[Obligation, ...] = field(repr=False)
    assets: tuple[Asset, ...] = field(repr=False)
    shortfall: Mapping[str, float] = field(default_factory=dict)
    references: tuple[str, ...] = ("huangfu2018",)

    def check(self) -> None:
        """Raise where a balance is overdrawn, or an obligation not covered by the haircut table itself."""
        for asset in self.assets:
            used = math.fsum(self.pledged.loc[self.pledged["asset"] == asset.name, "units"])
            if used > asset.balance * (1.0 + 1e-9) + 1e-9:
                raise PmkitError(
                    f"{used:g} {asset.name} pledged of {asset.balance:g}", "no more", "report a bug"
                )
        for obligation in self.obligations:
            counted = math.fsum(self._counted(obligation))
            missing = obligation.amount - self.shortfall.get(obligation.name, 0.0) - counted
            if missing > 1e-8 * max(1.0, obligation.amount):
                raise PmkitError(
                    f"{obligation.name} is short of {missing:g} USD", "full cover", "report this as a bug"
                )
        if self.status == "optimal" and self.cost - self.bound > 1e-8 * max(1.0, abs(self.cost)):
            raise PmkitError(f"cost {self.cost:g} above the bound {self.bound:g}", "no gap", "report a bug")

    def _counted(self, obligation: Obligation) -> list[float]:
        prices = {a.name: a.price for a in self.assets}
        rows = self.pledged[self.pledged["obligation"] == obligation.name]
        pledges = zip(rows["asset"].astype(str), rows["units"].to_numpy(dtype=np.float64), strict=True)
        found = []
        for asset, units in pledges:
            terms = obligation.accepts[asset]
            cut = tiered_haircut(float(units), terms.limits, terms.haircuts)
            found.append(prices[asset] * (float(units) - cut))
        return found

    def summary(self) -> pd.DataFrame:
        """Return one row an obligation: amount, counted value, gross value pledged and cost a year, USD."""
        grouped = self.pledged.groupby("obligation")[["gross", "counted", "cost"]].sum()
        frame = pd.DataFrame({"amount": {o.name: o.amount for o in self.obligations}}, dtype="float64").join(
            grouped
        )
        frame.index.name = f"collateral: {self.status}"
        return frame.fillna(0.0).round(6)

    def to_frame(self) -> pd.DataFrame:
        """Return the pledges."""
        return self.pledged.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the counted value of every asset by obligation as stacked bars, USD."""
        axes = new_axes(ax)
        names = [o.name for o in self.obligations]
        left = np.zeros(len(names))
        for asset, rows in self.pledged.groupby("asset", sort=False):
            widths = rows.set_index("obligation")["counted"].reindex(names).fillna(0.0).to_numpy()
            axes.barh(names, widths, left=left, label=str(asset))
            left = left + widths
        axes.invert_yaxis()
        axes.set(xlabel="counted value, USD", title="Collateral by obligation")
        axes.legend()
        return axes


def allocate_collateral(assets: Sequence[Asset], obligations: Sequence[Obligation]) -> CollateralPlan:
    """Return the pledges that cover every obligation at the least cost a year, USD.

    Parameters
    ----------
    assets : sequence of Asset
    obligations : sequence of Obligation

    Returns
    -------
    CollateralPlan
        ``infeasible`` with the least shortfall, by obligation, where the balances do not suffice.

    Raises
    ------
    ParameterError
        A name twice.
    DataGapError
        No asset or no obligation, or terms for an asset that is not there.

    Notes
    -----
    With u units of asset a in tier t of obligation o, ``min sum c_a p_a u`` under ``sum p_a (1 - h_t) u >=
    R_o``, ``sum u <= B_a``, tier widths, and ``counted_ao <= s_ao sum counted_o``. Haircuts that rise make
    the counted value concave, so tiers fill in order by themselves.

    Examples
    --------
    >>> cash = Asset(name="USDC", balance=100.0, cost=0.05)
    >>> coin = Asset(name="BTC", balance=2.0, price=100.0, cost=0.01)
    >>> need = Obligation(name="A", amount=120.0, accepts={"USDC": Terms(), "BTC": Terms(haircuts=(0.5,))})
    >>> plan = allocate_collateral([cash, coin], [need])
    >>> plan.status, round(plan.cost, 6)
    ('optimal', 3.0)
    """
    _check(assets, obligations)
    found, model, pledges = _solve(assets, obligations, short=False)
    if found.status == "optimal":
        what = number_of(len(obligations), "obligation")
        verb = "is" if len(obligations) == 1 else "are"
        words = f"optimal: {what} {verb} covered for {found.value:.6g} USD a year"
        return _plan(assets, obligations, found, pledges, model, {}, words)
    found, model, pledges = _solve(assets, obligations, short=True)
    columns = {name: at for at, name in enumerate(model.names)}
    short = {o.name: float(found.point[columns[f"short {o.name}"]]) for o in obligations}
    short = {name: x for name, x in short.items() if x > 1e-9}
    gaps = "; ".join(f"{name} by {x:.6g} USD" for name, x in short.items())
    return _plan(
        assets, obligations, found, pledges, model, short, f"infeasible: the balances leave short {gaps}"
    )


_Pledge = tuple[Asset, Obligation, list[tuple[int, float]]]


def _check(assets: Sequence[Asset], obligations: Sequence[Obligation]) -> None:
    if not assets or not obligations:
        raise DataGapError(
            f"{number_of(len(assets), 'asset')} and {number_of(len(obligations), 'obligation')}",
            "one of each at least",
            "add them",
        )
    for what, names in (("asset", [a.name for a in assets]), ("obligation", [o.name for o in obligations])):
        if len(set(names)) < len(names):
            raise ParameterError(
                f"two of one name among {names}", f"each {what} once", "rename or add them up"
            )
    known = {a.name for a in assets}
    for obligation in obligations:
        missing = [name for name in obligation.accepts if name not in known]
        if missing:
            raise DataGapError(
                f"{obligation.name} has terms for {missing[0]!r}",
                f"one of {', '.join(known)}",
                "add the balance",
            )


def _solve(
    assets: Sequence[Asset], obligations: Sequence[Obligation], *, short: bool
) -> tuple[Solution, LinearModel, list[_Pledge]]:
    """Return the solution, with uncovered amounts minimised instead of cost where ``short``."""
    model, pledges, cost = LinearModel(), [], []
    for obligation in obligations:
        counted: dict[str, Affine] = {}
        for asset in assets:
            terms = obligation.accepts.get(asset.name)
            if terms is None:
                continue
            edges = [0.0, *terms.limits, math.inf]
            columns = [
                (model.column(f"{asset.name} {obligation.name}", 0.0, high - low), asset.price * (1.0 - rate))
                for rate, low, high in zip(terms.haircuts, edges[:-1], edges[1:], strict=True)
            ]
            counted[asset.name] = Affine.of(columns)
            pledges.append((asset, obligation, columns))
            cost += [(column, asset.cost * asset.price) for column, _ in columns]
        total = Affine.total(counted.values())
        for name, value in counted.items():
            share = obligation.accepts[name].share
            if share < 1.0:
                limit = Affine.total([value, total.times(-share)])
                model.row(limit, -math.inf, 0.0, f"share of {name} in {obligation.name}", "USD")
        lacking = [(model.column(f"short {obligation.name}"), 1.0)] if short else []
        need = Affine.total([total, Affine.of(lacking)])
        model.row(need, obligation.amount, math.inf, f"obligation {obligation.name}", "USD")
    for asset in assets:
        used = [(c, 1.0) for a, _, columns in pledges if a is asset for c, _ in columns]
        if used:
            model.row(Affine.of(used), -math.inf, asset.balance, f"balance {asset.name}", asset.name)
    names = {name: at for at, name in enumerate(model.names)}
    lacking_all = [(names[f"short {o.name}"], 1.0) for o in obligations] if short else []
    return solve_linear(model, Affine.of(lacking_all if short else cost)), model, pledges


def _plan(
    assets: Sequence[Asset], obligations: Sequence[Obligation], found: Solution, pledges: list[_Pledge],
    model: LinearModel, short: Mapping[str, float], words: str,
) -> CollateralPlan:  # fmt: skip
    rows = []
    for asset, obligation, columns in pledges:
        units = math.fsum(float(found.point[c]) for c, _ in columns)
        if units > 1e-9 * max(1.0, asset.balance):
            terms = obligation.accepts[asset.name]
            counted = asset.price * (units - tiered_haircut(units, terms.limits, terms.haircuts))
            gross = units * asset.price
            rows.append((asset.name, obligation.name, units, gross, counted, gross * asset.cost))
    pledged = pd.DataFrame(rows, columns=["asset", "obligation", "units", "gross", "counted", "cost"])
    prices = {}
    for limit in model.limits if not short else ():
        # a balance is priced in units, and shown per USD of it
        unit = next((a.price for a in assets if limit.name == f"balance {a.name}"), 1.0)
        price = abs(float(found.row_price[limit.row])) / unit
        if price > 1e-12:
            prices[limit.name] = price
    plan = CollateralPlan(
        status="infeasible" if short else "optimal",
        words=words,
        cost=math.fsum(pledged["cost"]),
        bound=math.nan if short else found.bound,
        pledged=pledged,
        prices=pd.DataFrame({"price": pd.Series(prices, dtype="float64")}),
        obligations=tuple(obligations),
        assets=tuple(assets),
        shortfall=dict(short),
    )
    plan.check()
    return plan
