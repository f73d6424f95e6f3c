"""Tiles in vector registers: factors, inverses and moments against numpy, and the machine code itself."""

from __future__ import annotations

import pickle
import re
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pandas as pd
import pytest
from numba import njit

from pmkit.core.provenance import fingerprint
from pmkit.core.random import stream
from pmkit.estimation import fit_correlation
from pmkit.estimation.dynamic import composite_pairs, dcc_blocks, dcc_lanes, dcc_recursion
from pmkit.estimation.dynamic.correlation_inputs import LateFingerprint
from pmkit.estimation.dynamic.dcc_blocks import LANES, PANEL, factor, invert, solve
from pmkit.estimation.dynamic.dcc_dynamics import Dynamics
from pmkit.estimation.dynamic.dcc_likelihood import CorrelationLikelihood
from pmkit.estimation.dynamic.dcc_recursion import moment
from pmkit.pricing.numeric import FASTMATH

CPU_FEATURES = [name for name, on in llvm.get_host_cpu_features().items() if on]


def stack(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return eight positive definite matrices, and the same as lanes."""
    x = stream(3, "tiles", n).standard_normal((LANES, n, n + 5))
    many = x @ x.transpose(0, 2, 1) / n + 0.1 * np.eye(n)
    return many, np.ascontiguousarray(many.transpose(1, 2, 0).reshape(n, n * LANES))


@pytest.mark.parametrize("n", [4, 8, PANEL, PANEL + 4, 2 * PANEL + 8])
def test_factor_and_its_inverse(n: int) -> None:
    """Sizes below, at and beyond a panel."""
    many, A = stack(n)
    v = np.ascontiguousarray(stream(4, "tiles").standard_normal((n, LANES)))
    right, logdet = v.copy().ravel(), np.empty(LANES)
    factor(A, logdet)
    assert logdet == pytest.approx(np.linalg.slogdet(many)[1], rel=1e-12)
    solve(A, right)
    invert(A)
    entries = A.reshape(n, n, LANES)
    for lane in range(LANES):
        L = np.linalg.cholesky(many[lane])
        V = np.linalg.inv(L)
        below = np.tril_indices(n, -1)
        assert entries[:, :, lane][below] == pytest.approx(L[below], rel=1e-10, abs=1e-12)
        assert np.diag(entries[:, :, lane]) == pytest.approx(1.0 / np.diag(L), rel=1e-11)
        assert entries[:, :, lane].T[below] == pytest.approx(V[below], rel=1e-9, abs=1e-10)
        assert right.reshape(n, LANES)[:, lane] == pytest.approx(V @ v[:, lane], rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("model", ["dcc", "adcc", "cdcc"])
def test_score_and_pressure_beyond_a_panel(model: str) -> None:
    n, rows = PANEL + 6, 60
    z = stream(6, "tiles").standard_normal((rows, n))
    theta = np.array([0.04, 0.88, 0.02][: 3 if model == "adcc" else 2])
    problem = CorrelationLikelihood(np.ascontiguousarray(z), model, second_moment=np.eye(n))
    found = problem.evaluate(theta, pressure=True)
    for k in range(len(theta)):
        h = np.zeros(len(theta))
        h[k] = 1e-6
        up, down = problem.evaluate(theta + h, score=False), problem.evaluate(theta - h, score=False)
        assert found.gradient[k] == pytest.approx((up.value - down.value) / 2e-6, rel=2e-5)
    if model == "dcc":
        i, j = n - 1, 2
        shift = np.eye(n)
        shift[i, j] = shift[j, i] = 1e-6
        moved = CorrelationLikelihood(problem.z, model, second_moment=shift).evaluate(theta, score=False)
        assert found.pressure[0, i, j] == pytest.approx((moved.value - found.value) / 1e-6, rel=1e-4)


def test_a_large_likelihood_against_the_plain_twin() -> None:
    n, rows, a, b = PANEL + 7, 50, 0.04, 0.9
    z = stream(8, "tiles").standard_normal((rows, n))
    S = 0.7 * np.eye(n) + 0.3
    Q, value = S.copy(), 0.0
    for t in range(rows):
        R = Q / np.sqrt(np.outer(np.diag(Q), np.diag(Q)))
        value -= 0.5 * (np.linalg.slogdet(R)[1] + z[t] @ np.linalg.solve(R, z[t]) - z[t] @ z[t])
        Q = (1.0 - a - b) * S + a * np.outer(z[t], z[t]) + b * Q
    found = CorrelationLikelihood(z, "dcc", second_moment=S).evaluate(np.array([a, b]))
    assert found.value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 33])
def test_moments_of_any_width(n: int) -> None:
    x, y = stream(1, "moment", n).standard_normal((2, 41, n))
    assert moment(x, y) == pytest.approx(x.T @ y / 41, abs=1e-14)
    own = moment(x, x)
    assert np.array_equal(own, own.T) and own == pytest.approx(x.T @ x / 41, abs=1e-14)
    assert np.array_equal(own, moment(x, x.copy()))


@pytest.mark.parametrize("n", [7, 8, 9, 17])
def test_state_is_the_end_of_the_path(n: int) -> None:
    z = stream(2, "state", n).standard_normal((30, n))
    S = 0.6 * np.eye(n) + 0.4
    known = Dynamics(a=0.05, b=0.85, g=0.02, start=S, constant=0.08 * S, corrected=False, equal=False)
    Q = known.state(z)
    root = np.sqrt(np.diag(Q))
    assert np.array_equal(Q, Q.T)
    assert np.array_equal(
        np.tril(known.path(z)[-1], -1), np.tril(np.clip(Q / (root[:, None] * root[None, :]), -1, 1), -1)
    )


def test_fingerprint_is_late_but_the_same() -> None:
    z = stream(5, "late").standard_normal((150, 4))
    frame = pd.DataFrame(z, columns=list("dacb"))
    fit = fit_correlation(frame, "dcc", covariance=False)
    late = pickle.loads(pickle.dumps(fit.provenance))
    frame.iloc[:, :] = 0.0
    assert fit.provenance.data == {"residuals": fingerprint(z)} == dict(late.data)
    assert fit.provenance == late and repr(fit.provenance.data) == repr(dict(late.data))
    assert fit.provenance.data["residuals"] == fingerprint(fit.residuals.to_numpy())
    assert len(late.data) == 1 and "returns" not in LateFingerprint("x", z, np.arange(4))


_A, _Z, _SPACE = stack(8)[1], np.ones(8 * LANES), np.ones((6, 16 * LANES))
_NONE, _TABLE = np.zeros((0, 0)), np.ones((16, 16))
KERNELS = [
    (dcc_blocks.factor, (_A, np.empty(LANES)), 30),
    (dcc_blocks.invert, (_A,), 30),
    (
        dcc_lanes._slopes,
        (0, 1, np.ones((3, *_A.shape)), _A, _SPACE, _Z, _NONE, _TABLE, np.zeros((0, 0, 0))),
        40,
    ),
    (dcc_recursion._moment, (_TABLE, _TABLE, False, _TABLE), 16),
    (dcc_recursion._step, (_TABLE, _Z[:16], _Z[:0], _TABLE, 0.1, 0.8, 0.0), 2),
    (composite_pairs._plain_day, (np.ones(32), np.ones(41 * 16), 0.1, 0.8), 25),
    (composite_pairs._pairs_day, (np.ones(32), np.ones(41 * 16), 1.0, 0.1, 0.8), 35),
]


@pytest.mark.skipif("avx2" not in CPU_FEATURES, reason="this processor has no AVX2")
@pytest.mark.parametrize(
    ("function", "arguments", "least"), KERNELS, ids=lambda k: getattr(k, "__name__", "")
)
def test_kernels_are_vector_code(function: Any, arguments: tuple[Any, ...], least: int) -> None:
    """Products, factors and recursions use vector registers on a processor that has them."""
    compiled = njit(error_model="numpy", fastmath=FASTMATH)(function.py_func)
    compiled(*(one.copy() if isinstance(one, np.ndarray) else one for one in arguments))
    assembly = "\n".join(compiled.inspect_asm().values())
    vector = re.findall(r"\bvfn?m(?:add|sub)\w+.*[yz]mm", assembly)
    assert len(vector) >= least, f"{len(vector)} vector multiply-adds in {function.py_func.__name__}"
