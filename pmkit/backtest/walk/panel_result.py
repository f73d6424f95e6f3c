"""What a walk-forward of many assets found: figures by date and asset, and how they hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmkit.backtest.margins.coverage import MarginCoverage, margin_coverage
from pmkit.backtest.series.es_series import TailSeries
from pmkit.backtest.series.hits import HitSeries
from pmkit.core.errors import DataGapError, PmkitError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PanelWalk"]


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class PanelWalk(Result):
    """VaR, ES and P&L of one unit of each of many assets, by date of the forecast.

    Attributes
    ----------
    model, side : str
    level, es_level : float
        Levels of ``var``, and of ``var_es_level`` and ``es``.
    window, refit_every : int
    var, var_es_level, es, sigma, pnl : DataFrame, shape (dates, assets)
        Positive losses per unit of notional; ``sigma`` is the next-day volatility (1 for ``hs``, which has
        none), ``pnl`` that of the next day, gain positive.
    fits : DataFrame
        The refit log, with a column ``asset``; empty where nothing is fitted.
    """

    model: str
    side: str
    level: float
    es_level: float
    window: int
    refit_every: int
    var: pd.DataFrame
    var_es_level: pd.DataFrame
    es: pd.DataFrame
    sigma: pd.DataFrame
    pnl: pd.DataFrame
    fits: pd.DataFrame
    provenance: Provenance = field(default_factory=lambda: Provenance(method="backtest.walk_panel"))
    references: tuple[str, ...] = ("baroneadesi1999", "mcneil2000", "riskmetrics1996")

    @property
    def hits(self) -> pd.DataFrame:
        """Whether the loss went strictly beyond VaR at ``level``, shape (dates, assets)."""
        return -self.pnl > self.var

    def hits_of(self, asset: str) -> HitSeries:
        """Return the hits of one asset at ``level``, for the tests.

        Raises
        ------
        DataGapError
            An asset that is not in the panel.
        """
        self._known(asset)
        return HitSeries.from_losses(
            -self.pnl[asset], self.var[asset], p=round(1.0 - self.level, 12), horizon=1.0, step=1.0
        )

    def tail_of(self, asset: str) -> TailSeries:
        """Return losses of one asset with VaR and ES at ``es_level``, for the tests of ES."""
        self._known(asset)
        return TailSeries(
            loss=-self.pnl[asset].to_numpy(),
            var=self.var_es_level[asset].to_numpy(),
            es=self.es[asset].to_numpy(),
            level=self.es_level,
            horizon=1.0,
            step=1.0,
            dates=pd.DatetimeIndex(self.pnl.index),
        )

    def _known(self, asset: str) -> None:
        if asset not in self.pnl.columns:
            raise DataGapError(
                f"no asset {asset!r}", f"one of {', '.join(map(str, self.pnl.columns))}", "name one of them"
            )

    def margin_coverage(self) -> MarginCoverage:
        """Return the breaches of VaR at ``level`` as margins of accounts, one an asset."""
        return margin_coverage(self.var, self.pnl)

    def summary(self) -> pd.DataFrame:
        """Return one row an asset: hits, expected, coverage, mean VaR, worst loss over VaR and its day."""
        ratio = -self.pnl / self.var.where(self.var > 0.0)
        hits = self.hits.sum()
        worst = ratio.idxmax()
        return pd.DataFrame(
            {
                "n": len(self.pnl),
                "hits": hits,
                "expected": round(len(self.pnl) * (1.0 - self.level), 8),
                "coverage": 1.0 - hits / len(self.pnl),
                "mean VaR": self.var.mean(),
                "worst loss / VaR": ratio.max(),
                "on": worst.map(lambda day: f"{day:%Y-%m-%d}"),
            }
        ).rename_axis("asset")

    def to_frame(self) -> pd.DataFrame:
        """Return one row a date and asset: var, var_es_level, es, sigma, pnl, hit."""
        parts: dict[str, Any] = {
            "var": self.var,
            "var_es_level": self.var_es_level,
            "es": self.es,
            "sigma": self.sigma,
            "pnl": self.pnl,
            "hit": self.hits,
        }
        stacked = {name: part.stack() for name, part in parts.items()}
        return pd.DataFrame(stacked).rename_axis(["date", "asset"]).reset_index()

    def check(self) -> None:
        """Raise unless all figures are finite, in order, and VaR rises with its level."""
        higher, lower = (
            (self.var, self.var_es_level)
            if self.level >= self.es_level
            else (
                self.var_es_level,
                self.var,
            )
        )
        frames = (self.var, self.var_es_level, self.es, self.sigma, self.pnl)
        finite = all(bool(np.isfinite(frame.to_numpy()).all()) for frame in frames)
        slack = 1e-12 * float(self.es.to_numpy().max())
        ordered = bool((self.es >= self.var_es_level - slack).to_numpy().all())
        rising = bool((higher >= lower - slack).to_numpy().all()) and bool((lower >= 0.0).to_numpy().all())
        if not (finite and ordered and rising):
            raise PmkitError(
                f"{self.model}: figures are not finite or not in order",
                "ES ≥ VaR ≥ 0",
                "let walk_panel build it",
            )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with the hits of each asset over those expected."""
        axes = new_axes(ax)
        table = self.summary().sort_values("hits")
        axes.barh(table.index.astype(str), table["hits"], color="#0072B2")
        axes.axvline(float(table["expected"].iloc[0]), color="#D55E00", linewidth=1.0)
        axes.set(
            xlabel=f"losses beyond VaR {self.level:.8g} (line: expected)", title=f"{self.model}, {self.side}"
        )
        return axes
