"""Bad input: exit code 2, one line on standard error that says what to do, and nothing written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import pmkit as pm

Run = Callable[..., Result]
Write = Callable[..., Path]

CHAIN = "deribit-btc-2026-08-01"
LONG = "position,BTC-PERPETUAL,100,,"
COIN = "collateral,BTC,1,,"


@pytest.fixture
def refused(run: Run, tmp_path: Path) -> Callable[..., str]:
    """Call ``pmkit margin`` with a report and return the one line that it ends with."""

    def call(*words: str | Path) -> str:
        report = tmp_path / "report.html"
        done = run("margin", *words, "--report", report)
        assert done.exit_code == 2
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("error: ")
        assert "; expected " in line
        assert "; remedy: " in line
        assert "Traceback" not in line
        assert not report.exists()
        assert [path for path in tmp_path.iterdir() if ".html" in path.name] == []
        return line

    return call


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["position,BTC-1JAN99-1-C,1,,"],
            r"unknown instrument 'BTC-1JAN99-1-C' in snapshot deribit-btc-2026-08-01",
        ),
        (["position,BTC-PERP,1,,"], r"my\.csv, row 2, column 'instrument': unknown instrument 'BTC-PERP'"),
        (
            ["position,BTC-31JUL26-60000-C,1,,"],
            r"my\.csv, row 2, column 'instrument': .* expired at 2026-07-31T08:00",
        ),
        (
            [LONG, LONG],
            r"my\.csv, row 3, column 'instrument': duplicate position 'BTC-PERPETUAL', first in row 2",
        ),
        (["position,BTC-PERPETUAL,many,,"], r"my\.csv, row 2, column 'qty': found 'many'"),
        (["position,BTC-PERPETUAL,nan,,"], r"my\.csv, row 2, column 'qty': found 'nan'"),
        (["position,BTC-PERPETUAL,1,-5,"], r"my\.csv, row 2, column 'entry_price': .* -5"),
        (["position,BTC-PERPETUAL,1,0.5,"], r"column 'entry_price': .*looks like BTC"),
        (["position,BTC-28AUG26-68000-C,1,450,"], r"column 'entry_price': .*looks like USD"),
        (["option,BTC-PERPETUAL,1,,"], r"my\.csv, row 2, column 'type': found 'option'"),
        ([LONG, "collateral,DOGE,1,,"], r"collateral currency 'DOGE' has no price"),
    ],
)
def test_bad_line(refused: Callable[..., str], write_account: Write, lines: list[str], message: str) -> None:
    line = refused("--account", write_account(*lines), "--snapshot", CHAIN)
    assert re.search(message, line), line


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"my\.csv: the file is empty"),
        ("type,instrument,qty,as_of\n", r"my\.csv: the table has no rows"),
        ("type,instrument,size,as_of\n", r"my\.csv, row 1, column 'qty': column 'qty' is missing"),
        ("type,instrument,qty,as_of,note\n", r"my\.csv, row 1, column 'note': unknown column 'note'"),
        ("type,instrument,qty,as_of\nposition,BTC-PERPETUAL,1\n", r"my\.csv, row 2: 3 cells"),
        ("type,instrument,qty,as_of\nposition,BTC-PERPETUAL,1,2026-08-01T17:58:04\n", r"has no time zone"),
        ("type,instrument,qty,as_of\ncollateral,BTC,0,2026-08-01T17:58:04Z\n", r"account 'my' is empty"),
    ],
)
def test_bad_table(refused: Callable[..., str], tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "my.csv"
    path.write_text(content)
    line = refused("--account", path, "--snapshot", CHAIN)
    assert re.search(message, line), line
    assert str(tmp_path) not in line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--rule", "stans"),
            r"unknown rule 'stans'; expected one of es-fhs, var-hs, deribit-pm, deribit-standard",
        ),
        (("--rule", "deribit-pm", "--variant", "modern"), r"unknown variant 'modern' of deribit-pm"),
        (
            ("--rule", "deribit-pm", "--variant", "xpm", "--stale", "error"),
            r"parameter set deribit-pm-xpm-illustrative-mixed-2024-06 was last observed",
        ),
        (("--rule", "var-hs", "--variant", "spm"), r"unknown variant 'spm' of var-hs"),
        (("--rule", "var-hs", "--rule", "var-hs"), r"rule 'var-hs' is named twice"),
        (
            ("--rule", "deribit-pm", "--stale", "error"),
            r"parameter set deribit-pm-spm-btc-2024-06 was last observed",
        ),
        (
            ("--as-of", "2026-07-31"),
            r"snapshot deribit-btc-2026-08-01 of .* is newer than --as-of 2026-07-31",
        ),
        (("--as-of", "1 August"), r"--as-of '1 August' is not a day; expected a day such as 2026-08-01"),
        (("--history", "absent.csv"), r"'absent.csv' is neither a data set nor a file"),
        (("--example",), r"--example together with --account or --snapshot"),
    ],
)
def test_bad_option(
    refused: Callable[..., str], write_account: Write, words: tuple[str, ...], message: str
) -> None:
    line = refused("--account", write_account(LONG, COIN), "--snapshot", CHAIN, *words)
    assert re.search(message, line), line


def test_missing_files_and_options(refused: Callable[..., str], write_account: Write) -> None:
    assert "no file 'absent.csv'" in refused("--account", "absent.csv", "--snapshot", CHAIN)
    assert "'absent.csv' is neither a data set nor a file" in refused(
        "--account", write_account(), "--snapshot", "absent.csv"
    )
    assert "no --account" in refused("--snapshot", CHAIN)
    assert "no --snapshot" in refused("--account", write_account())
    assert "is of kind 'history'" in refused("--account", "crypto-daily-2020-2023", "--snapshot", CHAIN)
    assert "is of kind 'account'" in refused("--account", write_account(), "--snapshot", "account-calendar")


def test_snapshot_older_than_the_account(refused: Callable[..., str], write_account: Write) -> None:
    path = write_account(LONG, COIN, as_of="2026-08-02T00:00:00Z")
    line = refused("--account", path, "--snapshot", CHAIN)
    assert "snapshot of 2026-08-01T17:58:04.320127+00:00 is older than account 'my'" in line


def test_no_parameter_set_for_the_day(
    refused: Callable[..., str], write_account: Write, tmp_path: Path
) -> None:
    chain = tmp_path / "early.csv"
    text = pm.datasets.path(CHAIN).read_text(encoding="utf-8")
    chain.write_text(text.replace("2026-08-01T17:58:04.320127", "2023-06-01T00:00:00.000000"))
    path = write_account(LONG, COIN, as_of="2023-06-01T00:00:00Z")
    line = refused("--account", path, "--snapshot", chain, "--rule", "deribit-pm")
    assert re.search(
        r"no parameter set of deribit-pm variant 'spm' .*on 2023-06-01; expected a date from 2024-06", line
    )


def test_history_shorter_than_needed(
    refused: Callable[..., str], write_account: Write, tmp_path: Path
) -> None:
    history = tmp_path / "short.csv"
    days = [f"2026-07-{day:02d},{60_000 + 100 * (day % 7)}" for day in range(1, 29)]
    history.write_text("\n".join(["date,BTC", *days]) + "\n")
    line = refused("--account", write_account(LONG, COIN), "--snapshot", CHAIN, "--history", history)
    assert line.startswith("error: 27 returns of BTC; expected at least 100; remedy: load a longer history")


def test_earlier_report_survives_a_failure(run: Run, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    report.write_text("yesterday")
    done = run("margin", "--account", "absent.csv", "--snapshot", CHAIN, "--report", report)
    assert done.exit_code == 2
    assert report.read_text() == "yesterday"


def test_report_that_cannot_be_written(run: Run, write_account: Write, tmp_path: Path) -> None:
    words = (
        "margin",
        "--account",
        write_account(LONG, COIN),
        "--snapshot",
        CHAIN,
        "--rule",
        "deribit-standard",
    )
    done = run(*words, "--report", tmp_path)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert re.search(
        r"^error: the report cannot be written to .*; remedy: choose another place$", done.stderr.strip()
    )


def test_unknown_choice_and_option_end_with_the_same_code(run: Run) -> None:
    assert run("margin", "--stale", "maybe").exit_code == 2
    assert run("margin", "--no-such-option").exit_code == 2
