"""The margin call: what is missing, in which currency, and what must be paid in after a haircut."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.liquidation.standing import Against
from pmkit.margin.accounts.numbers import checked_number
from pmkit.margin.result import MarginResult
from pmkit.market.snapshot import MarketSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MarginCall", "margin_call"]


@dataclass(frozen=True, kw_only=True, repr=False)
class MarginCall(Result):
    """What an account must pay in to meet a requirement.

    Attributes
    ----------
    account, rule, against : str
    table : pandas.DataFrame
        One row a numeraire (a coin under rules that answer coin by coin): ``equity``, ``required``, ``call``,
        ``deposit`` (call before the haircut of what is paid in), all in it; ``call_usd``; ``status``.
    """

    account: str
    rule: str
    against: str
    table: pd.DataFrame
    provenance: Provenance = field(default_factory=lambda: Provenance(method="liquidation.margin_call"))
    references: tuple[str, ...] = ()

    @property
    def usd(self) -> float:
        """Sum of the calls at the index, USD; what one coin has too much does not help another."""
        return math.fsum(self.table["call_usd"])

    @property
    def status(self) -> str:
        """The worst status of the rows."""
        order = ("ok", "below_im", "below_mm", "insolvent")
        return max((str(s) for s in self.table["status"]), key=order.index)

    def check(self) -> None:
        """Raise where equity and call together miss the requirement."""
        t = self.table
        short = (t["equity"] + t["call"] - t["required"]).min()
        if short < -1e-9 * (1.0 + t["required"].abs().max()):
            raise PmkitError(f"the call is {-short:g} short", "a call that suffices", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return one row a numeraire."""
        frame = self.table.copy()
        frame.index.name = f"{self.account} under {self.rule}, {self.against}"
        return frame.round(8)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with equity and what is missing of each numeraire, as a share of the requirement."""
        axes = new_axes(ax)
        names = [str(name) for name in self.table.index]
        needed = self.table["required"].where(self.table["required"] > 0.0)
        have = (self.table["equity"].clip(lower=0.0) / needed).clip(upper=1.0).fillna(1.0)
        axes.barh(names, (100.0 * have).to_list(), label="equity")
        missing = (self.table["call"] / needed).fillna(0.0)
        axes.barh(names, (100.0 * missing).to_list(), left=(100.0 * have).to_list(), label="call")
        axes.set(xlabel=f"% of {self.against.upper()}", title=f"{self.account} under {self.rule}")
        axes.legend()
        return axes


def margin_call(
    result: MarginResult,
    snapshot: MarketSnapshot,
    *,
    against: Against = "im",
    haircuts: Mapping[str, float] | None = None,
) -> MarginCall:
    """Return what must be paid in so that equity meets a requirement, by numeraire.

    Parameters
    ----------
    result : MarginResult
    snapshot : MarketSnapshot
        For amounts in USD.
    against : {"im", "mm"}
    haircuts : mapping of str to float, optional
        Haircut of what is paid in, by numeraire, 0 or more and below 1; none where left out.

    Returns
    -------
    MarginCall

    Raises
    ------
    ParameterError
        A haircut that is negative or takes everything.

    Notes
    -----
    ``call = max(0, requirement − equity)``, ``deposit = call/(1 − h)``. Exact for cash in the numeraire. A
    coin paid in under a rule that revalues collateral brings risk of its own: ask the rule again.

    Examples
    --------
    >>> import pandas as pd
    >>> from pmkit.margin.result import WorstScenario
    >>> snap = MarketSnapshot.from_marks("2026-08-01T00:00:00Z", {"BTC": 60_000.0})
    >>> short = MarginResult(rule="r", variant="", account="a", as_of=snap.as_of, param_set="p",
    ...     param_set_age_days=0.0, numeraire="USD", im=100.0, mm=80.0, basis="pnl", equity=82.0,
    ...     collateral_treatment="revalued", worst_scenario=WorstScenario("w", -90.0))
    >>> round(float(margin_call(short, snap, haircuts={"USD": 0.1}).table["deposit"].iloc[0]), 8)
    20.0
    """
    rows = {}
    for part in result.parts.values() or [result]:
        haircut = (haircuts or {}).get(part.numeraire, 0.0)
        checked_number(f"haircut of {part.numeraire}", haircut, low=0.0, high=1.0 - 1e-9)
        required = part.im_equity if against == "im" else part.mm_equity
        call = max(0.0, required - part.equity)
        rows[part.numeraire] = {
            "equity": part.equity,
            "required": required,
            "call": call,
            "deposit": call / (1.0 - haircut),
            "call_usd": call * snapshot.usd_price(part.numeraire),
            "status": part.status,
        }
    return MarginCall(
        account=result.account,
        rule=f"{result.rule} {result.variant}".strip(),
        against=against,
        table=pd.DataFrame.from_dict(rows, orient="index").rename_axis("numeraire"),
        provenance=Provenance(method="liquidation.margin_call", data={"result": result.provenance.id}),
        references=result.cite(),
    )
