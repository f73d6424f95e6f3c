"""Likelihood kernels of dynamic correlation: a plain twin, exact scores, bits that no thread count moves."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.random import stream
from pmkit.estimation.dynamic.composite_pairs import contiguous_pairs, every_pair
from pmkit.estimation.dynamic.dcc_dynamics import Dynamics
from pmkit.estimation.dynamic.dcc_likelihood import CorrelationLikelihood
from pmkit.estimation.dynamic.dcc_optimise import maximise, to_free, to_theta
from pmkit.estimation.dynamic.dcc_recursion import intercept_weights, moment, to_correlation

MODELS = ("dcc", "adcc", "cdcc", "deco")
THETA = {"dcc": (0.04, 0.9), "adcc": (0.04, 0.88, 0.03), "cdcc": (0.04, 0.9), "deco": (0.04, 0.9)}


def residuals(rows: int, n: int, seed: int = 1) -> np.ndarray:
    x = stream(seed, "dcc").standard_normal((rows, n))
    x = 0.8 * x + 0.6 * stream(seed, "market").standard_normal((rows, 1))
    return np.ascontiguousarray(x * np.linspace(0.95, 1.05, n))


def plain(
    z: np.ndarray, model: str, theta: tuple[float, ...], target: np.ndarray | None = None
) -> tuple[float, list[np.ndarray]]:
    """Return the log-likelihood less that of independent normals, and every R, by matrices and loops."""
    rows, n = z.shape
    a, b, g = (*theta, 0.0)[:3]
    e = z.copy()
    if model in ("cdcc", "deco"):
        q = np.ones(n)
        for t in range(rows):
            e[t] = z[t] * np.sqrt(q)
            q = (1 - a - b) + a * e[t] ** 2 + b * q
    S = e.T @ e / rows
    if model in ("cdcc", "deco"):
        S = S / np.sqrt(np.outer(np.diag(S), np.diag(S)))
    S = S if target is None else target
    minus = np.minimum(z, 0.0)
    N = minus.T @ minus / rows
    Q, value, path = S.copy(), 0.0, []
    for t in range(rows):
        R = Q / np.sqrt(np.outer(np.diag(Q), np.diag(Q)))
        if model == "deco":
            rho = (R.sum() - n) / (n * (n - 1))
            R = (1 - rho) * np.eye(n) + rho
        path.append(R)
        value -= 0.5 * (np.linalg.slogdet(R)[1] + z[t] @ np.linalg.solve(R, z[t]) - z[t] @ z[t])
        Q = (1 - a - b) * S - g * N + a * np.outer(e[t], e[t]) + g * np.outer(minus[t], minus[t]) + b * Q
    return value, path


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("rows", "n"), [(5, 2), (16, 3), (37, 4), (100, 7), (130, 10)])
def test_full_likelihood_against_the_plain_twin(model: str, rows: int, n: int) -> None:
    z = residuals(rows, n)
    problem = CorrelationLikelihood(z, model)
    expected, _ = plain(z, model, THETA[model])
    found = problem.evaluate(np.array(THETA[model]))
    assert found.value == pytest.approx(expected, rel=1e-11, abs=1e-11)
    assert problem.evaluate(np.array(THETA[model]), score=False).value == found.value
    assert np.add.reduce(found.scores, axis=0) == pytest.approx(found.gradient)


@pytest.mark.parametrize("model", ["dcc", "adcc", "cdcc"])
@pytest.mark.parametrize(("pairs", "n"), [("contiguous", 4), ("all", 4), ("contiguous", 19), ("all", 8)])
def test_composite_likelihood_is_the_sum_of_pairs(model: str, pairs: str, n: int) -> None:
    z = residuals(90, n)
    left, right = contiguous_pairs(n) if pairs == "contiguous" else every_pair(n)
    two = [np.ascontiguousarray(z[:, [i, j]]) for i, j in zip(left, right, strict=True)]
    parts = [CorrelationLikelihood(x, model).evaluate(np.array(THETA[model])) for x in two]
    found = CorrelationLikelihood(z, model, pairs).evaluate(np.array(THETA[model]), pressure=True)
    assert found.value == pytest.approx(sum(p.value for p in parts), rel=1e-11)
    assert found.gradient == pytest.approx(sum(p.gradient for p in parts), rel=1e-9)
    assert found.outer == pytest.approx(sum(p.outer for p in parts), rel=1e-9)
    assert found.scores == pytest.approx(sum(p.scores for p in parts), rel=1e-8, abs=1e-10)


@pytest.mark.parametrize(
    ("model", "pairs"),
    [(m, p) for m in MODELS for p in ("none", "contiguous", "all") if not (m == "deco" and p != "none")],
)
def test_score_is_the_derivative(model: str, pairs: str) -> None:
    problem = CorrelationLikelihood(residuals(200, 5), model, pairs)
    theta = np.array(THETA[model])
    found = problem.evaluate(theta).gradient
    for k in range(len(theta)):
        h = np.zeros(len(theta))
        h[k] = 1e-5
        up, down = problem.evaluate(theta + h).value, problem.evaluate(theta - h).value
        assert found[k] == pytest.approx((up - down) / 2e-5, rel=1e-6)


@pytest.mark.parametrize("model", ["dcc", "adcc", "cdcc", "deco"])
def test_pressure_is_the_derivative_in_the_target(model: str) -> None:
    z, theta = residuals(60, 4), THETA[model]
    problem = CorrelationLikelihood(z, model)
    found = problem.evaluate(np.array(theta), pressure=True)
    for i, j in ((1, 0), (3, 2), (2, 0)):
        shift = np.zeros((4, 4))
        shift[i, j] = shift[j, i] = 1e-6
        up, _ = plain(z, model, theta, found.target + shift)
        down, _ = plain(z, model, theta, found.target - shift)
        assert found.pressure[0, i, j] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-5)


def test_composite_pressure_lies_on_the_pairs() -> None:
    z = residuals(60, 4)
    theta = np.array(THETA["dcc"])
    found = CorrelationLikelihood(z, "dcc", "contiguous").evaluate(theta, pressure=True).pressure[0]
    parts = [
        CorrelationLikelihood(np.ascontiguousarray(z[:, [i, i + 1]]), "dcc").evaluate(theta, pressure=True)
        for i in range(3)
    ]
    for i, part in enumerate(parts):
        assert found[i + 1, i] == pytest.approx(part.pressure[0, 1, 0], rel=1e-9)
    assert found[1, 1] == pytest.approx(parts[0].pressure[0, 1, 1] + parts[1].pressure[0, 0, 0], rel=1e-8)
    assert found[2, 0] == found[3, 0] == 0.0


@pytest.mark.parametrize("model", MODELS)
def test_path_and_daily_terms_agree_with_the_twin(model: str) -> None:
    z, theta = residuals(80, 5), THETA[model]
    problem = CorrelationLikelihood(z, model)
    S = problem.evaluate(np.array(theta)).target
    a, b, g = (*theta, 0.0)[:3]
    constant = (1 - a - b) * S - (g * problem.loss_moment if model == "adcc" else 0.0)
    known = Dynamics(
        a=a, b=b, g=g, start=S, constant=constant, corrected=model in ("cdcc", "deco"), equal=model == "deco"
    )
    value, path = plain(z, model, theta)
    assert known.path(z)[:-1] == pytest.approx(np.array(path), rel=1e-12)
    terms = known.daily_loglikelihood(z, np.array([3, 1, 4, 0, 2]))
    assert terms.sum() == pytest.approx(value, rel=1e-11)
    two_parts = known.path(z[50:], known.state(z[:50]))
    assert np.array_equal(two_parts, known.path(z)[50:])


def test_weights_of_the_target_add_up() -> None:
    weights = intercept_weights(50, 0.04, 0.9, 0.03)
    k, m = 1.0, 0.0
    for t in range(50):
        assert weights[0, t] == pytest.approx(k) and weights[1, t] == pytest.approx(-0.03 * m)
        k, m = 0.06 + 0.9 * k, 1.0 + 0.9 * m


def test_moment_and_correlation() -> None:
    x, y = residuals(37, 3), residuals(37, 3, seed=2)
    assert moment(x, y) == pytest.approx(x.T @ y / 37)
    R = to_correlation(moment(x, x))
    assert np.array_equal(R, R.T) and (np.diag(R) == 1.0).all()


@settings(max_examples=25)
@given(st.floats(1e-4, 0.3), st.floats(0.3, 0.69), st.floats(1e-4, 0.005), st.floats(0.3, 1.5))
def test_free_vector_goes_there_and_back(a: float, b: float, g: float, bound: float) -> None:
    theta = np.array([a, b, g])
    assert to_theta(to_free(theta, bound), bound) == pytest.approx(theta, rel=1e-9)
    assert to_theta(to_free(theta[:2], 1.0), 1.0) == pytest.approx(theta[:2], rel=1e-9)


@pytest.mark.parametrize("model", ["dcc", "cdcc"])
def test_search_ends_where_a_fine_grid_is_highest(model: str) -> None:
    problem = CorrelationLikelihood(residuals(300, 3), model)
    found = maximise(problem, np.array([0.03, 0.9]))
    assert found.evaluations < 60
    for da in (-2e-3, 0.0, 2e-3):
        for db in (-2e-2, 0.0, 2e-2):
            near = np.clip(found.theta + [da, db], 1e-9, 0.99)
            if near.sum() < 1.0:
                assert problem.evaluate(near, score=False).value <= found.evaluation.value + 1e-7


_PROBE = """
import numpy as np
from pmkit.core.random import stream
from pmkit.estimation.dynamic.dcc_likelihood import CorrelationLikelihood
x = stream(1, "threads").standard_normal((120, 90)) + stream(2, "threads").standard_normal((120, 1))
for model in ("dcc", "adcc", "cdcc", "deco"):
    problem = CorrelationLikelihood(np.ascontiguousarray(0.7 * x), model)
    theta = np.array([0.03, 0.93, 0.01][: len(problem.names)])
    found = problem.evaluate(theta, pressure=True)
    print(found.value.hex(), [v.hex() for v in found.gradient.tolist()], float(found.pressure.sum()).hex())
    if model == "adcc":
        print(problem.loss_bound.hex())
"""


def test_bits_do_not_depend_on_the_number_of_threads(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """90 assets: beyond the size at which a library of linear algebra takes all threads there are."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    env = {**os.environ, **dict.fromkeys(names, "1"), "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", _PROBE], env=env, capture_output=True, text=True, check=True)
    exec(_PROBE, {})
    here = capsys.readouterr().out
    assert here == done.stdout and here.count("0x") > 15
