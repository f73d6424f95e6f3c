"""Panels of chains: one instant at a time, every bad cell named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.market import QuotePanel, read_quote_panel


def table(**changes: object) -> pd.DataFrame:
    """Return four quotes at two instants, with columns replaced."""
    columns: dict[str, object] = {
        "timestamp": ["2026-02-05T08:00Z"] * 3 + ["2026-02-06T08:30Z"],
        "expiry": ["2026-02-13T08:00Z"] * 4,
        "strike": [70e3, 70e3, 72500.0, 70e3],
        "cp": ["C", "P", "call", "C"],
        "bid": [0.02, 0.03, 0.0, 0.011],
        "ask": [0.021, 0.029, 0.012, np.nan],
        "index": [69e3, 69_010.0, 69_002.0, 65e3],
        "mark": [1.0] * 4,
    }
    return pd.DataFrame(columns | changes)


def read(**changes: object) -> QuotePanel:
    return read_quote_panel(table(**changes), underlying="BTC", source="panel")


def test_one_instant_at_a_time() -> None:
    panel = read()
    assert len(panel) == 2
    first, second = panel
    assert first.frame["instrument"].tolist() == [
        "BTC-13FEB26-70000-P",
        "BTC-13FEB26-70000-C",
        "BTC-13FEB26-72500-C",
    ]
    assert first.spots == {"BTC": 69_002.0}
    assert first.ledger["reason"].tolist() == ["no_bid", "crossed"]
    assert np.isnan(first.frame["mid"].iloc[[0, 2]]).all()
    assert second.ledger["reason"].tolist() == ["no_ask"]
    assert panel.at("2026-02-06").as_of == pd.Timestamp("2026-02-06T08:30Z")
    assert panel.between("2026-02-05", "2026-02-05").instants.tolist() == [first.as_of]
    assert panel.fingerprint != read(bid=[0.02, 0.03, 0.0, 0.0105]).fingerprint
    assert "two_sided" in repr(panel)


def test_file_and_frame_agree(tmp_path: Path) -> None:
    table().to_csv(tmp_path / "panel.csv", index=False)
    frame = table().assign(
        timestamp=lambda f: pd.to_datetime(f["timestamp"]), expiry=lambda f: pd.to_datetime(f["expiry"])
    )
    frame.to_parquet(tmp_path / "panel.parquet")
    for name in ("panel.csv", "panel.parquet"):
        got = read_quote_panel(tmp_path / name, underlying="BTC")
        assert got.fingerprint == read().fingerprint
        assert got.source == name


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"strike": [70e3, -1.0, 72500.0, 70e3]}, SchemaError, r"row 3, column 'strike': found -1"),
        ({"bid": [0.02, "x", 0.0, 0.011]}, SchemaError, r"row 3, column 'bid': found 'x'"),
        ({"index": [69e3, np.nan, 69e3, 65e3]}, SchemaError, r"row 3, column 'index'"),
        ({"ask": [0.02, -0.1, 0.0, 0.011]}, SchemaError, r"row 3, column 'ask'"),
        ({"cp": ["C", "X", "C", "C"]}, SchemaError, r"found 'X'; expected C or P"),
        ({"expiry": ["2026-02-05T08:00Z"] * 4}, SchemaError, r"row 2, column 'expiry'.*after the instant"),
        ({"strike": [70e3] * 4, "cp": ["C"] * 4}, SchemaError, r"row 3.*same option"),
        ({"bid": [1400.0, 0.03, 0.0, 0.01]}, ConventionError, r"1400 coins looks like USD"),
        ({"timestamp": ["2026-02-05T08:00"] * 4}, ConventionError, r"2026-02-05T08:00"),
        ({"timestamp": pd.to_datetime(["2026-02-05"] * 4)}, ConventionError, r"no time zone"),
    ],
)
def test_bad_cells_are_named(changes: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        read(**changes)


def test_bad_calls_are_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="no column index"):
        read_quote_panel(table().drop(columns="index"), underlying="BTC")
    with pytest.raises(DataGapError, match="no rows"):
        read_quote_panel(table().iloc[:0], underlying="BTC")
    with pytest.raises(DataGapError, match="is no file"):
        read_quote_panel(tmp_path / "none.csv", underlying="BTC")
    with pytest.raises(ParameterError, match="underlying is ''"):
        read_quote_panel(table(), underlying="")
    (tmp_path / "bad.parquet").write_text("no parquet")
    with pytest.raises(SchemaError, match=r"bad\.parquet.*cannot be read"):
        read_quote_panel(tmp_path / "bad.parquet", underlying="BTC")
    with pytest.raises(DataGapError, match="0 snapshots at 2026-03-01"):
        read().at("2026-03-01")
    with pytest.raises(DataGapError, match="no snapshot of panel"):
        read().between("2026-03-01", "2026-03-02")
