"""Many books under one model: each by its own tests, all by their common dates, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from scipy.stats import binom

from pmkit.backtest import (
    BacktestResult,
    ManyBooks,
    TailSeries,
    es_tests,
    many_books,
    random_books,
    simulate_vol_path,
    walk_books,
)
from pmkit.core.errors import ConventionError, ParameterError, PmkitError, SchemaError
from pmkit.market import load_history

matplotlib.use("Agg")

SPAN = {"start": "2021-06-01", "end": "2022-03-31", "n_paths": 200}


@pytest.fixture(scope="module")
def runs() -> dict[str, BacktestResult]:
    coins = ["BTC", "ETH"]
    history = load_history("crypto-daily-2020-2023").select(coins)
    vols = simulate_vol_path(history, underlyings=coins)
    books = {book.name: (book, vols) for book in random_books(coins, count=5, seed=1)}
    return walk_books(books, history, "hs", **SPAN)


@pytest.fixture(scope="module")
def found(runs) -> ManyBooks:
    return many_books(runs, groups={name: name.split()[0] for name in runs}, draws=499)


def test_each_book_is_counted_and_tested_by_itself(runs, found):
    found.check()
    table = found.to_frame()
    for name, run in runs.items():
        hits, n = int(run.frame["hit"].sum()), len(run.frame)
        row = table.loc[name]
        assert (row["breaches"], row["n"], row["breaches_apart"]) == (hits, n, hits)
        assert row["coverage"] == pytest.approx(1.0 - hits / n, rel=1e-14)
        assert row["p_value"] == pytest.approx(binom.sf(hits - 1, n, 0.01), rel=1e-12)
        assert row["p_adjusted"] >= row["p_value"]
        series = TailSeries(loss=-run.frame["pnl"], var=run.margin, es=run.margin, level=0.99)
        alone = es_tests.e_process(series, measure="var", betting="gree")
        np.testing.assert_array_equal(found.processes[name].wealth, alone.wealth)
    assert set(found.coverage.by_group().index) == {name.split()[0] for name in runs}


def test_a_margin_that_fails_on_offsets_is_objected_to_by_all_three(found):
    # The marks move all tenors alike, the response of the margin model long ones less.
    assert found.to_frame().index[0] == "calendar 2"
    assert found.objections == ("books", "rate", "wealth")
    row = found.summary().iloc[0]
    assert row["rejected"] >= 1 and row["books"] == 5 and row["objected on"] > "2021-06-01"
    assert found.average.final == pytest.approx(np.mean([p.final for p in found.processes.values()]))


def test_linear_books_that_are_covered_meet_no_objection(runs):
    long_short = {name: run for name, run in runs.items() if name.startswith("long_short")}
    calm = many_books(long_short, draws=199)
    assert calm.objections == () and calm.summary().iloc[0]["objected on"] == ""


def test_overlapping_losses_are_judged_on_dates_that_share_no_days():
    history = load_history("crypto-daily-2020-2023").select(["BTC", "ETH"])
    span = {**SPAN, "end": "2021-12-31", "horizon": 2}
    runs = walk_books({name: name for name in ("long_btc", "short_btc")}, history, "hs", **span)
    found = many_books(runs, draws=199)
    found.check()
    table, run = found.to_frame(), runs["long_btc"]
    assert table.loc["long_btc", "n"] == len(run.frame)
    assert table.loc["long_btc", "n_apart"] == (len(run.frame) + 1) // 2
    assert table.loc["long_btc", "breaches_apart"] == int(run.frame["hit"].iloc[::2].sum())
    assert found.apart == 2 and found.average.n == (len(run.frame) + 1) // 2


def test_it_is_shown_cited_and_traced(runs, found):
    assert len(found.plot().lines) == len(runs) + 2
    assert {"benjamini2001", "wang2022"} <= set(found.cite())
    assert found.provenance.simulated and "model-marked" in found.title
    assert set(found.provenance.data) == set(runs)
    other = {**found.processes, "long_short 0": found.processes["calendar 2"]}
    with pytest.raises(PmkitError, match="parts are of other books"):
        replace(found, processes=other).check()


def _shorter(run: BacktestResult) -> BacktestResult:
    return replace(run, frame=run.frame.iloc[:-1])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda runs: {}, ParameterError, "there is no run"),
        (lambda runs: list(runs.values()), ParameterError, "there is no run"),
        (lambda runs: {"a": 5}, ParameterError, "run 'a' is of type int"),
        (lambda runs: runs | {"x": replace(runs["fly 3"], model="evt")}, ConventionError, "model of 'x'"),
        (lambda runs: runs | {"x": replace(runs["fly 3"], level=0.98)}, ConventionError, "level of 'x'"),
        (lambda runs: runs | {"x": _shorter(runs["fly 3"])}, SchemaError, "'x' has other dates"),
    ],
)
def test_books_that_do_not_belong_together_are_refused(runs, change, error, message):
    with pytest.raises(error, match=message):
        many_books(change(runs))


def test_settings_that_are_refused(runs):
    with pytest.raises(ParameterError, match="draws is 5"):
        many_books(runs, draws=5)
    with pytest.raises(ParameterError, match="betting is 'kelly'"):
        many_books(runs, betting="kelly")
    with pytest.raises(SchemaError, match="no group for"):
        many_books(runs, groups={"fly 3": "fly"})


def test_dates_that_are_missing_in_the_margin_cannot_be_averaged(runs):
    run = runs["fly 3"]
    frame = run.frame.copy()
    frame.loc[frame.index[3], "var"] = np.nan
    with pytest.raises(SchemaError, match=r"margin or a P&L alone|missing"):
        many_books({"gap": replace(run, frame=frame)})
