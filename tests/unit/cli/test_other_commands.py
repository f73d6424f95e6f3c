"""`compare`, `data`, `warmup`, `--version`, and the guard that they share."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from click.testing import Result

import pmkit as pm
from pmkit.cli.guard import guarded
from pmkit.core.errors import DataGapError, LotWarning

Run = Callable[..., Result]
Write = Callable[..., Path]

CHAIN = ("--snapshot", "deribit-btc-2026-08-01")


def test_compare_has_a_line_for_each_account_and_rule(run: Run) -> None:
    accounts = ("--account", "account-covered-call", "--account", "account-iron-condor")
    rules = ("--rule", "deribit-pm", "--rule", "deribit-standard")
    done = run("compare", *accounts, *CHAIN, *rules)
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert max(len(line) for line in lines) <= 100
    pairs = [line.split()[:2] for line in lines if line.split()[:1] in (["covered_call"], ["iron_condor"])]
    assert pairs == [
        [a, r] for a in ("covered_call", "iron_condor") for r in ("deribit-pm", "deribit-standard")
    ]


def test_compare_as_json_equals_margin_as_json(run: Run, write_account: Write) -> None:
    words = ("--account", write_account(), *CHAIN, "--rule", "deribit-standard", "--json")
    record, single = (json.loads(run(verb, *words).stdout) for verb in ("compare", "margin"))
    assert record == {"as_of": single["as_of"], "accounts": [single]}


def test_compare_refuses_what_margin_refuses(run: Run) -> None:
    done = run("compare", *CHAIN)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: no --account")


def test_data_list_names_every_data_set(run: Run) -> None:
    done = run("data", "list")
    assert done.exit_code == 0
    assert all(name in done.stdout for name in pm.datasets.list().index)
    assert max(len(line) for line in done.stdout.splitlines()) <= 100
    records = json.loads(run("data", "list", "--json").stdout)
    assert [r["name"] for r in records] == list(pm.datasets.list().index)


def test_data_verify_passes_on_the_shipped_files(run: Run) -> None:
    done = run("data", "verify")
    assert done.exit_code == 0
    assert done.stdout.splitlines()[-1] == "14 files as in the manifest"
    assert all(r["ok"] for r in json.loads(run("data", "verify", "--json").stdout))


def test_data_verify_names_a_changed_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pm.datasets.path("account-calendar").parent.parent
    for file in source.rglob("*"):
        if file.is_file():
            target = tmp_path / file.relative_to(source)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    with (tmp_path / "accounts" / "calendar.csv").open("a") as stream:
        stream.write("\n")
    monkeypatch.setattr(pm.datasets, "data_dir", lambda: tmp_path)
    done = run("data", "verify")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: accounts/calendar.csv: SHA-256 is ")


def test_data_rules_lists_dated_sets_with_their_age(run: Run) -> None:
    listed = pm.margin.list_parameter_sets("2026-08-01")
    record = json.loads(run("data", "rules", "--as-of", "2026-08-01", "--json").stdout)
    assert record["as_of"] == "2026-08-01" and [s["id"] for s in record["sets"]] == list(listed.index)
    known = {s["id"]: s for s in record["sets"]}
    btc = known["deribit-pm-spm-btc-2024-06"]
    assert (btc["valid_from"], btc["last_observed"], btc["valid_to"]) == ("2024-06-01", "2024-06-17", None)
    assert (btc["age_days"], btc["confidence"], btc["begun"]) == (775.0, "mixed: 1 of 22 keys assumed", True)
    assert btc["checksum"] == listed.loc[btc["id"], "checksum"] and "2024-06-17" in btc["source"]
    assert (known["es-fhs-2026-08"]["age_days"], known["es-fhs-2026-08"]["confidence"]) == (None, "assumed")
    assert known["derive-srm-mainnet-2026-01"]["confidence"] == "published"


def test_data_rules_as_a_table(run: Run) -> None:
    done = run("data", "rules", "--as-of", "2025-01-20", "--rule", "okx-pm", "--rule", "es-fhs")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("5 parameter sets; ages in days to 2025-01-20")
    assert max(len(line) for line in lines) <= 100
    row = next(line for line in lines if line.split()[:1] == ["okx-pm-2025-01-06"])
    assert row.split()[1:6] == ["unified", "2025-01-06", "2025-01-14", "2025-01-14", "6"]
    assert all(word in done.stdout for word in ("dates published", "16 of 23 keys assumed", "es-fhs-2026-08"))
    later = run("data", "rules", "--rule", "okx-pm")
    assert later.exit_code == 0 and "okx-pm-2021-12" in later.stdout


def test_data_rules_refuses_unknown_names_and_days(run: Run) -> None:
    for words, text in (
        (("--rule", "okx"), "error: no parameter sets of 'okx'; expected one of collateral, deribit-pm"),
        (("--as-of", "May"), "error: --as-of 'May' is not a day"),
    ):
        done = run("data", "rules", *words)
        assert done.exit_code == 2 and done.stderr.startswith(text)


def test_version(run: Run) -> None:
    done = run("--version")
    assert (done.exit_code, done.stdout) == (0, f"pmkit {pm.__version__}\n")


def test_help_lists_every_verb(run: Run) -> None:
    words = run("--help").stdout
    assert all(verb in words for verb in ("margin", "compare", "data", "warmup"))


def test_warmup_compiles(run: Run) -> None:
    done = run("warmup")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("kernels compiled and kept in ")


def test_guard_collects_warnings_once_in_order() -> None:
    with guarded() as notes:
        for text in ("b", "a", "b"):
            warnings.warn(LotWarning(text), stacklevel=1)
    assert notes == ["b", "a"]


def test_guard_hands_on_other_warnings() -> None:
    with pytest.warns(RuntimeWarning, match="not ours"), guarded() as notes:
        warnings.warn("not ours", RuntimeWarning, stacklevel=1)
    assert notes == []


def test_guard_turns_errors_into_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, guarded():
        raise DataGapError("two\nlines", "one", "join them", file="a.csv")
    assert ended.value.exit_code == 2
    assert capsys.readouterr().err == "error: a.csv: two lines; expected one; remedy: join them\n"


def test_guard_names_a_file_without_its_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(typer.Exit), guarded():
        (tmp_path / "absent.csv").read_text()
    assert capsys.readouterr().err.startswith("error: absent.csv: No such file or directory; ")


def test_guard_leaves_bugs_visible() -> None:
    with pytest.raises(ZeroDivisionError), guarded():
        _ = 1 / 0
