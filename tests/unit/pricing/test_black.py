"""Black-76 prices: shapes, limits, messages, parity, and the coin-settled form."""

import numpy as np
import pandas as pd
import pytest

import pmkit.pricing as pricing
from pmkit.core.errors import ParameterError


def test_scalars_give_a_float_and_arrays_broadcast():
    assert isinstance(pricing.black76(100.0, 110.0, 0.25, 0.6), float)
    assert isinstance(pricing.black76_inverse(100.0, 110.0, 0.25, 0.6), float)
    grid = pricing.black76(
        np.array([90.0, 100.0])[:, None], [80.0, 100.0, 120.0], 0.5, 0.4, is_call=[True, False, True]
    )
    assert grid.shape == (2, 3)
    for i, forward in enumerate((90.0, 100.0)):
        for j, (strike, call) in enumerate(((80.0, True), (100.0, False), (120.0, True))):
            assert grid[i, j] == pricing.black76(forward, strike, 0.5, 0.4, is_call=call)
    assert pricing.black76(np.empty(0), 100.0, 1.0, 0.2).shape == (0,)


def test_series_and_integers_are_numbers():
    series = pd.Series([100, 110])
    assert np.array_equal(
        pricing.black76(series, 100, 1, 0.2), pricing.black76([100.0, 110.0], 100.0, 1.0, 0.2)
    )
    assert pricing.black76(100, 100, 1, 0.2, is_call=0) == pricing.black76(
        100.0, 100.0, 1.0, 0.2, is_call=False
    )


@pytest.mark.parametrize(("tau", "iv"), [(0.0, 0.5), (1.0, 0.0), (0.0, 0.0)])
def test_no_volatility_is_discounted_intrinsic(tau, iv):
    strikes = np.array([90.0, 100.0, 130.0])
    assert np.array_equal(pricing.black76(100.0, strikes, tau, iv, df=0.5), [5.0, 0.0, 0.0])
    assert np.array_equal(pricing.black76(100.0, strikes, tau, iv, df=0.5, is_call=False), [0.0, 0.0, 15.0])


def test_limits_at_zero_forward_zero_strike_and_huge_volatility():
    assert pricing.black76(0.0, 100.0, 1.0, 0.5) == 0.0
    assert pricing.black76(0.0, 100.0, 1.0, 0.5, df=0.9, is_call=False) == 90.0
    assert pricing.black76(100.0, 0.0, 1.0, 0.5) == 100.0
    assert pricing.black76(100.0, 0.0, 1.0, 0.5, is_call=False) == 0.0
    assert pricing.black76(100.0, 120.0, 1.0, 1e4) == 100.0
    assert pricing.black76(100.0, 120.0, 1.0, 1e4, is_call=False) == 120.0


def test_tails_use_the_upper_tail_probability():
    """1 - Phi(d) is 0 from d = 8.3 on; the price 20 deviations out is 1e-89, not 0."""
    price = pricing.black76(100.0, 100.0 * np.exp(4.0), 1.0, 0.2)
    assert 0.0 < price < 1e-80


def test_nan_propagates_to_its_own_element_only():
    for name in ("F", "K", "tau", "iv", "df"):
        arguments = {"F": 100.0, "K": 100.0, "tau": 1.0, "iv": 0.2, "df": 1.0}
        arguments[name] = np.array([arguments[name], np.nan])
        assert np.isnan(pricing.black76(**arguments)).tolist() == [False, True]


@pytest.mark.parametrize("name", ["F", "K", "tau", "iv"])
def test_negative_argument_is_named_with_value_and_position(name):
    arguments = {"F": 100.0, "K": 100.0, "tau": 1.0, "iv": 0.2}
    arguments[name] = np.array([[1.0, 1.0], [-2.5, np.nan]])
    with pytest.raises(ParameterError, match=rf"^{name}\[1, 0\] is -2.5; expected .*finite and 0 or more"):
        pricing.black76(**arguments)
    arguments[name] = -3.0
    with pytest.raises(ParameterError, match=rf"^{name} is -3.0; expected"):
        pricing.black76_inverse(**arguments)


def test_other_bad_input_has_one_clear_message():
    with pytest.raises(ParameterError, match=r"^iv\[0\] is inf; expected an annualised implied volatility"):
        pricing.black76(100.0, 100.0, 1.0, [np.inf])
    with pytest.raises(ParameterError, match=r"^df is 0\.0; expected a discount factor: finite and above 0"):
        pricing.black76(100.0, 100.0, 1.0, 0.2, df=0.0)
    with pytest.raises(ParameterError, match=r"^F is 0\.0; expected .*above 0"):
        pricing.black76_inverse(0.0, 100.0, 1.0, 0.2)
    with pytest.raises(ParameterError, match=r"^K is 'abc' \(str\); expected a strike price"):
        pricing.black76(100.0, "abc", 1.0, 0.2)
    with pytest.raises(ParameterError, match=r"^K is \['1', 'x'\] \(list\)"):
        pricing.black76(100.0, ["1", "x"], 1.0, 0.2)
    with pytest.raises(ParameterError, match=r"^is_call is 'C'.*expected True for a call"):
        pricing.black76(100.0, 100.0, 1.0, 0.2, is_call="C")
    with pytest.raises(
        ParameterError, match=r"shapes are F \(2,\), K \(3,\); expected shapes that broadcast"
    ):
        pricing.black76([1.0, 2.0], [1.0, 2.0, 3.0], 1.0, 0.2)


def test_coin_put_is_unbounded_and_coin_call_is_not():
    """Trap 14: a coin put is worth up to K/F coins."""
    forwards = np.array([60_000.0, 6_000.0, 60.0, 0.6])
    puts = pricing.black76_inverse(forwards, 60_000.0, 0.1, 0.8, is_call=False)
    calls = pricing.black76_inverse(forwards[::-1] * 1e5, 60_000.0, 0.1, 0.8)
    assert np.allclose(puts[1:], 60_000.0 / forwards[1:] - 1.0, rtol=1e-12)
    assert np.all(puts <= 60_000.0 / forwards) and puts[-1] > 99_998.0
    assert np.all(calls <= 1.0)


def test_inverse_is_linear_over_forward():
    forwards = np.linspace(20_000.0, 120_000.0, 41)
    for call in (True, False):
        coin = pricing.black76_inverse(forwards, 65_000.0, 0.3, 0.7, is_call=call)
        assert np.array_equal(coin, pricing.black76(forwards, 65_000.0, 0.3, 0.7, is_call=call) / forwards)
