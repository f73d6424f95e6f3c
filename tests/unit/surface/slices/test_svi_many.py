"""Many SVI slices at once: the same as one by one, no worse than a plain search, and no basin missed."""

from __future__ import annotations

import math
import re
import time

import llvmlite.binding
import numba
import numpy as np
import pytest
from scipy.optimize import minimize

from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.pricing.numeric import FASTMATH
from pmkit.surface import RawSvi, fit_svi, fit_svi_many
from pmkit.surface.slices import svi_profile


def ssvi(theta: float, rho: float, psi: float) -> RawSvi:
    root = math.sqrt(1.0 - rho * rho)
    return RawSvi(
        a=0.5 * theta * root**2, b=0.5 * psi, rho=rho, m=-rho * theta / psi, sigma=root * theta / psi
    )


def noisy_slices(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return simulated slices of 25 strikes: 7 days to 2 years, 0.4 % noise in vol."""
    rng = stream(31, "noisy-slices")
    k, w = np.empty((count, 25)), np.empty((count, 25))
    for i in range(count):
        tau = math.exp(rng.uniform(math.log(7 / 365), math.log(2.0)))
        sd = rng.uniform(0.3, 0.9) * math.sqrt(tau)
        rho = rng.uniform(-0.7, 0.2)
        svi = ssvi(sd * sd, rho, min(rng.uniform(0.4, 1.2) * sd, 1.6 / (1.0 + abs(rho))))
        k[i] = np.linspace(-2.5, 2.0, 25) * sd
        w[i] = svi.w(k[i]) * (1.0 + 0.004 * rng.standard_normal(25)) ** 2
    return k, w


def plain_search(k: np.ndarray, w: np.ndarray, weight: np.ndarray) -> float:
    """Return the least sum of squares by linear least squares inside a simplex, from nine starts."""
    root = np.sqrt(weight)

    def loss(x: np.ndarray) -> float:
        y = (k - x[0]) / math.exp(x[1])
        table = np.column_stack([np.ones_like(y), y, np.sqrt(y * y + 1.0)]) * root[:, None]
        gap = table @ np.linalg.lstsq(table, root * w, rcond=None)[0] - root * w
        return float(gap @ gap)

    span, found = float(np.ptp(k)), math.inf
    unit = loss(np.array([0.0, math.log(0.3 * span)]))
    for m in (0.2, 0.5, 0.8):
        for width in (0.05, 0.2, 0.8):
            start = [k[0] + m * span, math.log(width * span)]
            if loss(np.array(start)) > 30.0 * min(unit, found):
                continue
            options = {"xatol": 1e-7, "fatol": 1e-11 * unit, "maxiter": 500}
            result = minimize(loss, start, method="Nelder-Mead", options=options)
            found = min(found, float(result.fun))
    return found


def test_noisy_slices_reach_the_least_squares_of_a_plain_search() -> None:
    k, w = noisy_slices(200)
    fits = fit_svi_many(k, w)
    assert fits.status.count("ok") >= 185
    for i in range(0, 200, 12):
        if fits.bounds[i]:
            continue
        a, b, rho, m, sigma = fits.parameters[i]
        ours = math.fsum((RawSvi(a, b, rho, m, sigma).w(k[i]) - w[i]) ** 2)
        assert math.sqrt(ours / plain_search(k[i], w[i], np.ones(25))) < 1.0 + 1e-6


def test_more_starts_find_nothing_better_on_noisy_slices() -> None:
    k, w = noisy_slices(200)
    few, many = fit_svi_many(k, w, np.ones_like(k), starts=1), fit_svi_many(k, w, np.ones_like(k), starts=30)
    assert np.sqrt(few.chi2 / many.chi2).max() < 1.0 + 1e-6


@pytest.mark.parametrize("half", [0.05, 0.07, 0.10, 0.15, 0.20])
def test_s25_narrow_ranges_of_strikes_do_not_fall_into_a_degenerate_basin(half: float) -> None:
    """Steep index-like skews, simulated, on dense strikes within a few per cent of the forward."""
    rng = stream(32, f"narrow-{half}")
    rows_k, rows_w, atm = [], [], []
    for _ in range(28):
        tau = math.exp(rng.uniform(math.log(5 / 365), math.log(0.8)))
        vol, rho = rng.uniform(0.1, 0.25), rng.uniform(-0.85, -0.5)
        theta = vol * vol * tau
        psi = min(rng.uniform(0.6, 1.5) * math.sqrt(theta), 3.9 / (1.0 + abs(rho)))
        k = np.unique(np.log1p(rng.uniform(-half, half, int(rng.integers(40, 200)))))
        rows_k.append(k)
        rows_w.append(ssvi(theta, rho, psi).w(k) * (1.0 + 0.01 * rng.standard_normal(k.size)) ** 2)
        atm.append(theta)
    fits = fit_svi_many(rows_k, rows_w, [np.ones(k.size) for k in rows_k])
    assert "degenerate" not in fits.status and "not_converged" not in fits.status
    fitted = [float(fits[i].svi.w(0.0)) for i in range(28)]  # type: ignore[union-attr]
    assert np.abs(np.sqrt(np.array(fitted) / atm) - 1.0).max() < 0.02
    thorough = fit_svi_many(rows_k, rows_w, [np.ones(k.size) for k in rows_k], starts=50)
    assert np.sqrt(fits.chi2 / thorough.chi2).max() < 1.0 + 1e-5


def test_one_call_equals_one_by_one_in_bits_and_ragged_rows_work() -> None:
    k, w = noisy_slices(6)
    rows_k, rows_w = [r[: 25 - 3 * i] for i, r in enumerate(k)], [r[: 25 - 3 * i] for i, r in enumerate(w)]
    error = [0.001 + 0.01 * np.abs(r) for r in rows_k]
    fits = fit_svi_many(rows_k, rows_w, error)
    assert len(fits) == 6 and list(fits.points) == [25, 22, 19, 16, 13, 10]
    for i in range(6):
        one = fit_svi(rows_k[i], rows_w[i], error[i])
        assert fits[i].svi == one.svi and fits[i].chi2 == one.chi2 and fits[i].status == one.status
        assert fits[i].rmse == one.rmse
    again = fit_svi_many(rows_k, rows_w, error)
    assert (again.parameters == fits.parameters).all()
    reverse = fit_svi_many(rows_k[::-1], rows_w[::-1], error[::-1])
    assert (reverse.parameters[::-1] == fits.parameters).all()


def test_too_few_points_are_a_status_beside_slices_that_fit() -> None:
    k, w = noisy_slices(3)
    fits = fit_svi_many([k[0], k[1][:4], k[2]], [w[0], w[1][:4], w[2]])
    assert fits.status == ["ok", "too_few_points", "ok"] or fits.status[1] == "too_few_points"
    assert np.isnan(fits.parameters[1]).all() and math.isnan(fits.rmse[1]) and fits[1].svi is None
    assert fits[1].detail == "4 points, 5 are needed"
    alone = fit_svi(k[2], w[2])
    assert fits[2].svi == alone.svi
    assert fits.to_frame().loc[1, "status"] == "too_few_points"
    assert fits.summary()["slices"].sum() == 3 and "too_few_points" in repr(fits)
    nothing = fit_svi_many([], [])
    assert len(nothing) == 0 and nothing.status == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"w": [[0.04] * 6, [0.04] * 5]}, "w of other shape than k"),
        ({"w": [[0.04] * 6, [0.04] * 5 + [-1.0]]}, r"w\[1\]\[5\] is -1; expected finite and positive"),
        ({"w": [[0.04] * 6, [0.04] * 5 + [math.nan]]}, "w has 1 NaN of 12"),
        ({"k": [[0.0, 0.1, 0.2, 0.3, 0.4, 0.5], [0.0, 0.1, 0.2, 0.2, 0.4, 0.5]]}, "not ascending"),
        ({"k": [[0.0, 0.1, 0.2, 0.3, 0.4, math.inf]] * 2}, "k is not finite"),
        ({"k": [[[0.0]], [[0.1]]]}, "k of slice 0 has 2 dimensions"),
        ({"error": [[1.0] * 6, [1.0] * 2 + [0.0] + [1.0] * 3]}, r"error\[1\]\[2\] is 0"),
        ({"starts": 99}, "starts is 99; expected 1 to 50"),
        ({"min_a": 0.5}, "min_a is 0.5; expected a number below the largest w"),
    ],
)
def test_bad_input_names_the_slice(change: dict[str, object], message: str) -> None:
    good: dict[str, object] = {"k": [[0.0, 0.1, 0.2, 0.3, 0.4, 0.5]] * 2, "w": [[0.04] * 6] * 2}
    with pytest.raises(ParameterError, match=message):
        fit_svi_many(**(good | change))  # type: ignore[arg-type]


def test_slices_may_end_where_the_next_begins() -> None:
    k = np.linspace(-0.5, 0.5, 9)
    w = ssvi(0.04, -0.3, 0.2).w(k)
    fits = fit_svi_many([k, k - 2.0, k], [w, w, w])
    assert fits.parameters[0] == pytest.approx(fits.parameters[2], abs=0.0)


def test_a_slice_in_company_takes_less_than_sixty_microseconds() -> None:
    k, w = noisy_slices(200)
    fit_svi_many(k, w)
    best = math.inf
    for _ in range(10):
        begin = time.perf_counter()
        fit_svi_many(k, w)
        best = min(best, time.perf_counter() - begin)
    assert best / 200 < 60e-6


def compiles_for_avx2() -> bool:
    return not numba.config.CPU_NAME and bool(llvmlite.binding.get_host_cpu_features().get("avx2"))


@pytest.mark.skipif(not compiles_for_avx2(), reason="no AVX2, or code is compiled for another processor")
def test_the_columns_of_a_slice_are_computed_in_vector_registers() -> None:
    points, about, row, slopes = np.ones((svi_profile.LINES, 24)), np.ones(7), np.empty(12), np.empty(5)
    options = {"error_model": "numpy", "fastmath": FASTMATH}
    for function, arguments, least in (
        (svi_profile.linear, (points, about, 0.0, 1.0, -1.0, 2.0, row), 1),
        (svi_profile.profile, (points, about, 0.0, 1.0, -1.0, 2.0, row, slopes), 2),
    ):
        compiled = numba.njit(**options)(function.py_func)  # type: ignore[attr-defined]
        compiled(*arguments)
        assembly = "\n".join(compiled.inspect_asm().values())
        found = len(re.findall(r"\bv(?:sqrt|div)pd\b.*[yz]mm", assembly))
        assert found >= least, f"{found} vector roots and quotients in {function.py_func.__name__}"  # type: ignore[attr-defined]
