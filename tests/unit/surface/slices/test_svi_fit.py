"""Calibration of raw SVI: recovery, weights, bounds, and a status for every way to fail."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.surface import RawSvi, butterfly, fit_svi

VOGT = RawSvi(a=-0.0410, b=0.1331, m=0.3586, rho=0.3060, sigma=0.4153)
K = np.linspace(-0.7, 0.7, 41)


@settings(derandomize=True, max_examples=100, deadline=None)
@given(
    st.floats(-0.95, 0.95),
    st.floats(0.01, 0.95),
    st.floats(0.02, 0.8),
    st.floats(-0.3, 0.3),
    st.floats(0.01, 1),
)
def test_exact_quotes_give_their_slice_back(
    rho: float, b: float, sigma: float, m: float, share: float
) -> None:
    svi = RawSvi(a=(share - 1.0) * b * sigma * math.sqrt(1.0 - rho**2), b=b, rho=rho, m=m, sigma=sigma)
    fitted = fit_svi(K, svi.w(K))
    assert fitted.svi is not None and fitted.status == "ok"
    assert fitted.rmse < 1e-8
    assert fitted.svi.sigma == pytest.approx(sigma, rel=1e-4) and fitted.svi.a == pytest.approx(
        svi.a, abs=1e-5
    )


def noisy(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = stream(20, name)
    error = 0.002 * np.exp(np.abs(K))
    return K, VOGT.w(K) + error * rng.standard_normal(K.size), error


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_no_general_optimiser_finds_a_better_fit(name: str) -> None:
    k, w, error = noisy(name)
    fitted = fit_svi(k, w, error)

    def loss(x: np.ndarray) -> float:
        a, b, rho, m, sigma = x
        y = k - m
        return float((((a + b * (rho * y + np.sqrt(y * y + sigma * sigma)) - w) / error) ** 2).sum())

    box = [(-1, 1), (1e-3, 2), (-0.99, 0.99), (-1, 1), (0.01, 2)]
    start = [(-0.04, 0.13, 0.3, 0.36, 0.4), (0.02, 0.2, -0.3, 0.0, 0.2), (0.01, 0.1, 0.0, 0.2, 0.1)]
    others = [minimize(loss, x, bounds=box, method="L-BFGS-B", options={"maxiter": 5000}).fun for x in start]
    assert fitted.chi2 <= min(others) * (1.0 + 1e-7)
    assert 0.5 < fitted.chi2_per_dof < 2.0


def test_error_bars_weigh_the_quotes_and_their_unit_does_not_matter() -> None:
    k, w, error = noisy("a")
    bent = w.copy()
    bent[30] *= 1.5
    wide = error.copy()
    wide[30] *= 1e4
    clean, doubtful = (
        fit_svi(np.delete(k, 30), np.delete(w, 30), np.delete(error, 30)),
        fit_svi(k, bent, wide),
    )
    assert clean.svi is not None and doubtful.svi is not None
    assert doubtful.svi.w(k) == pytest.approx(clean.svi.w(k), rel=1e-5)
    same = fit_svi(k, bent, 2.0**-20 * wide)
    assert same.svi == doubtful.svi and same.chi2 == pytest.approx(2.0**40 * doubtful.chi2)


def test_share_inside_bid_and_ask() -> None:
    k, w, error = noisy("b")
    fitted = fit_svi(k, w, error, w_bid=w - error, w_ask=w + error)
    assert fitted.svi is not None
    by_hand = np.mean(np.abs(fitted.svi.w(k) - w) <= error)
    assert fitted.inside == by_hand and 0.5 < fitted.inside < 0.9
    assert math.isnan(fit_svi(k, w, error).inside) and math.isnan(fit_svi(k, w).chi2)


def test_more_starts_are_never_worse_and_equal_input_gives_equal_bits() -> None:
    k, w, error = noisy("c")
    losses = [fit_svi(k, w, error, starts=n).chi2 for n in (1, 6, 30)]
    assert losses[2] <= losses[1] * (1 + 1e-12) and losses[1] <= losses[0] * (1 + 1e-12)
    assert fit_svi(k, w, error).svi == fit_svi(k, w, error).svi


def test_the_wing_bound_is_held_and_said() -> None:
    steep = 0.4 + 2.4 * (np.sqrt(K**2 + 0.04) - 0.2)
    fitted = fit_svi(K, steep)
    assert fitted.status == "at_bound" and "slope 2" in fitted.detail and fitted.svi is not None
    assert max(fitted.svi.slopes) <= 2.0 and butterfly(fitted.svi).lee


def test_a_line_and_a_constant_are_fitted_at_a_bound() -> None:
    for w in (0.2 + 0.1 * K, np.full(K.size, 0.04)):
        fitted = fit_svi(K, w)
        assert fitted.svi is not None and fitted.rmse < 2e-3
        assert fitted.status == "at_bound" and "flat" in fitted.detail


def test_quotes_that_fall_through_zero_between_strikes_keep_variance_positive() -> None:
    k = np.array([-0.3, -0.2, -0.1, 0.1, 0.2, 0.3])
    fitted = fit_svi(k, np.maximum(0.2 * (k * k - 0.0099), 1e-5))
    assert fitted.svi is not None and fitted.svi.min_variance > 0.0
    assert fitted.status != "ok"


def test_a_degenerate_fit_is_a_status() -> None:
    k, w, error = noisy("a")
    middle = int(np.argmin(np.abs(k)))
    w[middle] *= 9.0
    error[middle] *= 1e3
    fitted = fit_svi(k, w, error)
    assert fitted.status == "degenerate" and not fitted.usable
    assert "nearest the money is off by -6" in fitted.detail


@pytest.mark.parametrize("points", [0, 1, 4])
def test_too_few_points_are_a_status(points: int) -> None:
    fitted = fit_svi(K[:points], VOGT.w(K[:points]))
    assert fitted.status == "too_few_points" and fitted.svi is None and not fitted.usable
    assert fitted.detail == f"{points} points, 5 are needed"
    assert fitted.summary().loc[0, "points"] == points


def test_five_points_have_no_degree_of_freedom() -> None:
    k = np.linspace(-0.5, 0.6, 5)
    fitted = fit_svi(k, VOGT.w(k), np.full(5, 0.001))
    assert fitted.rmse < 1e-6 and math.isnan(fitted.chi2_per_dof)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"w": np.ones(3)}, r"w of shape \(3,\); expected shape \(41,\) like k"),
        ({"k": K[::-1]}, "k is not finite or not ascending"),
        ({"w": np.where(K > 0.5, np.nan, 0.04)}, "w has 6 NaN of 41"),
        ({"w": np.where(K > 0.68, -0.04, 0.04)}, r"w\[40\] is -0\.04; expected finite and positive"),
        ({"error": np.zeros(41)}, r"error\[0\] is 0"),
        ({"w_bid": np.zeros(41)}, "only one of w_bid and w_ask"),
        ({"starts": 0}, "starts is 0; expected 1 to 50"),
        ({"min_a": 1.0}, r"min_a is 1; expected a number below the largest w, 0\.04"),
    ],
)
def test_bad_input(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        fit_svi(**({"k": K, "w": np.full(41, 0.04)} | arguments))  # type: ignore[arg-type]


def test_a_slice_takes_less_than_three_milliseconds() -> None:
    k, w, error = noisy("a")
    fit_svi(k, w, error)
    best = math.inf
    for _ in range(10):
        begin = time.perf_counter()
        fit_svi(k, w, error)
        best = min(best, time.perf_counter() - begin)
    assert best < 0.003


def test_no_legal_quotes_end_in_an_error() -> None:
    rng = stream(21, "wild")
    seen = set()
    for trial in range(300):
        n = int(rng.integers(5, 30))
        k = np.sort(rng.uniform(-1.0, 1.0, n)) * 10.0 ** rng.uniform(-3.0, 1.0)
        shape = k / np.abs(k).max()
        w = (
            np.exp(2.0 * rng.standard_normal(n)),
            np.exp(5.0 * shape),
            np.maximum(shape**2 - 0.1, 1e-6),
            np.abs(shape) + 1e-9,
            np.where(shape > 0.0, 1.0, 1e-6),
        )[trial % 5] * 10.0 ** rng.uniform(-9.0, 1.0)
        error = w * 10.0 ** rng.uniform(-3.0, 1.0, n) if trial % 2 else None
        fitted = fit_svi(k, w, error)
        seen.add(fitted.status)
        assert fitted.svi is not None and fitted.svi.min_variance > 0.0 and max(fitted.svi.slopes) < 2.0
        assert (fitted.svi.w(k) > 0.0).all()
    assert {"at_bound", "degenerate"} <= seen
