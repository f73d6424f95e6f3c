"""Tools against procyclicality: each formula on a path, memory, and what they need."""

from __future__ import annotations

import math
from collections.abc import Callable

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmkit.core.errors import DataGapError, ParameterError
from pmkit.margin import Buffer, LongWindowFloor, MarginInputs, SpeedLimit, StressWeight, apply_apc

PATH = [100.0, 110.0, 150.0, 140.0, 90.0, 95.0]


def test_buffer_is_used_up_while_the_margin_rises_and_returns_as_it_falls() -> None:
    found = apply_apc(PATH, [Buffer(size=0.25)])
    assert found.table["called"].to_list() == [125.0, 125.0, 150.0, 150.0, 112.5, 112.5]
    found.check()


def test_stressed_weight_and_long_window_floor() -> None:
    stressed = apply_apc(PATH, [StressWeight(weight=0.25)], stressed=[300.0] * 6)
    assert stressed.table["called"].to_list() == [0.75 * m + 75.0 for m in PATH]
    floor = apply_apc(PATH, [LongWindowFloor()], long_window=[105.0] * 6)
    assert floor.table["called"].to_list() == [max(m, 105.0) for m in PATH]


def test_speed_limit_shows_the_gap_it_leaves() -> None:
    found = apply_apc(PATH, [SpeedLimit(rise=0.2, fall=0.1, cap=140.0)])
    assert found.table["called"].to_list() == pytest.approx([100.0, 110.0, 132.0, 140.0, 126.0, 113.4])
    assert found.table["gap"].to_list() == pytest.approx([0.0, 0.0, 18.0, 0.0, 0.0, 0.0])
    found.check()


def test_a_margin_of_nothing_does_not_hold_the_next_one_down() -> None:
    found = apply_apc([0.0, 100.0, 200.0], [SpeedLimit(rise=0.5)])
    assert found.table["called"].to_list() == [0.0, 100.0, 150.0]


@settings(derandomize=True, max_examples=50, deadline=None)
@given(
    margins=st.lists(st.floats(0.0, 1e6), min_size=2, max_size=20),
    cut=st.integers(1, 19),
    size=st.floats(0.0, 1.0),
)
def test_memory_carries_a_path_on_and_a_buffer_never_calls_less(
    margins: list[float], cut: int, size: float
) -> None:
    tools = [Buffer(size=size), SpeedLimit(fall=0.5)]
    whole = apply_apc(margins, tools).table["called"].to_list()
    at = min(cut, len(margins) - 1)
    first = apply_apc(margins[:at], tools)
    rest = apply_apc(margins[at:], tools, state=first.state)
    assert first.table["called"].to_list() + rest.table["called"].to_list() == whole
    assert all(c >= m for c, m in zip(whole, margins, strict=True))
    # a buffer is at most its own share above the margin
    buffer = apply_apc(margins, [Buffer(size=size)]).table
    assert (buffer["called"] <= (1.0 + size) * buffer["model"]).all()


def test_a_buffer_damps_the_largest_rise() -> None:
    index = pd.date_range("2026-01-01", periods=6, freq="D", tz="UTC")
    found = apply_apc(pd.Series(PATH, index=index), [Buffer()])
    summary = found.summary()
    assert summary.loc["largest one-step rise", "called"] < summary.loc["largest one-step rise", "model"]
    assert found.table.index.equals(index) and found.cite() == ("emir2013",)
    assert found.plot().get_ylabel() == "margin, in its own unit"


BAD: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: apply_apc([], [Buffer()]), DataGapError, "there is no margin"),
    (lambda: apply_apc([1.0], []), ParameterError, "tools \\[\\]"),
    (lambda: apply_apc([1.0], [Buffer(), Buffer()]), ParameterError, "each with its own name"),
    (lambda: apply_apc([-1.0], [Buffer()]), ParameterError, "margin 0 is -1.0"),
    (lambda: apply_apc([1.0], [Buffer()], stressed=[1.0, 2.0]), ParameterError, "2 stressed margins for 1"),
    (lambda: apply_apc([1.0], [StressWeight()]), DataGapError, "was given no stressed margin"),
    (lambda: LongWindowFloor().step(1.0, None, MarginInputs()), DataGapError, "no long_window margin"),
    (lambda: Buffer(size=-0.1), ParameterError, "size of the buffer is -0.1"),
    (lambda: StressWeight(weight=25), ParameterError, "weight of stress is 25"),
    (lambda: SpeedLimit(rise=math.nan), ParameterError, "rise is nan"),
    (lambda: SpeedLimit(fall=2.0), ParameterError, "fall is 2.0"),
]


@pytest.mark.parametrize(("call", "kind", "text"), BAD)
def test_bad_input_is_named(call: Callable[[], object], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call()
