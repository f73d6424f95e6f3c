"""What the sections judge, recomputed: evidence, size and power, regulation, tools, checks of the code."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from pmkit.backtest import BacktestResult, called_margin
from pmkit.backtest.walk.inventory import INVENTORY
from pmkit.core.errors import ParameterError
from pmkit.core.random import stream
from pmkit.report.validation import ValidationConfig, ValidationReport, findings
from pmkit.report.validation.checks import implementation_checks
from pmkit.report.validation.config import Apc
from pmkit.report.validation.evidence import coverage_of, evidence_table
from pmkit.report.validation.regulation import apc_options, offset_cap, regulatory_table
from pmkit.report.validation.runs import APC_STRENGTHS, BookRuns, ValidationRuns
from pmkit.report.validation.size_power import clustered_hits, size_and_power


def spoiled(runs: ValidationRuns, factor: float) -> ValidationRuns:
    """The runs with the margin of every book scaled after the model."""
    books = {}
    for name, book in runs.books.items():
        frame = book.model.frame.copy()
        columns = ["var", "var_es_level", "es"]
        frame[columns] = frame[columns] * factor
        frame["hit"] = -frame["pnl"] > frame["var"]
        frame["hit_es_level"] = -frame["pnl"] > frame["var_es_level"]
        model: BacktestResult = replace(book.model, frame=frame)
        books[name] = BookRuns(
            model=model,
            challenger=book.challenger,
            called=called_margin(model.margin),
            alone=book.alone,
        )
    return replace(runs, books=books)


def test_evidence_counts_what_is_in_the_frames(config: ValidationConfig, runs: ValidationRuns) -> None:
    table = evidence_table(config, runs)
    wanted = [entry.name for entry in INVENTORY if entry.group != "overlap"]
    assert table["test"].tolist() == 2 * wanted
    for name, book in runs.books.items():
        frame = book.model.frame
        part = table[(table["portfolio"] == name) & (table["subject"] == "margin")]
        assert (part["hits"] == int((-frame["pnl"] > frame["var"]).sum())).all()
        assert (part["n"] == len(frame)).all()
        pof = part.set_index("test").loc["binomial, too many"]
        assert pof["p_value"] == pytest.approx(binom.sf(pof["hits"] - 1, pof["n"], 0.01), rel=1e-12)
    judged = table["decision"] != "not evaluable"
    assert (table.loc[judged, "p_adjusted"] >= table.loc[judged, "p_value"] - 1e-15).all()
    assert (table.loc[judged, "decision"] == "rejected").equals(table.loc[judged, "p_value"] <= config.alpha)


def test_half_the_margin_is_an_objection_and_ten_times_a_question(
    config: ValidationConfig, runs: ValidationRuns
) -> None:
    low = findings.backtests(config, spoiled(runs, 0.4))
    assert low.light == "red" and "btc_eth_spread" in low.verdict
    high = findings.backtests(config, spoiled(runs, 10.0))
    assert high.light in ("green", "yellow") and "Portfolios with an objection: none" in high.verdict
    frame = high.tables[2].frame
    assert (frame["decision"] == "not evaluable").any()


def test_a_model_without_hits_is_not_evaluable_for_the_regulator(
    config: ValidationConfig, runs: ValidationRuns
) -> None:
    short = spoiled(runs, 10.0)
    cut = replace(
        short,
        books={
            name: replace(
                book,
                model=replace(book.model, frame=book.model.frame.iloc[:100]),
                called=book.called.iloc[:100],
                alone={k: v.iloc[:100] for k, v in book.alone.items()},
            )
            for name, book in short.books.items()
        },
    )
    table = regulatory_table(config, cut, coverage_of(cut), apc_options(config, cut))
    covered = table[table["test"].str.contains("losses covered with 99 %")]
    # a right model shows no breach in 100 days with probability 0.366
    assert set(covered["status"]) == {"not evaluable"}


def test_regulation_reads_the_configuration(config: ValidationConfig, runs: ValidationRuns) -> None:
    def status(changed: ValidationConfig) -> dict[tuple[str, str], str]:
        table = regulatory_table(changed, runs, coverage_of(runs), apc_options(changed, runs))
        return dict(zip(zip(table["rule"], table["test"], strict=True), table["status"], strict=True))

    listed, otc = status(config), status(replace(config, product="otc"))
    assert listed["EMIR 24", "confidence of 99 % or more (listed)"] == "met"
    assert otc["EMIR 24", "confidence of 99.5 % or more (over the counter)"] == "not met"
    assert listed["EMIR 25", "look-back of 12 months or more"] == "not met"
    assert status(replace(config, window=365))["EMIR 25", "look-back of 12 months or more"] == "met"
    assert listed["EMIR 26", "liquidation period of 2 day(s) or more (listed)"] == "not met"
    client = status(replace(config, product="client"))
    assert (
        client["EMIR 26", "liquidation period of 1 day(s) or more (listed, client accounts held gross)"]
        == "met"
    )
    assert listed["EMIR 28", "at least one of the three options"] == "not met"
    assert status(replace(config, apc="buffer"))["EMIR 28", "at least one of the three options"] == "met"
    assert listed["EMIR 28", "margin not below that of ten years of volatility"] == "not evaluable"
    assert set(listed.values()) <= {"met", "not met", "not evaluable", "option"}
    assert {rule.split()[0] for rule, _ in listed} == {"EMIR", "PFMI", "CFTC"}


def test_the_cap_of_four_fifths_on_the_example(runs: ValidationRuns) -> None:
    spread = runs.books["btc_eth_spread"]
    days = spread.called.index[:2]
    example = replace(
        spread,
        called=pd.Series([60.0, 200.0], days),
        alone={"A": pd.Series([100.0, 100.0], days), "B": pd.Series([80.0, 80.0], days)},
    )
    assert offset_cap(example)["capped"].tolist() == [84.0, 200.0]
    real = offset_cap(spread)
    assert (real["capped"] >= real["combined"]).all() and (real["alone"] > real["combined"]).any()


def test_tools_change_the_called_margin_without_looking_ahead() -> None:
    margin = pd.Series([1.0, 2.0, 1.0, 1.5])
    assert called_margin(margin, **APC_STRENGTHS["buffer"]).tolist() == [1.25, 2.0, 1.25, 1.5]
    assert called_margin(margin, **APC_STRENGTHS["stress-weight"]).tolist() == [1.0, 2.0, 1.25, 1.625]
    assert set(APC_STRENGTHS) == set(get_args(Apc))


def test_size_and_power_against_the_binomial_law() -> None:
    table = size_and_power(250, 0.01, series=60, seed=3)
    kupiec = table.loc["Kupiec proportion of failures, limit law"]
    inside = binom.cdf(6, 250, 0.01) - binom.cdf(0, 250, 0.01)
    assert kupiec["size"] == pytest.approx(1.0 - inside, rel=1e-9)
    assert table.loc["Basel: yellow or red", "size"] == pytest.approx(0.1078, abs=5e-5)
    assert table.loc["Basel: red", "size"] == pytest.approx(binom.sf(9, 250, 0.01), rel=1e-9)
    exact = table.loc["exact binomial, too many hits"]
    assert exact["size"] <= 0.05 < exact["power_1.5p"] < exact["power_2p"]
    order = table.loc["Christoffersen independence"]
    assert order["power_cluster"] > order["size"] + 0.15


def test_clustered_hits_have_the_stated_rate_and_persistence() -> None:
    hits = clustered_hits(stream(1, "test"), 400_000, 0.02, 0.2)
    assert hits.mean() == pytest.approx(0.02, abs=8e-4)
    assert hits[1:][hits[:-1]].mean() == pytest.approx(0.2, abs=0.02)
    with pytest.raises(ParameterError, match="probabilities of a chain"):
        clustered_hits(stream(1, "test"), 10, 1.2, 0.2)


def test_checks_of_the_code_find_a_broken_run(config: ValidationConfig, runs: ValidationRuns) -> None:
    assert implementation_checks(config, runs)["passed"].all()
    name = config.books[0].name
    book = runs.books[name]
    frame = book.model.frame.copy()
    frame.loc[frame.index[3], "var"] *= 1.0 + 1e-12
    frame.loc[frame.index[5], "hit"] = ~frame.loc[frame.index[5], "hit"]
    broken = replace(runs, books={**runs.books, name: replace(book, model=replace(book.model, frame=frame))})
    failed = implementation_checks(config, broken).set_index("check")["passed"]
    lost = failed.index[~failed].tolist()
    assert [text.split(",")[0] for text in lost] == ["run anew", f"identities of {name} under hs"]


def test_no_sensitivities_is_said(config: ValidationConfig, runs: ValidationRuns) -> None:
    none = findings.sensitivities(config, replace(runs, sensitivity=None))
    assert none.light == "grey" and "names none" in none.verdict


def test_challenger_rows_hold_both_models(report: ValidationReport, runs: ValidationRuns) -> None:
    table = report.section("challenger").tables[0].frame.set_index("portfolio")
    for name, book in runs.books.items():
        assert table.loc[name, "model_margin"] == pytest.approx(book.model.margin.mean(), rel=1e-14)
        assert table.loc[name, "challenger_hits"] == book.challenger.hits().x
    assert set(table["zone"]) <= {"red", "yellow", "green"}
    assert np.isfinite(table["statistic"]).all()
