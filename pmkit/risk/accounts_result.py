"""ES and VaR of many accounts from the tails of their profits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.core.types import FloatArray, IntArray
from pmkit.risk.tail import SAME

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MEASURES", "AccountMeasures", "TailOfAccounts", "check_level", "kept_scenarios", "measured"]

#: names of the measures that many accounts can be asked for at once
MEASURES = ("es", "var")


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class AccountMeasures(Result):
    """ES and VaR of many accounts as positive losses.

    Attributes
    ----------
    values : DataFrame
        One row an account: the measures asked for (``es``, ``var``), ``worst_pnl`` (profit in the worst
        scenario) and ``worst_scenario`` (its number).
    level : float
    numeraire : str
    scenarios : int
        How many there were.
    provenance : Provenance
    """

    values: pd.DataFrame
    level: float
    numeraire: str
    scenarios: int
    provenance: Provenance = field(default_factory=lambda: Provenance(method="risk.account_measures"))
    references: tuple[str, ...] = ("acerbi2002",)

    def __len__(self) -> int:
        return len(self.values)

    def to_frame(self) -> pd.DataFrame:
        """Return one row an account."""
        return self.values.copy()

    def summary(self) -> pd.DataFrame:
        """Return count, sum, mean, median and largest of each measure over the accounts."""
        names = [m for m in MEASURES if m in self.values]
        rows = {
            name: {
                "accounts": len(self),
                "sum": float(np.add.reduce(self.values[name].to_numpy())),
                "mean": float(self.values[name].mean()),
                "median": float(self.values[name].median()),
                "largest": float(self.values[name].max()),
                "account": str(self.values[name].idxmax()),
            }
            for name in names
        }
        frame = pd.DataFrame.from_dict(rows, orient="index")
        frame.index.name = f"{self.level:.4g} of {self.scenarios:,} scenarios, {self.numeraire}"
        return frame

    def check(self) -> None:
        """Raise where an account's worst loss is below its measures, or its ES below its VaR."""
        worst = -self.values["worst_pnl"].to_numpy()
        room = 1e-9 * np.maximum(np.abs(worst), 1.0)
        for name in (m for m in MEASURES if m in self.values):
            if (self.values[name].to_numpy() > worst + room).any():
                raise PmkitError(f"{name} above the worst loss", "at most that", "report this as a bug")
        both = all(m in self.values for m in MEASURES)
        if both and (self.values["es"].to_numpy() < self.values["var"].to_numpy()).any():
            raise PmkitError("ES below VaR", "ES at least VaR", "report this as a bug")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the share of accounts below each value, one line a measure."""
        axes = new_axes(ax)
        share = np.arange(1, len(self) + 1) / len(self)
        for name in (m for m in MEASURES if m in self.values):
            label = f"{name.upper()} {self.level:.4g}"
            axes.step(np.sort(self.values[name].to_numpy()), share, where="post", label=label)
        axes.set(
            xlabel=f"loss, {self.numeraire}", ylabel="share of accounts", title=f"{len(self):,} accounts"
        )
        axes.legend()
        return axes


@dataclass(frozen=True, kw_only=True, eq=False)
class TailOfAccounts:
    """The worst scenarios of each account, worst first: profit and number, shape (accounts, kept)."""

    profit: npt.NDArray[Any]
    scenario: IntArray


def check_level(level: Any) -> None:
    """Raise where ``level`` is no confidence level.

    Raises
    ------
    ParameterError
        It is not a number from 0.5 to below 1.
    """
    if isinstance(level, bool) or not isinstance(level, (int, float)) or not 0.5 <= level < 1.0:
        raise ParameterError(
            f"level is {level!r}", "a level from 0.5 to below 1", "write 0.99 for 99 per cent"
        )


def kept_scenarios(weights: FloatArray, level: float) -> int:
    """Return how many of the worst scenarios decide the measures: the fewest that surely weigh 1 - level."""
    lightest = np.cumsum(np.sort(weights) / float(weights.sum()))
    return min(int(np.searchsorted(lightest, 1.0 - level + SAME, side="right")) + 1, weights.size)


def measured(
    found: TailOfAccounts,
    accounts: pd.Index[Any],
    weights: FloatArray,
    *,
    level: float,
    measures: Sequence[str],
    numeraire: str,
    provenance: Provenance,
) -> AccountMeasures:
    """Return the measures of tails that hold at least :func:`kept_scenarios` of each account.

    Notes
    -----
    VaR is the first loss, worst first, with more than 1 - level of the weight at or above it;
    ``ES = VaR + sum(w max(loss - VaR, 0))/(1 - level)``, summed from the worst scenario on.
    """
    unknown = [m for m in measures if m not in MEASURES]
    if unknown or not measures or isinstance(measures, str):
        raise ParameterError(f"measures is {measures!r}", f"some of {MEASURES}", "write ('es',) for ES alone")
    # one row a place in the tail: the loops below run along accounts
    loss = -np.ascontiguousarray(found.profit.T, dtype=np.float64)
    share = weights / float(weights.sum())
    weight = _tail_weights(share, found.scenario, loss.shape[0])
    threshold = _thresholds(loss, weight, level)
    excess = np.zeros(loss.shape[1])
    for row, part in zip(loss, weight, strict=True):
        excess += part * np.maximum(row - threshold, 0.0)
    figures = {"es": threshold + excess / (1.0 - level), "var": threshold}
    values: dict[str, npt.NDArray[Any]] = {name: figures[name] for name in MEASURES if name in measures}
    values |= {"worst_pnl": -loss[0], "worst_scenario": found.scenario[:, 0]}
    return AccountMeasures(
        values=pd.DataFrame(values, index=accounts),
        level=float(level),
        numeraire=numeraire,
        scenarios=weights.size,
        provenance=provenance,
    )


def _tail_weights(share: FloatArray, scenario: IntArray, places: int) -> FloatArray:
    """Return the weight of each place in the tail, (places, accounts), or (places, 1) where all are equal."""
    if float(np.ptp(share)) == 0.0:
        return np.full((places, 1), share[0])
    return np.ascontiguousarray(share[scenario].T)


def _thresholds(loss: FloatArray, weight: FloatArray, level: float) -> FloatArray:
    """Return the first loss of each account with more than 1 - level at or above it, shape (accounts,)."""
    beyond = np.cumsum(weight, axis=0) > 1.0 - level + SAME
    at = np.where(beyond.any(axis=0), np.argmax(beyond, axis=0), loss.shape[0] - 1)
    chosen: FloatArray = loss[np.broadcast_to(at, loss.shape[1]), np.arange(loss.shape[1])]
    return chosen
