"""Dated parameter sets: the schema, its messages, selection by date, and the age."""

from __future__ import annotations

import datetime
import math
import re
from importlib import resources

import pytest

from pmkit.core.errors import ParameterError, RuleVersionError, StaleParametersWarning
from pmkit.margin import Account
from pmkit.margin.parameters import (
    list_parameter_sets,
    load_parameter_sets,
    parse_parameter_sets,
    select,
    select_set,
)
from pmkit.margin.rule import rule
from pmkit.margin.schemas import SCHEMAS
from pmkit.market.snapshot import MarketSnapshot

FILE = "deribit-pm.toml"
TEXT = resources.files("pmkit.margin").joinpath("params", FILE).read_text(encoding="utf-8")


def test_shipped_sets_load_and_are_listed() -> None:
    frame = list_parameter_sets()
    assert set(frame["rule"]) == set(SCHEMAS)
    assert frame.loc["deribit-pm-spm-btc-2024-06", "last_observed"] == datetime.date(2024, 6, 17)
    assert frame["checksum"].is_unique and frame["source"].str.len().min() > 10


def test_values_of_june_2024() -> None:
    t = select("deribit-pm", "2024-06-17", "spm", underlying="BTC").table("BTC")
    assert (t.price_range, t.volatility_range_up, t.volatility_range_down) == (0.16, 0.5, 0.25)
    assert (t.extended_dampener, t.annualised_move_risk, t.min_annualised_move, t.mm_factor) == (
        1e5,
        0.075,
        0.01,
        0.8,
    )
    assert t.extended_moves == (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0)
    eth = select("deribit-pm", "2026-02-01", "spm", underlying="ETH").table("ETH")
    assert (eth.price_range, eth.pnl_offset, eth.m_inc) == (0.18, 0.6, 4e-6)


BAD_FILES = [
    ("price_range = 0.16", "price_range = 16.0", r"price_range: found 16\.0; expected .*less than 1"),
    ("price_range = 0.16", "price_range = -0.16", r"price_range: found -0\.16; expected .*greater than 0"),
    ("price_range = 0.16", 'price_range = "a"', r"price_range: found 'a'; expected .*number"),
    ("price_range = 0.16", "price_rang = 0.16", r"price_range: the key is missing"),
    ("mm_factor = 0.8\n", "", r"mm_factor: the key is missing"),
    ("mm_factor = 0.8", "mm_factor = nan", r"mm_factor: found nan; expected .*finite"),
    ("extended_moves = [-0.66", "extended_moves = [-0.10",
     r"extended_moves holds -0\.1, which is not beyond price_range"),
    ("valid_from = 2024-06-01", 'valid_from = "June"', r"valid_from: found 'June'; expected a date"),
    ("last_observed = 2024-06-17", "last_observed = 2023-06-17",
     r"last_observed: found 2023-06-17; expected 2024-06-01 or later"),
    ("last_observed = 2024-06-17\n", "",
     r"last_observed: the key is missing while values are marked as published"),
    ('mm_factor = "published"', 'mm_factor = "guess"', r"status\.mm_factor: found 'guess'"),
    ('dates_status = "assumed"', 'dates_status = "known"', r"dates_status: found 'known'"),
    ('variant = "spm"', 'variant = "pme"', r"variant: found 'pme'; expected one of spm, classic, xpm"),
    ('rule = "deribit-pm"', 'rule = "deribit"', r"rule: found 'deribit'; expected one of"),
    ('rule = "deribit-pm"', 'rule = ', r"expected valid TOML"),
    ('venue = "deribit"', 'venue = "deribit"\ncolour = "red"', r"colour: unknown key"),
    ("deribit-pm-classic-btc", "deribit-pm-spm-btc-2024-06", r"each with an id of its own"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), BAD_FILES)
def test_bad_file_is_refused_with_file_and_key(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(ParameterError, match=message) as caught:
        parse_parameter_sets(TEXT.replace(old, new, 1), file=FILE)
    assert str(caught.value).startswith(f"{FILE}: ")
    assert "remedy: " in str(caught.value)


def test_a_date_before_the_first_set() -> None:
    with pytest.raises(
        RuleVersionError,
        match=r"no parameter set of deribit-pm .* on 2024-05-31; expected a date from 2024-06-01 on",
    ):
        select("deribit-pm", "2024-05-31", "spm", underlying="BTC")


def test_an_underlying_without_a_set() -> None:
    with pytest.raises(RuleVersionError, match=r"no parameter set of deribit-pm variant 'spm' for SOL"):
        select("deribit-pm", "2026-08-01", "spm", underlying="SOL")


def test_stale_set_is_an_error_or_a_warning_with_its_age() -> None:
    with pytest.raises(RuleVersionError, match=r"last observed on 2024-06-17, 775 days before 2026-08-01"):
        select("deribit-pm", "2026-08-01", "spm", underlying="BTC")
    with pytest.warns(StaleParametersWarning, match="775 days before 2026-08-01"):
        found = select("deribit-pm", "2026-08-01", "spm", underlying="BTC", stale="warn")
    assert found.age_days(datetime.date(2026, 8, 1)) == 775.0
    assert found.age_days(datetime.date(2024, 6, 2)) == 0.0
    with pytest.raises(ParameterError, match="stale is 'yes'"):
        select("deribit-pm", "2026-08-01", "spm", stale="yes")  # type: ignore[arg-type]


def test_the_newest_valid_set_is_chosen() -> None:
    later = TEXT.split("[[set]]")[1].replace("2024-06-01", "2025-01-01").replace("2024-06-17", "2025-01-10")
    later = later.replace("deribit-pm-spm-btc-2024-06", "later").replace(
        "price_range = 0.16", "price_range = 0.20"
    )
    sets = parse_parameter_sets(f"{TEXT}\n[[set]]{later}")
    assert select_set(sets, "2024-06-17", "spm", underlying="BTC").table("BTC").price_range == 0.16
    assert select_set(sets, "2025-01-05", "spm", underlying="BTC").table("BTC").price_range == 0.20


def test_a_set_past_its_end_is_stale() -> None:
    ended = TEXT.replace("last_observed = 2024-06-17", "last_observed = 2024-06-17\nvalid_to = 2024-06-10", 1)
    with pytest.raises(RuleVersionError, match="5 days before 2024-06-15"):
        select_set(parse_parameter_sets(ended), "2024-06-15", "spm", underlying="BTC")


def test_modified_set_is_checked_marked_and_changes_its_checksum() -> None:
    base = load_parameter_sets("deribit-pm")[0]
    changed = base.with_values("BTC", mm_factor=0.75)
    assert changed.id.endswith("(modified)") and changed.status["mm_factor"] == "assumed"
    assert changed.checksum != base.checksum and base.table("BTC").mm_factor == 0.8
    with pytest.raises(ParameterError, match=re.escape("mm_factor: found 1.5")):
        base.with_values("BTC", mm_factor=1.5)


def test_choices_do_not_age() -> None:
    assert select("es-fhs", "2040-01-01", "base").age_days(datetime.date(2040, 1, 1)) == 0.0


def test_a_stale_refusal_at_construction_names_the_first_coin_of_the_rule() -> None:
    with pytest.raises(RuleVersionError, match="deribit-pm-spm-btc-2024-06 was last observed on 2024-06-17"):
        rule("deribit-pm", as_of="2026-08-01", stale="error")
    # fresh for ETH, stale for BTC: an account in ETH may still be margined
    assert rule("deribit-pm", as_of="2026-02-01", stale="error").variant == "spm"


def test_the_list_counts_ages_to_a_day() -> None:
    frame = list_parameter_sets("2025-01-20")
    assert (
        frame.loc["okx-pm-2025-01-06", "age_days"] == 6.0
        and frame.loc["okx-pm-2025-01-15", "age_days"] == 5.0
    )
    assert math.isnan(frame.loc["es-fhs-2026-08", "age_days"])
    assert frame.loc["okx-pm-2025-01-15", "begun"] and not frame.loc["deribit-pm-spm-eth-2026-02", "begun"]
    assert "age_days" not in list_parameter_sets()
    known = frame["confidence"]
    assert known["derive-srm-mainnet-2026-01"] == "published" and known["var-hs-2026-08"] == "assumed"
    assert known["okx-pm-2025-01-06"] == "mixed: 16 of 23 keys assumed"


def test_a_rule_change_is_replayed_on_the_same_account() -> None:
    """Short 500,000 USD of a perpetual through the four dated sets: 15 % and 12 % of it, with the basis."""
    snap = MarketSnapshot.from_marks("2025-01-01T00:00:00Z", {"BTC": 100_000.0})
    line = {"type": "position", "instrument": "BTC-PERPETUAL", "qty": -50_000, "as_of": snap.as_of}
    account = Account.from_records([line])
    days = ("2024-05-09", "2024-05-10", "2025-01-05", "2025-01-06", "2025-01-15")
    found = [rule("okx-pm", as_of=day).requirement(account, snap) for day in days]
    assert [r.param_set for r in found] == [
        "okx-pm-2021-12", "okx-pm-2024-05", "okx-pm-2024-05", "okx-pm-2025-01-06", "okx-pm-2025-01-15",
    ]  # fmt: skip
    assert all(r.param_set_age_days == 0.0 for r in found)
    assert found[2].mm == pytest.approx(0.152 * 500_000.0) and found[3].mm == pytest.approx(0.122 * 500_000.0)
    assert found[1].mm == found[2].mm and found[3].mm == found[4].mm
    assert [r.im / r.mm for r in found] == pytest.approx([1.3] * 5)
    assert len({r.equity for r in found}) == 1
