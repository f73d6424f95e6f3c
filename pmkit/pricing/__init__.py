"""What a contract is worth: Black-76 prices, greeks, implied volatility, revaluation; arrays in and out."""

from pmkit.pricing.black import black76, black76_inverse
from pmkit.pricing.compile import warmup
from pmkit.pricing.futures import inverse_future_pnl, linear_future_pnl
from pmkit.pricing.implied import implied_vol
from pmkit.pricing.kernels import combine, forward_logs, option_values
from pmkit.pricing.option_matrix import option_matrix
from pmkit.pricing.sensitivities import Greeks, greeks

__all__ = [
    "Greeks",
    "black76",
    "black76_inverse",
    "combine",
    "forward_logs",
    "greeks",
    "implied_vol",
    "inverse_future_pnl",
    "linear_future_pnl",
    "option_matrix",
    "option_values",
    "warmup",
]
