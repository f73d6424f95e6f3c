"""A stored set comes back to the last bit, and a changed file is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import DataGapError, SchemaError
from pmkit.scenarios import ScenarioSet, TermScaling, from_frame, grid, historical, load_scenarios, stress


def assert_same(a: ScenarioSet, b: ScenarioSet) -> None:
    assert a.fingerprint == b.fingerprint and a.provenance.id == b.provenance.id
    assert a.provenance.to_dict() == b.provenance.to_dict()
    for word in (
        "name",
        "factors",
        "labels",
        "notes",
        "vol_term",
        "horizon_days",
        "dynamics",
        "n_independent",
    ):
        assert getattr(a, word) == getattr(b, word), word
    for word in ("shocks", "weights"):
        assert getattr(a, word).tobytes() == getattr(b, word).tobytes()
    assert (a.dates is None) == (b.dates is None)
    if a.dates is not None:
        assert np.array_equal(a.dates, b.dates) and a.dates.dtype == b.dates.dtype
        assert a.history_dates.equals(b.history_dates) and a.history_dates.dtype == b.history_dates.dtype
    assert a.references == b.references and repr(a) == repr(b)


def test_round_trip_of_a_hypothetical_set(tmp_path: Path) -> None:
    law = TermScaling(short_power=0.1 + 0.2, long_power=1 / 3)
    scen = grid([-0.1, 1 / 3], [0.5], 7, dynamics="sticky_delta", vol_term=law, min_vol_up=0.2)
    assert_same(load_scenarios(scen.save(tmp_path / "new" / "grid.npz")), scen)


def test_round_trip_of_every_kind_of_factor(tmp_path: Path) -> None:
    columns = ["BTC spot", "BTC skew", "USD rate", "USDC fx", "BTC basis 2026-12-25T08:00:00Z"]
    frame = pd.DataFrame(np.linspace(0.01, 0.1, 10).reshape(2, 5), columns=columns, index=["a", "b"])
    frame["weight"] = [0.3, 0.7]
    scen = from_frame(frame, dynamics="sticky_strike")
    assert_same(load_scenarios(scen.save(tmp_path / "x.npz")), scen)


def test_round_trip_keeps_the_references(snapshot, tmp_path: Path) -> None:
    scen = stress("equity-1987-10-19", snapshot, dynamics="sticky_strike", betas={"BTC": 1.0, "ETH": 1.2})
    assert scen.references == ("cnnmoney1997",)
    assert_same(load_scenarios(scen.save(tmp_path / "s.npz")), scen)


def test_round_trip_of_a_historical_set_with_seed_and_dates(history, snapshot, tmp_path: Path) -> None:
    scen = historical(history, snapshot, replications=2)
    back = load_scenarios(scen.save(tmp_path / "h.npz"))
    assert_same(back, scen)
    assert back.provenance.seed == 20260801 and back.provenance.simulated


def test_equal_sets_give_equal_bytes(tmp_path: Path) -> None:
    a, b = (grid([-0.1, 0.1], dynamics="sticky_strike").save(tmp_path / n) for n in ("a.npz", "b.npz"))
    assert a.read_bytes() == b.read_bytes()


def rewritten(path: Path, **changes) -> Path:
    with np.load(path) as stored:
        arrays = {k: stored[k] for k in stored.files}
    arrays |= changes
    np.savez(path, **arrays)
    return path


def test_a_changed_shock_or_header_is_refused(tmp_path: Path) -> None:
    path = grid([-0.1, 0.1], dynamics="sticky_strike", underlyings=["BTC"]).save(tmp_path / "a.npz")
    with np.load(path) as stored:
        shocks, header = stored["shocks"], json.loads(stored["header"].tobytes())
    with pytest.raises(SchemaError, match=r"a.npz: the content does not fit its fingerprint"):
        load_scenarios(rewritten(path, shocks=shocks * 0.5))
    changed = json.dumps(header | {"dynamics": "sticky_delta"}, sort_keys=True).encode()
    with pytest.raises(SchemaError, match="was changed after it was saved"):
        load_scenarios(rewritten(path, shocks=shocks, header=np.frombuffer(changed, np.uint8)))
    other = json.dumps(header | {"format": "pmkit scenarios 9"}, sort_keys=True).encode()
    with pytest.raises(SchemaError, match="format 'pmkit scenarios 9'"):
        load_scenarios(rewritten(path, header=np.frombuffer(other, np.uint8)))


def test_what_is_no_stored_set(tmp_path: Path) -> None:
    with pytest.raises(DataGapError, match=r"no file absent\.npz"):
        load_scenarios(tmp_path / "absent.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    np.savez(tmp_path / "other.npz", shocks=np.zeros(3))
    (tmp_path / "cut.npz").write_bytes(
        grid([0.1], dynamics="sticky_strike").save(tmp_path / "w.npz").read_bytes()[:200]
    )
    for name in ("text.npz", "other.npz", "cut.npz"):
        with pytest.raises(SchemaError, match=f"{name}: the file is no stored scenario set"):
            load_scenarios(tmp_path / name)
