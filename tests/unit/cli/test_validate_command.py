"""`pmkit validate`: a report and its tables from a configuration or an account, and refusals by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from pmkit.backtest import forecast_models
from pmkit.backtest.walk import inventory
from pmkit.cli.validate import MODEL_NAMES
from pmkit.report.validation import evidence

Run = Callable[..., Result]

SMALL = """
title = "small"
purpose = "a test"
scope = "one book"
books = ["long_btc"]
model = "hs"
challenger = "fhs"
start = 2021-03-01
end = 2021-06-30
window = 300
refit_every = 200
[sensitivity]
level = [0.98]
"""


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "_DRAWS", 199)
    monkeypatch.setattr(inventory, "FEW_EXPECTED", 0.0)  # regressions by their limit law


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def test_a_configuration_gives_a_page_tables_and_one_line_a_section(
    run: Run, small: Path, tmp_path: Path
) -> None:
    done = run("validate", small, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "out" / "validation.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "out" / "tables" / "regulation.csv").is_file()
    for words in ("Backtests", "Regulatory requirements", "tables"):
        assert words in done.stdout
    assert "long_btc under hs" in done.stderr and "nan" not in done.stdout


def test_json_is_one_record_and_nothing_else(run: Run, small: Path, tmp_path: Path) -> None:
    done = run("validate", small, "--out", tmp_path / "out", "--json")
    record = json.loads(done.stdout)
    assert record["title"] == "small" and len(record["sections"]) == 11
    assert record["light"] in ("green", "yellow", "red")


def test_any_model_is_tested_and_any_compares(run: Run, small: Path, tmp_path: Path) -> None:
    done = run(
        "validate",
        small,
        "--model",
        "matrix",
        "--challenger",
        "ewma-normal",
        "--out",
        tmp_path / "out",
        "--json",
    )
    assert done.exit_code == 0, done.stderr
    sections = {section["key"]: section for section in json.loads(done.stdout)["sections"]}
    assert "Model under test: matrix, the worst cell" in (tmp_path / "out" / "validation.html").read_text()
    tests = {row["test"]: row["decision"] for row in sections["backtests"]["tables"]["backtests"]}
    assert tests["Acerbi Z2"] == "not stated" and tests["Kupiec"] in ("rejected", "not rejected")
    assert sections["challenger"]["verdict"].startswith("matrix scores better than ewma-normal on")


def test_the_help_lists_every_model() -> None:
    assert MODEL_NAMES.split(", ") == list(forecast_models())


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (["nowhere.toml"], "nowhere.toml cannot be read"),
        (["account-covered-call"], "add --snapshot FILE_OR_NAME"),
        (["--snapshot", "deribit-btc-2026-08-01"], "--snapshot without an account"),
        (["--model", "magic"], "model is 'magic'; expected one of fhs, hs, gjr-t, fhs-joint, evt"),
        (["--challenger", "magic"], "challenger is 'magic'; expected one of fhs, hs"),
        (["--model", "hs"], "both 'hs'"),
        (["nowhere.csv", "--snapshot", "deribit-btc-2026-08-01"], "nowhere.csv"),
    ],
)
def test_refusals_name_what_to_write(run: Run, tmp_path: Path, words: list[str], match: str) -> None:
    done = run("validate", *words, "--out", tmp_path / "out")
    assert done.exit_code == 2 and match in done.stderr and done.stdout == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_an_account_is_judged_as_the_only_portfolio(run: Run, tmp_path: Path) -> None:
    done = run(
        "validate",
        "account-covered-call",
        "--snapshot",
        "deribit-btc-2026-08-01",
        "--out",
        tmp_path / "out",
        "--json",
    )
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    backtests = next(s for s in record["sections"] if s["key"] == "backtests")
    assert {row["portfolio"] for row in backtests["tables"]["backtests"]} == {"covered_call"}
    limits = next(s for s in record["sections"] if s["key"] == "limits")
    assert any("collateral is left out" in row["limit"] for row in limits["tables"]["limits"])
