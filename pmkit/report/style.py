"""House style of the pictures: fixed sizes, a light grid, colours that survive colour blindness and print."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
from matplotlib.ticker import FuncFormatter

__all__ = [
    "BLUE",
    "INK",
    "MUTED",
    "ORANGE",
    "USD_AXIS",
    "Look",
    "house_style",
    "rule_look",
    "rule_looks",
    "thousands",
]

#: Colour of text, zero lines and everything that is not data.
INK = "#222222"
#: Colour of what may be overlooked: strikes, second curves.
MUTED = "#8a8a8a"
#: First and second colour of a picture without rules.
BLUE, ORANGE = "#0072B2", "#D55E00"

Dashes = Literal["-", "--", "-.", ":"] | tuple[float, tuple[float, ...]]


class Look(NamedTuple):
    """How one rule is drawn, in every picture alike: colour, dashes, and hatch for print without colour."""

    color: str
    dashes: Dashes
    hatch: str


# Okabe and Ito's palette; neighbours differ in lightness too, so that the order also reads in grey.
_LOOKS = (
    Look("#0072B2", "-", ""),
    Look("#56B4E9", "--", "//"),
    Look("#D55E00", "-.", ".."),
    Look("#009E73", ":", "xx"),
    Look("#CC79A7", (0, (5, 1, 1, 1, 1, 1)), "oo"),
    Look("#E69F00", (0, (1, 2)), "\\\\"),
)
_ORDER = ("es-fhs", "var-hs", "deribit-pm", "deribit-standard")

_SETTINGS: dict[Any, Any] = {
    "figure.figsize": (7.2, 4.2),
    "figure.dpi": 100.0,
    "savefig.dpi": 144.0,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "hatch.linewidth": 0.5,
    "axes.unicode_minus": True,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Draw in the house style inside the block, and leave the settings of the caller as they were.

    Examples
    --------
        >>> import matplotlib as mpl
        >>> before = mpl.rcParams["axes.grid"]
        >>> with house_style():
        ...     inside = mpl.rcParams["axes.grid"]
        >>> inside, mpl.rcParams["axes.grid"] == before
        (True, True)
    """
    with mpl.rc_context(_SETTINGS):
        try:
            yield
        finally:
            interactive = mpl.is_interactive()
    # A notebook's backend switches this on with its first figure; switched off, later ones stay unseen.
    mpl.interactive(interactive)


def rule_look(rule: str, position: int = 0) -> Look:
    """Return the look of a rule: fixed for the rules that ship, by ``position`` in the picture for others.

    Examples
    --------
    >>> rule_look("deribit-pm").color
    '#D55E00'
    """
    at = _ORDER.index(rule) if rule in _ORDER else len(_ORDER) + position
    return _LOOKS[at % len(_LOOKS)]


def rule_looks(rules: Sequence[str]) -> dict[str, Look]:
    """Return a look for each rule of one picture, by name; up to six differ from one another.

    Rules that ship with a look of their own keep it, the others take what is left, in order.

    Examples
    --------
    >>> looks = rule_looks(["okx-pm", "deribit-pm", "paradex-pm", "derive-pmrm-v2"])
    >>> len({look.color for look in looks.values()}), looks["deribit-pm"] == rule_look("deribit-pm")
    (4, True)
    """
    names = tuple(dict.fromkeys(rules))
    own = {name: rule_look(name) for name in names if name in _ORDER}
    free = [look for look in _LOOKS if look not in own.values()] or list(_LOOKS)
    rest = [name for name in names if name not in own]
    given = {name: free[at % len(free)] for at, name in enumerate(rest)}
    return {name: own.get(name) or given[name] for name in names}


def thousands(value: float, _position: int = 0) -> str:
    """Return a USD amount for an axis, with a true minus sign.

    Examples
    --------
    >>> thousands(250_000.0), thousands(-1_500_000.0), thousands(500.0)
    ('250k', '−1.5M', '500')
    """
    size = abs(value)
    unit, letter = (1e6, "M") if size >= 1e6 else (1e3, "k") if size >= 1e3 else (1.0, "")
    text = f"{size / unit:.4g}{letter}"
    return f"−{text}" if value < 0.0 else text


#: Ticks of an axis in USD.
USD_AXIS = FuncFormatter(thousands)
