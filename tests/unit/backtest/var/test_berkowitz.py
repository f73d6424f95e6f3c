"""Berkowitz's ratios: reference digits, independent optimisers, size, power and bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm
from scipy.stats import t as student

from pmkit.backtest import PitSeries
from pmkit.backtest.var_tests import berkowitz
from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.random import stream

FEW = {"draws": 99}
CLOSE = {"xatol": 1e-10, "fatol": 1e-12, "maxiter": 9999}


def series(z: np.ndarray, level: float = 0.95) -> PitSeries:
    return PitSeries(pit=norm.cdf(z), level=level)


# Data of 1999 to 2018: exact likelihood, chi-square with 3 and 2 degrees of freedom.
@pytest.mark.parametrize(
    ("model", "p", "full", "tail"),
    [
        ("sd", 0.01, 50.561075, 337.16050),
        ("sd", 0.025, 50.561075, 335.26047),
        ("ew", 0.025, 38.095850, 243.18035),
        ("ew", 0.05, 38.095850, 242.18732),
    ],
)
def test_statistics_to_the_printed_digits(model: str, p: float, full: float, tail: float) -> None:
    from arch.data import sp500

    price = sp500.load()["Adj Close"]
    returns = (100.0 * np.log(price / price.shift(1))).iloc[1:]
    variance, smooth = float((returns.iloc[:250] ** 2).mean()), []
    for value in returns.iloc[250:]:
        smooth.append(variance**0.5)
        variance = 0.94 * variance + 0.06 * value**2
    rolled = returns.rolling(250).std(ddof=1).shift(1).iloc[250:].to_numpy()
    sigma = np.array(smooth) if model == "ew" else rolled
    found = series(returns.iloc[250:].to_numpy() / sigma, 1.0 - p)
    assert berkowitz(found, **FEW).statistic == pytest.approx(full, abs=6e-7)
    assert berkowitz(found, kind="tail", **FEW).statistic == pytest.approx(tail, abs=6e-6)


def plain_full(z: np.ndarray) -> float:
    def minus(theta: np.ndarray) -> float:
        mean, raw, log_sd = theta
        rho, sd = math.tanh(raw), math.exp(log_sd)
        first = norm.logpdf(z[0], mean, sd / math.sqrt(1.0 - rho**2))
        return -first - norm.logpdf(z[1:], mean + rho * (z[:-1] - mean), sd).sum()

    best = minimize(minus, [0.0, 0.0, 0.0], method="Nelder-Mead", options=CLOSE)
    return 2.0 * (-best.fun - norm.logpdf(z).sum())


def plain_tail(z: np.ndarray, edge: float) -> float:
    below = z[z < edge]

    def minus(theta: np.ndarray) -> float:
        mean, sd = theta[0], math.exp(theta[1])
        return -norm.logpdf(below, mean, sd).sum() - (z.size - below.size) * norm.logsf(edge, mean, sd)

    best = minimize(minus, [0.0, 0.0], method="Nelder-Mead", options=CLOSE)
    return 2.0 * (minus(np.zeros(2)) - best.fun)


@pytest.mark.parametrize("seed", range(6))
def test_independent_optimiser_agrees(seed: int) -> None:
    rng = stream(seed, "berkowitz")
    z = 0.1 * seed + (1.0 + 0.2 * seed) * rng.standard_normal(120)
    z[1:] += 0.1 * seed * z[:-1]
    assert berkowitz(series(z), **FEW).statistic == pytest.approx(plain_full(z), abs=2e-7)
    edge = float(norm.ppf(0.05))
    if (z < edge).sum() > 1:
        assert berkowitz(series(z), kind="tail", **FEW).statistic == pytest.approx(
            plain_tail(z, edge), abs=2e-6
        )


def test_no_loss_in_the_tail_has_a_closed_form() -> None:
    found = berkowitz(series(np.linspace(-1.0, 2.0, 80)), kind="tail", **FEW)
    assert found.statistic == pytest.approx(-160.0 * math.log1p(-0.05), rel=1e-6)


@pytest.mark.parametrize("kind", ["full", "tail"])
def test_size_and_power(kind: str) -> None:
    rng, runs = stream(21, kind), 80
    rejected = {"null": 0, "heavy": 0, "wide": 0}
    for run in range(runs):
        normal = rng.standard_normal(250)
        heavy = rng.standard_t(3, 250) / math.sqrt(3.0)
        for name, z in (("null", normal), ("heavy", heavy), ("wide", 1.4 * normal)):
            rejected[name] += berkowitz(series(z), kind=kind, draws=99, seed=run).decision == "rejected"
    assert rejected["null"] / runs < 0.05 + 3.5 * math.sqrt(0.05 * 0.95 / runs)
    assert rejected["wide"] / runs > 0.8
    assert rejected["heavy"] > (0 if kind == "full" else 2) * rejected["null"]


def test_dependence_is_seen_by_the_full_test_alone() -> None:
    rng, z = stream(22, "ar"), np.empty(600)
    z[0] = rng.standard_normal()
    for t in range(1, z.size):
        z[t] = 0.4 * z[t - 1] + math.sqrt(1.0 - 0.16) * rng.standard_normal()
    full, tail = berkowitz(series(z), **FEW), berkowitz(series(z), kind="tail", **FEW)
    assert full.decision == "rejected" and full.details["rho"] == pytest.approx(0.4, abs=0.1)
    assert tail.decision == "not_rejected"


def test_probabilities_of_zero_are_moved_and_said() -> None:
    z = student.ppf((np.arange(60) + 0.5) / 60.0, 4)
    pit = norm.cdf(z)
    pit[0] = 0.0
    found = berkowitz(PitSeries(pit=pit, level=0.95), kind="tail", **FEW)
    assert found.details["clipped"] == 1 and "ruled out what came" in found.warnings[0]
    assert math.isfinite(found.statistic)


def test_overlap_is_refused_or_split() -> None:
    pit = norm.cdf(stream(23, "overlap").standard_normal(90))
    overlapping = PitSeries(pit=pit, level=0.95, horizon=3)
    with pytest.raises(ConventionError, match="overlap"):
        berkowitz(overlapping)
    assert len(berkowitz(overlapping, horizon=3, **FEW).outcomes) == 3


def test_bad_input_is_named() -> None:
    good = series(np.linspace(-2.0, 2.0, 30))
    with pytest.raises(ParameterError, match="'full' or 'tail'"):
        berkowitz(good, kind="both")
    with pytest.raises(ParameterError, match="a PitSeries"):
        berkowitz([0.1, 0.2])
    assert berkowitz(PitSeries(pit=[0.3] * 9, level=0.95), **FEW).decision == "not_evaluable"
