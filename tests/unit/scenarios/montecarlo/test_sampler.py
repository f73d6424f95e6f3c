"""Points: bits, prefixes, pairs, replicates; roots and the rotation over days."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.scenarios.montecarlo.sampler import Sampler, across_days, pivoted_root


@pytest.mark.parametrize("kind", ["sobol", "pseudo"])
@pytest.mark.parametrize("antithetic", [True, False])
def test_equal_seeds_give_equal_bits_and_more_paths_begin_alike(kind, antithetic: bool) -> None:
    few, many = (Sampler(n_paths=n, kind=kind, antithetic=antithetic).draw(3, 2) for n in (256, 1024))
    for a, b in zip(few, many, strict=True):
        assert np.array_equal(a, b[:256]) and a.flags.c_contiguous
    again = Sampler(n_paths=256, kind=kind, antithetic=antithetic).draw(3, 2)
    assert again[0].tobytes() == few[0].tobytes() and again[1].tobytes() == few[1].tobytes()


def test_golden_bits() -> None:
    """First draws of seed 20260801: a change of library or of the naming of streams shows here."""
    z, u = Sampler(n_paths=8).draw(2, 1)
    assert z[0].round(8).tolist() == [-1.47867092, 0.48145892] and u[0].round(8).tolist() == [0.19548467]


def test_pairs_mirror_normals_and_keep_uniforms() -> None:
    z, u = Sampler(n_paths=512).draw(4, 2)
    assert np.array_equal(z[1::2], -z[0::2]) and np.array_equal(u[1::2], u[0::2])
    assert np.add.reduce(z, axis=0).tolist() == [0.0] * 4


def test_replicates_and_seeds_differ() -> None:
    draws = [Sampler(n_paths=64, seed=s, replicate=r).draw(1, 0)[0] for s, r in ((1, 0), (1, 1), (2, 0))]
    assert all(not np.array_equal(a, b) for a, b in ((draws[0], draws[1]), (draws[0], draws[2])))
    assert Sampler(n_paths=2, seed=5).stream_seed() == 5
    assert Sampler(n_paths=2, seed=5, replicate=1).stream_seed() != 5


@pytest.mark.parametrize("kind", ["sobol", "pseudo"])
def test_draws_have_their_laws(kind) -> None:
    z, u = Sampler(n_paths=4096, kind=kind, antithetic=False).draw(2, 1)
    assert kstest(z[:, 0], "norm").pvalue > 0.01 and kstest(u[:, 0], "uniform").pvalue > 0.01
    assert u.min() > 0.0 and u.max() < 1.0 and np.isfinite(z).all()


def test_sobol_points_are_balanced_in_every_dimension() -> None:
    _, u = Sampler(n_paths=256, antithetic=False).draw(0, 40)
    counts = np.stack([np.bincount((column * 256).astype(int), minlength=256) for column in u.T])
    assert (counts == 1).all()


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 7))
def test_root_gives_the_matrix_back(seed: int, n: int, rank: int) -> None:
    x = stream(seed, "root").standard_normal((n, rank)) * 10.0 ** np.linspace(-3, 3, n)[:, None]
    matrix = x @ x.T
    L, sd = pivoted_root(matrix), np.sqrt(np.diag(matrix))
    assert np.allclose((L @ L.T) / np.outer(sd, sd), matrix / np.outer(sd, sd), atol=1e-10)
    assert (np.abs(L).sum(axis=0) > 0.0).sum() <= min(n, rank)


def test_root_of_a_factor_that_does_not_vary() -> None:
    L = pivoted_root(np.diag([0.0, 4.0]))
    assert (L @ L.T).tolist() == [[0.0, 0.0], [0.0, 4.0]]


@settings(derandomize=True, max_examples=15, deadline=None)
@given(st.integers(1, 12), st.integers(1, 3))
def test_rotation_over_days_is_orthonormal_and_leads_with_the_sum(days: int, k: int) -> None:
    eye = np.eye(days * k)
    Q = across_days(eye, days).reshape(days * k, days * k)
    assert np.allclose(Q @ Q.T, eye, atol=1e-13)
    total = across_days(eye, days).sum(axis=1)
    assert np.allclose(total[:k], math.sqrt(days) * np.eye(k), atol=1e-13)
    assert np.allclose(total[k:], 0.0, atol=1e-13)


@pytest.mark.parametrize(
    ("settings_", "text"),
    [
        ({"n_paths": 0}, "n_paths is 0"),
        ({"n_paths": 8.0}, "n_paths is 8.0"),
        ({"n_paths": 9}, "9 antithetic paths"),
        ({"n_paths": 1000}, "1000 Sobol paths; expected a power of two.*take 512 or 1024"),
        ({"n_paths": 1001, "antithetic": False}, "1001 Sobol paths"),
        ({"n_paths": 8, "kind": "halton"}, "sampler is 'halton'"),
        ({"n_paths": 8, "seed": -1}, "seed is -1"),
        ({"n_paths": 8, "replicate": -1}, "replicate is -1"),
    ],
)
def test_bad_samplers(settings_, text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        Sampler(**settings_)


def test_too_many_dimensions() -> None:
    with pytest.raises(ParameterError, match=r"21,202 dimensions.*shorten the horizon"):
        Sampler(n_paths=2).draw(21_202, 0)
    assert Sampler(n_paths=2, kind="pseudo").draw(21_202, 0)[0].shape == (2, 21_202)


def test_rounding_does_not_choose_the_pivots() -> None:
    """Two covariances a rounding apart have roots a rounding apart, and equal pivots go by position."""
    rng = stream(9, "pivots")
    A = rng.standard_normal((6, 6))
    matrix = 1e-4 * (A @ A.T + 6.0 * np.eye(6))
    near = matrix * (1.0 + 2e-16 * rng.choice([-1.0, 1.0], (6, 6)))
    near = 0.5 * (near + near.T)
    first, second = pivoted_root(matrix), pivoted_root(near)
    np.testing.assert_allclose(first, second, rtol=1e-12, atol=1e-16)
    assert np.count_nonzero(first[0]) == 1  # the first row leads
