"""The HTML report: complete, self-contained, safe, and the same bytes every time."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

import pmkit as pm
from pmkit.core.errors import ConventionError, ParameterError
from pmkit.margin import Account, Comparison
from pmkit.market import MarketSnapshot
from pmkit.report.margin_report import margin_report, write_margin_report
from pmkit.report.tables import amount

VOID = {"meta", "img", "link", "br", "hr", "input"}


class Reader(HTMLParser):
    """Collects tags, attributes and text, and refuses a page whose tags do not match."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def page(compared: Comparison, straddle: Account, market: MarketSnapshot) -> str:
    return margin_report(compared, straddle, market, note="the account is simulated")


def test_page_is_well_formed_and_loads_nothing(page: str) -> None:
    read = Reader(page)
    names = {tag for tag, _ in read.tags}
    assert names.isdisjoint({"script", "link", "iframe", "object", "embed"})
    for _, attributes in read.tags:
        assert not any(name.startswith("on") for name in attributes)
        assert "href" not in attributes
        assert (attributes.get("src") or "data:").startswith(
            "data:image/png;base64,"
        ) or "src" not in attributes


def test_page_names_no_outside_address_and_no_path(page: str) -> None:
    bare = re.sub(r'src="data:image/png;base64,[^"]+"', "", page)
    assert "://" not in bare
    assert "@import" not in bare
    assert "url(" not in bare
    assert re.search(r"(?<![\w.<])/(?:work|home|root|tmp|usr|Users)\b", bare) is None


def test_page_holds_no_time_of_the_clock(page: str) -> None:
    import datetime

    today = datetime.datetime.now(tz=datetime.UTC).strftime("%Y-%m-%d")
    assert today not in page


def test_equal_input_gives_equal_bytes(
    page: str, compared: Comparison, straddle: Account, market: MarketSnapshot
) -> None:
    assert margin_report(compared, straddle, market, note="the account is simulated") == page


def test_head_says_what_stands_for_what(page: str) -> None:
    words = Reader(page).words
    assert "Margin of straddle" in words
    assert "2026-08-01 17:58:04 UTC, market data deribit-btc-2026-08-01" in words
    assert "The account is simulated." in words
    assert "perpetual mid (stands for index)" in words
    assert "mids of the futures stand for their marks" in words


def test_main_table_holds_the_numbers_of_the_results(page: str, compared: Comparison) -> None:
    words = Reader(page).words
    for result in compared.results:
        for value in (result.im, result.mm, result.im_equity, result.equity, result.excess):
            assert amount(value, result.numeraire) in words
        assert result.param_set in words
    assert "age 775 days" in words
    assert "40,000 USDC" in words


def test_errors_of_the_expected_shortfall_are_shown(page: str, compared: Comparison) -> None:
    words = Reader(page).words
    figure = compared["es-fhs"].figures["im"]
    assert "How sure the figures are" in words
    assert amount(figure.se_simulation, "USD") in words
    assert figure.influential_date in words
    assert amount(figure.value_without_date, "USD") in words
    assert "not computed" in words


def test_estimation_error_is_shown_where_it_was_computed(
    compared: Comparison, straddle: Account, market: MarketSnapshot
) -> None:
    result = compared["es-fhs"]
    figures = dict(result.figures) | {"im": result.figures["im"].with_errors(se_estimation=4_321.0)}
    known = replace(compared, results=(replace(result, figures=figures), *compared.results[1:]))
    assert "4,321 USD" in Reader(margin_report(known, straddle, market)).words


def test_vol_anchor_settlement_and_dropped_quotes_are_shown(page: str, compared: Comparison) -> None:
    words = Reader(page).words
    anchor = compared["es-fhs"].figures["vol_anchor"].loc["BTC", "anchor"]
    assert f"{100 * anchor:.1f} %" in words
    assert "Settled inside the horizon" in words
    assert compared.settled == ("BTC-2AUG26-62000-P", "BTC-3AUG26")
    assert all(name in words for name in compared.settled)
    assert "no bid" in words
    assert "below intrinsic" in words


def test_warnings_stand_in_their_box(page: str, compared: Comparison) -> None:
    box = re.search(r'<section class="warnings">(.*?)</section>', page, flags=re.DOTALL)
    assert box is not None
    words = Reader(box[1]).words
    assert compared.warnings
    assert all(text in words for text in compared.warnings)
    assert "944 days before the snapshot" in words


def test_every_rule_is_explained_step_by_step(page: str, compared: Comparison) -> None:
    words = Reader(page).words
    for result in compared.results:
        for clause in result.explain()["clause"].unique():
            assert clause in words


def test_fingerprints_are_printed(page: str, compared: Comparison, market: MarketSnapshot) -> None:
    words = Reader(page).words
    for mark in (compared.provenance.id, market.fingerprint, *(r.provenance.id for r in compared.results)):
        assert mark in words


def test_pictures_are_real_and_described(page: str) -> None:
    images = [attributes for tag, attributes in Reader(page).tags if tag == "img"]
    assert len(images) == 4
    for image in images:
        raw = base64.b64decode(str(image["src"]).split(",", 1)[1], validate=True)
        assert raw.startswith(b"\x89PNG")
        assert len(str(image["alt"])) > 30


def test_hostile_names_are_text(compared: Comparison, straddle: Account, market: MarketSnapshot) -> None:
    name = "<script>alert('x')</script>&\""
    hostile = replace(straddle, name=name)
    found = replace(compared, account=name)
    page = margin_report(found, hostile, market, note="<img src=x onerror=y>")
    assert "<script" not in page
    assert "<img src=x" not in page
    assert name in Reader(page).words


def test_account_of_several_coins_has_a_table_and_a_matrix_for_each(
    two_coins: tuple[Account, MarketSnapshot, Comparison],
) -> None:
    account, market, found = two_coins
    page = margin_report(found, account, market)
    read = Reader(page)
    assert "deribit-pm spm, coin by coin" in read.words
    alts = [str(a["alt"]) for tag, a in read.tags if tag == "img"]
    assert sum("Risk matrix" in alt for alt in alts) == 2
    assert sum("against the price of" in alt for alt in alts) == 2


def test_account_of_collateral_alone(market: MarketSnapshot) -> None:
    rows = [{"type": "collateral", "instrument": "BTC", "qty": 2, "as_of": "2026-08-01T17:58:04Z"}]
    account = Account.from_records(rows, name="cash")
    common = pm.scenarios.grid([-0.1, 0.1], dynamics="sticky_moneyness", underlyings=["BTC"])
    rule = pm.margin.rule("deribit-standard", stale="warn")
    with pytest.warns(pm.PmkitWarning, match="last observed"):
        found = pm.margin.compare(account, market, rules=[rule], common=common)
    assert "0 positions, collateral 2.0000 BTC" in Reader(margin_report(found, account, market)).words


def test_report_of_another_account_is_refused(
    compared: Comparison, straddle: Account, market: MarketSnapshot
) -> None:
    with pytest.raises(ConventionError, match=r"account 'other' .* for a comparison of 'straddle'"):
        margin_report(compared, replace(straddle, name="other"), market)


def test_file_is_written_whole(
    tmp_path: Path, page: str, compared: Comparison, straddle: Account, market: MarketSnapshot
) -> None:
    target = tmp_path / "new folder" / "report.html"
    assert write_margin_report(target, compared, straddle, market, note="the account is simulated") == target
    assert target.read_text(encoding="utf-8") == page
    assert list(target.parent.iterdir()) == [target]


def test_place_that_cannot_be_written_is_named_and_left_clean(
    tmp_path: Path, compared: Comparison, straddle: Account, market: MarketSnapshot
) -> None:
    with pytest.raises(
        ParameterError, match=r"the report cannot be written to .*; remedy: choose another place"
    ):
        write_margin_report(tmp_path, compared, straddle, market)
    assert list(tmp_path.iterdir()) == []
