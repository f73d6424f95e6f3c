"""What balances count for after haircuts and limits, with every step, and what a debt must carry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import ConventionError, DataGapError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.margin.accounts.account import STABLECOINS, Account
from pmkit.margin.accounts.numbers import checked_number, checked_share
from pmkit.margin.collateral.terms import collateral_terms
from pmkit.margin.collateral.tiers import tiered_haircut
from pmkit.margin.parameters import ParameterSet, Stale
from pmkit.margin.result import Step
from pmkit.margin.schemas import CollateralTierParameters
from pmkit.market.snapshot import MarketSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CollateralValue", "collateral_value"]


@dataclass(frozen=True, kw_only=True, repr=False)
class CollateralValue(Result):
    """Balances in USD after haircuts and limits.

    Attributes
    ----------
    as_of : pandas.Timestamp
    param_set : str
        Id of the dated table of haircuts.
    param_set_age_days : float
    table : pandas.DataFrame
        One row a currency that counts: ``balance`` (units), ``price`` (USD), ``gross`` (USD), ``tiers``,
        ``dynamic`` and ``limit`` (USD taken off by tiers, by what a dynamic haircut adds, by the share
        limit), ``value`` (USD, negative for a debt), ``haircut`` (share of gross), ``borrow_im``,
        ``borrow_mm`` (USD).
    not_eligible : mapping of str to float
        Balances that the table does not name, in units; they count zero.
    steps : tuple of Step
    """

    as_of: pd.Timestamp
    param_set: str
    param_set_age_days: float
    table: pd.DataFrame
    not_eligible: Mapping[str, float] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    provenance: Provenance = field(default_factory=lambda: Provenance(method="margin.collateral_value"))
    references: tuple[str, ...] = ()

    @property
    def gross(self) -> float:
        """Value of the balances that count before haircuts, debts taken off, USD."""
        return math.fsum(self.table["gross"])

    @property
    def value(self) -> float:
        """Value after haircuts and limits, debts taken off in full, USD."""
        return math.fsum(self.table["value"])

    @property
    def borrow_im(self) -> float:
        """Initial margin of the debts, USD, positive."""
        return math.fsum(self.table["borrow_im"])

    @property
    def borrow_mm(self) -> float:
        """Maintenance margin of the debts, USD, positive."""
        return math.fsum(self.table["borrow_mm"])

    def check(self) -> None:
        """Raise where value is not gross less the three cuts, or an asset counts below 0 or above gross."""
        t = self.table
        gap = (t["gross"] - t["tiers"] - t["dynamic"] - t["limit"] - t["value"]).abs()
        outside = (t["gross"] >= 0.0) & ((t["value"] < -1e-9) | (t["value"] > t["gross"] * (1.0 + 1e-12)))
        if (gap > 1e-9 * (1.0 + t["gross"].abs())).any() or outside.any():
            raise PmkitError("collateral does not add up", "gross less cuts", "report this as a bug")

    def explain(self) -> pd.DataFrame:
        """Return every step: clause, meaning, value, unit, published or assumed."""
        return pd.DataFrame(list(self.steps), columns=list(Step._fields))

    def summary(self) -> pd.DataFrame:
        """Return one row a currency, what is not eligible included, and the total, in USD."""
        frame = self.table[["balance", "price", "gross", "value", "haircut"]].copy()
        for currency, amount in self.not_eligible.items():
            frame.loc[f"{currency} (not eligible)"] = [amount, math.nan, 0.0, 0.0, 1.0]
        share = 1.0 - self.value / self.gross if self.gross > 0.0 else math.nan
        frame.loc["total"] = [math.nan, math.nan, self.gross, self.value, share]
        frame.index.name = self.param_set
        return frame.round(8)

    def to_frame(self) -> pd.DataFrame:
        """Return one row a currency with every column."""
        return self.table.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with value and cuts of every currency as stacked bars, USD."""
        axes = new_axes(ax)
        names, left = list(self.table.index), [0.0] * len(self.table)
        for column in ("value", "tiers", "dynamic", "limit"):
            widths = self.table[column].to_list()
            axes.barh(names, widths, left=left, label=column if column == "value" else f"cut: {column}")
            left = [a + b for a, b in zip(left, widths, strict=True)]
        axes.invert_yaxis()
        axes.set(xlabel="USD", title=f"Collateral under {self.param_set}")
        axes.legend()
        return axes


def collateral_value(
    balances: Mapping[str, float] | Account,
    snapshot: MarketSnapshot,
    terms: str | ParameterSet,
    *,
    dynamic: Mapping[str, float] | None = None,
    prices: Mapping[str, float] | None = None,
    stale: Stale = "error",
    revalued: bool = False,
) -> CollateralValue:
    """Return what balances count for in USD after haircuts by tier, dynamic haircuts and share limits.

    Parameters
    ----------
    balances : mapping of str to float, or Account
        Units by currency, negative for a debt; of an account, its collateral and the unrealised profit of
        its futures and perpetuals by settlement currency.
    snapshot : MarketSnapshot
    terms : str or ParameterSet
        Name of a venue's table at the snapshot's date, or a set of :func:`collateral_terms`.
    dynamic : mapping of str to float, optional
        Haircut by currency from volatility and liquidity, 0 to 1; each tier is cut by the larger of the
        two. See :func:`dynamic_haircuts`.
    prices : mapping of str to float, optional
        USD per unit of currencies that the snapshot does not price.
    stale : {"error", "warn"}
        For ``terms`` given by name.
    revalued : bool
        Whether the requirement moves these balances in its scenarios. A haircut on top is refused.

    Returns
    -------
    CollateralValue

    Raises
    ------
    ConventionError
        Haircuts on balances that the scenarios revalue, or a currency that has no price.
    ParameterError
        A dynamic haircut outside 0 to 1, a price that is not positive.
    DataGapError
        No balance at all, or a debt in a currency that the table does not name.
    RuleVersionError
        No table for the date.

    Notes
    -----
    In this order: (1) price; (2) tiers, each at its own rate; (3) what a dynamic haircut takes beyond the
    tiers; (4) share limit: of each currency at most ``share_limit`` of the value of all assets after (3)
    counts. Debts count in full and carry ``borrow_im_rate`` and ``borrow_mm_rate`` of their size. A limit in
    units or USD is a last tier with haircut 1. Currencies that the table does not name count zero.

    Examples
    --------
    >>> snap = MarketSnapshot.from_marks("2025-01-15T00:00:00Z", {"BTC": 100_000.0})
    >>> found = collateral_value({"BTC": 22.0, "USD": -1e5}, snap, "okx")
    >>> round(found.gross), round(found.value), round(found.borrow_im)
    (2100000, 2055500, 10000)
    """
    if revalued:
        raise ConventionError(
            "haircuts on balances that the scenarios revalue",
            "one of the two: a haircut, or revaluation in the scenarios",
            "leave the haircuts out under this rule, or margin the positions alone",
        )
    held = balances.balances(snapshot) if isinstance(balances, Account) else dict(balances)
    chosen = collateral_terms(terms, snapshot.as_of, stale=stale) if isinstance(terms, str) else terms
    amounts = {c: checked_number(f"balance of {c}", x) for c, x in held.items() if x != 0.0}
    if not amounts:
        raise DataGapError("there is no balance", "at least one balance other than 0", "add collateral")
    rows = {}
    for currency, amount in amounts.items():
        if chosen.covers(currency):
            price = _price(currency, snapshot, prices)
            rows[currency] = _row(amount, price, chosen.table(currency), (dynamic or {}).get(currency, 0.0))
        elif amount < 0.0:
            raise DataGapError(
                f"a debt of {-amount:g} {currency}, which {chosen.id} does not name",
                f"debts in {', '.join(chosen.tables)}",
                "repay it, or use a table that says what it carries",
            )
    counted = math.fsum(max(row["gross"] - row["tiers"] - row["dynamic"], 0.0) for row in rows.values())
    for currency, row in rows.items():
        left = row["gross"] - row["tiers"] - row["dynamic"]
        cap = chosen.table(currency).share_limit * counted
        row["limit"] = max(left - cap, 0.0)
        row["value"] = left - row["limit"]
        row["haircut"] = 1.0 - row["value"] / row["gross"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=_COLUMNS, dtype="float64")
    table.index.name = "currency"
    return CollateralValue(
        as_of=snapshot.as_of,
        param_set=chosen.id,
        param_set_age_days=chosen.age_days(snapshot.as_of),
        table=table,
        not_eligible={c: x for c, x in amounts.items() if c not in rows},
        steps=_steps(table, chosen),
        provenance=Provenance(
            method="margin.collateral_value",
            data={
                "balances": fingerprint(amounts),
                "snapshot": snapshot.fingerprint,
                "parameters": chosen.checksum,
            },
            parameters={"set": chosen.id, "dynamic": dict(dynamic or {})},
        ),
    )


_COLUMNS = [
    "balance", "price", "gross", "tiers", "dynamic", "limit", "value", "haircut", "borrow_im", "borrow_mm",
]  # fmt: skip


def _price(currency: str, snapshot: MarketSnapshot, prices: Mapping[str, float] | None) -> float:
    """Return USD per unit: given, else that of the snapshot."""
    if prices and currency in prices:
        return checked_number(f"price of {currency}", prices[currency], low=0.0, open_low=True, unit="of USD")
    known = dict.fromkeys((*STABLECOINS, *snapshot.fx, *snapshot.underlyings))
    if currency not in known:
        raise ConventionError(
            f"collateral currency {currency!r} has no price in snapshot {snapshot.source}",
            f"one of {', '.join(known)}, or a price in prices",
            "give its price, or remove it",
        )
    return snapshot.usd_price(currency)


def _row(amount: float, price: float, terms: CollateralTierParameters, dynamic: float) -> dict[str, float]:
    """Return balance, price, gross and the first two cuts of one currency, and the margin of a debt."""
    checked_share("dynamic haircut", dynamic)
    gross = amount * price
    row = {"balance": amount, "price": price, "gross": gross, "tiers": 0.0, "dynamic": 0.0}
    if amount < 0.0:
        owed = {"borrow_im": -gross * terms.borrow_im_rate, "borrow_mm": -gross * terms.borrow_mm_rate}
        return {**row, **owed}
    unit = price if terms.tier_unit == "coin" else 1.0
    size = amount if terms.tier_unit == "coin" else gross
    row["tiers"] = unit * tiered_haircut(size, terms.tier_limits, terms.tier_haircuts)
    both = unit * tiered_haircut(size, terms.tier_limits, terms.tier_haircuts, floor=dynamic)
    row["dynamic"] = both - row["tiers"]
    return {**row, "borrow_im": 0.0, "borrow_mm": 0.0}


def _steps(table: pd.DataFrame, terms: ParameterSet) -> tuple[Step, ...]:
    steps = []
    for currency, row in table.to_dict(orient="index").items():
        steps.append(Step("COL-1", f"{currency} at the index", row["gross"], "USD", "data"))
        if row["gross"] < 0.0:
            rates = terms.status["borrow_im_rate"]
            steps.append(
                Step("COL-5", f"initial margin of the {currency} debt", row["borrow_im"], "USD", rates)
            )
            steps.append(
                Step("COL-5", f"maintenance margin of the {currency} debt", row["borrow_mm"], "USD", rates)
            )
            continue
        steps.append(
            Step("COL-2", f"{currency}: cut by tiers", row["tiers"], "USD", terms.status["tier_haircuts"])
        )
        steps.append(Step("COL-3", f"{currency}: dynamic cut beyond", row["dynamic"], "USD", "assumed"))
        steps.append(
            Step(
                "COL-4",
                f"{currency}: beyond the share limit",
                row["limit"],
                "USD",
                terms.status["share_limit"],
            )
        )
        steps.append(Step("COL-4", f"{currency} counts", row["value"], "USD"))
    return tuple(steps)
