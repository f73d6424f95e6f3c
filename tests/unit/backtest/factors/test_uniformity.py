"""Distances from the uniform law: scipy as oracle, size, power and overlap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import cramervonmises, kstest, norm

from pmkit.backtest import PitSeries, factor_laws, uniformity
from pmkit.backtest.factors import uniformity as module
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.random import stream


def series(pit: np.ndarray, **options: float) -> PitSeries:
    return PitSeries(pit=pit, level=0.99, **options)


@pytest.mark.parametrize("n", [20, 157])
def test_statistics_and_p_values_of_scipy(n: int) -> None:
    pit = stream(n, "scipy").random(n) ** 1.1
    ks = uniformity(series(pit), distance="ks", draws=20_000)
    assert ks.statistic == pytest.approx(kstest(pit, "uniform").statistic, rel=1e-13)
    assert ks.p_exact == pytest.approx(kstest(pit, "uniform", mode="exact").pvalue, abs=4.5 * ks.p_exact_se)
    assert ks.p_asymptotic >= ks.p_exact - 4.5 * ks.p_exact_se
    cvm = uniformity(series(pit), distance="cvm", draws=20_000)
    oracle = cramervonmises(pit, "uniform")
    assert cvm.statistic == pytest.approx(oracle.statistic, rel=1e-12)
    assert cvm.p_exact == pytest.approx(oracle.pvalue, abs=4.5 * cvm.p_exact_se + 0.01)


def test_anderson_darling_by_its_integral() -> None:
    pit = np.sort(stream(3, "ad").random(9))
    edges = np.concatenate([[0.0], pit, [1.0]])
    total = 0.0
    for i in range(10):
        nodes, weights = np.polynomial.legendre.leggauss(200)
        low, high = edges[i], edges[i + 1]
        u = low + (high - low) * 0.5 * (nodes + 1.0)
        total += 0.5 * (high - low) * np.sum(weights * (i / 9.0 - u) ** 2 / (u * (1.0 - u)))
    assert uniformity(series(pit), distance="ad", draws=99).statistic == pytest.approx(9.0 * total, rel=1e-4)


def test_limit_law_of_anderson_darling() -> None:
    # the 5 % point of the limit law is 2.492, of Cramér and von Mises's 0.461
    pit = stream(4, "limit").random(400)
    assert uniformity(series(pit), distance="ad", draws=20_000).critical_value == pytest.approx(
        2.492, rel=0.03
    )
    assert uniformity(series(pit), distance="cvm", draws=20_000).critical_value == pytest.approx(
        0.461, rel=0.03
    )


@pytest.mark.parametrize("distance", ["ks", "cvm", "ad"])
def test_size_and_power(distance: str) -> None:
    rng, runs = stream(5, distance), 200
    rejected = {"null": 0, "wide": 0, "shifted": 0}
    for run in range(runs):
        z = rng.standard_normal(250)
        for name, values in (("null", z), ("wide", 1.35 * z), ("shifted", z + 0.25)):
            found = uniformity(series(norm.cdf(values)), distance=distance, draws=199, seed=run)
            rejected[name] += found.decision == "rejected"
    assert abs(rejected["null"] / runs - 0.05) < 3.5 * math.sqrt(0.05 * 0.95 / runs)
    assert rejected["shifted"] / runs > 0.8
    assert rejected["wide"] / runs > (0.9 if distance == "ad" else 0.3)


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    pit = stream(6, "blocks").random(50)
    first = uniformity(series(pit), draws=333)
    monkeypatch.setattr(module, "_BLOCK", 700)
    assert uniformity(series(pit), draws=333) == first


def test_table_of_factors_splits_what_overlaps() -> None:
    rng = stream(7, "table")
    frame = factor_laws(
        {"BTC spot 1d": series(rng.random(90)), "BTC vol 3d": series(rng.random(90), horizon=3)}, draws=99
    )
    assert frame["n"].tolist() == [90, 90] and frame["horizon"].tolist() == [1.0, 3.0]
    assert {"ks_p", "cvm_decision", "ad"} <= set(frame.columns)
    with pytest.raises(ConventionError, match="overlap"):
        uniformity(series(rng.random(90), horizon=3))


def test_impossible_outcomes_are_named() -> None:
    found = uniformity(series(np.array([0.0, 0.2, 0.4, 0.6, 0.8])), draws=99)
    assert "ruled out what came" in found.warnings[0] and math.isfinite(found.statistic)


def test_bad_input_is_named() -> None:
    with pytest.raises(ParameterError, match="'ad', 'cvm' or 'ks'"):
        uniformity(series(np.array([0.1, 0.4])), distance="x")
    with pytest.raises(SchemaError, match="no factor"):
        factor_laws({})
    with pytest.raises(ParameterError, match="a PitSeries"):
        factor_laws({"a": [0.1, 0.2]})
    with pytest.raises(ParameterError, match=r"distance is \['ad'\]"):
        uniformity(series(np.array([0.1, 0.4])), distance=["ad"])
    with pytest.raises(SchemaError, match="factors is a list"):
        factor_laws([series(np.array([0.1, 0.4]))])
    with pytest.raises(ParameterError, match="no distance"):
        factor_laws({"a": series(np.array([0.1, 0.4]))}, distances=())
