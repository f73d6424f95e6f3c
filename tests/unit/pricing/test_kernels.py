"""The revaluation and summation kernels against plain twins, and a look at their machine code."""

import itertools
import math
import re
import threading

import llvmlite.binding
import numba
import numpy as np
import pytest
from numba import njit
from scipy.special import ndtr

import pmkit.pricing as pricing
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.pricing import implied_vector, kernels, reval_vector
from pmkit.pricing.numeric import FASTMATH


def plain_values(forward, iv, strike, tau, is_call, inverse):
    """The textbook formula, one line a step."""
    s = iv * math.sqrt(tau)
    with np.errstate(all="ignore"):
        d1 = np.log(forward / strike) / s + 0.5 * s
    w = 1.0 if is_call else -1.0
    value = w * (forward * ndtr(w * d1) - strike * ndtr(w * (d1 - s)))
    value = np.where(s > 0.0, value, np.maximum(w * (forward - strike), 0.0))
    return value / forward if inverse else value


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("is_call", [False, True])
def test_option_values_equal_the_plain_twin(is_call, inverse):
    rng = stream(11, "reval")
    for strike, tau in ((100.0, 0.25), (60.0, 1 / 365), (180.0, 2.0), (99.0, 1e-6), (100.0, 10.0)):
        forward = 100.0 * np.exp(0.3 * rng.standard_t(4, 4099))
        iv = 0.6 * np.exp(0.5 * rng.standard_normal(4099))
        iv[::97] = 0.0
        fast = pricing.option_values(forward, iv, strike, tau, is_call, inverse)
        plain = plain_values(forward, iv, strike, tau, is_call, inverse)
        scale = np.maximum(forward, strike) / (forward if inverse else 1.0)
        assert np.all(np.abs(fast - plain) <= 2e-14 * scale)
        exact = pricing.black76(forward, strike, tau, iv, is_call=is_call) / (forward if inverse else 1.0)
        assert np.all(np.abs(fast - exact) <= 1e-14 * forward / (forward if inverse else 1.0) + 4e-16 * exact)


def test_legal_input_never_gives_nan():
    forward, iv = np.meshgrid(
        [0.0, 1e-300, 1e-5, 100.0, 100.0 * (1 + 1e-15), 1e9, 1e300], [0.0, 1e-300, 1e-9, 0.5, 50.0, 1e5]
    )
    forward, iv = forward.ravel(), iv.ravel()
    for strike in (0.0, 1e-5, 100.0, 1e9):
        for tau in (0.0, 1e-12, 1.0, 100.0):
            for is_call in (True, False):
                value = pricing.option_values(forward, iv, strike, tau, is_call, False)
                bound = forward if is_call else np.full_like(forward, strike)
                intrinsic = np.maximum((forward - strike) * (1 if is_call else -1), 0.0)
                assert np.all((value >= intrinsic) & (value <= bound * (1 + 1e-14)))
                if tau == 0.0:
                    assert np.array_equal(value, intrinsic)


def test_nan_stays_in_its_scenario_and_out_may_be_an_input():
    forward, iv = np.array([100.0, np.nan, 100.0, 90.0]), np.array([0.5, 0.5, np.nan, 0.4])
    value = pricing.option_values(forward, iv, 95.0, 0.5, True, True)
    assert np.isnan(value).tolist() == [False, True, True, False]
    in_place = iv.copy()
    assert pricing.option_values(forward, in_place, 95.0, 0.5, True, True, out=in_place) is in_place
    assert np.array_equal(in_place, value, equal_nan=True)
    assert np.isnan(pricing.option_values(forward, iv, np.nan, 0.5, True, False)).all()


def test_bits_do_not_depend_on_length_or_threads():
    rng = stream(12, "threads")
    forward, iv = 100.0 * np.exp(0.1 * rng.standard_normal(3000)), rng.uniform(0.2, 0.9, 3000)
    whole = pricing.option_values(forward, iv, 105.0, 0.1, False, False)
    parts = np.empty(3000)
    edges = [0, 1, 7, 520, 1500, 3000]
    workers = [
        threading.Thread(
            target=lambda a, b: pricing.option_values(
                forward[a:b], iv[a:b], 105.0, 0.1, False, False, parts[a:b]
            ),
            args=pair,
        )
        for pair in itertools.pairwise(edges)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert np.array_equal(whole, parts)


def test_option_values_messages():
    ones = np.ones(3)
    with pytest.raises(ParameterError, match=r"^forward\[1\] is -5\.0; expected a forward price"):
        pricing.option_values(np.array([1.0, -5.0, 1.0]), ones, 1.0, 1.0, True, False)
    with pytest.raises(ParameterError, match=r"^forward\[0\] is 0\.0; expected .*above 0"):
        pricing.option_values(np.zeros(3), ones, 1.0, 1.0, True, True)
    with pytest.raises(ParameterError, match=r"^iv\[2\] is inf"):
        pricing.option_values(ones, np.array([1.0, 1.0, np.inf]), 1.0, 1.0, True, True)
    with pytest.raises(ParameterError, match=r"^forward has 3 scenarios and iv has 2"):
        pricing.option_values(ones, np.ones(2), 1.0, 1.0, True, True)
    with pytest.raises(ParameterError, match=r"^out is float32 of shape \(3,\)"):
        pricing.option_values(ones, ones, 1.0, 1.0, True, True, out=np.empty(3, dtype=np.float32))
    with pytest.raises(ParameterError, match=r"^tau is -1\.0"):
        pricing.option_values(ones, ones, 1.0, -1.0, True, True)
    with pytest.raises(ParameterError, match=r"^iv has shape \(3, 1\)"):
        pricing.option_values(ones, ones[:, None], 1.0, 1.0, True, True)


@pytest.mark.parametrize(("m", "n"), [(0, 5), (1, 1), (3, 1024), (9, 1025), (50, 3000)])
def test_combine_equals_the_plain_sum_in_row_order(m, n):
    rng = stream(13, "combine", m)
    matrix, quantity = rng.standard_normal((m, n)), rng.integers(-3, 4, m).astype(float)
    plain = np.zeros(n)
    for row, q in zip(matrix, quantity, strict=True):
        plain += q * row
    result = pricing.combine(matrix, quantity)
    assert np.allclose(result, plain, rtol=0.0, atol=1e-14 * max(m, 1) * 12)
    assert np.array_equal(result, pricing.combine(np.asfortranarray(matrix), quantity))
    assert np.array_equal(
        result,
        np.concatenate([pricing.combine(matrix[:, :1], quantity), pricing.combine(matrix[:, 1:], quantity)]),
    )


def test_combine_leaves_out_what_is_not_held_and_refuses_nonsense():
    matrix = np.array([[1.0, 2.0], [np.nan, 5.0]])
    assert pricing.combine(matrix, np.array([3.0, 0.0])).tolist() == [3.0, 6.0]
    assert np.isnan(pricing.combine(matrix, np.array([3.0, 1.0]))).tolist() == [True, False]
    with pytest.raises(ParameterError, match=r"^quantity\[1\] is nan; expected a finite number"):
        pricing.combine(matrix, np.array([3.0, np.nan]))
    with pytest.raises(ParameterError, match=r"^matrix has shape \(2, 2\) and quantity \(3,\)"):
        pricing.combine(matrix, np.ones(3))


def compiles_for_avx2():
    return not numba.config.CPU_NAME and bool(llvmlite.binding.get_host_cpu_features().get("avx2"))


@pytest.mark.skipif(not compiles_for_avx2(), reason="no AVX2, or code is compiled for another processor")
def test_the_compiled_kernels_are_vector_code():
    """Trap 28: the default error model, a library call or a wrapped index would leave scalar code only."""
    options = {"nogil": True, "error_model": "numpy", "fastmath": FASTMATH}
    reval = njit(**options)(reval_vector.scenario_values.py_func)
    reval(np.ones(64), np.ones(64), np.ones(64), 1.0, 1.0, True, False, np.ones(64))
    total = njit(**options)(kernels.combine_rows.py_func)
    total(np.ones((5, 64)), np.arange(5), np.ones(5), np.ones(64))
    checked = [(reval, 35), (total, 4)]
    one = np.ones(64)
    for function, arguments, least in (
        (implied_vector._sides, (one, one, one, one, one, one, one), 8),
        (implied_vector._start, (one, one, one), 10),
        (implied_vector._rough_step, (one, one, one), 30),
        (implied_vector._gap_by_mills_ratios, (one, one, one), 40),
        (implied_vector._gap_by_series, (one, one, one), 30),
        (implied_vector._last_step, (one, one, one, one, one, one), 15),
    ):
        step = njit(**options)(function.py_func)
        step(*(argument.copy() for argument in arguments))
        checked.append((step, least))
    for compiled, least in checked:
        assembly = "\n".join(compiled.inspect_asm().values())
        vector = len(re.findall(r"\bvfn?m(?:add|sub)\w+.*[yz]mm", assembly))
        assert vector >= least, f"{vector} vector multiply-adds in {compiled.py_func.__name__}"


def test_a_zero_divisor_is_no_exception_inside_a_kernel():
    """Trap 28, the other side: numba's default error model would raise ZeroDivisionError here."""
    assert pricing.option_values(np.array([100.0]), np.array([0.0]), 100.0, 1.0, True, False).tolist() == [
        0.0
    ]


def test_warmup_reports_its_kernels():
    assert pricing.warmup() >= 4
