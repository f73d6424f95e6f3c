"""Historical simulation: windows, dates, replications, notes, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import (
    ConventionError,
    DataGapError,
    HistoryEndsWarning,
    LookAheadError,
    ParameterError,
)
from pmkit.market import MarketSnapshot, PriceHistory
from pmkit.scenarios import historical


def test_windows_are_the_overlapping_returns(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    scen = historical(history, snapshot, horizon=3, replications=4)
    moves = history.returns(["BTC", "ETH"], horizon=3)
    assert len(scen) == 4 * len(moves)
    for replication in range(4):
        part = slice(replication * len(moves), (replication + 1) * len(moves))
        for name in ("BTC", "ETH"):
            np.testing.assert_allclose(scen.column("spot", name)[part], moves[name], atol=1e-14)
        last_day = scen.history_dates[scen.dates[part][:, -1]]
        assert (last_day == moves.index).all()
    vols = scen.column("vol", "BTC").reshape(4, -1)
    assert not np.array_equal(vols[0], vols[1])
    assert scen.n_independent == pytest.approx(399 / 3) and scen.horizon_days == 3.0
    assert scen.provenance.simulated and scen.provenance.seed == 20260801
    assert any("unscaled" in n for n in scen.notes) and any(
        "history ends 2023-12-31" in n for n in scen.notes
    )


def test_more_replications_begin_with_the_same(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    few, many = (historical(history, snapshot, replications=n) for n in (1, 3))
    np.testing.assert_array_equal(many.shocks[: len(few)], few.shocks)
    assert historical(history, snapshot, replications=1).fingerprint == few.fingerprint
    assert historical(history, snapshot, replications=1, seed=1).fingerprint != few.fingerprint


def test_old_history_warns_and_later_history_is_refused(
    history: PriceHistory, snapshot: MarketSnapshot
) -> None:
    late = MarketSnapshot.from_marks("2026-08-01T17:58:04Z", {"BTC": 60_000.0})
    with pytest.warns(
        HistoryEndsWarning, match="history ends 2023-12-31, 944 days before the snapshot of 2026-08-01"
    ):
        historical(history, late, replications=1)
    early = MarketSnapshot.from_marks("2023-12-31T23:59:00Z", {"BTC": 60_000.0})
    with pytest.raises(LookAheadError, match=r"lies after the snapshot.*history.until\('2023-12-30'\)"):
        historical(history, early)
    with pytest.raises(LookAheadError):
        historical(history.until("2023-12-31"), early)
    assert len(historical(history.until("2023-12-30"), early, replications=1)) == 397


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"horizon": 0}, ParameterError, "horizon is 0"),
        ({"horizon": 1.5}, ParameterError, "horizon is 1.5"),
        ({"replications": 0}, ParameterError, "replications is 0"),
        ({"underlyings": []}, ParameterError, "no underlying"),
        ({"underlyings": ["SOL"]}, DataGapError, "no market data for underlying 'SOL'"),
        ({"response": "nothing"}, DataGapError, "no response set"),
        ({"horizon": 399}, DataGapError, "399 daily returns; expected more than the horizon of 399 days"),
        ({"dynamics": "none"}, ConventionError, "smile dynamics"),
    ],
)
def test_bad_arguments(
    history: PriceHistory,
    snapshot: MarketSnapshot,
    options: dict[str, object],
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error, match=text):
        historical(history, snapshot, **options)


def test_history_must_hold_the_underlying_every_day(history: PriceHistory, snapshot: MarketSnapshot) -> None:
    with pytest.raises(DataGapError, match="the history holds no prices of ETH"):
        historical(history.select("BTC"), snapshot)
    weekdays = PriceHistory.from_frame(
        pd.DataFrame({"BTC": np.linspace(1.0, 2.0, 300)}, index=pd.bdate_range("2022-01-03", periods=300))
    )
    with pytest.raises(ConventionError, match="252 days a year"):
        historical(weekdays, snapshot, underlyings=["BTC"])
