"""Multinomial tests: other routes to statistic and p-value, edges, size and power, bad input."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri, xlogy
from scipy.stats import chi2, chisquare, norm
from scipy.stats import multinomial as law_of_cells

from pmkit.backtest.es.multinomial import normal_ratio
from pmkit.backtest.es_tests import PitSeries, multinomial
from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError

KINDS = ["pearson", "nass", "lrt"]


def cells(p: float, number: int) -> np.ndarray:
    return np.array([1.0 - p] + [p / number] * number)


def test_pearson_and_nass_by_formula():
    counts, theta = np.array([960, 12, 9, 11, 8]), cells(0.025, 4)
    plain = chisquare(counts, 1000 * theta)
    pearson = multinomial(counts=counts, level=0.975, kind="pearson")
    assert pearson.statistic == pytest.approx(plain.statistic, rel=1e-12)
    assert pearson.p_asymptotic == pytest.approx(plain.pvalue, rel=1e-10)
    variance = 2 * 4 - (16 + 16 + 1) / 1000 + (1 / theta).sum() / 1000
    nass = multinomial(counts=counts, level=0.975)
    factor = 8 / variance
    assert nass.statistic == pytest.approx(factor * plain.statistic, rel=1e-12)
    assert nass.p_asymptotic == pytest.approx(chi2.sf(factor * plain.statistic, 4 * factor), rel=1e-10)
    assert nass.p_exact == pytest.approx(pearson.p_exact, abs=4 * pearson.p_exact_se)


def test_nass_matches_mean_and_variance_of_pearson():
    theta, n = cells(0.025, 4), 250
    drawn = np.random.default_rng(1).multinomial(n, theta, size=200_000)
    sums = ((drawn - n * theta) ** 2 / (n * theta)).sum(axis=1)
    variance = 2 * 4 - (16 + 16 + 1) / n + (1 / theta).sum() / n
    assert sums.mean() == pytest.approx(4.0, rel=0.01)
    assert sums.var() == pytest.approx(variance, rel=0.05)


def test_likelihood_ratio_by_another_search():
    theta = cells(0.05, 8)
    inner = ndtri(np.cumsum(theta)[:-1])
    table = np.random.default_rng(2).multinomial(400, theta, size=25)

    def loss(v, observed):
        above = np.concatenate([[1.0], ndtr(v[1] - np.exp(v[0]) * inner), [0.0]])
        return -xlogy(observed, np.maximum(above[:-1] - above[1:], 1e-300)).sum()

    ours = normal_ratio(table, theta)
    for row, value in zip(table, ours, strict=True):
        best = min(
            minimize(
                loss, start, args=(row,), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11}
            ).fun
            for start in ([0.0, 0.0], [0.3, 0.5], [-0.3, -0.5])
        )
        assert value == pytest.approx(2.0 * (loss([0.0, 0.0], row) - best), abs=1e-5)


def test_likelihood_ratio_without_hits_reaches_its_bound():
    theta = cells(0.05, 4)
    assert normal_ratio(np.array([[100, 0, 0, 0, 0]]), theta)[0] == pytest.approx(
        -200 * math.log(0.95), rel=1e-4
    )
    assert normal_ratio(np.array([[95, 0, 0, 0, 5]]), theta)[0] > 10.0


@pytest.mark.parametrize("kind", KINDS)
def test_simulated_p_value_agrees_with_the_enumeration_of_all_tables(kind):
    theta, n = cells(0.3, 2), 9
    tables = np.array([t for t in itertools.product(range(n + 1), repeat=3) if sum(t) == n])
    weights = law_of_cells.pmf(tables, n, theta)
    values = (
        normal_ratio(tables, theta)
        if kind == "lrt"
        else ((tables - n * theta) ** 2 / (n * theta)).sum(axis=1)
    )
    for observed in ([4, 2, 3], [6, 3, 0]):
        result = multinomial(counts=observed, level=0.7, kind=kind, draws=9999)
        at = int(np.flatnonzero((tables == observed).all(axis=1))[0])
        exact = weights[values >= values[at] - 1e-7].sum()
        assert abs(result.p_exact - exact) < 4.0 * result.p_exact_se + 1e-4


def test_one_cell_is_the_test_of_the_number_of_hits():
    result = multinomial(counts=[240, 10], level=0.99, kind="pearson", draws=199)
    z = (10 - 2.5) / math.sqrt(250 * 0.01 * 0.99)
    assert result.statistic == pytest.approx(z * z, rel=1e-12) and result.df == 1


@pytest.mark.parametrize("kind", KINDS)
def test_series_and_counts_agree(kind):
    pit = np.random.default_rng(3).random(800)
    series = PitSeries(pit=pit, level=0.95)
    counted = [int((pit >= 0.05).sum())]
    edges = [0.05, 0.0375, 0.025, 0.0125, -1.0]
    counted += [int(((pit < a) & (pit >= b)).sum()) for a, b in itertools.pairwise(edges)]
    by_series = multinomial(series, kind=kind, draws=199)
    assert by_series == multinomial(counts=counted, level=0.95, kind=kind, draws=199)
    assert [by_series.details[f"cell_{j}"] for j in range(5)] == counted
    assert multinomial(series, cells=8, kind=kind, draws=199).details["cell_0"] == counted[0]


@pytest.mark.parametrize("kind", KINDS)
def test_no_hit_and_nothing_but_hits(kind):
    assert multinomial(counts=[250, 0, 0, 0, 0], level=0.99, kind=kind, draws=199).decision == "not_rejected"
    loud = multinomial(counts=[0, 0, 0, 0, 50], level=0.975, kind=kind, draws=199)
    assert (loud.decision, loud.p_exact) == ("rejected", 0.005)


def test_small_cells_are_flagged():
    few = multinomial(counts=[247, 1, 0, 1, 1], level=0.99, draws=199)
    assert any("0.625 observations are expected in each cell" in text for text in few.warnings)
    assert not any("SmallSample" in t for t in multinomial(counts=[970, 8, 7, 7, 8], level=0.975).warnings)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({}, ParameterError, "series and counts are not given"),
        ({"counts": [9, 1], "series": PitSeries(pit=[0.5], level=0.9)}, ParameterError, "are both given"),
        ({"counts": [9, 1]}, ParameterError, "level is not given"),
        ({"counts": [9, 1], "level": 0.05}, ConventionError, "looks like a tail probability"),
        ({"counts": [9, 1], "level": 0.9, "cells": 1}, ParameterError, "cells is 1 with counts"),
        ({"counts": [9, 1], "level": 0.9, "horizon": 2}, ConventionError, "horizon=2 is given with counts"),
        (
            {"counts": [9, 1], "level": 0.9, "kind": "lrt"},
            ParameterError,
            "there are 1 levels for kind 'lrt'",
        ),
        ({"counts": [9, 1], "level": 0.9, "kind": "g"}, ParameterError, "kind is 'g'"),
        ({"counts": [9], "level": 0.9}, SchemaError, "counts has 1 values"),
        ({"counts": [], "level": 0.9}, DataGapError, "counts is empty"),
        ({"counts": [9, -1], "level": 0.9}, ParameterError, r"counts\[1\] is "),
        ({"counts": [9, 0.5], "level": 0.9}, ParameterError, r"counts\[1\] is "),
        ({"counts": [9, math.nan], "level": 0.9}, SchemaError, r"counts\[1\] is missing"),
        ({"counts": [0, 0], "level": 0.9}, ParameterError, "counts are all 0"),
        ({"series": PitSeries(pit=[0.5], level=0.9), "level": 0.9}, ParameterError, "with a series"),
        ({"series": PitSeries(pit=[0.5], level=0.9), "cells": 0}, ParameterError, "there are 0 levels"),
        ({"series": PitSeries(pit=[0.5], level=0.9), "cells": 65}, ParameterError, "cells is 65"),
    ],
)
def test_input_that_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        multinomial(**settings)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "number"), [("pearson", 4), ("nass", 4), ("lrt", 8)])
def test_size_and_power(kind, number):
    rng, runs = np.random.default_rng(9), 600
    rejected = {"right": 0, "low": 0, "thin": 0}
    for i in range(runs):
        draws = {
            "right": rng.random(250),
            "low": norm.cdf(1.25 * rng.standard_normal(250)),
            "thin": norm.cdf(rng.standard_t(3.0, 250)),
        }
        for name, pit in draws.items():
            if name != "right" and i >= 150:
                continue
            series = PitSeries(pit=pit, level=0.975)
            result = multinomial(series, cells=number, kind=kind, draws=199, seed=i)
            rejected[name] += result.decision == "rejected"
    assert abs(rejected["right"] - 0.05 * runs) < 4.0 * math.sqrt(runs * 0.0475)
    assert rejected["low"] > 0.4 * 150 and rejected["thin"] > 0.8 * 150
