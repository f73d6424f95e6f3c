"""Acerbi and Székely: properties, other routes to the null, size and power, bad input."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.stats import norm
from scipy.stats import t as student

from pmkit.backtest.es.null_law import TailLaw, check_law, tail_blocks
from pmkit.backtest.es.ranks import rank_mean
from pmkit.backtest.es_tests import TailSeries, acerbi_szekely, minimally_biased
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.random import stream

P = 0.025
KINDS = [
    (acerbi_szekely, "z1"),
    (acerbi_szekely, "z2"),
    (acerbi_szekely, "z3"),
    (minimally_biased, "relative"),
    (minimally_biased, "absolute"),
]


def forecast(loss: np.ndarray, scale: np.ndarray | float = 1.0, df: float | None = None) -> TailSeries:
    """Normal or t forecasts of one deviation, or of one a day."""
    law = check_law("normal" if df is None else "t", df)
    size = np.ones(loss.size) * scale
    return TailSeries(loss=loss, var=law.var(P) * size, es=law.es(P) * size, level=0.975)


@hypothesis_settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-5.0, 5.0), min_size=40, max_size=50),
    st.floats(0.1, 50.0),
    st.lists(st.floats(0.2, 3.0), min_size=50, max_size=50),
)
def test_statistics_are_free_of_the_unit_of_money(losses, unit, scale):
    loss, size = np.array(losses), np.array(scale[: len(losses)])
    one, other = forecast(loss, size), forecast(loss * unit, size * unit)
    if not np.array_equal(one.hits.hits, other.hits.hits):
        return  # a loss at VaR to rounding
    for test, kind in KINDS:
        if kind == "z1" and one.hits.x == 0:
            continue
        a, b = test(one, kind=kind, draws=99).statistic, test(other, kind=kind, draws=99).statistic
        assert b == pytest.approx(a * (unit if kind == "absolute" else 1.0), rel=1e-6, abs=1e-9)


def test_larger_losses_move_every_statistic_down():
    loss = np.random.default_rng(2).standard_normal(400)
    for test, kind in KINDS:
        worse = test(forecast(1.3 * loss), kind=kind, draws=99).statistic
        assert worse < test(forecast(loss), kind=kind, draws=99).statistic


@pytest.mark.parametrize(("df", "points"), [(None, 30), (4.0, 25)])
def test_excess_has_mean_one_and_its_law(df, points):
    law = check_law("normal" if df is None else "t", df)
    base = norm if df is None else student(df)
    u = (np.arange(200_000) + 0.5) / 200_000
    tail = base.isf(P * u)
    assert law.es(P) == pytest.approx(tail.mean(), rel=2e-3)
    drawn = law.draw_excess(stream(3, "excess"), P, (100_000,))
    assert drawn.min() >= 0.0
    ours = np.quantile(drawn, np.arange(1, points) / points)
    theirs = np.quantile((tail - law.var(P)) / (law.es(P) - law.var(P)), np.arange(1, points) / points)
    assert np.allclose(ours, theirs, atol=0.04)


def test_exponential_excess():
    drawn = TailLaw(null="exponential", df=None).draw_excess(stream(3, "excess"), P, (100_000,))
    assert drawn.mean() == pytest.approx(1.0, abs=0.015) and drawn.var() == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize(("test", "kind"), [pair for pair in KINDS if pair[1] != "z3"])
def test_null_of_hits_agrees_with_losses_drawn_whole(test, kind):
    rng = np.random.default_rng(8)
    scale = np.exp(0.5 * rng.standard_normal(120))
    series = forecast(scale * rng.standard_normal(120) * 1.2, scale)
    inner = test(series, kind=kind, draws=4999)
    whole = test(series, kind=kind, simulated=scale * rng.standard_normal((4999, 120)))
    assert whole.statistic == inner.statistic
    error = math.hypot(inner.p_exact_se, whole.p_exact_se)
    assert abs(inner.p_exact - whole.p_exact) < 4.0 * error
    assert "the losses given" in whole.p_exact_kind and "normal losses" in inner.p_exact_kind


def test_z3_agrees_with_losses_drawn_whole():
    rng = np.random.default_rng(6)
    n, law = 200, TailLaw(null="normal", df=None)
    series = forecast(1.1 * rng.standard_normal(n))
    result = acerbi_szekely(series, kind="z3", draws=4999)
    mean = result.details["expected_tail"]
    worst = np.sort(rng.standard_normal((4999, n)), axis=1)[:, -5:].mean(axis=1)
    drawn = 1.0 - worst / mean
    p_value = (1 + (drawn <= result.statistic).sum()) / 5000
    assert abs(p_value - result.p_exact) < 4.0 * math.sqrt(2.0) * result.p_exact_se
    observed = np.sort(series.loss)[-5:].mean()
    assert result.statistic == pytest.approx(1.0 - observed / mean, rel=1e-9)
    assert abs(drawn.mean()) < 4.0 * drawn.std() / math.sqrt(drawn.size)
    assert mean == rank_mean(law, n, 5)


@pytest.mark.parametrize(("n", "m"), [(40, 1), (250, 6), (60, 60)])
def test_mean_of_the_worst_ranks_with_thirty_digits(n, m):
    with mpmath.workdps(30):

        def integrand(u):
            weight = 1 - mpmath.betainc(m, n - m, 0, u, regularized=True) if n > m else 1
            return weight * mpmath.sqrt(2) * mpmath.erfinv(1 - 2 * u)

        exact = mpmath.quad(integrand, [0, mpmath.mpf(m) / n / 4, mpmath.mpf(m) / n, 0.5, 1]) * n / m
    assert rank_mean(TailLaw(null="normal", df=None), n, m) == pytest.approx(float(exact), abs=2e-6)


def test_no_hit():
    series = forecast(np.zeros(300))
    z1, z2 = (acerbi_szekely(series, kind=kind, draws=199) for kind in ("z1", "z2"))
    assert z1.decision == "not_evaluable" and math.isnan(z1.p_exact) and math.isnan(z1.statistic)
    assert any("cannot be evaluated" in text for text in z1.warnings)
    assert z2.statistic == 1.0 and z2.decision == "not_rejected" and z2.p_exact == 1.0


def test_z3_needs_one_expected_hit():
    few = acerbi_szekely(forecast(np.zeros(39)), kind="z3", draws=99)
    assert few.decision == "not_evaluable" and "0.975 are expected" in few.warnings[0]
    assert acerbi_szekely(forecast(np.zeros(40)), kind="z3", draws=99).details["ranks"] == 1


def test_nothing_but_hits():
    series = forecast(np.full(60, 5.0))
    for test, kind in KINDS:
        result = test(series, kind=kind, draws=199)
        assert (result.decision, result.p_exact) == ("rejected", 0.005)


def test_few_expected_hits_are_flagged():
    flagged = acerbi_szekely(forecast(np.zeros(100)), draws=99).warnings
    assert any("2.5 hits are expected, fewer than 10" in text for text in flagged)
    assert acerbi_szekely(forecast(np.zeros(400)), draws=99).warnings == ()


def test_equal_seeds_give_equal_bits_and_others_do_not():
    series = forecast(np.random.default_rng(3).standard_normal(500))
    first = acerbi_szekely(series, draws=499)
    assert first == acerbi_szekely(series, draws=499)
    assert first.critical_value != acerbi_szekely(series, draws=499, seed=1).critical_value


def test_blocks_hold_as_many_draws_as_asked_for():
    law = TailLaw(null="normal", df=None)
    blocks = list(tail_blocks(stream(0, "x"), 2000, 0.05, 7001, law))
    assert len(blocks) > 1 and sum(len(x) for _, x, _ in blocks) == 7001
    for days, x, excess in blocks:
        assert ((days > 0).sum(axis=1) == x).all() and ((excess > 0) == (days > 0)).all()


SERIES = TailSeries(loss=[0.5, 2.2, 3.0], var=[2.0] * 3, es=[2.5] * 3, level=0.975)
REPORT = {"statistic": -0.5, "n": 250, "x": 9, "level": 0.975}


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"series": SERIES, "kind": "z4"}, ParameterError, "kind is 'z4'"),
        ({"series": SERIES, "null": "cauchy"}, ParameterError, "null is 'cauchy'"),
        ({"series": SERIES, "null": "t"}, ParameterError, "df is None with null='t'"),
        ({"series": SERIES, "df": 5}, ParameterError, "df is 5 with null='normal'"),
        ({"series": SERIES, "null": "t", "df": 1.0}, ParameterError, "df is 1.0; expected a number above 1"),
        ({"series": SERIES, "draws": 9}, ParameterError, "draws is 9"),
        (
            {"series": SERIES, "simulated": np.zeros((99, 2))},
            SchemaError,
            r"shape \(99, 2\); expected \(draws, 3\)",
        ),
        ({"series": SERIES, "simulated": np.zeros((9, 3))}, SchemaError, r"shape \(9, 3\)"),
        ({"series": SERIES, "simulated": np.full((99, 3), np.nan)}, SchemaError, "simulated.* is missing"),
        ({"series": SERIES, "kind": "z3", "null": "exponential"}, ParameterError, "with an exponential tail"),
        ({"series": SERIES, "n": 3}, ParameterError, "series and n are both given"),
        ({}, ParameterError, "statistic, n, x, level not given"),
        (REPORT | {"x": None}, ParameterError, "x not given"),
        (REPORT | {"x": 251}, ParameterError, "n is 250 and x is 251"),
        (REPORT | {"level": 0.025}, ConventionError, "looks like a tail probability"),
        (REPORT | {"horizon": 2}, ConventionError, "horizon or simulated is given without a series"),
        (REPORT | {"null": "exponential"}, ParameterError, "'exponential' without a series"),
    ],
)
def test_input_that_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        acerbi_szekely(**settings)


def test_minimally_biased_refuses_an_unknown_kind():
    with pytest.raises(ParameterError, match="kind is 'z2'; expected 'relative' or 'absolute'"):
        minimally_biased(SERIES, kind="z2")


def test_z3_needs_an_es_above_var():
    with pytest.raises(ConventionError, match=r"es\[0\] equals VaR 2"):
        acerbi_szekely(
            TailSeries(loss=[1.0] * 50, var=[2.0] * 50, es=[2.0] * 50, level=0.975), kind="z3", draws=99
        )


def test_wrong_var_lowers_the_minimally_biased_statistic_to_second_order():
    loss = norm.isf((np.arange(100_000) + 0.5) / 100_000)
    right = TailLaw(null="normal", df=None)

    def statistic(shift: float) -> float:
        var, es = right.var(P) + shift, right.es(P)
        series = TailSeries(loss=loss, var=np.full(loss.size, var), es=np.full(loss.size, es), level=0.975)
        return minimally_biased(series, draws=99).statistic

    exact, up, half = statistic(0.0), statistic(0.2), statistic(0.1)
    assert exact == pytest.approx(0.0, abs=1e-3)
    assert up < half < exact and statistic(-0.2) < statistic(-0.1) < exact
    assert (exact - up) / (exact - half) == pytest.approx(4.0, rel=0.15)


def rejections(test, kind, series_of, runs: int, **settings) -> int:
    rng = np.random.default_rng(20)
    found = (test(series_of(rng), kind=kind, draws=199, **settings) for _ in range(runs))
    return sum(result.decision == "rejected" for result in found)


@pytest.mark.slow
@pytest.mark.parametrize(("test", "kind"), KINDS)
def test_size_is_as_stated(test, kind):
    runs = 1000
    count = rejections(test, kind, lambda rng: forecast(rng.standard_normal(250)), runs)
    low, high = 0.05 * runs - 4 * math.sqrt(runs * 0.0475), 0.05 * runs + 4 * math.sqrt(runs * 0.0475)
    assert low <= count <= high


@pytest.mark.slow
@pytest.mark.parametrize(("test", "kind"), KINDS)
@pytest.mark.parametrize("alternative", ["a fifth too low", "normal for t(3)"])
def test_power_against_two_errors(test, kind, alternative):
    def series_of(rng: np.random.Generator) -> TailSeries:
        if alternative == "a fifth too low":
            return forecast(1.25 * rng.standard_normal(500))
        return forecast(rng.standard_t(3.0, 500) / math.sqrt(3.0))

    # Z1 does not see that hits are too many; and t(3) of equal deviation has larger and rarer hits, which Z2
    # sets against each other.
    weak = (("z1", "a fifth too low"), ("z2", "normal for t(3)"))
    least = 0.1 if (kind, alternative) in weak else 0.3
    assert rejections(test, kind, series_of, 150) > least * 150
