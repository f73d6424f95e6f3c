"""The validation report: order, lights, a page that loads nothing and escapes names, tables as CSV."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ParameterError, PmkitError
from pmkit.report.validation import ReportTable, Section, ValidationReport
from pmkit.report.validation.parts import worst

VOID = {"meta", "img", "br"}
ORDER = [
    "purpose", "lineage", "assumptions", "parameters", "implementation", "backtests", "procyclicality",
    "sensitivities", "challenger", "limits", "regulation",
]  # fmt: skip


class Reader(HTMLParser):
    """Refuses a page whose tags do not match; keeps tags, addresses and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.words: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        named = {key: value or "" for key, value in attrs}
        self.links += [named[key] for key in ("href", "src") if key in named]
        self.anchors |= {named["id"]} if "id" in named else set()
        if tag == "img":
            assert named["alt"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_sections_stand_in_the_order_of_a_reviewer(report: ValidationReport) -> None:
    assert [section.key for section in report.sections] == ORDER
    assert report.summary()["light"].isin(["green", "yellow", "red", "grey"]).all()
    assert report.light == worst(s.light for s in report.sections)
    for section in report.sections:
        assert section.verdict.endswith("."), section.key


def test_the_page_is_whole_loads_nothing_and_escapes_names(report: ValidationReport) -> None:
    page = report.html()
    read = Reader(page)
    assert {"script", "link", "iframe", "i", "b"}.isdisjoint(read.tags)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in read.links)
    assert {link[1:] for link in read.links if link.startswith("#")} == set(ORDER) <= read.anchors
    words = " ".join(read.words)
    for text in ("A <i>small</i> validation", "long <b>btc</b> & co", "<script>alert(1)</script>"):
        assert text in words
    assert "http" not in page.replace("http-equiv", "")
    assert page == report.html()


def test_every_table_is_a_file_that_reads_back(report: ValidationReport, tmp_path: Path) -> None:
    paths = report.write(tmp_path / "new")
    assert paths[0].name == "validation.html"
    assert {p.stem for p in paths[1:]} == set(report.tables)
    back = pd.read_csv(tmp_path / "new" / "tables" / "backtests.csv")
    table = report.section("backtests").tables[2].frame
    np.testing.assert_array_equal(back["p_value"], table["p_value"])
    assert back["portfolio"].tolist() == table["portfolio"].tolist()


def test_a_folder_that_cannot_be_written_is_named(report: ValidationReport, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ParameterError, match=r"cannot be written to 'taken'.*choose another place"):
        report.write(tmp_path / "taken")


def test_dict_display_and_picture(report: ValidationReport) -> None:
    record = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [section["key"] for section in record["sections"]] == ORDER
    assert record["light"] == report.light and record["provenance"]["seed"] == 20260801
    shown = report._repr_html_()
    assert "<b>" not in shown and "&lt;i&gt;small" in shown
    assert repr(report).splitlines()[1].strip() == report.conclusion
    assert len(report.plot().patches) == len(ORDER)
    plt.close("all")


def test_an_unknown_section_and_two_tables_of_one_name(report: ValidationReport) -> None:
    with pytest.raises(ParameterError, match=r"no section 'tests'; expected one of purpose, lineage"):
        report.section("tests")
    twice = replace(report, sections=(*report.sections, report.sections[0]))
    with pytest.raises(PmkitError, match="each name once"):
        twice.check()


def test_no_objection_is_said_in_words(report: ValidationReport) -> None:
    calm = Section(key="a", title="A", light="green", verdict="Fine.")
    assert replace(report, sections=(calm,)).conclusion == "No objection in any section that was judged."
    doubt = Section(key="b", title="Beta", light="yellow", verdict="Hm.")
    assert replace(report, sections=(calm, doubt)).conclusion == "Questions: beta."


def test_parts_refuse_what_they_cannot_show() -> None:
    with pytest.raises(ParameterError, match="light is 'blue'"):
        Section(key="a", title="A", light="blue", verdict="")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"table is named '\.\./x'"):
        ReportTable(name="../x", title="", frame=pd.DataFrame())
