"""The house style: it leaves no traces, and rules look the same everywhere."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import pytest
from matplotlib.colors import to_rgb

from pmkit.core.plotting import new_axes
from pmkit.report.style import house_style, rule_look, thousands

RULES = ("es-fhs", "var-hs", "deribit-pm", "deribit-standard")


def luminance(color: str) -> float:
    """Relative luminance after the sRGB transfer curve."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_settings_of_the_caller_come_back() -> None:
    before = mpl.rcParams.copy()
    with house_style():
        assert mpl.rcParams["axes.grid"] is True
    assert mpl.rcParams == before


def test_settings_come_back_after_an_error() -> None:
    before = mpl.rcParams.copy()
    with pytest.raises(KeyError), house_style():
        raise KeyError
    assert mpl.rcParams == before


def test_axes_of_the_caller_are_used() -> None:
    ax = new_axes(None, (3.0, 2.0))
    assert new_axes(ax) is ax
    assert tuple(ax.figure.get_size_inches()) == (3.0, 2.0)


def test_rules_differ_in_more_than_colour() -> None:
    looks = [rule_look(rule) for rule in RULES]
    for a, b in itertools.combinations(looks, 2):
        assert a.color != b.color
        assert a.dashes != b.dashes
        assert a.hatch != b.hatch


def test_neighbours_differ_in_grey() -> None:
    grey = [luminance(rule_look(rule).color) for rule in RULES]
    assert all(abs(a - b) > 0.03 for a, b in itertools.pairwise(grey))


def test_colours_stand_out_on_white() -> None:
    for rule in RULES:
        assert 1.05 / (luminance(rule_look(rule).color) + 0.05) > 2.0


def test_own_rules_get_other_looks() -> None:
    own = {rule_look("mine", position).color for position in range(2)}
    assert own.isdisjoint({rule_look(rule).color for rule in RULES})


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (999.0, "999"), (1_000.0, "1k"), (-250_000.0, "−250k"), (1_234_567.0, "1.235M")],
)
def test_axis_labels(value: float, text: str) -> None:
    assert thousands(value) == text


def test_a_backend_that_becomes_interactive_inside_stays_so() -> None:
    before = mpl.is_interactive()
    try:
        mpl.interactive(False)
        with house_style():
            mpl.interactive(True)
        assert mpl.is_interactive()
    finally:
        mpl.interactive(before)
