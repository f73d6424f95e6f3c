"""Tails of option books: the bits of valuing every scenario in doubles, whatever the book."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.pricing import option_matrix
from pmkit.risk import option_tails
from pmkit.risk.screened import _bounds, _error_of, _table


def market(seed, n=1000, m=40, books=5, net=1.0):
    rng = stream(seed, "option-tails")
    forward = 100.0 * np.exp(0.04 * rng.standard_t(4, n))
    options = dict(
        iv=rng.uniform(0.1, 1.5, m),
        strike=100.0 * rng.uniform(0.3, 3.0, m),
        tau=np.exp(rng.uniform(np.log(1 / 365), np.log(2.0), m)),
        is_call=rng.random(m) < 0.5,
    )
    held = rng.normal(0.0, 10.0, (books, m)) * (rng.random((books, m)) < 0.6)
    held[:, 0] += net
    return forward, np.exp(-2.0 * np.log(forward / 100.0)), options, held


def in_doubles(forward, level, options, inverse, held, keep, curve=None):
    """Every scenario of every option, books added up option by option, a stable sort: the plain twin."""
    values = option_matrix(forward, **options, inverse=inverse, level=level, curve=curve)
    total = np.zeros((held.shape[0], values.shape[1]))
    for book, row in enumerate(held):
        for j in np.flatnonzero(row):
            total[book] += row[j] * values[j]
    order = np.argsort(total, axis=1, kind="stable")[:, :keep]
    return np.take_along_axis(total, order, axis=1), order


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize(("n", "keep"), [(1000, 10), (1000, 1), (70, 5), (40, 40), (3, 2)])
def test_scenarios_and_values_are_those_of_doubles(inverse, n, keep):
    forward, level, options, held = market(n + keep, n=n)
    found = option_tails(forward, **options, inverse=inverse, positions=held, keep=keep, level=level)
    values, order = in_doubles(forward, level, options, inverse, held, keep)
    np.testing.assert_array_equal(found.scenario, order)
    np.testing.assert_allclose(found.profit, values, rtol=1e-12, atol=1e-9)


def test_bits_are_those_of_all_scenarios_valued_in_doubles(monkeypatch):
    forward, level, options, held = market(7)
    found = option_tails(forward, **options, inverse=False, positions=held, keep=10, level=level)
    monkeypatch.setattr("pmkit.risk.screened._LARGE", 0.0)  # no single precision at all
    whole = option_tails(forward, **options, inverse=False, positions=held, keep=10, level=level)
    np.testing.assert_array_equal(found.profit, whole.profit)
    np.testing.assert_array_equal(found.scenario, whole.scenario)


def test_flat_books_ask_for_more_scenarios_until_none_is_left_out():
    """A synthetic forward less the forward: all scenarios tie but for rounding."""
    forward = np.linspace(80.0, 120.0, 900)
    held = np.array([[1e6, -1e6, -1e6, 1e6]])  # a box: worth the same everywhere
    options = dict(
        iv=np.full(4, 0.5), strike=np.array([90.0, 90.0, 110.0, 110.0]), tau=np.full(4, 0.2),
        is_call=np.array([True, False, True, False]),
    )  # fmt: skip
    found = option_tails(forward, **options, inverse=False, positions=held, keep=9)
    values, order = in_doubles(forward, np.ones(900), options, False, held, 9)
    np.testing.assert_allclose(found.profit, values, rtol=1e-12)
    np.testing.assert_allclose(found.profit, 1e6 * (110.0 - 90.0), rtol=1e-12)
    assert order.shape == found.scenario.shape


def test_expiries_have_their_own_forwards():
    forward, level, options, held = market(3)
    forwards, levels = np.stack([forward, forward[::-1]]), np.stack([level, level[::-1]])
    curve = np.arange(40) % 2
    found = option_tails(
        forwards, **options, inverse=True, positions=held, keep=12, level=levels, curve=curve
    )
    values, order = in_doubles(forwards, levels, options, True, held, 12, curve)
    np.testing.assert_array_equal(found.scenario, order)
    np.testing.assert_allclose(found.profit, values, rtol=1e-12, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), inverse=st.booleans(), net=st.floats(-1e6, 1e6))
def test_single_precision_stays_within_its_bound(seed, inverse, net):
    forward, level, options, held = market(seed, n=200, net=net)
    table = _table(held, 40)
    terms = {name: options[name] for name in ("iv", "strike", "tau")}
    error = _error_of(table, *_bounds(forward, level, inverse, **terms))
    rough = option_matrix(forward, **options, inverse=inverse, level=level, single=True)
    exact = option_matrix(forward, **options, inverse=inverse, level=level)
    for book, row in enumerate(held):
        total = np.zeros(200, dtype=np.float32)
        for j in np.flatnonzero(row):
            total += np.float32(row[j]) * rough[j]
        assert np.abs(total - np.add.reduce(row[:, None] * exact)).max() <= error[book]


def test_an_error_beyond_the_bound_is_found_and_all_is_valued_in_doubles(monkeypatch):
    forward, level, options, held = market(11)
    right = option_tails(forward, **options, inverse=False, positions=held, keep=10, level=level)
    monkeypatch.setattr("pmkit.risk.screened._VALUE", 0.0)
    monkeypatch.setattr("pmkit.risk.screened._UNIT", 0.0)
    found = option_tails(forward, **options, inverse=False, positions=held, keep=10, level=level)
    np.testing.assert_array_equal(found.profit, right.profit)


def test_numbers_that_singles_cannot_hold_are_valued_in_doubles():
    forward, level, options, held = market(5)
    options["strike"] = options["strike"] * 1e36
    found = option_tails(1e36 * forward, **options, inverse=False, positions=held, keep=4, level=level)
    values, order = in_doubles(1e36 * forward, level, options, False, held, 4)
    np.testing.assert_array_equal(found.scenario, order)
    np.testing.assert_allclose(found.profit, values, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keep": 0}, "keep is 0"),
        ({"keep": 1001}, "keep is 1001"),
        ({"keep": 2.5}, "keep is 2.5"),
        ({"iv": np.full(40, np.nan)}, "iv holds a value that is not finite"),
        ({"forward": np.full(1000, np.inf)}, "forward holds a value that is not finite"),
        ({"positions": np.ones((2, 39))}, "39"),
    ],
)
def test_bad_input_is_named(change, message):
    forward, level, options, held = market(2)
    given_ = {
        "forward": forward, "level": level, **options, "inverse": False, "positions": held, "keep": 10,
    } | change  # fmt: skip
    with pytest.raises(ParameterError, match=message):
        option_tails(**given_)
