"""What the past says about the next day: volatility models and the bootstrap of dates."""

from pmkit.estimation.bootstrap import stationary_blocks
from pmkit.estimation.volatility import VolatilityModel, fit_volatility

__all__ = ["VolatilityModel", "fit_volatility", "stationary_blocks"]
