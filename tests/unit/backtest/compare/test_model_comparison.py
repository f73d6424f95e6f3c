"""Murphy diagrams, model confidence sets and superior predictive ability on margin forecasts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from pmkit.backtest import (
    TailSeries,
    beats_benchmark,
    elementary_es_score,
    elementary_var_score,
    model_confidence_set,
    murphy,
)
from pmkit.backtest.es_tests import fz0_score, tick_score
from pmkit.core.errors import ConventionError, ParameterError, SchemaError
from pmkit.core.random import stream

P = 0.025


def constant(loss: np.ndarray, var: float, es: float) -> TailSeries:
    return TailSeries(loss=loss, var=np.full(loss.size, var), es=np.full(loss.size, es), level=0.9)


@pytest.fixture(scope="module")
def index_models() -> dict[str, TailSeries]:
    """VaR and ES of the index of 1999 to 2018 at 97.5 %: three volatilities with a normal law, one with t."""
    from arch.data import sp500

    price = sp500.load()["Adj Close"]
    returns = (100.0 * np.log(price / price.shift(1))).iloc[1:]
    variance, smooth = float((returns.iloc[:250] ** 2).mean()), []
    for value in returns.iloc[250:]:
        smooth.append(variance**0.5)
        variance = 0.94 * variance + 0.06 * value**2
    ewma, rolled = np.array(smooth), returns.rolling(250).std(ddof=1).shift(1).iloc[250:].to_numpy()
    loss, z = -returns.iloc[250:].to_numpy(), -norm.ppf(P)
    unit, tail = np.sqrt(4.0 / 6.0), -student.ppf(P, 6)
    heavy = unit * student.pdf(tail, 6) / P * (6.0 + tail**2) / 5.0
    normal = norm.pdf(z) / P
    return {
        name: TailSeries(loss=loss, var=sigma * q, es=sigma * e, level=1.0 - P)
        for name, sigma, q, e in (
            ("sd", rolled, z, normal),
            ("ew", ewma, z, normal),
            ("const", np.full(loss.size, rolled[0]), z, normal),
            ("ew t6", ewma, unit * tail, heavy),
        )
    }


def test_confidence_set_to_the_printed_digits(index_models: dict[str, TailSeries]) -> None:
    for method in ("R", "max"):
        found = model_confidence_set(index_models, block=20, seed=12345, method=method)
        found.check()
        assert found.included == ("ew t6",)
    means = found.table["mean_score"].reindex(["sd", "ew", "const", "ew t6"])
    assert [f"{value:.8f}" for value in means] == ["1.24373433", "1.08286070", "1.39253457", "1.04509592"]
    assert "p-value" in found.plot().get_xlabel()


def test_the_benchmark_is_beaten_by_the_best_alone(
    index_models: dict[str, TailSeries],
) -> None:
    others = {name: run for name, run in index_models.items() if name != "sd"}
    table = beats_benchmark(index_models["sd"], others, draws=499, block=20)
    assert bool(table.loc["ew t6", "superior"]) and not bool(table.loc["const", "superior"])
    assert table.attrs["p_consistent"] < 0.05
    assert table.loc["ew", "gain"] == pytest.approx(0.16087364, abs=1e-8)
    back = beats_benchmark(index_models["ew t6"], {"sd": index_models["sd"]}, draws=499, block=20)
    assert not back["superior"].any() and back.attrs["p_upper"] >= back.attrs["p_lower"]


def test_confidence_set_keeps_the_best_as_often_as_stated() -> None:
    kept, runs, rng = 0, 60, stream(6, "mcs")
    for run in range(runs):
        loss = rng.standard_normal(400)
        models = {str(v): constant(loss, v, v + 0.47) for v in (1.2815516, 1.4, 1.15)}
        kept += "1.2815516" in model_confidence_set(models, draws=199, block=5, seed=run).included
    assert kept / runs >= 0.9 - 3.0 * np.sqrt(0.09 / runs)


def test_elementary_scores_add_up_to_the_tick_loss() -> None:
    loss = stream(1, "tick").standard_normal(200)
    series = constant(loss, 1.1, 1.5)
    grid = np.linspace(-6.0, 6.0, 20_001)
    middle = 0.5 * (grid[1:] + grid[:-1])
    total = sum(elementary_var_score(series, x) for x in middle) * (grid[1] - grid[0])
    np.testing.assert_allclose(total, tick_score(series), atol=2e-3)


def test_difference_of_fz0_is_a_mixture_of_elementary_scores() -> None:
    """With weight 1/η² on thresholds above 0 the differences of two forecasts are those of FZ0."""
    loss = np.abs(stream(2, "fz0").standard_normal(50)) + 0.1  # positive, so that no mass lies below 0
    one, two = constant(loss, 1.1, 1.5), constant(loss, 0.9, 2.1)
    edges = np.geomspace(0.02, 200.0, 40_001)
    middle, weight = np.sqrt(edges[1:] * edges[:-1]), 1.0 / edges[:-1] - 1.0 / edges[1:]
    gap = sum(
        w * (elementary_es_score(one, x) - elementary_es_score(two, x))
        for x, w in zip(middle, weight, strict=True)
    )
    far = (
        one.es.max()
    )  # beyond both ES the difference is constant in η: the tail of the integral in closed form
    rest = (elementary_es_score(one, 1e9) - elementary_es_score(two, 1e9)) / 200.0
    assert far < 200.0
    np.testing.assert_allclose(gap + rest, fz0_score(one) - fz0_score(two), atol=2e-3)


@pytest.mark.parametrize("functional", ["var", "es"])
def test_the_truth_is_not_beaten(functional: str) -> None:
    loss = stream(3, "truth").standard_normal(40_000)
    z = norm.isf(0.1)
    es = norm.pdf(z) / 0.1
    models = {
        "truth": constant(loss, z, es),
        "high": constant(loss, 1.3 * z, 1.3 * es),
        "low": constant(loss, 0.7 * z, 0.7 * es),
    }
    diagram = murphy(models, functional=functional)
    diagram.check()
    for other in ("high", "low"):
        gap = diagram.difference("truth", other)
        assert (gap["low"] < 1e-3).all() and (gap["difference"] < -1e-3).any()
        assert not diagram.dominates(other, "truth")
    assert not diagram.summary().loc["truth", "truth"]
    assert "elementary" in diagram.plot().get_ylabel()


def test_dominance_is_a_partial_order() -> None:
    loss = stream(4, "order").standard_normal(500)
    diagram = murphy({"a": constant(loss, 1.0, 1.5), "b": constant(loss, 1.0, 1.5)}, functional="es")
    assert not diagram.summary().to_numpy().any()
    np.testing.assert_array_equal(diagram.difference("a", "b")["difference"], 0.0)


def _two() -> dict[str, TailSeries]:
    loss = stream(5, "two").standard_normal(120)
    return {"a": constant(loss, 1.0, 1.5), "b": constant(loss, 1.2, 1.6)}


def test_models_of_equal_mean_score_leave_in_their_order() -> None:
    loss = np.where(np.arange(200) % 20 == 0, 2.5, 0.1)
    steps = np.arange(200)
    runs = {
        name: TailSeries(loss=loss, var=1.0 + 0.5 * wave, es=1.6 + 0.8 * wave, level=0.9)
        for name, wave in (("a", steps % 20 == 3), ("b", steps % 20 == 7), ("far", steps % 3 > 0))
    }
    for method in ("R", "max"):
        found = model_confidence_set(runs, draws=199, block=5, method=method)
        means = found.table["mean_score"]
        assert means["a"] == pytest.approx(means["b"], rel=1e-14) and "a" in found.included


def test_blocks_keep_losses_together_that_share_days() -> None:
    loss = stream(9, "overlap").standard_normal(120)
    runs = {
        name: TailSeries(loss=loss, var=[v] * 120, es=[v + 0.5] * 120, level=0.9, horizon=5.0)
        for name, v in (("a", 1.0), ("b", 1.2))
    }
    default = model_confidence_set(runs, draws=199)
    assert default.table.equals(model_confidence_set(runs, draws=199, block=11).table)  # √120, above 2·5
    with pytest.raises(ConventionError, match="block is 4 where 5 losses share days"):
        model_confidence_set(runs, draws=199, block=4)
    with pytest.raises(ConventionError, match="120 losses over 40 days"):
        long = {name: replace(run, horizon=40.0) for name, run in runs.items()}
        beats_benchmark(long["a"], {"b": long["b"]}, draws=199)


def _constant_gap() -> dict[str, TailSeries]:
    calm = np.zeros(40)
    return {"a": constant(calm, 1.0, 1.5), "b": constant(calm, 2.0, 3.0)}


def _cut(runs: dict[str, TailSeries], n: int) -> dict[str, TailSeries]:
    return {name: constant(run.loss[:n], run.var[0], run.es[0]) for name, run in runs.items()}


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (SchemaError, "no model", lambda: murphy({})),
        (ParameterError, "of type int", lambda: murphy({"a": 3})),
        (ParameterError, "functional is 'x'", lambda: murphy(_two(), functional="x")),
        (ParameterError, "points is 1", lambda: murphy(_two(), points=1)),
        (ParameterError, "correct the name", lambda: murphy(_two()).mean("c")),
        (
            SchemaError,
            "other losses",
            lambda: murphy({**_two(), "c": constant(np.ones(4), 1.0, 1.2)}),
        ),
        (SchemaError, "1 models", lambda: model_confidence_set({"a": _two()["a"]})),
        (SchemaError, "19 days; expected 20", lambda: model_confidence_set(_cut(_two(), 19))),
        (SchemaError, "by the same amount on each of 40", lambda: model_confidence_set(_constant_gap())),
        (
            SchemaError,
            "by the same amount",
            lambda: beats_benchmark(_constant_gap()["a"], {"b": _constant_gap()["b"]}, score="tick"),
        ),
        (SchemaError, "equal scores", lambda: model_confidence_set({"a": _two()["a"], "b": _two()["a"]})),
        (ParameterError, "score is 'x'", lambda: model_confidence_set(_two(), score="x")),
        (ParameterError, "method is 'Q'", lambda: model_confidence_set(_two(), method="Q")),
        (ParameterError, "draws is 3", lambda: model_confidence_set(_two(), draws=3)),
        (SchemaError, "called 'benchmark'", lambda: beats_benchmark(_two()["a"], {"benchmark": _two()["b"]})),
    ],
)
def test_bad_input_is_named(error: type[Exception], message: str, call) -> None:
    with pytest.raises(error, match=message):
        call()
