"""A walk that is killed by the system goes on to the same bits, with the memory of model, rule and book."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pmkit.backtest import ConstantBook, Forecast, walk_forward
from pmkit.core.errors import ConventionError, SchemaError
from pmkit.margin import Buffer, SpeedLimit, apply_apc
from pmkit.market import PriceHistory, load_history

ROOT = Path(__file__).resolve().parents[4]
SPAN = {"start": "2021-03-01", "end": "2021-05-31", "n_paths": 200}


class CalledMargin:
    """A model whose margin passes through tools that remember what they last called."""

    name = "called margin"

    def __init__(self, fall: float = 0.02) -> None:
        self.tools = [Buffer(size=0.25), SpeedLimit(fall=fall)]
        self.fingerprint = repr(self.tools)
        self.state: dict[str, float] = {}

    def fit(self, view: Any) -> tuple[()]:
        return ()

    def forecast(self, view: Any, *, horizon: int, n_paths: int, random: Any) -> Forecast:
        sigma = float(np.std(view.returns(20)))
        path = apply_apc([2.33 * sigma], self.tools, state=self.state)
        self.state = dict(path.state)
        margin = float(path.table["called"].iloc[0])
        moves = np.linspace(-margin, margin, n_paths)[:, None]
        return Forecast(log_returns=moves, sigma=np.array([sigma]), history_days=np.inf)

    def get_state(self) -> dict[str, Any]:
        return dict(self.state)

    def set_state(self, state: dict[str, Any]) -> None:
        self.state = dict(state)


class Trimmed:
    """A book that sells a tenth after each fall and buys it back slowly: it remembers its own size."""

    name = "trimmed"
    numeraire = "USD"

    def __init__(self) -> None:
        self.size = 1.0

    def __call__(self, view: Any) -> ConstantBook:
        fell = float(view.returns(1)[0, 0]) < 0.0
        self.size = max(0.2, self.size - 0.1) if fell else min(1.0, self.size + 0.05)
        return ConstantBook.from_legs([{"underlying": "BTC", "kind": "perpetual", "weight": self.size}])

    def get_state(self) -> dict[str, Any]:
        return {"size": self.size}

    def set_state(self, state: dict[str, Any]) -> None:
        self.size = state["size"]


@pytest.fixture(scope="module")
def bitcoin() -> PriceHistory:
    return load_history("crypto-daily-2020-2023").select(["BTC"])


def walk(history: PriceHistory, **options: Any) -> Any:
    return walk_forward(Trimmed(), history, CalledMargin(), **SPAN, **options)


def killed_at(rows: int, path: Path) -> None:
    """Run the walk in a process of its own and kill it without warning after ``rows`` dates on disk."""
    program = f"""
    import sys, time
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    from test_walk_killed import load_history, walk
    def slowly(done, total):
        if done >= {rows} + 3:
            time.sleep(60)
    history = load_history("crypto-daily-2020-2023").select(["BTC"])
    walk(history, checkpoint={str(path)!r}, checkpoint_every=1, progress=slowly)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    deadline = time.monotonic() + 120.0
    while time.monotonic() < deadline and child.poll() is None:
        if path.exists() and len(json.loads(path.read_text())["rows"]) >= rows:
            break
        time.sleep(0.01)
    assert child.poll() is None, "the process ended before it could be killed"
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_rule_and_book_with_memory_killed_twice(bitcoin: PriceHistory, tmp_path: Path) -> None:
    whole = walk(bitcoin)
    path = tmp_path / "killed.json"
    for rows in (20, 55):
        killed_at(rows, path)
    steps: list[int] = []
    again = walk(bitcoin, checkpoint=path, progress=lambda done, _total: steps.append(done))
    assert 55 < steps[0] < 62 and steps[-1] == len(whole.frame)
    pd.testing.assert_frame_equal(again.frame, whole.frame, check_exact=True)
    assert again.provenance.id == whole.provenance.id
    assert json.loads(path.read_text())["states"][0].keys() == {"buffer", "speed limit"}


def test_memory_matters_here(bitcoin: PriceHistory, tmp_path: Path) -> None:
    """Without the memory the figures differ, so equal figures say that it was taken along."""
    whole, path = walk(bitcoin), tmp_path / "run.json"
    walk(bitcoin, checkpoint=path, checkpoint_every=40)
    record = json.loads(path.read_text())
    record["rows"], record["sigmas"] = record["rows"][:40], record["sigmas"][:40]
    record["states"] = [{}, {"size": 1.0}]
    path.write_text(json.dumps(record))
    forgetful = walk(bitcoin, checkpoint=path)
    assert forgetful.frame.iloc[:40].equals(whole.frame.iloc[:40])
    assert not np.array_equal(forgetful.frame["var"].iloc[40:], whole.frame["var"].iloc[40:])


def test_another_model_of_the_same_name_is_refused(bitcoin: PriceHistory, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    walk(bitcoin, checkpoint=path)
    with pytest.raises(ConventionError, match=r"checkpoint run\.json belongs to run"):
        walk_forward(Trimmed(), bitcoin, CalledMargin(fall=0.5), **SPAN, checkpoint=path)


def test_a_state_that_does_not_fit_is_named(bitcoin: PriceHistory, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    walk(bitcoin, checkpoint=path)
    record = json.loads(path.read_text())
    for states in ([{}, {}], [{}], "x"):
        path.write_text(json.dumps({**record, "states": states}))
        with pytest.raises(SchemaError, match=r"checkpoint run\.json holds a state that"):
            walk(bitcoin, checkpoint=path)
