"""The matrix of option values against the one-option function and a plain twin, in both precisions."""

import math
import re

import llvmlite.binding
import mpmath
import numba
import numpy as np
import pytest
from numba import njit

import pmkit.pricing as pricing
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.pricing import reval_single, reval_vector
from pmkit.pricing.numeric import FASTMATH


def exact_value(forward, strike, total, is_call):
    """The textbook formula in forty digits."""
    with mpmath.workdps(40):
        f, k, s = mpmath.mpf(forward), mpmath.mpf(strike), mpmath.mpf(total)
        d1 = mpmath.log(f / k) / s + s / 2
        w = 1 if is_call else -1
        return w * (f * mpmath.ncdf(w * d1) - k * mpmath.ncdf(w * (d1 - s)))


def options(count=40):
    rng = stream(41, "matrix")
    strike = 100.0 * rng.uniform(0.5, 2.0, count)
    tau = np.exp(rng.uniform(np.log(2 / 365), np.log(2.0), count))
    return strike, tau, rng.uniform(0.1, 0.9, count), rng.random(count) < 0.5


def scenarios(size=1003):
    rng = stream(42, "matrix")
    forward = np.stack([100.0 * np.exp(0.03 * rng.standard_t(4, size)), 103.0 + rng.standard_normal(size)])
    return forward, np.exp(0.2 * rng.standard_normal((2, size)))


@pytest.mark.parametrize("inverse", [False, True])
def test_the_matrix_equals_one_option_at_a_time(inverse):
    (strike, tau, iv, is_call), (forward, level) = options(), scenarios()
    curve = np.arange(strike.size) % 2
    values = pricing.option_matrix(forward, iv, strike, tau, is_call, inverse, level=level, curve=curve)
    for j in range(strike.size):
        row = forward[curve[j]].copy()
        alone = pricing.option_values(
            row, level[curve[j]] * iv[j], strike[j], tau[j], bool(is_call[j]), inverse
        )
        scale = 1.0 if inverse else row
        assert np.all(np.abs(values[j] - alone) <= 4e-15 * scale)


@pytest.mark.parametrize("single", [False, True])
def test_values_hold_their_absolute_error_against_forty_digits(single):
    (strike, tau, iv, is_call), (forward, level) = options(12), scenarios(25)
    values = pricing.option_matrix(forward[0], iv, strike, tau, is_call, False, level=level[0], single=single)
    bound = 5e-7 if single else 1e-14
    for j in range(strike.size):
        for i in range(25):
            total = iv[j] * level[0, i] * math.sqrt(tau[j])
            exact = exact_value(forward[0, i], strike[j], total, is_call[j])
            assert abs(float(values[j, i] - exact)) <= bound * forward[0, i]
    assert values.dtype == (np.float32 if single else np.float64)


@pytest.mark.parametrize("single", [False, True])
def test_bits_do_not_depend_on_how_the_matrix_is_cut(single):
    (strike, tau, iv, is_call), (forward, level) = options(6), scenarios()
    whole = pricing.option_matrix(forward[0], iv, strike, tau, is_call, True, level=level[0], single=single)
    for cut in (1, 64, 77, 256, 900):
        parts = [
            pricing.option_matrix(
                forward[0, a], iv, strike, tau, is_call, True, level=level[0, a], single=single
            )
            for a in (slice(None, cut), slice(cut, None))
        ]
        assert np.array_equal(whole, np.concatenate(parts, axis=1))


@pytest.mark.parametrize("single", [False, True])
def test_edges_are_exact(single):
    forward = np.array([0.0, 50.0, 100.0, 150.0])
    kinds = dict(is_call=[True, False, True, False], inverse=False, single=single)
    nothing = pricing.option_matrix(forward, [0.0] * 4, [100.0] * 4, [1.0] * 4, **kinds)
    expired = pricing.option_matrix(forward, [0.6] * 4, [100.0] * 4, [0.0] * 4, **kinds)
    payoff = np.array([[0.0, 0.0, 0.0, 50.0], [100.0, 50.0, 0.0, 0.0]] * 2)
    assert np.array_equal(nothing, payoff) and np.array_equal(expired, payoff)
    free = pricing.option_matrix(forward, [0.6], [0.0], [1.0], True, False, single=single)
    assert np.array_equal(free[0], forward)
    far = pricing.option_matrix(forward[2:], [0.1], [1e9], [0.01], True, False, single=single)
    assert np.array_equal(far[0], [0.0, 0.0])


@pytest.mark.parametrize("single", [False, True])
def test_nan_stays_where_it_is(single):
    forward, level = np.array([100.0, np.nan, 90.0]), np.array([1.0, 1.0, np.nan])
    values = pricing.option_matrix(
        forward, [0.5, np.nan], [95.0, 95.0], [0.5, 0.5], True, True, level=level, single=single
    )
    assert np.isnan(values).tolist() == [[False, True, True], [True, True, True]]


def test_call_less_put_is_forward_less_strike_in_every_scenario():
    (strike, tau, iv, _), (forward, level) = options(), scenarios()
    call, put = (
        pricing.option_matrix(forward[0], iv, strike, tau, is_call, False, level=level[0])
        for is_call in (True, False)
    )
    assert np.all(np.abs(call - put - (forward[0] - strike[:, None])) <= 1e-13 * 200.0)


def test_logs_save_the_logarithm_and_change_nothing_else():
    (strike, tau, iv, _), (forward, level) = options(5), scenarios()
    logs = pricing.forward_logs(forward[0])
    assert np.allclose(logs, np.log(forward[0]), rtol=3e-16, atol=0.0)
    assert np.array_equal(logs[:5], pricing.forward_logs(forward[0, :5].copy()))
    for j in range(5):
        vol = level[0] * iv[j]
        given = pricing.option_values(forward[0], vol, strike[j], tau[j], True, False, log_forward=logs)
        plain = pricing.option_values(forward[0], vol, strike[j], tau[j], True, False)
        assert np.all(np.abs(given - plain) <= 4e-15 * forward[0])


def test_wings_keep_relative_digits_down_to_1e_19_of_the_forward():
    for strike, digits in ((140.0, 2e-12), (200.0, 2e-12), (250.0, 1e-11)):
        exact = exact_value(100.0, strike, 0.1, True)
        found = pricing.option_values(np.array([100.0]), np.array([0.1]), strike, 1.0, True, False)[0]
        assert abs(float(found / exact) - 1.0) < digits


def test_messages_of_the_matrix():
    ones = np.ones(3)
    with pytest.raises(ParameterError, match=r"^strike\[1\] is -1\.0"):
        pricing.option_matrix(ones, [0.5, 0.5], [1.0, -1.0], [1.0, 1.0], True, False)
    with pytest.raises(ParameterError, match=r"^iv has shape \(1,\); expected \(2,\)"):
        pricing.option_matrix(ones, [0.5], [1.0, 1.0], [1.0, 1.0], True, False)
    with pytest.raises(ParameterError, match=r"^is_call has shape \(3,\); expected \(1,\)"):
        pricing.option_matrix(ones, [0.5], [1.0], [1.0], [True] * 3, False)
    with pytest.raises(ParameterError, match=r"^forward\[0\] is 0\.0; expected .*above 0"):
        pricing.option_matrix(np.zeros(2), [0.5], [1.0], [1.0], True, True)
    with pytest.raises(ParameterError, match=r"^level has shape \(1, 2\) and forward \(1, 3\)"):
        pricing.option_matrix(ones, [0.5], [1.0], [1.0], True, False, level=np.ones(2))
    with pytest.raises(ParameterError, match="expected whole numbers from 0 to 0, one an option"):
        pricing.option_matrix(ones, [0.5], [1.0], [1.0], True, False, curve=np.array([1]))
    with pytest.raises(ParameterError, match=r"^forward has shape \(1, 1, 3\)"):
        pricing.option_matrix(np.ones((1, 1, 3)), [0.5], [1.0], [1.0], True, False)
    with pytest.raises(ParameterError, match=r"^out is float64 of shape \(1, 3\); .*float32"):
        pricing.option_matrix(ones, [0.5], [1.0], [1.0], True, False, single=True, out=np.empty((1, 3)))
    with pytest.raises(ParameterError, match=r"^out is float64 of shape \(3,\)"):
        pricing.option_matrix(ones, [0.5], [1.0], [1.0], True, False, out=np.empty(3))
    with pytest.raises(ParameterError, match=r"^log_forward is float64 of shape \(2,\)"):
        pricing.option_values(ones, ones, 1.0, 1.0, True, False, log_forward=np.zeros(2))


def compiles_for_avx2():
    return not numba.config.CPU_NAME and bool(llvmlite.binding.get_host_cpu_features().get("avx2"))


@pytest.mark.skipif(not compiles_for_avx2(), reason="no AVX2, or code is compiled for another processor")
def test_every_stage_of_the_matrix_is_vector_code():
    known = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH}
    one, small = np.ones(256), np.ones(256, dtype=np.float32)
    unit = np.float32(1.0)
    for function, arguments, pattern, least in (
        (reval_vector._distances, (one, 1.0, one, 1.0, one, one), r"vdivpd.*[yz]mm", 1),
        (reval_vector._tails, (one, one), r"vfn?m(?:add|sub)\w+pd.*[yz]mm", 26),
        (reval_vector._values, (one, 1.0, 1.0, True, one, one, one), r"vfn?m(?:add|sub)\w+pd.*[yz]mm", 10),
        (
            reval_single._row,
            (small, small, unit, small, unit, unit, unit, unit, small),
            r"vfn?m(?:add|sub)\w+ps.*[yz]mm",
            14,
        ),
    ):
        compiled = njit(**known)(function.py_func)
        compiled(*(a.copy() if isinstance(a, np.ndarray) else a for a in arguments))
        assembly = "\n".join(compiled.inspect_asm().values())
        found = len(re.findall(pattern, assembly))
        assert found >= least, f"{found} vector operations in {function.py_func.__name__}"
