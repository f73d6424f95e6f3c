"""Tail of tomorrow's return: a volatility model's next day times a Pareto tail of its residuals."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pandas as pd

from pmkit.core.errors import ParameterError, PmkitError, SchemaError
from pmkit.core.provenance import Provenance
from pmkit.core.result import Result
from pmkit.estimation.tails.evt import GpdTail, fit_gpd
from pmkit.estimation.univariate.volatility import VolatilityModel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ConditionalTail", "conditional_tail"]

Side = Literal["lower", "upper"]


@dataclass(frozen=True, kw_only=True, repr=False)
class ConditionalTail(Result):
    """VaR and ES of the next day's return, decimal and positive for a loss.

    Attributes
    ----------
    side : {"lower", "upper"}
        ``lower``: losses of a long position; ``upper``: of a short one.
    tail : GpdTail
        Of the standardised residuals, sign turned so that losses are positive.
    mu, next_sigma : float
        Mean and volatility of the next day.
    flags : tuple of str
        Of the volatility model and of the tail.
    """

    side: Side
    tail: GpdTail
    mu: float
    next_sigma: float
    flags: tuple[str, ...]
    provenance: Provenance = field(default_factory=lambda: Provenance(method="estimation.conditional_tail"))
    references: tuple[str, ...] = ("mcneil2000",)

    @property
    def _drift(self) -> float:
        return -self.mu if self.side == "lower" else self.mu

    def var(self, level: float = 0.99) -> float:
        """Return the value at risk of the next day, a positive decimal loss."""
        return self._drift + self.next_sigma * self.tail.var(level)

    def es(self, level: float = 0.975) -> float:
        """Return the expected shortfall of the next day, a positive decimal loss."""
        return self._drift + self.next_sigma * self.tail.es(level)

    def std_error(self, level: float = 0.99) -> tuple[float, float]:
        """Return the errors of VaR and ES from the tail alone: mean and volatility count as known."""
        var, es = self.tail.std_error(level)
        return self.next_sigma * var, self.next_sigma * es

    def profile(
        self, level: float = 0.99, confidence: float = 0.95
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return the profile-likelihood intervals of VaR and ES, decimal losses, from the tail alone.

        As :meth:`GpdTail.profile`; mean and volatility count as known.
        """
        var, es = self.tail.profile(level, confidence)
        drift, sigma = self._drift, self.next_sigma
        return (drift + sigma * var[0], drift + sigma * var[1]), (
            drift + sigma * es[0],
            drift + sigma * es[1],
        )

    def check(self) -> None:
        """Raise where ES lies below VaR."""
        self.tail.check()
        level = max(1.0 - 0.5 * self.tail.share, 0.5)
        if not self.es(level) >= self.var(level):
            raise PmkitError("ES lies below VaR", "ES >= VaR", "report this as a bug")

    def summary(self) -> pd.DataFrame:
        """Return the tail of the residuals, then VaR and ES of the next day with errors of the tail."""
        rows = {
            "next sigma": (self.next_sigma, math.nan),
            "residual xi": (self.tail.shape, self.tail.std_errors[0]),
            "residual beta": (self.tail.scale, self.tail.std_errors[1]),
        }
        for level in (0.975, 0.99, 0.995):
            if 1.0 - level <= self.tail.share:
                errors = self.std_error(level)
                rows[f"VaR {level:g}"] = (self.var(level), errors[0])
                rows[f"ES {level:g}"] = (self.es(level), errors[1])
        frame = pd.DataFrame.from_dict(rows, orient="index", columns=["value", "std_error"])
        frame.index.name = (
            f"{self.side} tail, {self.tail.excesses} residuals beyond {self.tail.threshold:.4g}"
        )
        return frame

    def plot(self, ax: Axes | None = None) -> Axes:
        """Return axes with residual excesses against the fitted law."""
        return self.tail.plot(ax)


def conditional_tail(
    model: VolatilityModel, *, side: Side = "lower", tail_share: float = 0.10
) -> ConditionalTail:
    """Return the tail of the next day's return from a fitted volatility model and its residuals.

    Parameters
    ----------
    model : VolatilityModel
        From :func:`fit_volatility`; quasi-likelihood (``dist="normal"``) is enough, for the tail is estimated
        here.
    side : {"lower", "upper"}
        Tail of falls or of rises.
    tail_share : float
        Share of the residuals that make the tail.

    Returns
    -------
    ConditionalTail

    Raises
    ------
    SchemaError
        Not a volatility model.
    ParameterError, DataGapError
        An unknown side; others as :func:`fit_gpd`.

    Notes
    -----
    ``VaR = -mu + sigma[T+1] z_q`` and ``ES = -mu + sigma[T+1] ES_z`` with quantile and tail mean of the
    residuals by :func:`fit_gpd`. The residuals are close to independent, as the errors of the tail want; the
    errors of the volatility model come on top.

    References
    ----------
    McNeil and Frey (2000), section 2.

    Examples
    --------
    >>> from pmkit.core.random import stream
    >>> r = pd.Series(0.02 * stream(3, "demo").standard_normal(600), pd.date_range("2022-01-01", periods=600))
    >>> known = {"omega": 4e-4, "alpha": 0.0, "beta": 0.0}
    >>> model = VolatilityModel.from_parameters(known, r, "garch", "normal")
    >>> bool(0.04 < conditional_tail(model).var(0.99) < 0.055)
    True
    """
    if not isinstance(model, VolatilityModel):
        raise SchemaError(
            f"model is a {type(model).__name__}", "a VolatilityModel", "fit it with fit_volatility"
        )
    if side not in ("lower", "upper"):
        raise ParameterError(f"side is {side!r}", "'lower' or 'upper'", "name one of the two")
    residuals = model.residuals if side == "upper" else -model.residuals
    tail = fit_gpd(residuals, tail_share=tail_share)
    return ConditionalTail(
        side=side,
        tail=tail,
        mu=float(model.params["mu"]),
        next_sigma=model.next_sigma,
        flags=(*model.flags, *tail.flags),
        provenance=Provenance(
            method=f"estimation.conditional_tail {side}",
            data={"model": model.provenance.id, "tail": tail.provenance.id},
            parameters={"tail_share": tail_share},
        ),
    )
