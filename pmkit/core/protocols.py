"""The protocols that let rooms exchange parts: a model of a factor, a surface, and a margin rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from pmkit.core.types import FloatArray

__all__ = ["FactorModel", "Rule", "VolSurface"]


@runtime_checkable
class FactorModel(Protocol):
    """A fitted model of one daily return series: filter, one-step forecast, residuals, simulation."""

    @property
    def params(self) -> pd.Series:
        """Parameters by name, in units of decimal returns."""
        ...

    @property
    def covariance(self) -> pd.DataFrame:
        """Covariance of the estimated parameters."""
        ...

    @property
    def residuals(self) -> pd.Series:
        """Standardised residuals by date."""
        ...

    @property
    def next_sigma(self) -> float:
        """Daily volatility of the first day after the sample."""
        ...

    def filter(self, returns: pd.Series) -> FactorModel:
        """Return the same parameters over another or longer series, without a refit."""
        ...

    def simulate(
        self, draws: FloatArray, start_sigma: float | None = None, *, drift: bool = True
    ) -> tuple[FloatArray, FloatArray]:
        """Return simulated returns and volatilities, shape (paths, days), from standardised residuals."""
        ...


@runtime_checkable
class VolSurface(Protocol):
    """Total implied variance ``w(k, tau)`` of one underlying, k = ln(K/F), tau in years of 365 days."""

    @property
    def model(self) -> str:
        """Name of the model, for tables."""
        ...

    def w(self, k: npt.ArrayLike, tau: npt.ArrayLike) -> FloatArray:
        """Return total variance; arguments broadcast."""
        ...

    def iv(self, strike: npt.ArrayLike, tau: npt.ArrayLike) -> FloatArray:
        """Return annualised implied vol (decimal) at strikes; arguments broadcast."""
        ...


@runtime_checkable
class Rule(Protocol):
    """A margin rule: positions, collateral and market in, one :class:`pmkit.margin.MarginResult` out."""

    name: str
    variant: str

    def requirement(self, account: Any, snapshot: Any, *, history: Any = None, state: Any = None) -> Any:
        """Return the requirement of the account."""
        ...
