"""Implied volatility: statuses, in-the-money quotes, shapes, messages."""

import numpy as np
import pytest

import pmkit.pricing as pricing
from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.status import Status


def status_of(price, forward, strike, tau=1.0, **options):
    iv, status = pricing.implied_vol(price, forward, strike, tau, return_status=True, **options)
    assert np.isnan(iv) == (status is not Status.OK)
    return status


def test_statuses_of_linear_quotes():
    assert status_of(10.0, 100.0, 100.0) is Status.OK
    assert status_of(-1.0, 100.0, 100.0) is Status.BELOW_INTRINSIC
    assert status_of(19.0, 100.0, 80.0) is Status.BELOW_INTRINSIC
    assert status_of(20.0, 100.0, 80.0) is Status.NO_INFORMATION
    assert status_of(20.0 * (1.0 + 4e-16), 100.0, 80.0) is Status.NO_INFORMATION
    assert status_of(20.0 * (1.0 + 1e-14), 100.0, 80.0) is Status.OK
    assert status_of(0.0, 100.0, 120.0) is Status.NO_INFORMATION
    assert status_of(100.0, 100.0, 120.0) is Status.AT_BOUND
    assert status_of(100.1, 100.0, 120.0) is Status.ABOVE_BOUND
    assert status_of(np.inf, 100.0, 120.0) is Status.ABOVE_BOUND
    assert status_of(120.0, 100.0, 120.0, is_call=False) is Status.AT_BOUND
    assert status_of(120.1, 100.0, 120.0, is_call=False) is Status.ABOVE_BOUND
    for bad in (
        {"price": np.nan},
        {"forward": np.nan},
        {"strike": np.nan},
        {"tau": 0.0},
        {"tau": -1.0},
        {"tau": np.nan},
    ):
        assert status_of(**{"price": 10.0, "forward": 100.0, "strike": 100.0} | bad) is Status.INVALID_INPUT


def test_discounted_quotes_have_discounted_bounds():
    assert status_of(17.9, 100.0, 80.0, df=0.9) is Status.BELOW_INTRINSIC
    assert status_of(18.1, 100.0, 80.0, df=0.9) is Status.OK
    assert status_of(90.1, 100.0, 80.0, df=0.9) is Status.ABOVE_BOUND
    assert status_of(10.0, 100.0, 80.0, df=np.nan) is Status.INVALID_INPUT


def test_coin_bounds_are_one_for_a_call_and_strike_over_forward_for_a_put():
    """Trap 14."""
    inverse = {"settlement": "inverse"}
    assert status_of(1.0, 50_000.0, 60_000.0, **inverse) is Status.AT_BOUND
    assert status_of(1.001, 50_000.0, 60_000.0, **inverse) is Status.ABOVE_BOUND
    assert status_of(1.1, 50_000.0, 60_000.0, is_call=False, **inverse) is Status.OK
    assert status_of(1.2001, 50_000.0, 60_000.0, is_call=False, **inverse) is Status.ABOVE_BOUND
    assert status_of(0.19, 50_000.0, 60_000.0, is_call=False, **inverse) is Status.BELOW_INTRINSIC
    assert status_of(99.0, 600.0, 60_000.0, is_call=False, **inverse) is Status.NO_INFORMATION
    assert status_of(99.5, 600.0, 60_000.0, is_call=False, **inverse) is Status.OK
    assert status_of(0.5, 0.0, 60_000.0, **inverse) is Status.INVALID_INPUT


def test_no_forward_or_no_strike_leaves_nothing_to_imply():
    assert status_of(100.0, 100.0, 0.0) is Status.NO_INFORMATION
    assert status_of(99.0, 100.0, 0.0) is Status.BELOW_INTRINSIC
    assert status_of(101.0, 100.0, 0.0) is Status.ABOVE_BOUND
    assert status_of(0.0, 0.0, 100.0) is Status.NO_INFORMATION
    assert status_of(1.0, 0.0, 100.0) is Status.ABOVE_BOUND


@pytest.mark.parametrize("settlement", ["linear", "inverse"])
def test_in_the_money_quotes_go_through_parity(settlement):
    """Trap 15: a call and a put of one strike imply one volatility, as far as the price's digits allow."""
    strikes = np.array([30_000.0, 45_000.0, 59_000.0, 61_000.0, 90_000.0, 150_000.0])
    price = pricing.black76_inverse if settlement == "inverse" else pricing.black76
    for call in (True, False):
        quotes = price(60_000.0, strikes, 0.4, 0.7, is_call=call)
        iv, status = pricing.implied_vol(
            quotes, 60_000.0, strikes, 0.4, is_call=call, return_status=True, settlement=settlement
        )
        assert not status.any()
        assert np.allclose(iv, 0.7, rtol=1e-12, atol=0.0)


def test_one_bad_quote_does_not_touch_its_neighbours():
    good = pricing.black76(100.0, [90.0, 100.0, 110.0, 120.0], 0.5, 0.4)
    iv, status = pricing.implied_vol(
        [good[0], np.nan, good[2], 500.0], 100.0, [90.0, 100.0, 110.0, 120.0], 0.5, return_status=True
    )
    assert status.tolist() == [Status.OK, Status.INVALID_INPUT, Status.OK, Status.ABOVE_BOUND]
    assert status.dtype == np.int8
    assert np.allclose(iv[[0, 2]], 0.4, rtol=1e-14) and np.isnan(iv[[1, 3]]).all()


def test_shapes():
    assert isinstance(pricing.implied_vol(8.0, 100.0, 100.0, 1.0), float)
    iv, status = pricing.implied_vol([[8.0], [9.0]], 100.0, [100.0, 101.0, 102.0], 1.0, return_status=True)
    assert iv.shape == status.shape == (2, 3)
    assert pricing.implied_vol(np.empty((0, 3)), 100.0, 100.0, 1.0).shape == (0, 3)


def test_result_does_not_depend_on_the_place_in_the_array():
    """Equal quotes give equal bits wherever they stand, alone or in a block."""
    quotes = np.tile(pricing.black76(100.0, np.linspace(60.0, 160.0, 37), 0.3, 0.5), 40)[:1301]
    strikes = np.tile(np.linspace(60.0, 160.0, 37), 40)[:1301]
    iv = pricing.implied_vol(quotes, 100.0, strikes, 0.3)
    assert np.array_equal(iv[: 37 * 35], np.tile(iv[:37], 35))
    assert [pricing.implied_vol(quotes[i], 100.0, strikes[i], 0.3) for i in range(37)] == iv[:37].tolist()


def test_bad_arguments_are_named():
    with pytest.raises(ParameterError, match=r"^F\[1\] is -1\.0; expected a forward price"):
        pricing.implied_vol(1.0, [1.0, -1.0], 1.0, 1.0)
    with pytest.raises(ParameterError, match=r"^K is inf; expected a strike price"):
        pricing.implied_vol(1.0, 1.0, np.inf, 1.0)
    with pytest.raises(ParameterError, match=r"^price is None \(NoneType\)|^price is 'x'"):
        pricing.implied_vol("x", 1.0, 1.0, 1.0)
    with pytest.raises(ConventionError, match=r"^df is 0\.99 with settlement='inverse'"):
        pricing.implied_vol(0.1, 1.0, 1.0, 1.0, df=0.99, settlement="inverse")
    with pytest.raises(ParameterError, match=r"^settlement is 'Inverse'"):
        pricing.implied_vol(0.1, 1.0, 1.0, 1.0, settlement="Inverse")
