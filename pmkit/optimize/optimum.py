"""What comes out of a problem: trades, prices of what binds, and the proof that nothing is better."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.margin import Account
from pmkit.optimize.words import one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Optimum"]

#: relative difference between a rule's own value and the programme's that is rounding
TIE_OUT = 1e-8


@dataclass(frozen=True, kw_only=True, repr=False)
class Optimum(Result):
    """Solution of a problem.

    Attributes
    ----------
    status : str
        ``optimal``; ``gap`` where a part is not convex and the distance to the bound is in ``gap``;
        ``no_trade`` where standing still is best; ``lots_too_coarse`` where a trade in any size would help
        and none in whole lots does; ``infeasible``; ``unbounded``.
    words : str
        The status in a sentence; for the last two which constraints or legs are behind it.
    objective, unit : str
    before, value : float
        Objective before the trades and after them, by the definition of the term, never by the programme.
    programme : float
        The same after them by the programme.
    bound : float
        No trade can bring the objective below it.
    gap : float
        Value less rounding less bound, relative to the larger of the objective before and after, 0 or more.
    left_out : float
        Part of the value that the programme does not carry.
    rounding : float
        Largest amount by which the rule rounds its value.
    trades : DataFrame
        One row a trade: ``before``, ``trade``, ``after`` (contracts), ``cost`` (USD).
    terms : DataFrame
        One row a term of objective and limits: ``unit``, ``before``, ``after``, ``limit``.
    prices : DataFrame
        One row a binding limit: ``side``, ``limit``, ``unit``, ``price``: by how much the objective would
        fall if the limit were one unit wider; where several prices are right, one of them. In a mixed-integer
        problem at the lots chosen.
    relaxation : DataFrame
        For an infeasible problem one row a limit that must give: ``missed``, ``unit``.
    account : Account
        After the trades, at marks, costs not booked.
    kind : str
        ``linear programme`` or ``quadratic programme``, with ``mixed-integer`` where there are binaries or
        lots.
    rounds, rows : int
        Rounds in which scenario rows were added, and rows at the end.
    """

    status: str
    words: str
    objective: str
    unit: str
    before: float
    value: float
    programme: float
    bound: float
    gap: float
    left_out: float
    rounding: float
    trades: pd.DataFrame
    terms: pd.DataFrame
    prices: pd.DataFrame
    relaxation: pd.DataFrame
    account: Account
    kind: str
    rounds: int
    rows: int
    provenance: Provenance = field(default_factory=lambda: Provenance(method="optimize.solve"))
    references: tuple[str, ...] = ("rockafellar2000", "kunzibay2006", "huangfu2018")

    @property
    def solved(self) -> bool:
        """True where there is a solution, if only to stand still."""
        return self.status not in ("infeasible", "unbounded")

    @property
    def cost(self) -> float:
        """USD paid for the trades."""
        return math.fsum(self.trades["cost"])

    @property
    def freed(self) -> float:
        """Objective before less objective after."""
        return self.before - self.value

    @property
    def tie_out(self) -> float:
        """Difference of definition and programme, relative to the larger of before and after; NaN without."""
        off = abs(self.value - self.left_out - self.programme)
        return off / max(abs(self.value), abs(self.before), 1e-300)

    def check(self) -> None:
        """Raise where definition and programme differ by more than 1e-8 relative, or the bound is above.

        The rule's own rounding is allowed on top.
        """
        if not self.solved:
            return
        allowed = TIE_OUT * max(abs(self.value), abs(self.before)) + self.rounding
        off = abs(self.value - self.left_out - self.programme)
        if off > allowed:
            raise PmkitError(
                f"{self.objective} is {self.value:.12g} by definition and"
                f" {self.programme + self.left_out:.12g} by the programme",
                f"a difference of at most {allowed:.3g}",
                "report this as a bug",
            )
        if self.bound > self.value + allowed:
            raise PmkitError(
                f"bound {self.bound:.12g} above the value {self.value:.12g}",
                "a lower bound",
                "report this as a bug",
            )

    def explain(self) -> str:
        """Return status, proof, binding limits and their prices in sentences."""
        lines = [self.words]
        for name, row in self.prices.iterrows():
            lines.append(
                f"{name} binds at its {row['side']} end {row['limit']:g}: {one_of(str(row['unit']))} more"
                f" is worth {row['price']:.6g} {self.unit}"
            )
        return "\n".join(lines)

    def summary(self) -> pd.DataFrame:
        """Return status, objective before and after, bound, gap, tie-out, cost and number of trades."""
        rows = {
            "status": self.status,
            "objective": f"{self.objective}, {self.unit}",
            "before": self.before,
            "after": self.value,
            "bound": self.bound,
            "gap": self.gap,
            "tie_out": self.tie_out,
            "cost_usd": self.cost,
            "trades": len(self.trades),
            "kind": self.kind,
        }
        shown = {k: float(f"{v:.8g}") if isinstance(v, float) and v == v else v for k, v in rows.items()}
        # a gap or a tie-out at the solver's tolerance differs between machines in its last digits
        shown |= {
            k: 0.0
            for k in ("gap", "tie_out")
            if isinstance(rows[k], float) and abs(float(str(rows[k]))) < 1e-8
        }
        frame = pd.DataFrame({"value": pd.Series(shown, dtype=object)})
        frame.index.name = "optimum"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return the trades."""
        return self.trades.copy()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the net trade of every contract as bars, bought positive."""
        axes = new_axes(ax)
        axes.barh(list(self.trades.index), self.trades["trade"].to_list())
        axes.axvline(0.0, color="black", linewidth=0.8)
        axes.invert_yaxis()
        title = f"{self.objective}: {self.before:.6g} to {self.value:.6g} {self.unit}"
        axes.set(xlabel="contracts, bought positive", title=title)
        return axes
