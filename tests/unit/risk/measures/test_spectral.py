"""Spectral measures and expectiles: definitions, limits, coherence, errors, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.risk import Spectrum, expected_shortfall, expectile, spectral_risk

PNL = arrays(np.float64, st.integers(2, 50), elements=st.floats(-1e4, 1e4, width=32))
SPECTRA = [
    Spectrum.exponential(0.5),
    Spectrum.exponential(25.0),
    Spectrum.shortfalls([0.0, 0.9, 0.99], [0.3, 0.3, 0.4]),
    Spectrum.steps(np.arange(1.0, 11.0) / 55.0),
]


@given(PNL, st.sampled_from([0.5, 0.9, 0.975, 0.99]))
def test_one_shortfall_is_es(pnl: np.ndarray, level: float) -> None:
    spectrum = Spectrum.shortfalls([level])
    assert float(spectral_risk(pnl, spectrum)) == pytest.approx(
        float(expected_shortfall(pnl, level)), rel=1e-9, abs=1e-6
    )


@given(PNL)
def test_equal_steps_are_the_mean(pnl: np.ndarray) -> None:
    n = pnl.size
    assert float(spectral_risk(pnl, Spectrum.steps(np.full(n, 1.0 / n)))) == pytest.approx(
        -pnl.mean(), abs=1e-7
    )
    assert float(expectile(pnl, 0.5)) == pytest.approx(-pnl.mean(), abs=1e-7)


def test_steps_weigh_order_statistics() -> None:
    losses, weights = np.array([5.0, -1.0, 2.0, 9.0]), [0.1, 0.2, 0.3, 0.4]
    expected = 0.1 * -1.0 + 0.2 * 2.0 + 0.3 * 5.0 + 0.4 * 9.0
    assert float(spectral_risk(-losses, Spectrum.steps(weights))) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("k", [0.5, 5.0, 50.0])
def test_exponential_spectrum_of_a_normal_loss(k: float) -> None:
    """Against quadrature of phi(u) q(u); small aversion tends to the mean, large to the worst loss."""

    def weighted(x: float) -> float:
        spectrum = k * math.exp(-k * (1.0 - ndtr(x))) / -math.expm1(-k)
        return x * spectrum * math.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)

    exact, _ = quad(weighted, -9.0, 9.0)
    pnl = ndtri((np.arange(200_000) + 0.5) / 200_000)
    assert float(spectral_risk(pnl, Spectrum.exponential(k))) == pytest.approx(exact, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("spectrum", SPECTRA, ids=lambda s: s.name)
def test_spectra_are_densities_that_do_not_fall(spectrum: Spectrum) -> None:
    u = np.linspace(0.0, 1.0, 2001)
    assert spectrum.cumulative(u)[[0, -1]] == pytest.approx([0.0, 1.0], abs=1e-12)
    inner = u[:-1]
    assert (np.diff(spectrum.density(inner)) >= -1e-12).all()
    steps = np.diff(spectrum.cumulative(u)) / np.diff(u)
    assert (
        float(np.abs(steps - spectrum.density(inner + 0.5 / 2000)).max())
        < 0.02 * spectrum.density(inner).max()
    )


def _measures() -> list:
    return [
        *((lambda x, s=s: float(spectral_risk(x, s))) for s in SPECTRA),
        lambda x: float(expectile(x, 0.97)),
    ]


@settings(max_examples=40)
@given(st.integers(2, 40), st.floats(0.0, 50.0), st.floats(-1e3, 1e3), st.integers(0, 10**6))
def test_coherence(n: int, scale: float, cash: float, seed: int) -> None:
    x, y = (stream(seed, name).standard_t(3, n) for name in "xy")
    for rho in _measures():
        assert rho(x + cash) == pytest.approx(rho(x) - cash, rel=1e-9, abs=1e-7)
        assert rho(scale * x) == pytest.approx(scale * rho(x), rel=1e-9, abs=1e-9)
        assert rho(x + y) <= rho(x) + rho(y) + 1e-9
        assert rho(np.maximum(x, y)) <= rho(x) + 1e-9
        assert rho(stream(seed, "mix").permutation(x)) == pytest.approx(rho(x), rel=1e-12, abs=1e-12)


@settings(max_examples=60)
@given(PNL, st.sampled_from([0.5, 0.8, 0.99, 0.9999]))
def test_expectile_solves_its_equation(pnl: np.ndarray, level: float) -> None:
    weights = stream(pnl.size, "weights").integers(0, 4, pnl.size).astype(float) + (np.arange(pnl.size) == 0)
    e = float(expectile(pnl, level, weights))
    w, loss = weights / weights.sum(), -pnl
    scale = float(np.abs(loss).max()) + 1.0
    gap = level * (w * np.maximum(loss - e, 0)).sum() - (1 - level) * (w * np.maximum(e - loss, 0)).sum()
    assert abs(gap) <= 1e-12 * scale


def test_expectile_level_of_the_normal_quantile() -> None:
    """The expectile equal to the 0.99 quantile of a normal loss has the level 0.99855."""

    def level(z: float) -> float:
        pdf = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
        over = pdf - z * (1.0 - ndtr(z))
        return float((over + z) / (2.0 * over + z))

    assert level(ndtri(0.99)) == pytest.approx(0.99855, abs=5e-6)
    pnl = ndtri((np.arange(400_000) + 0.5) / 400_000)
    assert float(expectile(pnl, level(ndtri(0.99)))) == pytest.approx(ndtri(0.99), rel=1e-4)
    exact = brentq(lambda z: level(z) - 0.9, 0.1, 3.0)
    assert float(expectile(pnl, 0.9)) == pytest.approx(exact, rel=1e-5)


def test_shares_add_up_and_errors_are_what_repetition_shows() -> None:
    for make in (
        lambda x, **k: spectral_risk(x, SPECTRA[1], **k),
        lambda x, **k: spectral_risk(x, SPECTRA[2], **k),
        lambda x, **k: expectile(x, 0.98, **k),
    ):
        repeated = [make(stream(r, "spread").standard_normal(1000)) for r in range(150)]
        for figure in repeated[:3]:
            figure.check()
        spread = float(np.std([f.value for f in repeated], ddof=1))
        assert float(np.mean([f.se_simulation for f in repeated])) == pytest.approx(spread, rel=0.2)
        boot = make(stream(0, "spread").standard_normal(1000), n_boot=80)
        assert boot.se_bootstrap == pytest.approx(boot.se_simulation, rel=0.3)


def test_weights_are_repetition() -> None:
    pnl, weights = np.array([3.0, -1.0, -4.0]), np.array([1.0, 2.0, 1.0])
    repeated = np.repeat(pnl, weights.astype(int))
    for spectrum in SPECTRA:
        assert float(spectral_risk(pnl, spectrum, weights)) == pytest.approx(
            float(spectral_risk(repeated, spectrum))
        )
    assert float(expectile(pnl, 0.9, weights)) == pytest.approx(float(expectile(repeated, 0.9)))


def test_display() -> None:
    figure = spectral_risk([1.0, -1.0, -2.0], SPECTRA[0])
    assert figure.label == "spectral" and "exponential, aversion 0.5" in repr(figure)
    assert figure.to_dict()["level"] is None
    assert figure.cite() == ("acerbi2002spectral",)
    assert expectile([1.0, -1.0], 0.9).plot().get_title().startswith("expectile 0.9")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Spectrum.exponential(0.0), "aversion is 0.0; expected a positive number"),
        (lambda: Spectrum.shortfalls([1.0]), "levels are"),
        (lambda: Spectrum.shortfalls([0.9, 0.95], [0.5, 0.6]), "shares"),
        (
            lambda: Spectrum.steps([0.6, 0.4]),
            "weight 1 is 0.4 after 0.6; expected weights that do not decrease",
        ),
        (lambda: Spectrum.steps([0.2, 0.3]), "weights sum to 0.5"),
        (lambda: Spectrum.steps([math.nan]), "finite numbers"),
        (lambda: spectral_risk([1.0], "exponential"), "spectrum is a str; expected a Spectrum"),
        (lambda: spectral_risk([math.nan], SPECTRA[0]), "pnl of scenario 0 is nan"),
        (lambda: expectile([1.0], 0.3), "level is 0.3"),
        (lambda: expectile([1.0, 2.0], 0.9, [1.0]), "weights have shape"),
    ],
)
def test_bad_input(make, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        make()
