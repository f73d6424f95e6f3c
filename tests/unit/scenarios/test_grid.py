"""Grids and tables of hypothetical moves: order, labels, joint moves, units, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pmkit.core.errors import ConventionError, ParameterError
from pmkit.scenarios import Factor, TermScaling, grid, table


def test_full_product_moves_all_underlyings_alike() -> None:
    scen = grid([-0.1, 0.0, 0.2], [-0.5, 0.5], dynamics="sticky_strike")
    assert len(scen) == 6 and scen.underlyings == ("BTC", "ETH")
    assert scen.column("spot", "BTC").tolist() == [-0.1, -0.1, 0.0, 0.0, 0.2, 0.2]
    assert scen.column("spot", "ETH").tolist() == scen.column("spot", "BTC").tolist()
    assert scen.column("vol", "ETH").tolist() == [-0.5, 0.5] * 3
    assert [scen.label(i) for i in (0, 3)] == ["spot -10%, vol -50%", "spot +0%, vol +50%"]
    assert scen.horizon_days == 0.0 and math.isinf(scen.n_independent) and scen.dates is None
    assert np.allclose(scen.weights, 1 / 6)


def test_moves_by_underlying_paired_and_crossed() -> None:
    moves = {"BTC": [-0.1, 0.1], "ETH": [-0.2, 0.2]}
    paired = grid(moves, dynamics="sticky_delta")
    assert paired.shocks[:, :2].tolist() == [[-0.1, -0.2], [0.1, 0.2]]
    assert paired.label(0) == "BTC spot -10%, ETH spot -20%, vol +0%"
    crossed = grid(moves, dynamics="sticky_delta", joint=False)
    assert len(crossed) == 4 and crossed.shocks[1, :2].tolist() == [-0.1, 0.2]


def test_log_unit_is_shown_as_a_percentage() -> None:
    scen = grid([math.log(0.9)], [math.log(1.5)], dynamics="sticky_strike", spot_unit="log", vol_unit="log")
    assert scen.label(0) == "spot -10%, vol +50%"
    assert scen.spot_multiplier("BTC")[0] == pytest.approx(0.9, rel=1e-15)


def test_table_keeps_labels_and_fills_missing_underlyings_with_zero() -> None:
    rows = [("a", -0.16, 0.5), ("b", {"ETH": 0.1}, {"BTC": -0.2})]
    scen = table(rows, dynamics="sticky_strike", vol_term=TermScaling(short_power=0.3), min_vol_up=0.2)
    assert scen.labels == ("a", "b")
    assert scen.factors == (
        Factor("spot", "BTC"),
        Factor("spot", "ETH"),
        Factor("vol", "BTC"),
        Factor("vol", "ETH"),
    )
    assert scen.shocks.tolist() == [[-0.16, -0.16, 0.5, 0.5], [0.0, 0.1, -0.2, 0.0]]
    assert scen.min_vol_up == 0.2 and scen.vol_term.short_power == 0.3


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: grid([], dynamics="sticky_strike"), "at least one move"),
        (lambda: grid([-1.0], dynamics="sticky_strike"), "spot move -1 in scenario .*above -1"),
        (lambda: grid([-16.0], dynamics="sticky_strike"), "write -0.16 for 16 per cent down"),
        (lambda: grid([0.1], [-1.5], dynamics="sticky_strike"), "vol move -1.5"),
        (lambda: grid([math.nan], dynamics="sticky_strike"), "spot move nan"),
        (lambda: grid(["x"], dynamics="sticky_strike"), "spot holds the move 'x'"),
        (lambda: grid({"BTC": [0.1], "ETH": [0.1, 0.2]}, dynamics="sticky_strike"), "joint=False"),
        (lambda: grid([0.1], dynamics="sticky_strike", joint=False), "name the moves of each underlying"),
        (lambda: grid([0.1, 0.1], dynamics="sticky_strike"), "appears twice"),
        (lambda: grid([0.1], dynamics="sticky_strike", horizon_days=-1.0), "horizon_days is -1.0"),
        (lambda: grid([0.1], dynamics="sticky_strike", vol_unit="percent"), "vol_unit is 'percent'"),
        (lambda: table([], dynamics="sticky_strike"), "0 rows"),
        (lambda: table([("a", {"SOL": 0.1}, 0.0)], dynamics="sticky_strike"), "moves 'SOL'.*one of BTC, ETH"),
    ],
)
def test_bad_moves(call, text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        call()


def test_dynamics_must_be_named() -> None:
    with pytest.raises(TypeError, match="dynamics"):
        grid([0.1])  # type: ignore[call-arg]
    with pytest.raises(ConventionError, match="smile dynamics 'sticky'"):
        grid([0.1], dynamics="sticky")  # type: ignore[arg-type]
