"""Joint regression of VaR and ES: fit against independent optimisers, covariance and tests by simulation."""

import numpy as np
import pytest
from scipy.optimize import linprog, minimize
from scipy.stats import norm

from pmkit.backtest.es.regression import es_regression
from pmkit.backtest.es.regression_covariance import covariance
from pmkit.backtest.es.regression_fit import fit_joint, quantile_line
from pmkit.backtest.es_tests import TailSeries
from pmkit.core.errors import ConventionError, ParameterError

P = 0.025
Z, TAIL = norm.isf(P), norm.pdf(norm.isf(P)) / P


def _case(n, seed, scale=1.0, p=P):
    rng = np.random.default_rng(seed)
    sigma = np.exp(0.4 * np.sin(np.arange(n) / 40.0))
    loss = scale * sigma * rng.standard_normal(n)
    z = norm.isf(p)
    return TailSeries(loss=loss, var=z * sigma, es=norm.pdf(z) / p * sigma, level=1.0 - p)


def _fz0(coefficients, xq, xe, pnl, p):
    """Mean FZ0 loss of a P&L that is nowhere positive, written out from its definition."""
    q = coefficients[0] + coefficients[1] * xq
    e = coefficients[2] + (coefficients[3] * xe if coefficients.size == 4 else 0.0 * xq)
    if (e >= 0.0).any():
        return np.inf
    return float(np.mean(-np.where(pnl <= q, q - pnl, 0.0) / (p * e) + q / e + np.log(-e) - 1.0))


@pytest.mark.parametrize("p", [0.01, 0.05, 0.5])
def test_quantile_line_is_the_linear_programme(p):
    rng = np.random.default_rng(4)
    x = rng.standard_normal(120)
    y = 1.0 + 0.5 * x + (1.0 + 0.3 * np.abs(x)) * rng.standard_t(4, 120)
    a, b = quantile_line(x, y, p)
    cost = np.concatenate([np.zeros(2), np.full(120, p), np.full(120, 1.0 - p)])
    equality = np.column_stack([np.ones(120), x, np.eye(120), -np.eye(120)])
    best = linprog(cost, A_eq=equality, b_eq=y, bounds=[(None, None)] * 2 + [(0, None)] * 240)
    gap = y - a - b * x
    assert np.sum(np.where(gap > 0.0, p * gap, (p - 1.0) * gap)) == pytest.approx(best.fun, rel=1e-10)


@pytest.mark.parametrize("slope", [True, False])
def test_no_other_optimiser_finds_a_smaller_loss(slope):
    series = _case(400, 5)
    pnl, x = -series.loss, -series.es
    fit = fit_joint(x, x if slope else None, pnl, P)
    top = pnl.max()
    ours = np.concatenate([fit.quantile, fit.tail]) - np.array([top, 0.0, top, 0.0])[: 2 + fit.tail.size]
    assert _fz0(ours, x, x, pnl - top, P) == pytest.approx(fit.loss, rel=1e-12)
    rng = np.random.default_rng(6)
    for _ in range(4):
        start = ours * (1.0 + 0.2 * rng.standard_normal(ours.size))
        if np.isfinite(_fz0(start, x, x, pnl - top, P)):
            found = minimize(
                _fz0, start, (x, x, pnl - top, P), "Nelder-Mead", options={"maxiter": 3000, "fatol": 1e-12}
            )
            assert found.fun >= fit.loss - 1e-10


def test_fit_moves_with_the_unit_of_money():
    series = _case(300, 7)
    pnl, x = -series.loss, -series.es
    one, many = fit_joint(x, x, pnl, P), fit_joint(100.0 * x, 100.0 * x, 100.0 * pnl, P)
    np.testing.assert_allclose(many.quantile, one.quantile * [100.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(many.tail, one.tail * [100.0, 1.0], rtol=1e-6)


def test_covariance_is_that_of_simulated_fits():
    slopes, spreads = [], []
    for seed in range(100):
        series = _case(1000, 100 + seed, p=0.1)
        pnl, x = -series.loss, -series.es
        fit = fit_joint(x, x, pnl, 0.1)
        slopes.append([fit.quantile[1], fit.tail[1]])
        spreads.append(np.sqrt(np.diag(covariance(fit, x, x, pnl, 0.1))[[1, 3]]))
    seen, stated = np.std(slopes, axis=0), np.mean(spreads, axis=0)
    expected = [series.var[0] / series.es[0], 1.0]  # 100 deviations: their own error is 7 %
    np.testing.assert_allclose(stated, seen, rtol=0.25)
    np.testing.assert_allclose(np.mean(slopes, axis=0), expected, atol=4.0 * np.max(seen) / np.sqrt(100))


@pytest.mark.parametrize("kind", ["strict", "auxiliary", "intercept"])
def test_es_that_is_too_low_is_found_and_a_right_one_stands(kind):
    right = es_regression(_case(500, 11), kind=kind, draws=99)
    wrong = es_regression(_case(500, 11, scale=1.6), kind=kind, draws=99)
    assert right.decision == "not_rejected" and wrong.decision == "rejected"
    assert wrong.p_exact < 0.05 < right.p_exact
    assert wrong.details["var_slope"] > right.details["var_slope"] or kind == "intercept"
    assert (right.df, right.distribution) == ((None, "normal") if kind == "intercept" else (2, "chi2"))


def test_margin_that_is_too_high_is_rejected_by_the_two_sided_tests_alone():
    series = _case(500, 11, scale=0.6)
    assert es_regression(series, kind="strict", draws=99).decision == "rejected"
    assert es_regression(series, kind="intercept", draws=99).decision == "not_rejected"


def test_proportional_forecasts_make_strict_and_auxiliary_one():
    strict, auxiliary = (es_regression(_case(500, 12), kind=k, draws=99) for k in ("strict", "auxiliary"))
    assert auxiliary.statistic == pytest.approx(strict.statistic, rel=1e-6)


def test_equal_seeds_give_equal_bits():
    one, two, other = (es_regression(_case(250, 13), draws=99, seed=s).p_exact for s in (1, 1, 2))
    assert one == two and one != other


def test_what_cannot_be_evaluated_says_so():
    loss = np.random.default_rng(1).standard_normal(250)
    flat = TailSeries(loss=loss, var=[Z] * 250, es=[TAIL] * 250, level=0.975)
    result = es_regression(flat, draws=99)
    assert result.decision == "not_evaluable" and "ES must vary" in " ".join(result.warnings)
    assert np.isnan(result.statistic) and np.isnan(result.p_exact)
    short = es_regression(_case(100, 1), draws=99)
    assert short.decision == "not_evaluable" and "expected hits are needed" in " ".join(short.warnings)
    one = es_regression(_case(1, 1), draws=99)
    assert one.decision == "not_evaluable"


SIGMA = 1.0 + np.arange(130) % 3


@pytest.mark.parametrize("kind", ["strict", "auxiliary", "intercept"])
@pytest.mark.parametrize(
    ("loss", "es"),
    [
        pytest.param(np.round(np.sin(np.arange(130.0) ** 2) * 3.0), 2.5 * SIGMA, id="few values"),
        pytest.param(np.zeros(130), 2.5 * SIGMA, id="no loss"),
        pytest.param(10.0 * SIGMA, 2.5 * SIGMA, id="losses on a line"),
        pytest.param(1e6 * np.sin(np.arange(130.0) ** 2), 2.5e6 * SIGMA, id="large unit"),
        pytest.param(np.sin(np.arange(130.0) ** 2) + 1e9 * (np.arange(130) == 5), 2.5 * SIGMA, id="one wild"),
        pytest.param(np.sin(np.arange(130.0) ** 2), 2.5 + 0.1 * (np.arange(130) == 0), id="one other ES"),
        pytest.param(np.sin(np.arange(130.0) ** 2), np.where(np.arange(130) < 65, 2.0, 4.0), id="two ES"),
    ],
)
def test_awkward_series_give_a_state(kind, loss, es):
    result = es_regression(TailSeries(loss=loss, var=0.8 * es, es=es, level=0.975), kind=kind, draws=99)
    assert result.decision in ("rejected", "not_rejected", "not_evaluable")
    assert np.isnan(result.statistic) == (result.decision == "not_evaluable")


def test_es_equal_to_var_leaves_the_limit_law():
    series = _case(500, 14)
    es = series.es.copy()
    es[3] = series.var[3]
    result = es_regression(TailSeries(loss=series.loss, var=series.var, es=es, level=series.level), draws=99)
    assert result.decided_by == "asymptotic" and np.isnan(result.p_exact)
    assert any("no simulated p-value" in text for text in result.warnings)


def test_bad_input_is_named():
    with pytest.raises(ParameterError, match="kind is 'other'"):
        es_regression(_case(300, 1), kind="other")
    with pytest.raises(ParameterError, match="null is 'exponential'"):
        es_regression(_case(300, 1), null="exponential")
    with pytest.raises(ParameterError, match="a TailSeries"):
        es_regression([1.0, 2.0])
    series = _case(600, 1)
    overlapping = TailSeries(loss=series.loss, var=series.var, es=series.es, level=0.975, horizon=2.0)
    with pytest.raises(ConventionError, match="overlap"):
        es_regression(overlapping)
    assert len(es_regression(overlapping, horizon=2.0, draws=99).outcomes) == 2
