"""`pmkit margin`: what it prints, what it writes, and that both come from the files it was given."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import pmkit as pm
from pmkit.core.errors import PmkitWarning

Run = Callable[..., Result]
Write = Callable[..., Path]

CHAIN = ("--snapshot", "deribit-btc-2026-08-01")
STANDARD = ("--rule", "deribit-standard")
KEYS = {
    "rule", "variant", "param_set", "param_set_age_days", "numeraire", "basis", "im", "mm", "im_equity",
    "equity", "excess", "margin_ratio", "status", "implied_level", "worst_scenario", "addons", "warnings",
}  # fmt: skip


def strict(text: str) -> dict[str, object]:
    """Read JSON that holds no NaN and no infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    found: dict[str, object] = json.loads(text, parse_constant=refuse)
    return found


def test_json_is_the_promised_record(run: Run, write_account: Write) -> None:
    done = run(
        "margin",
        "--account",
        write_account(),
        *CHAIN,
        "--rule",
        "deribit-pm",
        "--as-of",
        "2026-08-01",
        "--json",
    )
    assert done.exit_code == 0, done.stderr
    record = strict(done.stdout)
    assert list(record) == ["as_of", "account", "results"]
    assert record["as_of"] == "2026-08-01T17:58:04.320127+00:00"
    assert record["account"] == "my"
    (result,) = record["results"]
    assert set(result) >= KEYS
    assert set(result["worst_scenario"]) == {"name", "pnl"}
    assert result["rule"] == "deribit-pm"
    assert result["variant"] == "spm"
    assert result["param_set_age_days"] == 775.0
    assert any("last observed on 2024-06-17" in text for text in result["warnings"])
    assert "note: parameter set deribit-pm-spm-btc-2024-06" in done.stderr


def test_json_equals_python(run: Run, write_account: Write) -> None:
    path = write_account()
    done = run("margin", "--account", path, *CHAIN, "--rule", "deribit-pm", *STANDARD, "--json")
    account, market = pm.Account.from_csv(path), pm.market.load_snapshot("deribit-btc-2026-08-01")
    with pytest.warns(PmkitWarning):
        found = pm.margin.compare(account, market, rules=["deribit-pm", "deribit-standard"], stale="warn")
    assert strict(done.stdout) == json.loads(json.dumps(found.to_dict()))


def test_four_rules_by_default(run: Run, write_account: Write) -> None:
    done = run(
        "margin",
        "--account",
        write_account("position,BTC-PERPETUAL,-100,,", "collateral,BTC,1,,"),
        *CHAIN,
        "--json",
    )
    names = [r["rule"] for r in strict(done.stdout)["results"]]
    assert names == ["es-fhs", "var-hs", "deribit-pm", "deribit-standard"]


def test_variant_reaches_the_rule_that_has_variants(run: Run, write_account: Write) -> None:
    words = ("--rule", "deribit-pm", *STANDARD, "--variant", "classic", "--json")
    done = run("margin", "--account", write_account(), *CHAIN, *words)
    assert [r["variant"] for r in strict(done.stdout)["results"]] == ["classic", "standard"]


def test_table_fits_100_columns_and_has_no_colour_codes(run: Run, write_account: Write) -> None:
    done = run("margin", "--account", write_account(), *CHAIN)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(len(line) for line in lines) <= 100
    assert all(line == line.rstrip() for line in lines)
    assert "\x1b" not in done.stdout
    assert "…" not in done.stdout
    assert lines[0] == "Margin of my: 3 positions on deribit-btc-2026-08-01, 2026-08-01 17:58:04 UTC"
    for name in (
        "es-fhs",
        "var-hs",
        "deribit-pm spm",
        "deribit-standard",
        "initial margin, IM",
        "implied level",
    ):
        assert name in done.stdout
    assert "  - history ends 2023-12-31, 944 days before the snapshot" in done.stdout
    assert re.search(r"  - es-fhs IM: ES 99 % [\d,]+ USD, simulation error [\d,]+ USD", done.stdout)
    words = " ".join(done.stdout.split())
    assert "the filter reached 46.2% at the end of the history" in words
    assert done.stderr == ""


def test_every_warning_is_printed_once(run: Run, write_account: Write) -> None:
    done = run("margin", "--account", write_account(), *CHAIN, *STANDARD)
    assert done.stdout.count("deribit-standard-2022-01 was last observed") == 1


def test_odd_lot_is_a_note(run: Run, write_account: Write) -> None:
    path = write_account("position,BTC-25SEP26-62000-C,-0.25,,", "collateral,BTC,1,,")
    done = run("margin", "--account", path, *CHAIN, *STANDARD, "--json")
    assert done.exit_code == 0
    assert "not a multiple of the lot 0.1" in done.stderr


def test_doubling_a_quantity_doubles_its_standard_charge(run: Run, write_account: Write) -> None:
    def im(qty: float) -> float:
        path = write_account(f"position,BTC-25SEP26-62000-C,{-qty},,", "collateral,BTC,9,,")
        done = run("margin", "--account", path, *CHAIN, *STANDARD, "--json")
        value: float = strict(done.stdout)["results"][0]["im"]
        return value

    assert im(10.0) > 0.0
    assert im(20.0) == pytest.approx(2.0 * im(10.0), rel=1e-12)


def test_own_chain_file_is_what_is_used(run: Run, write_account: Write, tmp_path: Path) -> None:
    chain = tmp_path / "chain.csv"
    text = pm.datasets.path("deribit-btc-2026-08-01").read_text(encoding="utf-8")
    chain.write_text(text)
    path = write_account("position,BTC-PERPETUAL,-1000,,", "collateral,BTC,1,,")
    words = ("margin", "--account", path, "--snapshot", chain, *STANDARD, "--json")
    before = strict(run(*words).stdout)["results"][0]["im"]
    # the same dollars of a perpetual that is 5 % dearer are fewer coins
    line = next(x for x in text.splitlines() if ",BTC-PERPETUAL," in x)
    cells = line.split(",")
    cells[3], cells[4] = str(1.05 * float(cells[3])), str(1.05 * float(cells[4]))
    chain.write_text(text.replace(line, ",".join(cells)))
    after = strict(run(*words).stdout)["results"][0]["im"]
    size = 10_000.0 / 62_687.75
    assert before == pytest.approx(size * (0.02 + 0.00005 * size), rel=1e-9)
    fewer = size / 1.05
    assert after == pytest.approx(fewer * (0.02 + 0.00005 * fewer), rel=1e-9)
    chain.unlink()
    assert run(*words).exit_code == 2


def test_report_is_written_and_named(run: Run, write_account: Write, tmp_path: Path) -> None:
    report = tmp_path / "out" / "report.html"
    done = run("margin", "--account", write_account(), *CHAIN, "--rule", "deribit-pm", "--report", report)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"report written to {report}"
    page = report.read_text(encoding="utf-8")
    assert "Margin of my" in page
    assert str(tmp_path) not in page
    assert list(report.parent.iterdir()) == [report]


def test_json_stays_alone_on_standard_output_beside_a_report(
    run: Run, write_account: Write, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    done = run("margin", "--account", write_account(), *CHAIN, *STANDARD, "--json", "--report", report)
    assert strict(done.stdout)["account"] == "my"
    assert done.stderr.splitlines()[-1] == f"report written to {report}"


def test_shipped_account_says_that_it_is_simulated(run: Run, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    done = run("margin", "--account", "account-covered-call", *CHAIN, *STANDARD, "--report", report)
    assert "the account is simulated (data set account-covered-call), the market data are real" in done.stdout
    assert "The account is simulated" in report.read_text(encoding="utf-8")


def test_hostile_file_name_is_text_in_the_report(run: Run, write_account: Write, tmp_path: Path) -> None:
    path = write_account(name="<script>alert(1)<.csv")
    report = tmp_path / "report.html"
    done = run("margin", "--account", path, *CHAIN, *STANDARD, "--report", report)
    assert done.exit_code == 0, done.stderr
    assert "<script" not in report.read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;" in report.read_text(encoding="utf-8")


def test_program_of_its_own(write_account: Write, tmp_path: Path) -> None:
    words = ["margin", "--account", str(write_account()), *CHAIN, "--rule", "deribit-pm", "--json"]
    code = "import sys; from pmkit.cli.main import app; app(sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert strict(done.stdout)["results"][0]["rule"] == "deribit-pm"
    broken = [*words[:2], "absent.csv", *words[3:]]
    failed = subprocess.run(
        [sys.executable, "-c", code, *broken],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert failed.returncode == 2
    assert failed.stdout == ""
    assert failed.stderr.startswith("error: no file 'absent.csv'")
    assert len(failed.stderr.splitlines()) == 1


@pytest.mark.slow
def test_example_runs_whole(run: Run, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    done = run("margin", "--example", "--report", report)
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("Margin of market_maker: ")
    page = report.read_text(encoding="utf-8")
    assert page.count('src="data:image/png;base64,') == 4
    assert "estimation error" in page


def test_parameters_of_a_later_day_than_the_market_are_said(run: Run, write_account: Write) -> None:
    words = ("--rule", "deribit-pm", "--as-of", "2026-08-11", "--json")
    done = run("margin", "--account", write_account(), *CHAIN, *words)
    assert done.exit_code == 0, done.stderr
    assert "parameter sets are those of 2026-08-11, 10 days after the snapshot" in done.stderr
