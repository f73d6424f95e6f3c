"""P&L attribution: does the P&L that the risk model explains follow that of full revaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import ks_2samp, spearmanr

from pmkit.backtest.series.checks import as_float_array
from pmkit.core.errors import ParameterError, SchemaError
from pmkit.core.plotting import new_axes
from pmkit.core.provenance import Provenance, fingerprint
from pmkit.core.result import Result
from pmkit.core.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PnlAttribution", "pnl_attribution"]

AttributionZone = Literal["green", "amber", "red"]

# Thresholds of MAR32: rank correlation (green above, red below) and KS distance (green below, red above).
_CORRELATION = (0.80, 0.70)
_DISTANCE = (0.09, 0.12)


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class PnlAttribution(Result):
    """Rank correlation and distance of risk-theoretical and hypothetical P&L, with the zones of the rule.

    Attributes
    ----------
    risk_theoretical, hypothetical : ndarray, shape (n,)
        P&L by the factors and valuation of the risk model, and by full revaluation of the same positions.
    correlation : float
        Spearman's rank correlation.
    distance : float
        Kolmogorov and Smirnov's largest gap of the two distribution functions.
    dates : Index or None
    """

    risk_theoretical: FloatArray
    hypothetical: FloatArray
    correlation: float
    distance: float
    dates: pd.Index | None = None
    provenance: Provenance = field(default_factory=lambda: Provenance(method="backtest.pnl_attribution"))
    references: tuple[str, ...] = ("basel2019",)

    @property
    def zone_correlation(self) -> AttributionZone:
        """Zone by rank correlation: green above 0.80, red below 0.70."""
        high, low = _CORRELATION
        return "green" if self.correlation > high else "red" if self.correlation < low else "amber"

    @property
    def zone_distance(self) -> AttributionZone:
        """Zone by distance: green below 0.09, red above 0.12."""
        low, high = _DISTANCE
        return "green" if self.distance < low else "red" if self.distance > high else "amber"

    @property
    def zone(self) -> AttributionZone:
        """The worse of the two zones: red if one is red, green if both are, else amber."""
        zones = {self.zone_correlation, self.zone_distance}
        return "red" if "red" in zones else "green" if zones == {"green"} else "amber"

    @property
    def unexplained(self) -> FloatArray:
        """Hypothetical less risk-theoretical P&L, shape (n,)."""
        return self.hypothetical - self.risk_theoretical

    def summary(self) -> pd.DataFrame:
        """Return one row: n, both measures with their zones, mean and spread of what is unexplained."""
        spread = float(np.std(self.hypothetical))
        row = {
            "n": self.hypothetical.size,
            "correlation": self.correlation,
            "zone_correlation": self.zone_correlation,
            "distance": self.distance,
            "zone_distance": self.zone_distance,
            "zone": self.zone,
            "unexplained_mean": float(np.mean(self.unexplained)),
            "unexplained_variance_ratio": float(np.std(self.unexplained)) ** 2 / spread**2,
        }
        return pd.DataFrame(row, index=pd.Index(["P&L attribution"], name="test"))

    def to_frame(self) -> pd.DataFrame:
        """Return one row a date: both P&L and the unexplained part."""
        return pd.DataFrame(
            {
                "hypothetical": self.hypothetical,
                "risk_theoretical": self.risk_theoretical,
                "unexplained": self.unexplained,
            },
            index=self.dates,
        )

    def check(self) -> None:
        """Raise unless both measures lie in their range."""
        if not (-1.0 <= self.correlation <= 1.0 and 0.0 <= self.distance <= 1.0):
            raise ParameterError("a measure outside its range", "[-1, 1] and [0, 1]", "report this")

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with risk-theoretical against hypothetical P&L, and the line on which both agree."""
        axes = new_axes(ax)
        axes.plot(self.hypothetical, self.risk_theoretical, ".", color="#4477aa", markersize=3)
        ends = [float(self.hypothetical.min()), float(self.hypothetical.max())]
        axes.plot(ends, ends, color="#888888", linewidth=1.0)
        axes.set(
            xlabel="hypothetical P&L",
            ylabel="risk-theoretical P&L",
            title=f"Rank correlation {self.correlation:.3f}, distance {self.distance:.3f}: {self.zone}",
        )
        return axes


def pnl_attribution(
    risk_theoretical: pd.Series | npt.ArrayLike, hypothetical: pd.Series | npt.ArrayLike
) -> PnlAttribution:
    """Return the P&L attribution test: rank correlation and distance with their zones, no unit.

    Parameters
    ----------
    risk_theoretical : Series or array-like, shape (n,)
        P&L of fixed positions under the factors and the valuation of the risk model, gain positive.
    hypothetical : Series or array-like, shape (n,)
        P&L of the same positions by full revaluation at the market of the next day.

    Returns
    -------
    PnlAttribution

    Raises
    ------
    SchemaError, DataGapError
        Other lengths or indexes, missing values, fewer than 20 observations.
    ParameterError
        A P&L that does not vary.

    Notes
    -----
    The rule uses the 250 most recent dates; with fewer the zones are shown but their error rates are larger.

    References
    ----------
    Basel Committee (2019), minimum capital requirements for market risk, MAR32.

    Examples
    --------
    >>> import numpy as np
    >>> full = np.sin(np.arange(250.0) ** 2)
    >>> pnl_attribution(0.98 * full, full).zone, pnl_attribution(full[::-1], full).zone
    ('green', 'red')
    """
    theory, truth = (
        as_float_array(risk_theoretical, "risk_theoretical"),
        as_float_array(hypothetical, "hypothetical"),
    )
    series = [item for item in (risk_theoretical, hypothetical) if isinstance(item, pd.Series)]
    if theory.size != truth.size or (len(series) == 2 and not series[0].index.equals(series[1].index)):
        raise SchemaError(
            f"{theory.size} risk-theoretical and {truth.size} hypothetical values, or other dates",
            "the same dates in both",
            "align them first",
        )
    if theory.size < 20:
        raise SchemaError(f"{theory.size} observations", "20 or more; the rule takes 250", "use more dates")
    if np.ptp(theory) == 0.0 or np.ptp(truth) == 0.0:
        raise ParameterError("a P&L is constant", "P&L that vary", "check which positions were valued")
    return PnlAttribution(
        risk_theoretical=theory,
        hypothetical=truth,
        correlation=float(spearmanr(theory, truth).statistic),
        distance=float(ks_2samp(theory, truth, method="asymp").statistic),
        dates=series[0].index if series else None,
        provenance=Provenance(
            method="backtest.pnl_attribution",
            data={"risk_theoretical": fingerprint(theory), "hypothetical": fingerprint(truth)},
        ),
    )
