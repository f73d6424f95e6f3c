"""The margin table: one definition of every number in words."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from pmkit.margin import Account, Comparison, MarginResult
from pmkit.margin.result import WorstScenario
from pmkit.market import MarketSnapshot
from pmkit.report.tables import (
    Row,
    amount,
    comparison_frame,
    error_lines,
    margin_rows,
    percent,
    rule_title,
    usd_per_unit,
)


def row(rows: list[Row], label: str) -> Row:
    """Return the line of that name."""
    return next(r for r in rows if r.label == label)


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        (1_234_567.891, "USD", "1,234,568 USD"),
        (99.994, "USDC", "99.99 USDC"),
        (0.0, "BTC", "0 BTC"),
        (-0.00001, "BTC", "-0.00001 BTC"),
        (1.23456, "ETH", "1.2346 ETH"),
        (math.nan, "USD", "–"),
        (math.inf, "USD", "inf USD"),
    ],
)
def test_amount(value: float, currency: str, text: str) -> None:
    assert amount(value, currency) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(1.0, "100.0 %"), (-0.25, "-25.0 %"), (1e-16, "0 %"), (0.0004, "< 0.1 %"), (-0.0004, "> -0.1 %")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_coins_come_with_dollars_and_dollars_alone(compared: Comparison, market: MarketSnapshot) -> None:
    rows = margin_rows(compared.results, market)
    cells = row(rows, "initial margin, IM").cells
    assert [c.note == "" for c in cells] == [True, True, False, False]
    coin = compared["deribit-pm"].im
    assert cells[2].text == f"{coin:.4f} BTC"
    assert cells[2].note == f"= {coin * market.spot('BTC'):,.0f} USD"


def test_every_line_has_a_cell_for_every_rule(compared: Comparison, market: MarketSnapshot) -> None:
    assert {len(r.cells) for r in margin_rows(compared.results, market)} == {4}


def test_add_ons_stand_by_name_where_a_rule_has_them(compared: Comparison, market: MarketSnapshot) -> None:
    rows = margin_rows(compared.results, market)
    added = [r.label for r in rows if r.label.startswith("add-on: ")]
    assert added == ["add-on: roll shock", "add-on: delta shock"]
    roll = row(rows, "add-on: roll shock").cells
    assert [c.text for c in roll[:2]] == ["–", "–"]
    assert roll[2].text == f"{compared['deribit-pm'].addons['roll_shock']:.4f} BTC"


def test_collateral_that_does_not_count_is_listed(compared: Comparison, market: MarketSnapshot) -> None:
    cells = row(margin_rows(compared.results, market), "collateral left out").cells
    assert [c.text for c in cells] == ["none", "none", "40,000 USDC", "40,000 USDC"]


def test_age_of_the_parameters_is_said(compared: Comparison, market: MarketSnapshot) -> None:
    cells = row(margin_rows(compared.results, market), "parameter set").cells
    assert (cells[2].text, cells[2].note) == ("deribit-pm-spm-btc-2024-06", "age 775 days")


def test_ratio_and_status(compared: Comparison, market: MarketSnapshot) -> None:
    cells = row(margin_rows(compared.results, market), "margin ratio").cells
    for cell, result in zip(cells, compared.results, strict=True):
        assert cell == (f"{100 * result.im_equity / result.equity:.1f} %", result.status)


def test_insolvent_account_has_no_finite_ratio(compared: Comparison, market: MarketSnapshot) -> None:
    broke = replace(compared["es-fhs"], equity=-1.0)
    assert row(margin_rows([broke], market), "margin ratio").cells[0] == ("∞", "insolvent")


def test_unknown_numbers_are_not_zeros(market: MarketSnapshot) -> None:
    result = MarginResult(
        rule="r", variant="base", account="a", as_of=market.as_of, param_set="p", param_set_age_days=0.0,
        numeraire="BTC", im=1.0, mm=0.5, basis="pnl", equity=2.0, collateral_treatment="own coin only",
        worst_scenario=WorstScenario("none", math.nan),
    )  # fmt: skip
    rows = margin_rows([result], market)
    for label in ("netting benefit", "implied level", "mean loss beyond", "worst scenario"):
        assert row(rows, label).cells[0].text == "–"


def test_titles_name_a_variant_only_where_it_says_more(compared: Comparison) -> None:
    assert [rule_title(r) for r in compared.results] == [
        "es-fhs",
        "var-hs",
        "deribit-pm spm",
        "deribit-standard",
    ]


def test_price_of_a_numeraire(market: MarketSnapshot) -> None:
    assert usd_per_unit("USD", market) == 1.0
    assert usd_per_unit("BTC", market) == market.spot("BTC")


def test_comparison_frame_has_a_line_for_each_pair(
    compared: Comparison, two_coins: tuple[Account, MarketSnapshot, Comparison]
) -> None:
    frame = comparison_frame([compared, two_coins[2]])
    assert list(frame.index) == ["straddle"] * 4 + ["btc_eth_2026-05-21"] * 2
    standard = compared["deribit-standard"]
    assert frame.iloc[3]["IM"] == f"{compared.usd(standard, standard.im_equity):,.0f}"
    assert pd.notna(frame).all(axis=None)


def test_errors_in_words(compared: Comparison) -> None:
    lines = error_lines(compared.results)
    assert [line.split(":")[0] for line in lines] == ["es-fhs IM", "es-fhs MM", "var-hs IM", "var-hs MM"]
    figure = compared["es-fhs"].figures["im"]
    assert lines[0] == (
        f"es-fhs IM: ES 99 % {figure.value:,.0f} USD, simulation error {figure.se_simulation:,.0f} USD; "
        f"{figure.value_without_date:,.0f} USD without {figure.influential_date}"
    )


def test_estimation_error_in_words(compared: Comparison) -> None:
    result = compared["es-fhs"]
    figures = {"im": result.figures["im"].with_errors(se_estimation=1_234.0)}
    (line,) = error_lines([replace(result, figures=figures)])
    assert ", estimation error 1,234 USD; " in line
