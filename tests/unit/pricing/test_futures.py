"""Profit of inverse and linear futures."""

import numpy as np
import pytest

import pmkit.pricing as pricing
from pmkit.core.errors import ParameterError


def test_short_loses_at_most_its_start_value_and_long_is_unbounded():
    ends = np.array([1e9, 1e12])
    assert np.all(pricing.inverse_future_pnl(-60_000.0, 60_000.0, ends) >= -1.0)
    assert pricing.inverse_future_pnl(60_000.0, 60_000.0, 0.06) < -999_998.0


def test_synthetic_dollar_keeps_its_dollar_value():
    """One coin and a short inverse future of equal notional are worth the same dollars at any price."""
    start, ends = 60_000.0, np.array([10_000.0, 59_999.0, 60_000.0, 250_000.0])
    coins = 1.0 + pricing.inverse_future_pnl(-start, start, ends)
    assert np.allclose(coins * ends, start, rtol=1e-14)


def test_small_moves_do_not_cancel():
    assert pricing.inverse_future_pnl(1.0, 1.0, 1.0 + 2.0**-52) == pytest.approx(2.0**-52, rel=1e-12)


def test_linear_is_quantity_times_move():
    assert np.array_equal(pricing.linear_future_pnl([2.0, -3.0], 10.0, [11.0, 0.0]), [2.0, 30.0])
    assert np.isnan(pricing.linear_future_pnl(1.0, np.nan, 2.0))


def test_bad_input_is_named():
    with pytest.raises(
        ParameterError, match=r"^F1\[1\] is 0\.0; expected a price in quote currency: finite and above 0"
    ):
        pricing.inverse_future_pnl(1.0, 1.0, [1.0, 0.0])
    with pytest.raises(
        ParameterError, match=r"^notional_usd is inf; expected a signed position size: finite"
    ):
        pricing.inverse_future_pnl(np.inf, 1.0, 1.0)
    with pytest.raises(ParameterError, match=r"^F0 is -1\.0"):
        pricing.linear_future_pnl(1.0, -1.0, 1.0)
