"""Checks of array arguments: what passes unchanged, what is copied, what is refused."""

import numpy as np
import pandas as pd
import pytest

import pmkit.pricing as pricing
from pmkit.core.errors import ParameterError
from pmkit.pricing import inputs, otm


def test_good_arrays_pass_without_a_copy():
    array = np.array([1.0, np.nan, 3.0])
    assert inputs.as_floats("F", array, "a price") is array
    assert inputs.as_floats("F", 2.5, "a price").shape == ()


def test_read_only_and_strided_arrays_give_equal_results_and_no_second_compilation():
    strikes = np.linspace(80.0, 120.0, 10)
    plain = pricing.black76(100.0, strikes[::2].copy(), 0.5, 0.3)
    before = len(otm.black_values.signatures)
    frozen = strikes[::2].copy()
    frozen.flags.writeable = False
    assert np.array_equal(pricing.black76(100.0, frozen, 0.5, 0.3), plain)
    assert np.array_equal(pricing.black76(100.0, strikes[::2], 0.5, 0.3), plain)
    assert np.array_equal(pricing.black76(100.0, pd.Series(strikes[::2]), 0.5, 0.3), plain)
    assert np.array_equal(pricing.implied_vol(plain, 100.0, frozen, 0.5).round(12), np.full(5, 0.3))
    assert np.array_equal(
        pricing.option_values(frozen, strikes[::2] / 200.0, 100.0, 0.5, True, False),
        pricing.option_values(frozen.copy(), strikes[::2].copy() / 200.0, 100.0, 0.5, True, False),
    )
    assert len(otm.black_values.signatures) == before


@pytest.mark.parametrize("value", [True, "1", [1.0, "x"], 1j, None, {"a": 1}, [[1.0], [1.0, 2.0]]])
def test_what_is_not_a_number_is_refused(value):
    if value is None:
        assert np.isnan(inputs.as_floats("F", value, "a price"))
    else:
        with pytest.raises(
            ParameterError, match=r"^F is .*expected a price: a number or an array of numbers"
        ):
            inputs.as_floats("F", value, "a price")


def test_the_first_offender_is_named_and_all_are_counted():
    with pytest.raises(ParameterError, match=r"^F\[0, 1\] is -1\.0; .*\(3 such element\(s\)\)$"):
        inputs.as_floats("F", [[1.0, -1.0], [np.inf, -np.inf]], "a price")


def test_decimals_and_missing_values_of_object_columns():
    column = pd.Series([1.5, None, 2.5], dtype=object)
    assert np.array_equal(inputs.as_floats("F", column, "a price"), [1.5, np.nan, 2.5], equal_nan=True)


def test_flags():
    assert inputs.as_flags("is_call", [1, 0]).tolist() == [True, False]
    for value in (2, "call", 1.0, [True, None]):
        with pytest.raises(ParameterError, match=r"^is_call is "):
            inputs.as_flags("is_call", value)
