"""How often to rebalance a delta hedge: the drift band that balances cost against the error of the hedge."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmkit.core.errors import ParameterError
from pmkit.core.plotting import new_axes
from pmkit.core.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RebalancingBand", "rebalancing_band"]

_DAYS = 365.0


@dataclass(frozen=True, kw_only=True, repr=False)
class RebalancingBand(Result):
    """A band of drift round the neutral delta, with what it costs and what error it leaves, per day.

    Attributes
    ----------
    gamma, spot, vol, cost_rate, risk_aversion : float
        The inputs.
    band : float
        Half-width in units of the underlying: trade back to the edge once the delta has drifted further.
    best : float
        Half-width that minimises cost plus half the risk aversion times variance.
    """

    gamma: float
    spot: float
    vol: float
    cost_rate: float
    risk_aversion: float
    band: float
    best: float
    references: tuple[str, ...] = ("whalley1997",)

    def cost(self, band: float | None = None) -> float:
        """Return the expected cost per day, USD."""
        h = self.band if band is None else band
        return self.cost_rate * self.spot * self._turnover(h)

    def turnover(self) -> float:
        """Return the expected units of the underlying traded per day."""
        return self._turnover(self.band)

    def error(self, band: float | None = None) -> float:
        """Return the standard deviation of the hedge's profit over one day, USD."""
        h = self.band if band is None else band
        return self.spot * self.vol / math.sqrt(_DAYS) * h / math.sqrt(3.0)

    def objective(self, band: float | None = None) -> float:
        """Return cost plus half the risk aversion times the variance, per day, USD."""
        return self.cost(band) + 0.5 * self.risk_aversion * self.error(band) ** 2

    def _turnover(self, band: float) -> float:
        drift = self.vol * self.spot * abs(self.gamma)
        return drift**2 / _DAYS / (2.0 * band)

    def check(self) -> None:
        """Raise where a band next to the best one is better."""
        for other in (0.99, 1.01):
            if self.objective(self.best) > self.objective(self.best * other):
                raise ParameterError("the best band is not the best", "a minimum", "report this as a bug")

    def to_frame(self) -> pd.DataFrame:
        """Return cost, error and objective per day for bands from a quarter to four times the best, USD."""
        bands = self.best * np.array([0.25, 0.5, 1.0, 2.0, 4.0])
        return pd.DataFrame(
            {
                "cost": [self.cost(float(h)) for h in bands],
                "turnover": [self._turnover(float(h)) for h in bands],
                "error": [self.error(float(h)) for h in bands],
                "objective": [self.objective(float(h)) for h in bands],
            },
            index=pd.Index(bands, name="band"),
        )

    def summary(self) -> pd.DataFrame:
        """Return band, best band, and per day turnover (units), cost, error and objective (USD)."""
        rows = {
            "band": self.band,
            "best_band": self.best,
            "turnover": self.turnover(),
            "cost": self.cost(),
            "error": self.error(),
            "objective": self.objective(),
            "cost_at_best": self.cost(self.best),
            "error_at_best": self.error(self.best),
        }
        return pd.DataFrame({"value": rows}).round(8)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with cost and error per day against the band, USD."""
        axes = new_axes(ax)
        frame = self.to_frame()
        bands = frame.index.to_numpy(dtype=np.float64)
        for column in ("cost", "error"):
            axes.plot(bands, frame[column].to_numpy(), marker="o", label=f"{column} per day")
        axes.set_xscale("log")
        axes.set(xlabel="half-width of the band, units of underlying", ylabel="USD", title="Rebalancing band")
        axes.legend()
        return axes


def rebalancing_band(
    gamma: float,
    spot: float,
    vol: float,
    *,
    cost_rate: float,
    risk_aversion: float,
    band: float | None = None,
) -> RebalancingBand:
    """Return the drift band of a delta hedge in units of the underlying, with its cost and error per day.

    Parameters
    ----------
    gamma : float
        Change of the book's delta (units of underlying) for a spot move of 1 USD, not 0.
    spot : float
        USD, positive.
    vol : float
        Realised volatility, annualised decimal, positive.
    cost_rate : float
        Fee and slippage of a trade as a share of its notional, positive.
    risk_aversion : float
        Per USD: a variance of V USD² counts as a cost of half of this times V. Positive.
    band : float, optional
        A half-width in use, to be judged; the best one where None.

    Returns
    -------
    RebalancingBand

    Raises
    ------
    ParameterError
        A number outside its range.

    Notes
    -----
    Delta drifts with volatility ``s = vol S |gamma|`` and is pushed back at plus and minus H, so the turnover
    is ``s²/(2H)`` a year and the mean square drift ``H²/3``. Cost plus half the risk aversion a times the
    variance, ``k S s²/(2H) + a (vol S)² H²/6``, is least at ``H³ = 3 k S gamma² / (2 a)``. Gamma and vol are
    held, so it is a statement about the next days, and the small-cost limit of the exact problem.

    References
    ----------
    Whalley and Wilmott (1997).

    Examples
    --------
    >>> found = rebalancing_band(0.002, 60_000.0, 0.5, cost_rate=0.0005, risk_aversion=1e-5)
    >>> round(found.band, 4), round(found.cost(), 2), round(found.error(), 2)
    (2.6207, 56.45, 2375.96)
    """
    given = {"spot": spot, "vol": vol, "cost_rate": cost_rate, "risk_aversion": risk_aversion}
    given |= {} if band is None else {"band": band}
    for name, value in (*given.items(), ("size of gamma", abs(gamma))):
        if not (math.isfinite(value) and value > 0.0):
            raise ParameterError(f"{name} is {value!r}", "a positive number", "correct it")
    best = (1.5 * cost_rate * spot * gamma**2 / risk_aversion) ** (1.0 / 3.0)
    return RebalancingBand(
        gamma=gamma,
        spot=spot,
        vol=vol,
        cost_rate=cost_rate,
        risk_aversion=risk_aversion,
        band=best if band is None else band,
        best=best,
    )
