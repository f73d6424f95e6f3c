"""Lists from frames and from tables of fractions; grids by underlying and over time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pmkit.core.errors import ConventionError, DataGapError, ParameterError, SchemaError
from pmkit.scenarios import Factor, ScenarioSet, from_frame, grid, grid_over_time, scan_list


def framed(moves, index=("a",), **more) -> ScenarioSet:
    return from_frame(pd.DataFrame(moves, index=list(index)), dynamics="sticky_strike", **more)


def scanned(source="span-16", **more) -> ScenarioSet:
    ranges = {"price_range": 0.12, "vol_range": 0.3, "dynamics": "sticky_strike", "underlyings": ["BTC"]}
    return scan_list(source, **(ranges | more))


def test_columns_become_factors_of_every_kind() -> None:
    moves = {"BTC spot": 0.1, "BTC basis 2026-12-25T08:00:00Z": 0.01, "ETH basis": -0.02, "USD rate": 0.005}
    expiry = pd.Timestamp("2026-12-25T08:00:00Z")
    assert framed(moves).factors == (
        Factor("spot", "BTC"), Factor("basis", "BTC", expiry), Factor("basis", "ETH"), Factor("rate", "USD"),
    )  # fmt: skip


def test_factor_objects_and_weights() -> None:
    scen = framed({Factor("skew", "BTC"): [0.01, -0.01], "weight": [0.2, 0.8]}, ("steep", "flat"))
    assert scen.weights.tolist() == [0.2, 0.8] and scen.labels == ("steep", "flat")
    assert scen.column("skew", "BTC").tolist() == [0.01, -0.01]


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: framed({"BTC": [0.1]}), SchemaError, "column 'BTC' names no factor"),
        (lambda: framed({"BTC vega": [0.1]}), SchemaError, "use one of the kinds spot, vol"),
        (lambda: framed({"BTC basis someday": [0.1]}), SchemaError, "names no instant"),
        (lambda: framed({"BTC basis 2026-12-25": [0.1]}), SchemaError, "ISO 8601 with a time zone"),
        (lambda: framed({"BTC spot": ["x"]}), SchemaError, "BTC spot of 'a' is 'x'"),
        (lambda: framed({"BTC spot": [None]}), SchemaError, "write 0 for a factor that does not move"),
        (lambda: framed({"BTC spot": [0.1, 0.2]}, ("a", "a")), SchemaError, "scenario 'a' appears twice"),
        (lambda: framed({"BTC spot": [0.1], "weight": [0.5]}), ParameterError, "sum 0.5"),
        (lambda: framed({"BTC spot": [-1.2]}), ParameterError, r"spot move -1.2 in scenario 'a'"),
        (lambda: framed({"USD rate": [2.0]}), ConventionError, "looks like percent"),
        (lambda: from_frame(pd.DataFrame(), dynamics="sticky_strike"), SchemaError, "no rows or columns"),
        (
            lambda: from_frame(
                pd.DataFrame([[0.1, 0.2]], columns=["BTC spot", "BTC spot"]), dynamics="sticky_strike"
            ),
            SchemaError,
            "column 'BTC spot' appears twice",
        ),
        (lambda: scanned("span-17"), DataGapError, "no scan list 'span-17'.*one of span-16"),
        (lambda: scanned("absent.toml"), DataGapError, r"no file absent\.toml"),
        (lambda: scanned(price_range=0.0), ParameterError, "range of BTC is 0.0"),
        (lambda: scanned(vol_range=(0.3, -0.1)), ParameterError, "range of vol up is -0.1"),
        (lambda: scanned(price_range=0.4), ParameterError, "spot move -1.2 in scenario 'price -extreme'"),
        (lambda: grid_over_time([], [0.1], dynamics="sticky_strike"), ParameterError, r"horizons are \[\]"),
        (lambda: grid_over_time([1, 1], [0.1], dynamics="sticky_strike"), ParameterError, "distinct days"),
        (lambda: grid_over_time([-1], [0.1], dynamics="sticky_strike"), ParameterError, "horizon_days is -1"),
        (
            lambda: grid_over_time([1], [0.1], dynamics="sticky_strike", horizon_days=2),
            ParameterError,
            "horizon_days beside horizons",
        ),
        (
            lambda: grid([0.1], {"SOL": [0.1]}, dynamics="sticky_strike"),
            ParameterError,
            "moves 'SOL'.*one of BTC, ETH",
        ),
    ],
)
def test_bad_lists(call, error, text: str) -> None:
    with pytest.raises(error, match=text):
        call()


def test_span_has_seven_prices_by_two_vols_and_two_extremes() -> None:
    scen = scanned(vol_range=(0.2, 0.3))
    price, vol = scen.column("spot", "BTC"), scen.column("vol", "BTC")
    assert len(scen) == 16 and scen.horizon_days == 1.0
    assert sorted(set(price[:14].round(12))) == [-0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12]
    assert vol[:14].tolist() == [0.3, -0.2] * 7
    assert price[14:].tolist() == pytest.approx([0.36, -0.36]) and vol[14:].tolist() == [0.0, 0.0]
    assert scen.provenance.parameters["cover"] == {"price +extreme": 0.33, "price -extreme": 0.33}
    assert scen.notes == (
        "a rule counts only part of some rows: "
        "price +extreme: 33% of the loss; price -extreme: 33% of the loss",
    )


def test_scan_ranges_by_underlying_and_rows_of_the_caller() -> None:
    rows = [("down", -1.0, 1.0), ("up", 0.5, -1.0)]
    scen = scanned(rows, price_range={"BTC": 0.1, "ETH": 0.2}, vol_range=(0.3, 0.6), horizon_days=2)
    assert scen.shocks.tolist() == [[-0.1, -0.2, 0.6, 0.6], [0.05, 0.1, -0.3, -0.3]]
    assert scen.horizon_days == 2.0 and scen.notes == ()


def test_a_broken_list_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    cases = {
        "rows = [": r"mine\.toml: .*a TOML file",
        'id = "x"\nhorizon_days = 0.0\nrows = [["a", 1.0]]': r"mine\.toml: a scan list cannot be read",
        'horizon_days = 0.0\nrows = []\nname = "x"': "KeyError: 'id'",
        'id = "x"\nhorizon_days = 0.0\nrows = [["a", 1.0, 0.0, 2.0]]': "a cover outside",
    }
    for text, message in cases.items():
        path.write_text(text)
        with pytest.raises(ParameterError, match=message):
            scanned(path)


def test_grid_of_two_underlyings_crossed_in_spot_and_vol() -> None:
    moves, vols = {"BTC": [-0.1, 0.1], "ETH": [-0.2, 0.2]}, {"BTC": [0.0, 0.5], "ETH": [0.0, 0.4]}
    scen = grid(moves, vols, dynamics="sticky_delta", joint=False)
    assert len(scen) == 16 and len(set(map(tuple, scen.shocks))) == 16
    assert scen.label(1) == "BTC spot -10%, ETH spot -20%, BTC vol +0%, ETH vol +40%"
    paired = grid(moves, vols, dynamics="sticky_delta")
    assert paired.shocks.tolist() == [
        [-0.1, -0.2, 0.0, 0.0], [-0.1, -0.2, 0.5, 0.4], [0.1, 0.2, 0.0, 0.0], [0.1, 0.2, 0.5, 0.4],
    ]  # fmt: skip


def test_vols_by_underlying_beside_one_list_of_spots() -> None:
    scen = grid([-0.1], {"BTC": [0.5], "ETH": [0.4]}, dynamics="sticky_strike")
    assert scen.shocks.tolist() == [[-0.1, -0.1, 0.5, 0.4]]
    partial = grid([-0.1], {"ETH": [0.4]}, dynamics="sticky_strike")
    assert partial.shocks.tolist() == [[-0.1, -0.1, 0.0, 0.4]]


def test_time_is_a_list_of_sets_with_the_same_moves() -> None:
    sets = grid_over_time([0, 1, 7.5], [-0.1, 0.1], [0.0, 0.3], dynamics="sticky_strike", name="g")
    assert list(sets) == [0.0, 1.0, 7.5]
    assert [s.horizon_days for s in sets.values()] == [0.0, 1.0, 7.5]
    assert sets[7.5].name == "g, 7.5 days"
    assert all(np.array_equal(s.shocks, sets[0.0].shocks) for s in sets.values())
