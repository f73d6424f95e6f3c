"""What a rolling re-estimation leaves behind: forecasts, parameters by date, and the audit log."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from pmkit.core.errors import PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RollingVolatility"]


@dataclass(frozen=True, kw_only=True, repr=False)
class RollingVolatility(Result):
    """One-bar-ahead volatility of each bar from a model refitted on the bars before it.

    Attributes
    ----------
    model, dist, engine : str
    window, refit_every : int
        Returns behind each fit, and bars from one fit to the next.
    returns : pandas.Series
        Decimal returns that were forecast: all but the first ``window``.
    sigma : pandas.Series
        Volatility forecast of each of them, decimal a bar, floor and cap applied; knows earlier bars only.
    residuals : pandas.Series
        ``(returns - mu) / sigma`` with the mean in force.
    next_sigma : float
        Forecast for the first bar after the sample.
    bounded : pandas.Series
        -1 where the floor was applied, 1 where the cap was, else 0.
    params : pandas.DataFrame
        Parameters in force from each fit on, by the date of the last return they know.
    log : pandas.DataFrame
        One row a fit, same dates: ``status``, ``used`` (False: the fit failed and the parameters before it
        stay), ``start`` (warm: from what the fit before found; cold: from starts of its own too),
        ``evaluations`` of the likelihood by all its climbs (NaN under ``arch``), ``loglik``,
        ``persistence``, ``flags``, ``checked`` against a cold fit of ``arch``, ``arch_loglik``, ``gap``
        (log-likelihood above that of arch), ``arch_breach`` (how far arch's parameters lie outside the
        constraints, which lifts its likelihood), ``adopted`` (arch led to a better maximum, which was taken).
    floor, cap : float
        Annual volatilities; 0 and infinity where there is none.
    bars_per_year : float
    """

    model: str
    dist: str
    engine: str
    window: int
    refit_every: int
    returns: pd.Series
    sigma: pd.Series
    residuals: pd.Series
    next_sigma: float
    bounded: pd.Series
    params: pd.DataFrame
    log: pd.DataFrame
    floor: float
    cap: float
    bars_per_year: float
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.rolling_volatility"))
    references: tuple[str, ...] = ("glosten1993",)

    @property
    def annual_sigma(self) -> pd.Series:
        """Forecasts per year: ``sigma`` times the root of :attr:`bars_per_year`."""
        return self.sigma * math.sqrt(self.bars_per_year)

    @property
    def failures(self) -> pd.DataFrame:
        """Rows of the log whose fit was not used."""
        return self.log[~self.log["used"]]

    @property
    def checks(self) -> pd.DataFrame:
        """Rows of the log that were compared with a cold fit of ``arch``."""
        return self.log[self.log["checked"]]

    def check(self) -> None:
        """Raise where a forecast is not positive, outside floor and cap, or residuals do not fit it."""
        annual = self.annual_sigma
        inside = float(annual.min()) >= self.floor * (1 - 1e-12) and float(annual.max()) <= self.cap * (
            1 + 1e-12
        )
        rebuilt = self.returns - self.residuals * self.sigma
        known = self.params["mu"].unique()
        worst = max(float((abs(known - m)).min()) for m in rebuilt.to_numpy())
        if not (float(self.sigma.min()) > 0.0 and inside and worst <= 1e-12):
            raise PmkitError("a forecast fails its identities", "positive, inside its bounds", "report a bug")

    def summary(self) -> pd.DataFrame:
        """Return counts of fits by what happened to them, and the range of the forecasts, per year."""
        log, annual = self.log, self.annual_sigma
        rows = {
            "fits": float(len(log)),
            "not used": float((~log["used"]).sum()),
            "at a bound": float((log["status"] == "at_bound").sum()),
            "flagged": float((log["flags"] != "").sum()),
            "checked against arch": float(log["checked"].sum()),
            "smallest gap to arch": float(log["gap"].min()),
            "adopted from arch": float(log["adopted"].sum()),
            "floor applied": float((self.bounded < 0).sum()),
            "cap applied": float((self.bounded > 0).sum()),
            "lowest annual sigma": float(annual.min()),
            "highest annual sigma": float(annual.max()),
            "next annual sigma": self.next_sigma * math.sqrt(self.bars_per_year),
        }
        frame = pd.DataFrame({"value": rows}).round(8)
        frame.index.name = f"{self.model}-{self.dist}, {self.window} bars, refit every {self.refit_every}"
        return frame

    def to_frame(self) -> pd.DataFrame:
        """Return one row a bar: return, sigma, residual, bounded."""
        return pd.DataFrame(
            {
                "return": self.returns,
                "sigma": self.sigma,
                "residual": self.residuals,
                "bounded": self.bounded,
            }
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the forecasts, per cent a year."""
        axes = new_axes(ax)
        annual = self.annual_sigma
        axes.plot(annual.index.to_numpy(), 100.0 * annual.to_numpy())
        axes.set(
            xlabel="date",
            ylabel="volatility forecast, % a year",
            title=f"{self.model}-{self.dist}, {self.window} bars, refit every {self.refit_every}",
        )
        return axes
