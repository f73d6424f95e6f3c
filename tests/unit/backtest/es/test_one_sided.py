"""One-sided calibration: t-statistics by a plain loop, their combination, direction and refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm
from statsmodels.stats.multitest import multipletests

from pmkit.backtest.es.one_sided import _combined
from pmkit.backtest.es_tests import TailSeries, nolde_ziegel, one_sided_calibration
from pmkit.core.errors import ConventionError, ParameterError
from pmkit.core.random import stream

P = 0.025
VAR = float(norm.isf(P))
ES = float(norm.pdf(VAR)) / P
FEW = {"draws": 199}


def series(factor: float = 1.0, n: int = 400, seed: int = 1, **more) -> TailSeries:
    sigma = 1.0 + 0.3 * np.sin(np.arange(n) / 9.0)
    loss = factor * sigma * stream(seed, "one-sided").standard_normal(n)
    return TailSeries(loss=loss, var=VAR * sigma, es=ES * sigma, level=1.0 - P, **more)


def test_statistics_by_a_plain_loop():
    days, scale = series(1.3), np.linspace(0.5, 2.0, 400)
    rows = np.empty((4, days.n))
    for at in range(days.n):
        loss, var, es = days.loss[at], days.var[at], days.es[at]
        number = float(loss > var) - P
        size = var - es + (loss - var if loss > var else 0.0) / P
        rows[:, at] = number, size, var * number, size / scale[at]
    t = rows.sum(axis=1) / np.sqrt((rows**2).sum(axis=1))
    found = one_sided_calibration(days, kind="general", scale=scale, **FEW)
    names = ("t_number", "t_size", "t_number_weighted", "t_size_weighted")
    np.testing.assert_allclose([found.details[name] for name in names], t, rtol=1e-12)
    p, c = np.sort(norm.sf(t)), 1.0 + 1.0 / 2.0 + 1.0 / 3.0 + 1.0 / 4.0
    assert found.p_asymptotic == pytest.approx(min(1.0, *(c * 4.0 / k * p[k - 1] for k in (1, 2, 3, 4))))
    plain = one_sided_calibration(days, combination="bonferroni", **FEW)
    assert plain.p_asymptotic == pytest.approx(2.0 * norm.sf(t[:2]).min(), rel=1e-12)


@pytest.mark.parametrize("size", [2, 4, 7])
def test_hommel_is_the_smallest_adjusted_p_value_of_benjamini_and_yekutieli(size):
    t = stream(size, "hommel").standard_normal((20, size)) + 1.0
    for row, value in zip(t, _combined(t, "hommel"), strict=True):
        adjusted = multipletests(norm.sf(row), method="fdr_by")[1]
        assert min(1.0, math.exp(-value)) == pytest.approx(adjusted.min(), rel=1e-12)


@pytest.mark.parametrize("kind", ["simple", "general"])
def test_it_looks_one_way(kind):
    high, low = series(0.75, n=4000), series(1.5)
    assert nolde_ziegel(high, **FEW).decision == "rejected"
    assert one_sided_calibration(high, kind=kind, **FEW).p_exact > 0.9
    found = one_sided_calibration(low, kind=kind, **FEW)
    assert found.decision == "rejected" and found.details["t_number"] > 2.0 and found.x > found.expected


def test_no_hit_is_no_evidence_and_a_unit_of_money_does_not_matter():
    calm = TailSeries(loss=np.full(50, -1.0), var=np.ones(50), es=np.full(50, 1.3), level=1.0 - P)
    found = one_sided_calibration(calm, **FEW)
    assert (found.decision, found.p_asymptotic) == ("not_rejected", 1.0)
    days = series(1.2)
    cents = TailSeries(loss=100 * days.loss, var=100 * days.var, es=100 * days.es, level=1.0 - P)
    for kind in ("simple", "general"):
        one, other = (one_sided_calibration(s, kind=kind, **FEW) for s in (days, cents))
        assert other.statistic == pytest.approx(one.statistic, rel=1e-10)
        assert other.p_exact == one.p_exact


def test_overlap_is_split_and_an_es_that_equals_var_is_not_evaluable():
    days = series(1.2, horizon=2.0)
    both = one_sided_calibration(days, horizon=2.0, kind="general", scale=np.ones(400), **FEW)
    assert len(both.outcomes) == 2 and both.n == 400
    with pytest.raises(ConventionError, match="overlap"):
        one_sided_calibration(days, **FEW)
    flat = TailSeries(loss=np.ones(9), var=np.full(9, 2.0), es=np.full(9, 2.0), level=1.0 - P)
    assert one_sided_calibration(flat, **FEW).decision == "not_evaluable"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "both"}, "kind is 'both'"),
        ({"combination": "fisher"}, "combination is 'fisher'"),
        ({"scale": np.ones(400)}, "scale is given for kind 'simple'"),
        ({"kind": "general", "scale": np.zeros(400)}, r"scale\[0\] is 0"),
        ({"null": "t"}, "df is None"),
        ({"draws": 5}, "draws is 5"),
    ],
)
def test_bad_input_is_named(settings, message):
    with pytest.raises(ParameterError, match=message):
        one_sided_calibration(series(), **settings)
