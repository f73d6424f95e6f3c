"""The house style: it leaves no traces, and rules look the same everywhere."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from pmkit.core.plotting import new_axes
from pmkit.report.style import BLUE, INK, MUTED, ORANGE, house_style, rule_look, rule_looks, thousands
from pmkit.report.verdict_pictures import traffic_light

#: What a colour in linear RGB becomes for dichromats (Machado, Oliveira and Fernandes 2009, severity 1).
DEFICIENCIES = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
XYZ = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
RULES = ("es-fhs", "var-hs", "deribit-pm", "deribit-standard")


def luminance(color: str) -> float:
    """Relative luminance after the sRGB transfer curve."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def lab(color: str, deficiency: str) -> np.ndarray:
    """Return the colour as a dichromat sees it, in CIELAB."""
    linear = np.array([c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)])
    seen = np.clip(np.array(DEFICIENCIES[deficiency]) @ linear, 0.0, 1.0)
    x, y, z = (np.array(XYZ) @ seen) / np.array(XYZ).sum(axis=1)
    f = [t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_colours_are_told_apart_without_a_cone(deficiency: str) -> None:
    """Ten units of CIELAB are several times what the eye tells apart side by side."""
    assert np.array(DEFICIENCIES[deficiency]).sum(axis=1) == pytest.approx(1.0, abs=2e-6)
    first = {"rules": [rule_look(rule).color for rule in RULES], "pictures": [BLUE, ORANGE, MUTED, INK]}
    for colours in (*first.values(), [look.color for look in rule_looks(list("abcdef")).values()]):
        for a, b in itertools.combinations(colours, 2):
            assert np.linalg.norm(lab(a, deficiency) - lab(b, deficiency)) > 10.0, (a, b)


@pytest.mark.parametrize("deficiency", DEFICIENCIES)
def test_zones_of_the_traffic_light_are_told_apart_without_a_cone(deficiency: str) -> None:
    ax = traffic_light({"model": 3})
    zones = [to_hex(patch.get_facecolor()) for patch in ax.patches]
    for a, b in itertools.combinations(zones, 2):
        assert np.linalg.norm(lab(a, deficiency) - lab(b, deficiency)) > 10.0, (a, b)


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
