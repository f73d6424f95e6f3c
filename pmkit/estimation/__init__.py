"""What the past says about the next day: volatility, correlation, its repair and stress, dates redrawn."""

from pmkit.estimation.bootstrap import stationary_blocks
from pmkit.estimation.ewma import EwmaCovariance, ewma_covariance
from pmkit.estimation.nearest import CorrelationRepair, nearest_correlation
from pmkit.estimation.stress import CorrelationStress, stress_correlation
from pmkit.estimation.volatility import VolatilityModel, fit_volatility

__all__ = [
    "CorrelationRepair",
    "CorrelationStress",
    "EwmaCovariance",
    "VolatilityModel",
    "ewma_covariance",
    "fit_volatility",
    "nearest_correlation",
    "stationary_blocks",
    "stress_correlation",
]
