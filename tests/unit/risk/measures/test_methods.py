"""Estimators of VaR and ES beside the empirical one: closed forms, limits, errors, domains, bad input."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import ndtri

from pmkit.core.errors import DataGapError, ParameterError, PmkitError
from pmkit.core.random import stream
from pmkit.estimation import fit_gpd
from pmkit.risk import (
    MEASURE_METHODS,
    QUANTILE_RULES,
    expansion_is_increasing,
    expansion_moments,
    expected_shortfall,
    matched_parameters,
    value_at_risk,
)
from tests.unit.risk.conftest import random_scenarios

SMOOTH = [m for m in MEASURE_METHODS if m != "empirical"]


def normal_sample(n: int) -> np.ndarray:
    """Quantiles of the normal law at the middles of n equal parts."""
    return ndtri((np.arange(n) + 0.5) / n)


def t_sample(nu: float, n: int) -> np.ndarray:
    return stats.t.ppf((np.arange(n) + 0.5) / n, nu)


@pytest.mark.parametrize("method", ["empirical", "kernel", "cornish-fisher", "cornish-fisher-matched"])
@pytest.mark.parametrize(
    ("level", "var", "es"), [(0.975, 1.95996398, 2.33780279), (0.99, 2.32634787, 2.66521422)]
)
def test_normal_losses(method: str, level: float, var: float, es: float) -> None:
    pnl = normal_sample(100_000)
    assert float(value_at_risk(pnl, level, method=method)) == pytest.approx(var, rel=2e-3)
    assert float(expected_shortfall(pnl, level, method=method)) == pytest.approx(es, rel=2e-3)


def test_t_losses_by_tail_law() -> None:
    """ES 99 % of t(3), t(5), t(10): 7.00308204, 4.45242911, 3.36325148."""
    for nu, es in ((3, 7.00308204), (5, 4.45242911), (10, 3.36325148)):
        pnl = t_sample(nu, 100_000)
        assert float(expected_shortfall(pnl, 0.99, method="gpd", tail_share=0.02)) == pytest.approx(
            es, rel=0.01
        )
        assert float(value_at_risk(pnl, 0.99, method="gpd", tail_share=0.02)) == pytest.approx(
            stats.t.ppf(0.99, nu), rel=0.003
        )


def test_gpd_is_the_fit_of_the_estimation_room() -> None:
    pnl = stream(1, "gpd").standard_t(4, 3000)
    fit = fit_gpd(np.sort(-pnl), tail_share=0.1)
    figure = expected_shortfall(pnl, 0.99, method="gpd")
    assert float(figure) == pytest.approx(fit.es(0.99), rel=1e-12)
    assert figure.se_simulation == pytest.approx(fit.std_error(0.99)[1], rel=1e-12)
    assert figure.threshold == pytest.approx(fit.var(0.99), rel=1e-12)
    assert figure.settings["xi"] == pytest.approx(fit.shape)
    assert figure.status == "ok"
    figure.check()


def test_a_tail_without_mean_says_so() -> None:
    pnl = -((1.0 - (np.arange(2000) + 0.5) / 2000) ** -1.6)
    figure = expected_shortfall(pnl, 0.99, method="gpd")
    assert figure.status == "no_mean" and math.isinf(figure.value)
    assert "no_mean" in figure.summary()["value"].to_list()


@pytest.mark.parametrize("kernel", ["gaussian", "epanechnikov"])
def test_kernel_is_exact_for_its_own_distribution(kernel: str) -> None:
    """Three losses with a wide kernel: VaR and ES against quadrature of the mixture."""
    losses, weights, h = np.array([1.0, 3.0, 7.0]), np.array([0.5, 0.3, 0.2]), 1.5
    law = stats.norm if kernel == "gaussian" else stats.beta(2, 2, loc=-1, scale=2)

    def cdf(x: float) -> float:
        return float(sum(w * law.cdf((x - m) / h) for m, w in zip(losses, weights, strict=True)))

    var = float(value_at_risk(-losses, 0.9, weights, method="kernel", bandwidth=h, kernel=kernel))
    assert cdf(var) == pytest.approx(0.9, abs=1e-12)
    excess = mpmath.quad(lambda x: 1 - cdf(float(x)), [var, 8.5, var + 20])
    es = expected_shortfall(-losses, 0.9, weights, method="kernel", bandwidth=h, kernel=kernel)
    assert float(es) == pytest.approx(var + float(excess) / 0.1, rel=1e-8)


def test_kernel_tends_to_the_empirical_figure() -> None:
    pnl = stream(2, "kernel").standard_normal(501)
    for figure, tolerance in ((value_at_risk, 1e-3), (expected_shortfall, 1e-6)):
        narrow = figure(pnl, 0.95, method="kernel", bandwidth=1e-4)
        assert float(narrow) == pytest.approx(float(figure(pnl, 0.95)), abs=tolerance)


def test_bandwidth_rules() -> None:
    """For a distribution function h = (4/n)^(1/3) s with the Gaussian kernel, which is 1.587."""
    pnl = normal_sample(1000)
    sd = min(float(np.std(pnl)), float(np.ptp(np.quantile(pnl, [0.25, 0.75]))) / 1.3489795)
    figure = value_at_risk(pnl, 0.99, method="kernel")
    assert figure.settings["bandwidth"] == pytest.approx(sd * (4.0 / 1000) ** (1 / 3), rel=0.01)
    assert "1.587 s n^(-1/3)" in figure.estimator
    wide = value_at_risk(pnl, 0.99, method="kernel", bandwidth="density")
    assert wide.settings["bandwidth"] == pytest.approx(1.06 * sd * 1000**-0.2, rel=0.01)


@pytest.mark.parametrize(
    ("level", "skew", "kurtosis", "quantile"),
    [
        (0.9, 0.1, 0.0, 1.292868),
        (0.9, 0.1, 1.0, 1.220374),
        (0.9, 0.1, -1.0, 1.365363),
        (0.99, 0.1, 0.0, 2.396116),
        (0.99, 0.1, 1.0, 2.629904),
        (0.99, 0.1, -1.0, 2.162328),
    ],
)
def test_cornish_fisher_quantiles(level: float, skew: float, kurtosis: float, quantile: float) -> None:
    """A sample with exactly these four moments: the quantile is that of published tables."""
    losses, weights = _four_points(skew, kurtosis)
    figure = value_at_risk(-losses, level, weights, method="cornish-fisher")
    assert float(figure) == pytest.approx(quantile, abs=5e-7)
    assert figure.settings["S"] == pytest.approx(skew, abs=1e-9)
    assert figure.settings["K"] == pytest.approx(kurtosis, abs=1e-9)


def _four_points(skew: float, kurtosis: float) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights with mean 0, variance 1 and the given skewness and excess kurtosis."""
    points = np.array([-2.5, -0.9, 0.2, 1.1, 3.0])
    powers = np.vstack([points**k for k in range(5)])
    weights = np.linalg.solve(powers, [1.0, 0.0, 1.0, skew, kurtosis + 3.0])
    assert (weights > 0.0).all()
    return points, weights


def test_cornish_fisher_es_is_the_mean_beyond_its_quantile() -> None:
    losses, weights = _four_points(0.1, 1.0)

    def quantile(u: float) -> float:
        z = mpmath.sqrt(2) * mpmath.erfinv(2 * u - 1)
        return z + (z**2 - 1) * 0.1 / 6 + (z**3 - 3 * z) / 24 - (2 * z**3 - 5 * z) * 0.01 / 36

    mean = mpmath.quad(quantile, [0.975, 0.99, 0.999, 1 - 1e-9]) / 0.025
    figure = expected_shortfall(-losses, 0.975, weights, method="cornish-fisher")
    assert float(figure) == pytest.approx(float(mean), rel=1e-5)


def test_domain_of_the_expansion_is_where_it_increases() -> None:
    z = np.linspace(-40.0, 40.0, 80_001)
    for skew in (-2.0, -1.0, -0.3, 0.0, 0.5, 1.5, 2.4, 2.6):
        for kurtosis in (-0.5, 0.0, 0.4, 1.0, 3.0, 6.0, 7.9, 9.0):
            slope = 1.0 + skew * z / 3.0 + kurtosis * (z**2 - 1.0) / 8.0 - skew**2 * (6.0 * z**2 - 5.0) / 36.0
            assert expansion_is_increasing(skew, kurtosis) == bool((slope >= 0.0).all()), (skew, kurtosis)


@settings(max_examples=40)
@given(st.floats(-0.6, 0.6), st.floats(1.0, 5.0))
def test_matched_parameters_give_the_moments(skew: float, kurtosis: float) -> None:
    s, k, status = matched_parameters(skew, kurtosis)
    _, third, fourth = expansion_moments(s, k)
    assert status == "ok"
    assert (third, fourth) == (pytest.approx(skew, abs=1e-7), pytest.approx(kurtosis, abs=1e-7))


def test_outside_its_domain_the_expansion_says_so() -> None:
    pnl = -stream(3, "lognormal").lognormal(0.0, 1.0, 2000)
    figure = value_at_risk(pnl, 0.99, method="cornish-fisher")
    assert figure.status == "outside_domain"
    assert figure.to_dict()["status"] == "outside_domain"


@pytest.mark.parametrize("method", MEASURE_METHODS)
@pytest.mark.parametrize("figure", [value_at_risk, expected_shortfall])
def test_translation_and_homogeneity(method: str, figure) -> None:
    pnl = stream(4, "affine").standard_t(5, 800)
    base = float(figure(pnl, 0.99, method=method))
    assert float(figure(3.0 * pnl, 0.99, method=method)) == pytest.approx(3.0 * base, rel=1e-6)
    assert float(figure(pnl + 2.0, 0.99, method=method)) == pytest.approx(base - 2.0, rel=1e-6)


@pytest.mark.parametrize("method", MEASURE_METHODS)
@pytest.mark.parametrize("figure", [value_at_risk, expected_shortfall])
def test_order_of_scenarios_does_not_matter(method: str, figure) -> None:
    pnl = stream(5, "order").standard_t(5, 700)
    mixed = stream(6, "order").permutation(pnl)
    one, two = (figure(x, 0.97, method=method) for x in (pnl, mixed))
    assert one.value == two.value and one.se_simulation == two.se_simulation


@pytest.mark.parametrize("method", SMOOTH)
@pytest.mark.parametrize("figure", [value_at_risk, expected_shortfall])
def test_errors_agree_with_the_bootstrap_and_with_repetition(method: str, figure) -> None:
    repeated = [figure(stream(r, "se").standard_normal(1500), 0.975, method=method) for r in range(60)]
    spread = float(np.std([f.value for f in repeated], ddof=1))
    assert float(np.mean([f.se_simulation for f in repeated])) == pytest.approx(spread, rel=0.3)
    boot = figure(stream(0, "se").standard_normal(1500), 0.975, method=method, n_boot=60, seed=2)
    assert boot.se_bootstrap == pytest.approx(boot.se_simulation, rel=0.4)
    assert "bootstrap error" in boot.summary().index


def test_bootstrap_is_repeatable_and_off_by_default() -> None:
    pnl = stream(7, "boot").standard_normal(300)
    one, two = (expected_shortfall(pnl, 0.95, n_boot=30, seed=4) for _ in range(2))
    assert one.se_bootstrap == two.se_bootstrap > 0.0
    assert math.isnan(expected_shortfall(pnl, 0.95).se_bootstrap)


@pytest.mark.parametrize("rule", QUANTILE_RULES)
def test_quantile_rules_are_numpy_s(rule: str) -> None:
    pnl = stream(8, "rules").standard_normal(137)
    found = value_at_risk(pnl, 0.95, quantile_rule=rule)
    assert found.value == pytest.approx(float(np.quantile(-pnl, 0.95, method=rule)), rel=1e-12)
    assert found.estimator == QUANTILE_RULES[rule]


@pytest.mark.parametrize("method", ["empirical", "kernel", "cornish-fisher", "cornish-fisher-matched"])
def test_a_flat_book_has_no_risk(method: str) -> None:
    for figure in (value_at_risk, expected_shortfall):
        found = figure(np.zeros(50), 0.99, method=method)
        assert (found.value, found.se_simulation) == (0.0, 0.0)


def test_scenarios_name_the_tail_of_every_method() -> None:
    scenarios = random_scenarios("sticky_strike", n=300)
    pnl = stream(9, "names").standard_normal(300)
    for method in MEASURE_METHODS:
        found = expected_shortfall(pnl, 0.95, scenarios=scenarios, method=method)
        assert found.tail_scenarios["scenario"].iloc[0] == int(np.argmin(pnl))
        assert found.tail_scenarios["label"].iloc[0] == scenarios.label(int(np.argmin(pnl)))
        found.check()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "normal"}, "method is 'normal'; expected one of empirical, kernel"),
        (
            {"method": "kernel", "tail_share": 0.1},
            "option 'tail_share' with method 'kernel'; expected one of bandwidth",
        ),
        ({"bandwidth": 1.0}, "option 'bandwidth' with method 'empirical'; expected one of no options"),
        ({"method": "kernel", "bandwidth": 0.0}, "bandwidth is 0.0; expected a positive number"),
        ({"method": "kernel", "bandwidth": "wide"}, "bandwidth is 'wide'"),
        ({"method": "kernel", "kernel": "box"}, "kernel is 'box'; expected one of gaussian"),
        ({"method": "kernel", "strata": np.zeros(100)}, "strata with method 'kernel'"),
        ({"method": "gpd", "weights": np.arange(100.0)}, "unequal weights with method 'gpd'"),
        ({"quantile_rule": "best"}, "quantile_rule is 'best'; expected one of inverted_cdf"),
        (
            {"quantile_rule": "hazen", "weights": np.arange(100.0)},
            "unequal weights with quantile_rule 'hazen'",
        ),
        ({"n_boot": 1}, "n_boot is 1; expected 0, or a whole number of 2 or more"),
        ({"level": 0.01}, "level is 0.01; expected the confidence level"),
        ({"level": 1.0}, "level is 1.0"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message.replace("(", r"\(")):
        value_at_risk(normal_sample(100), **arguments)


@pytest.mark.parametrize("method", MEASURE_METHODS)
def test_bad_pnl(method: str) -> None:
    with pytest.raises(ParameterError, match="pnl of scenario 1 is nan"):
        expected_shortfall([1.0, math.nan, 2.0], method=method)
    with pytest.raises(ParameterError, match=r"pnl has shape \(0,\)"):
        expected_shortfall([], method=method)


def test_too_little_for_the_method() -> None:
    with pytest.raises(ParameterError, match="3 losses; expected four or more"):
        value_at_risk([1.0, 2.0, 3.0], method="cornish-fisher")
    with pytest.raises(DataGapError, match="10 of 100 losses above"):
        value_at_risk(normal_sample(100), method="gpd")


def test_check_finds_a_tail_that_does_not_add_up() -> None:
    from dataclasses import replace

    figure = expected_shortfall(normal_sample(100), 0.95)
    with pytest.raises(PmkitError, match="tail scenarios give"):
        replace(figure, value=figure.value * 1.01).check()
