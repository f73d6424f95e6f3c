"""Runs that stop and go on, run beside each other, and come back from disk: always the same bits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pmkit.backtest import (
    BacktestResult,
    ConstantBook,
    RolledBook,
    load_walks,
    save_walks,
    walk_forward,
    walk_many,
    walk_sensitivity,
)
from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    OptionalDependencyError,
    ParameterError,
    SchemaError,
)
from pmkit.market import PriceHistory, load_history

SPAN = {"start": "2021-03-01", "end": "2021-05-31", "refit_every": 30, "n_paths": 400}


@pytest.fixture(scope="module")
def crypto() -> PriceHistory:
    return load_history("crypto-daily-2020-2023").select(["BTC", "ETH"])


@pytest.fixture(scope="module")
def whole(crypto: PriceHistory) -> BacktestResult:
    return walk_forward("btc_eth_spread", crypto, "fhs", **SPAN)


def same(one: BacktestResult, other: BacktestResult) -> None:
    pd.testing.assert_frame_equal(one.frame, other.frame, check_exact=True)
    pd.testing.assert_frame_equal(one.refits, other.refits, check_exact=True)
    assert one.provenance.id == other.provenance.id
    assert (one.warnings, one.notes, one.title) == (other.warnings, other.notes, other.title)


class StoppedError(Exception):
    """Stands for whatever ends a run in its middle."""


def stop_after(dates: int):
    def progress(done: int, total: int) -> None:
        if done == dates:
            raise StoppedError

    return progress


@pytest.mark.parametrize("dates", [29, 47, 92])
def test_a_stopped_run_goes_on_to_the_same_bits(
    crypto: PriceHistory, whole: BacktestResult, tmp_path: Path, dates: int
) -> None:
    kept = {"checkpoint": tmp_path / "half.json", "checkpoint_every": 10}
    with pytest.raises(StoppedError):
        walk_forward("btc_eth_spread", crypto, "fhs", **SPAN, **kept, progress=stop_after(dates))
    steps: list[int] = []
    again = walk_forward(
        "btc_eth_spread", crypto, "fhs", **SPAN, **kept, progress=lambda done, _total: steps.append(done)
    )
    # stopped at the last date, all is written and nothing is done again
    assert steps == list(range(dates // 10 * 10 + 1 if dates < 92 else 93, 93))
    same(again, whole)


def test_a_killed_process_goes_on_to_the_same_bits(
    crypto: PriceHistory, whole: BacktestResult, tmp_path: Path
) -> None:
    path = tmp_path / "killed.json"
    program = f"""
import time
from pmkit.backtest import walk_forward
from pmkit.market import load_history
history = load_history("crypto-daily-2020-2023").select(["BTC", "ETH"])
def slowly(done, total):
    if done >= 40:
        time.sleep(60)
walk_forward("btc_eth_spread", history, "fhs", **{SPAN!r}, checkpoint={str(path)!r}, checkpoint_every=7,
             progress=slowly)
"""
    root = Path(__file__).resolve().parents[4]
    child = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(root)})
    deadline = time.monotonic() + 120.0
    while time.monotonic() < deadline and child.poll() is None:
        if path.exists() and len(json.loads(path.read_text())["rows"]) == 35:
            break
        time.sleep(0.02)
    assert child.poll() is None, "the process ended before it could be killed"
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    steps: list[int] = []
    again = walk_forward(
        "btc_eth_spread",
        crypto,
        "fhs",
        **SPAN,
        checkpoint=path,
        checkpoint_every=7,
        progress=lambda done, _total: steps.append(done),
    )
    assert steps[0] == 36
    same(again, whole)


class Memory:
    """A model whose margin depends on all it has seen: it must take its memory along."""

    name = "memory"

    def __init__(self) -> None:
        self.level = 0.05

    def fit(self, view):
        return ()

    def forecast(self, view, *, horizon, n_paths, random):
        from pmkit.backtest import Forecast

        self.level = 0.9 * self.level + 0.1 * float(np.abs(view.returns(1)[0, 0]))
        moves = np.linspace(-self.level, self.level, 100)[:, None]
        return Forecast(log_returns=moves, sigma=np.array([self.level]), history_days=np.inf)

    def get_state(self):
        return {"level": self.level}

    def set_state(self, state):
        self.level = state["level"]


def test_the_memory_of_a_model_is_taken_along(crypto: PriceHistory, tmp_path: Path) -> None:
    span = {"start": "2021-03-01", "end": "2021-04-30"}
    straight = walk_forward("long_btc", crypto, Memory(), **span)
    kept = {"checkpoint": tmp_path / "memory.json", "checkpoint_every": 9}
    with pytest.raises(StoppedError):
        walk_forward("long_btc", crypto, Memory(), **span, **kept, progress=stop_after(31))
    same(walk_forward("long_btc", crypto, Memory(), **span, **kept), straight)


def test_checkpoints_that_do_not_fit_are_refused(crypto: PriceHistory, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    span = {"start": "2021-03-01", "end": "2021-03-10"}
    walk_forward("long_btc", crypto, "hs", **span, checkpoint=path)
    for changed in ({"level": 0.98}, {"window": 300}, {"seed": 1}):
        with pytest.raises(ConventionError, match=r"checkpoint run\.json belongs to run"):
            walk_forward("long_btc", crypto, "hs", **span, checkpoint=path, **changed)
    with pytest.raises(ConventionError, match="belongs to run"):
        walk_forward("short_btc", crypto, "hs", **span, checkpoint=path)
    for text in ("", "[]", '{"key": 1}'):
        path.write_text(text)
        with pytest.raises(SchemaError, match=r"checkpoint run\.json is not one"):
            walk_forward("long_btc", crypto, "hs", **span, checkpoint=path)
    with pytest.raises(SchemaError, match="cannot be read"):
        walk_forward("long_btc", crypto, "hs", **span, checkpoint=tmp_path)
    with pytest.raises(ParameterError, match="checkpoint_every is 0"):
        walk_forward("long_btc", crypto, "hs", **span, checkpoint=path, checkpoint_every=0)

    class Forgetful:
        name = "forgetful"

        def fit(self, view):
            return ()

        def forecast(self, view, *, horizon, n_paths, random):
            raise AssertionError("refused before any forecast")

    with pytest.raises(ParameterError, match="Forgetful cannot be written to a checkpoint"):
        walk_forward("long_btc", crypto, Forgetful(), **span, checkpoint=path)


# -- many at once ----------------------------------------------------------------------------------


def test_two_workers_give_the_bits_of_one(crypto: PriceHistory, tmp_path: Path) -> None:
    span = {"history": crypto, "start": "2021-05-01", "end": "2021-05-25", "n_paths": 300}
    jobs = {
        "spread": {"book": "btc_eth_spread", "model": "fhs", "refit_every": 50, **span},
        "straddle": {"book": "short_straddle_30d", "model": "hs", **span},
    }
    told: list[tuple[int, int, str]] = []
    one = walk_many(jobs, progress=lambda *words: told.append(words), checkpoints=tmp_path)
    two = walk_many(jobs, n_jobs=2)
    assert told == [(1, 2, "spread"), (2, 2, "straddle")] and list(two) == list(jobs)
    for name in jobs:
        same(one[name], two[name])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["walk_0.json", "walk_1.json"]


def test_the_error_of_a_job_keeps_its_class(crypto: PriceHistory) -> None:
    jobs = {"early": {"book": "long_btc", "history": crypto, "start": "2020-01-05"}}
    with pytest.raises(DataGapError, match="start is 2020-01-05"):
        walk_many(jobs)
    with pytest.raises(ParameterError, match="there is no job"):
        walk_many({})
    with pytest.raises(ParameterError, match="n_jobs is 0"):
        walk_many(jobs, n_jobs=0)


# -- on disk ---------------------------------------------------------------------------------------


def test_runs_come_back_from_parquet_to_the_bit(
    whole: BacktestResult, crypto: PriceHistory, tmp_path: Path
) -> None:
    plain = walk_forward("long_btc", crypto, "hs", "2021-03-01", "2021-03-20")
    manifest = save_walks(tmp_path / "runs", {"spread-fhs": whole, "long_hs": plain})
    text = manifest.read_text()
    assert str(tmp_path) not in text and whole.provenance.id in text
    back = load_walks(tmp_path / "runs")
    for name, run in (("spread-fhs", whole), ("long_hs", plain)):
        assert back[name].provenance.id == run.provenance.id
        np.testing.assert_array_equal(back[name].frame["var"], run.frame["var"])
        pd.testing.assert_frame_equal(back[name].frame, run.frame, check_freq=False, check_index_type=False)
        assert (back[name].title, back[name].warnings) == (run.title, run.warnings)
        back[name].check()
    assert save_walks(tmp_path / "runs", {"spread-fhs": whole, "long_hs": plain}).read_text() == text


def test_a_changed_or_missing_file_is_named(crypto: PriceHistory, tmp_path: Path) -> None:
    run = walk_forward("long_btc", crypto, "hs", "2021-03-01", "2021-03-05")
    save_walks(tmp_path, {"a": run})
    file = tmp_path / "a.figures.parquet"
    content = file.read_bytes()
    file.write_bytes(content[:-5] + b"xxxxx")
    with pytest.raises(SchemaError, match=r"a\.figures\.parquet.*SHA-256|SHA-256.*a\.figures\.parquet"):
        load_walks(tmp_path)
    file.unlink()
    with pytest.raises(DataGapError, match=r"a\.figures\.parquet is absent"):
        load_walks(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(SchemaError, match=r"manifest\.json of .* is not one"):
        load_walks(tmp_path)
    with pytest.raises(DataGapError, match=r"holds no manifest\.json"):
        load_walks(tmp_path / "nowhere")
    for name in ("../a", ".a", "", "a b"):
        with pytest.raises(ParameterError, match="letters, digits, dots"):
            save_walks(tmp_path, {name: run})
    with pytest.raises(ParameterError, match="there is no run to write"):
        save_walks(tmp_path, {})


def test_without_pyarrow_the_package_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OptionalDependencyError, match="need pyarrow"):
        load_walks(tmp_path)


# -- held to expiry and rolled ---------------------------------------------------------------------


def test_a_rolled_book_holds_its_strikes(crypto: PriceHistory) -> None:
    legs = ConstantBook.preset("short_straddle_30d")
    book = RolledBook(legs=legs, anchor="2021-03-01", hold_days=20)
    held: dict[pd.Timestamp, ConstantBook] = {}

    def watching(view):
        held[view.as_of] = book(view)
        return held[view.as_of]

    run = walk_forward(watching, crypto.select(["BTC"]), "hs", "2021-03-01", "2021-03-31", n_paths=200)
    prices = crypto.prices["BTC"]
    for day, today in held.items():
        age = (day - pd.Timestamp("2021-03-01")).days % 20
        struck = prices[day - pd.Timedelta(days=age)]
        assert {leg.tenor_days for leg in today.legs} == {30.0 - age}
        for leg in today.legs:
            assert leg.moneyness * prices[day] == pytest.approx(struck, rel=1e-12)
            assert leg.weight / prices[day] == pytest.approx(-1.0 / struck, rel=1e-12)
    assert len(run.frame) == 31
    straight = walk_forward(book, crypto.select(["BTC"]), "hs", "2021-03-01", "2021-03-31", n_paths=200)
    pd.testing.assert_frame_equal(straight.frame, run.frame, check_exact=True)
    assert straight.book == "short_straddle_30d, held 20 days"


def test_a_rolled_run_goes_on_from_its_checkpoint(crypto: PriceHistory, tmp_path: Path) -> None:
    book = RolledBook(legs=ConstantBook.preset("long_straddle_30d"), anchor="2021-03-01", hold_days=20)
    words = {"history": crypto.select(["BTC"]), "model": "hs", "start": "2021-03-01", "end": "2021-03-30"}
    straight = walk_forward(book, **words, n_paths=200)
    kept = {"checkpoint": tmp_path / "rolled.json", "checkpoint_every": 8}
    with pytest.raises(StoppedError):
        walk_forward(book, **words, n_paths=200, **kept, progress=stop_after(25))
    same(walk_forward(book, **words, n_paths=200, **kept), straight)


def test_rolls_that_cannot_be_are_refused(crypto: PriceHistory) -> None:
    straddle = ConstantBook.preset("short_straddle_30d")
    for legs, days in ((straddle, 30), (straddle, 0), (straddle, 2.5), (ConstantBook.preset("long_btc"), 5)):
        with pytest.raises(ParameterError, match="ends before the shortest tenor"):
            RolledBook(legs=legs, anchor="2021-03-01", hold_days=days)
    late = RolledBook(legs=straddle, anchor="2021-06-01", hold_days=20)
    with pytest.raises(DataGapError, match="anchor 2021-06-01 is no date of the history up to 2021-03-01"):
        walk_forward(late, crypto.select(["BTC"]), "hs", "2021-03-01", "2021-03-05")


# -- sensitivity -----------------------------------------------------------------------------------


def test_elasticities_against_scaled_margins_and_levels(crypto: PriceHistory) -> None:
    found = walk_sensitivity(
        "long_btc",
        crypto,
        "hs",
        "2021-03-01",
        "2021-05-31",
        values={"margin_scale": [0.5, 2.0], "level": [0.98, 0.995], "window": [300], "horizon": [2]},
    )
    table = found.summary()
    assert table.loc["margin_scale", "margin"] == pytest.approx(1.0, abs=1e-12)
    assert table.loc["margin_scale", "es"] == pytest.approx(1.0, abs=1e-12)
    assert table.loc["1 - level", "margin"] < 0.0 < table.loc["horizon", "margin"]
    assert table["direction"].tolist() == ["as expected", "as expected", "no direction", "as expected"]
    runs = found.to_frame().set_index(["parameter", "value"])
    assert runs.loc[("margin_scale", 0.5), "margin"] * 4.0 == pytest.approx(
        runs.loc[("margin_scale", 2.0), "margin"], rel=1e-14
    )
    assert (runs.loc["level", "against"].dropna() == 0.0).all()
    assert found.against_theory == ()
    found.check()


def test_a_margin_that_moves_the_wrong_way_is_flagged(crypto: PriceHistory) -> None:
    found = walk_sensitivity(
        "long_btc", crypto, "hs", "2021-03-01", "2021-03-31", values={"level": [0.98, 0.995]}
    )
    frame = found.to_frame()
    object.__setattr__(found, "table", frame.assign(margin=frame["margin"].to_numpy()[::-1]))
    assert found.against_theory == ("1 - level",)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({}, "no parameter is varied"),
        ({"lambda": [1.0]}, "no parameter 'lambda' to vary"),
        ({"window": [365]}, "a value beside the base"),
    ],
)
def test_sensitivities_that_say_nothing_are_refused(crypto: PriceHistory, values, match) -> None:
    with pytest.raises(ParameterError, match=match):
        walk_sensitivity("long_btc", crypto, "hs", "2021-03-01", "2021-03-05", values=values)
