"""The case files of every rule pass, and a changed figure is a miss."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pmkit.cli.main import app
from pmkit.core.errors import PmkitWarning, SchemaError
from pmkit.margin import Conformance, conform, rules

CASES = Path(__file__).parent / "cases"
FILES = sorted(CASES.glob("*.json"))
#: rules without a case in the shared shape: those of Derive have their own, two simulate
OTHERS = {"derive-pmrm-v1", "derive-pmrm-v2", "derive-srm", "es-fhs", "var-hs"}


def conformed(rule: str, path: Path, **more: Any) -> Conformance:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PmkitWarning)
        return conform(rule, [path], **more)


def test_every_rule_of_the_shared_shape_has_a_file() -> None:
    assert {path.stem for path in FILES} == set(rules()) - OTHERS


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_cases(path: Path) -> None:
    found = conformed(path.stem, path)
    found.check()
    assert found.ok, found.to_frame().query("not ok").to_string()
    assert found.cases == len(json.loads(path.read_text(encoding="utf-8"))["cases"])


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_every_case_names_its_source(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    for case in content["cases"]:
        assert case.get("source") or content.get("source"), case["name"]


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_figure_beyond_the_tolerance_is_a_miss(path: Path, tmp_path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    case = content["cases"][-1]
    item = next(key for key in case["expected"] if key != "worst_name")
    case["expected"][item] += 3.0 * case.get("tolerance", 1e-9) * max(1.0, abs(case["expected"][item]))
    changed = tmp_path / path.name
    changed.write_text(json.dumps({**content, "cases": [case]}), encoding="utf-8")
    found = conformed(path.stem, changed)
    assert found.misses == 1
    assert [line.item for line in found.lines if not line.ok] == [item]


def test_the_command_prints_every_figure_and_ends_with_one_on_a_miss(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["conform", "deribit-pm", str(CASES / "deribit-pm.json")])
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["case", "item", "expected", "got", "difference"]
    assert sum(line.endswith(" ok") or " ok " in line for line in lines) == 12
    assert "4 of 4 cases of deribit-pm within the tolerance" in lines
    content = json.loads((CASES / "deribit-pm.json").read_text(encoding="utf-8"))
    del content["cases"][0]["open_order_margin"]
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(content), encoding="utf-8")
    done = CliRunner().invoke(app, ["conform", "deribit-pm", str(wrong)])
    assert done.exit_code == 1
    (miss,) = [line for line in done.stdout.splitlines() if " MISS" in line]
    assert miss.startswith("response of the simulation method") and " im " in miss


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("mmp_margin", {"BTC": -1.0}, "mmp_margin in BTC is -1.0"),
        ("mmp_margin", [1.0], "numbers and lists as in the shape"),
        ("expected", {"margin": 1.0}, "unknown expected figure 'margin'; expected one of im, mm, im_equity"),
        ("expected", {"im": None}, "expects nothing; expected im, mm, im_equity or the worst scenario"),
    ],
)
def test_bad_entries(entry: str, value: Any, message: str, tmp_path: Path) -> None:
    content = json.loads((CASES / "deribit-pm.json").read_text(encoding="utf-8"))
    content["cases"][0][entry] = value
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(SchemaError, match=message):
        conformed("deribit-pm", path)
