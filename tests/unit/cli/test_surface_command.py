"""`pmkit surface`: one chain or a panel, what is printed, and refusals in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import Result

from pmkit.pricing import black76_inverse
from pmkit.surface import RawSvi

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated panel of two days and one expiry, as CSV."""
    rows = []
    for day in range(2):
        now = pd.Timestamp("2026-02-04T08:00Z") + pd.Timedelta(days=day)
        tau = (pd.Timestamp("2026-03-27T08:00Z") - now).total_seconds() / (365 * 86400)
        strike = np.arange(50e3, 95e3, 2500.0)
        iv = np.sqrt(RawSvi(0.005, 0.05, -0.3, 0.0, 0.15).w(np.log(strike / 70e3)) / tau)
        for side in ("C", "P"):
            price = black76_inverse(70e3, strike, tau, iv, is_call=side == "C")
            columns = {"timestamp": now.isoformat(), "expiry": "2026-03-27T08:00Z", "strike": strike}
            columns |= {"cp": side, "bid": np.maximum(price - 4e-4, 0.0), "ask": price + 4e-4, "index": 70e3}
            rows.append(pd.DataFrame(columns))
    path = tmp_path_factory.mktemp("panel") / "panel.csv"
    pd.concat(rows).to_csv(path, index=False)
    return path


def test_chain_prints_every_expiry(run: Run) -> None:
    done = run("surface", "--chain", "deribit-btc-2026-08-01", "--model", "svi")
    assert done.exit_code == 0, done.stderr
    assert "Surfaces of deribit_btc_chain_2026-08-01.csv" in done.stdout
    assert done.stdout.count("2026-") + done.stdout.count("2027-") >= 13
    assert "arbitrage" in done.stdout and max(map(len, done.stdout.splitlines())) <= 100


def test_json_of_a_chain_is_strict_and_complete(run: Run) -> None:
    done = run("surface", "--chain", "deribit-eth-2026-05-21", "--model", "svi", "--no-hold-out", "--json")
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["models"]["svi"]["days"] == record["models"]["svi"]["fitted"] == 1
    assert record["models"]["svi"]["held_out_inside"] is None
    assert len(record["expiries"]["svi"]) == record["models"]["svi"]["slices"]
    assert record["days"][0]["status"] == "ok"


def test_panel_prints_pooled_shares_and_days(run: Run, panel: Path) -> None:
    done = run("surface", "--panel", panel, "--underlying", "BTC", "--model", "svi", "--days")
    assert done.exit_code == 0, done.stderr
    assert "held out" in done.stdout and "100.0 %" in done.stdout
    assert "2026-02-04 08:00" in done.stdout and "2026-02-05 08:00" in done.stdout
    one = run(
        "surface", "--panel", panel, "--underlying", "BTC", "--model", "svi", "--from", "2026-02-05", "--json"
    )
    assert one.exit_code == 0, one.stderr
    assert json.loads(one.stdout)["models"]["svi"]["days"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "neither --chain nor --panel"),
        (("--chain", "deribit-btc-2026-08-01", "--panel", "x.csv"), "both --chain and --panel"),
        (("--panel", "PANEL"), "a panel without --underlying"),
        (("--panel", "none.parquet", "--underlying", "BTC"), "is no file"),
        (("--panel", "PANEL", "--underlying", "BTC", "--from", "2027-01-01"), "no snapshot of panel.csv"),
        (("--chain", "deribit-btc-2026-08-01", "--model", "spline"), "distinct names out of"),
        (("--chain", "nothing"), "nothing"),
    ],
)
def test_refusals_are_one_line(run: Run, panel: Path, words: tuple[str, ...], message: str) -> None:
    done = run("surface", *(str(panel) if word == "PANEL" else word for word in words))
    assert done.exit_code == 2
    assert done.stdout == "" and len(done.stderr.strip().splitlines()) == 1
    assert message in done.stderr
