"""`pmkit conform`: expected, got and difference; exit 1 on any miss, 2 on a file that cannot be read."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]

UNIT = 10**18
#: one short call, in the shape of the venue's test data
VENUE = {
    "short call": {
        "Scenario": {
            "OptionExpiries": [500_400], "OptionStrikes": [1500 * UNIT], "OptionIsCall": [1],
            "OptionAmounts": [-UNIT], "OptionVols": [1_047_884_494_084_986_240],
            "OptionVolConfidences": [UNIT], "Cash": 0, "Perps": 0, "Base": 0, "SpotPrice": 1500 * UNIT,
            "SpotConfidence": UNIT, "PerpPrice": 1505 * UNIT, "PerpConfidence": UNIT,
            "ForwardConfidences": [UNIT], "Rates": [UNIT * 3 // 100], "RateConfidences": [UNIT],
            "StablePrice": UNIT, "UnrealisedPerpPNL": 0, "UnrealisedFunding": 0, "ForwardsFixed": [0],
            "ForwardsVariable": [1_500_833_279_310_993_817_600],
        },
        "Result": {
            "ForwardContingency": -11_275_911_269_415_124_992, "MinSpan": -207_396_949_671_304_364_032,
            "InitialMarginCalc": -368_487_619_761_755_652_096,
            "MaintenanceMarginCalc": -301_768_534_860_364_316_672,
        },
    }
}  # fmt: skip
#: 200 short calls under the risk matrix, in the shared shape
SHARED = {
    "source": "computed apart from the package",
    "cases": [
        {
            "name": "200 short calls",
            "as_of": "2024-06-08T08:00:00Z",
            "spot": {"BTC": 65666.19},
            "forwards": {"BTC": {"2024-06-28T08:00:00Z": 65666.19}},
            "option_iv": {"BTC-28JUN24-90000-C": 0.60},
            "account": [{"type": "position", "instrument": "BTC-28JUN24-90000-C", "qty": -200}],
            "expected": {
                "im": 10.636255, "mm": 8.509004, "worst": -10.606564,
                "worst_name": "+100% extended, vol up",
            },
            "tolerance": 1e-6,
        }
    ],
}  # fmt: skip


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def written(content: Any, name: str = "cases.json") -> Path:
        path = tmp_path / name
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return written


def test_the_shape_of_the_venue(run: Run, write: Callable[..., Path]) -> None:
    done = run("conform", "derive-pmrm-v1", write(VENUE, "cases.json.gz"))
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["case", "item", "expected", "got", "difference"]
    assert [line.split()[2] for line in lines[1:4]] == ["im", "mm", "worst"]
    assert "-368.487619762" in lines[1] and lines[3].endswith("ok +15%, vol up")
    assert lines[-1] == "1 of 1 cases of derive-pmrm-v1 within the tolerance"


def test_the_shared_shape_as_json(run: Run, write: Callable[..., Path]) -> None:
    done = run("conform", "deribit-pm", write(SHARED), "--json")
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert (record["rule"], record["cases"], record["misses"], record["ok"]) == ("deribit-pm", 1, 0, True)
    im, mm, worst = record["lines"]
    assert (im["item"], mm["item"], worst["item"]) == ("im", "mm", "worst")
    assert im["difference"] == im["got"] - im["expected"]
    assert worst["note"] == "+100% extended, vol up"


def test_parameters_and_variant_of_a_case(run: Run, write: Callable[..., Path]) -> None:
    changed = copy.deepcopy(SHARED)
    case = changed["cases"][0]
    case |= {"variant": "spm", "parameters": {"BTC": {"mm_factor": 0.5}}}
    case["expected"] = {"mm": 10.636255 / 2.0}
    done = run("conform", "deribit-pm", write(changed))
    assert done.exit_code == 0, done.stdout + done.stderr
    assert done.stdout.count("\n") == 3


@pytest.mark.parametrize(
    ("entry", "value", "miss"),
    [("im", 10.7, " im "), ("worst_name", "+16%, vol up", "where the source names +16%, vol up")],
)
def test_a_miss_ends_with_one(
    run: Run, write: Callable[..., Path], entry: str, value: Any, miss: str
) -> None:
    changed = copy.deepcopy(SHARED)
    changed["cases"][0]["expected"][entry] = value
    done = run("conform", "deribit-pm", write(changed))
    assert done.exit_code == 1
    (line,) = [line for line in done.stdout.splitlines() if "MISS" in line]
    assert miss in line
    assert "0 of 1 cases" in done.stdout
    assert json.loads(run("conform", "deribit-pm", write(changed), "--json").stdout)["ok"] is False


def test_the_tolerance_of_the_command(run: Run, write: Callable[..., Path]) -> None:
    done = run("conform", "deribit-pm", write(SHARED), "--tolerance", "1e-12")
    assert done.exit_code == 1 and done.stdout.count("MISS") == 3
    assert run("conform", "deribit-pm", write(SHARED), "--tolerance", "-1").exit_code == 2


def without(content: dict[str, Any], *path: Any) -> dict[str, Any]:
    changed = copy.deepcopy(content)
    inner: Any = changed
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return changed


BAD = [
    ("derive-pmrm-v1", "{", "cases.json, row 1: not JSON"),
    ("derive-pmrm-v1", "[1]", "found list; expected an object"),
    ("derive-pmrm-v1", "{}", "cases.json: no case; expected at least one"),
    ("derive-pmrm-v1", {"cases": [3]}, "case 1 is int; expected an object"),
    (
        "derive-pmrm-v1",
        without(VENUE, "short call", "Scenario", "Rates"),
        "case 'short call': no entry 'Rates'",
    ),
    ("derive-pmrm-v1", without(VENUE, "short call", "Result"), "neither the shared shape nor"),
    ("deribit-pm", VENUE, "neither the shared shape nor"),
    ("deribit-pm", without(SHARED, "cases", 0, "spot"), "neither the shared shape nor"),
    ("deribit-pm", without(SHARED, "cases", 0, "forwards"), "'200 short calls': no forward for BTC"),
    ("deribit-pm", {"cases": [{**SHARED["cases"][0], "colour": 1}]}, "unknown entry 'colour'"),
    (
        "deribit-pm",
        {"cases": [{**SHARED["cases"][0], "expected": {"in": 1}}]},
        "unknown expected figure 'in'",
    ),
    ("deribit-pm", {"cases": [{**SHARED["cases"][0], "expected": {}}]}, "expects nothing"),
    ("deribit-pm", {"cases": [{**SHARED["cases"][0], "spot": {"BTC": "x"}}]}, "case '200 short calls': "),
    ("deribit-pm", {"cases": [{**SHARED["cases"][0], "tolerance": -1}]}, "tolerance of case"),
    ("nobody", SHARED, "unknown rule 'nobody'"),
]


@pytest.mark.parametrize(("rule", "content", "message"), BAD, ids=[b[2][:30] for b in BAD])
def test_bad_files_are_refused_by_name(
    run: Run, write: Callable[..., Path], rule: str, content: Any, message: str
) -> None:
    done = run("conform", rule, write(content))
    assert done.exit_code == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert message in done.stderr


def test_a_file_that_is_not_there(run: Run, tmp_path: Path, write: Callable[..., Path]) -> None:
    done = run("conform", "derive-srm", tmp_path / "absent.json")
    assert done.exit_code == 2 and "absent.json: cannot read" in done.stderr
    broken = tmp_path / "cases.json.gz"
    broken.write_bytes(b"not gzip")
    done = run("conform", "derive-srm", broken)
    assert done.exit_code == 2 and "cases.json.gz: cannot read" in done.stderr
    assert run("conform", "derive-srm").exit_code == 2
