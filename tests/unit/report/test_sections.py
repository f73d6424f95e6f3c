"""The smaller tables of the report."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from pmkit.margin import Account, Comparison
from pmkit.market import MarketSnapshot
from pmkit.report import sections


def test_every_block_is_a_rectangle_of_text(
    compared: Comparison, straddle: Account, market: MarketSnapshot
) -> None:
    blocks = [
        sections.account_block(straddle),
        sections.position_block(straddle),
        sections.error_block(compared.results),
        sections.anchor_block(compared.results),
        sections.settled_block(compared, straddle),
        sections.dropped_block(market),
        sections.provenance_block(compared, market),
        *sections.step_blocks(compared.results),
    ]
    for block in blocks:
        assert block is not None
        assert block.rows
        assert {len(row) for row in block.rows} == {len(block.columns)} == {len(block.numeric)}
        assert all(isinstance(cell, str) and cell for row in block.rows for cell in row)


def test_numbers_stand_right_and_words_left(straddle: Account, compared: Comparison) -> None:
    assert sections.account_block(straddle).numeric == (False, True, True)
    errors = sections.error_block(compared.results)
    assert errors is not None
    assert errors.numeric == (False, False, True, True, True, False, True, True)


def test_blocks_without_content_are_left_out(
    compared: Comparison, straddle: Account, market: MarketSnapshot
) -> None:
    venue = compared.results[2:]
    assert sections.error_block(venue) is None
    assert sections.anchor_block(venue) is None
    assert sections.settled_block(replace(compared, settled=()), straddle) is None
    assert sections.dropped_block(replace(market, ledger=market.ledger.iloc[:0])) is None
    assert sections.part_blocks(compared.results, market) == []


def test_dropped_quotes_are_counted_by_reason(market: MarketSnapshot) -> None:
    block = sections.dropped_block(market)
    assert block is not None
    counted = {reason: int(count) for reason, count, _ in block.rows}
    assert counted == {
        str(reason).replace("_", " "): n for reason, n in market.ledger["reason"].value_counts().items()
    }


def test_settled_lines_come_with_instant_and_quantity(compared: Comparison, straddle: Account) -> None:
    block = sections.settled_block(compared, straddle)
    assert block is not None
    assert block.rows == (
        ("BTC-2AUG26-62000-P", "2026-08-02 08:00", "2"),
        ("BTC-3AUG26", "2026-08-03 08:00", "50"),
    )


def test_missing_entry_price_is_a_dash(straddle: Account) -> None:
    assert {row[3] for row in sections.position_block(straddle).rows} == {"–"}


def test_steps_are_those_of_explain(compared: Comparison) -> None:
    for block, result in zip(sections.step_blocks(compared.results), compared.results, strict=True):
        frame = result.explain()
        assert [row[0] for row in block.rows] == list(frame["clause"])
        assert [row[1] for row in block.rows] == list(frame["what"])


def test_coins_stand_side_by_side(two_coins: tuple[Account, MarketSnapshot, Comparison]) -> None:
    _, market, found = two_coins
    blocks = sections.part_blocks(found.results, market)
    assert [b.title for b in blocks] == ["deribit-pm spm, coin by coin", "deribit-standard, coin by coin"]
    assert blocks[0].columns == ("", "BTC", "ETH")
    margin = next(row for row in blocks[0].rows if row[0] == "initial margin, IM")
    eth = found["deribit-pm"].parts["ETH"].im
    assert margin[2] == f"{eth:,.4f} ETH (= {eth * market.spot('ETH'):,.0f} USD)"


def test_fingerprints_are_those_of_the_objects(compared: Comparison, market: MarketSnapshot) -> None:
    frame = pd.DataFrame(sections.provenance_block(compared, market).rows, columns=["of", "what", "mark"])
    assert market.fingerprint in set(frame["mark"])
    for result in compared.results:
        assert result.provenance.id in set(frame["mark"])
