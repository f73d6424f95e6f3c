"""The explorer as a reader meets it: Voilà serves it, a browser moves a slider, the picture follows."""

from __future__ import annotations

import importlib.util
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pmkit as pm
from pmkit.instruments import Position

pytestmark = pytest.mark.slow

#: The picture of the panel as a number: its pixels, hashed by the browser itself.
PICTURE = """(async () => {
    const image = document.querySelector('.jupyter-widgets.widget-image, img.widget-image');
    if (!image || !image.naturalWidth) return null;
    const bytes = await (await fetch(image.src)).arrayBuffer();
    const hash = await crypto.subtle.digest('SHA-256', bytes);
    return Array.from(new Uint8Array(hash)).map(b => b.toString(16).padStart(2, '0')).join('')
})()"""
NUMBERS = "document.querySelector('table.explorer-numbers')?.innerText"
READOUT = "document.querySelectorAll('.widget-readout')[0].innerText"
HANDLE = """(() => {
    const at = document.querySelectorAll('.widget-slider .noUi-handle')[0].getBoundingClientRect();
    const rail = document.querySelectorAll('.widget-slider .noUi-target')[0].getBoundingClientRect();
    return [at.x + at.width / 2, at.y + at.height / 2, rail.width]
})()"""
LEG = "BTC-25SEP26-60000-P"
#: Centre of the n-th element that a selector finds.
CENTRE = """((selector, n) => {
    const found = document.querySelectorAll(selector)[n];
    found.scrollIntoView({block: 'center'});
    const at = found.getBoundingClientRect();
    return [at.x + at.width / 2, at.y + at.height / 2]
})"""


def cells(text: str) -> dict[str, tuple[str, str]]:
    """Return today and here by the name of the row."""
    rows = [line.split("\t") for line in text.splitlines()]
    return {row[0].strip(): (row[1].strip(), row[2].strip()) for row in rows if len(row) == 3}


def moved_slider(tab: Any, wait_for: Callable[..., Any]) -> tuple[float, dict[str, tuple[str, str]]]:
    """Drag the spot slider to the left; return where it stands and the numbers, once the picture followed."""
    first = wait_for("the picture", lambda: tab.run(PICTURE), 180.0)
    before = tab.run(NUMBERS)
    x, y, width = tab.run(HANDLE)
    tab.drag((x, y), (x - 0.2 * width, y))
    wait_for("another picture", lambda: tab.run(PICTURE) not in (None, first), 60.0)
    wait_for("other numbers", lambda: tab.run(NUMBERS) != before, 60.0)
    # several moves of the mouse are several requests: wait until the numbers are those of the readout
    still: list[str] = []

    def settled() -> bool:
        still.append(str(tab.run(PICTURE)))
        return len(still) > 15 and len(set(still[-15:])) == 1

    wait_for("the last picture", settled, 60.0)
    return float(tab.run(READOUT).replace("−", "-")), cells(tab.run(NUMBERS))


def click(tab: Any, selector: str, n: int = 0) -> None:
    x, y = tab.run(f"{CENTRE}({selector!r}, {n})")
    tab.mouse("mousePressed", x, y)
    tab.mouse("mouseReleased", x, y)


@pytest.fixture(scope="module")
def explorer() -> pm.report.MarginExplorer:
    market = pm.market.load_snapshot("deribit-btc-2026-08-01")
    account = pm.Account.from_csv(pm.datasets.path("account-market-maker"))
    return pm.report.MarginExplorer(account, market, rules=["deribit-pm"], stale="warn")


def initial_margin(explorer: pm.report.MarginExplorer, spot: float, legs: tuple[Position, ...] = ()) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pm.PmkitWarning)
        return f"{explorer.at(spot=spot, legs=legs).after.im_equity:,.4f} BTC"


def test_voila_serves_the_explorer_and_the_picture_follows_the_slider(
    tab: Any, served: Any, wait_for: Any, root: Path, explorer: pm.report.MarginExplorer, port: int
) -> None:
    if importlib.util.find_spec("voila") is None:
        pytest.skip("voila is not installed")
    (recipe,) = re.findall(r"^app:.*\n\t(.*)$", (root / "Makefile").read_text(), re.MULTILINE)
    command = recipe.replace("$(BIN)/python", f"exec '{sys.executable}'")
    command = command.replace("$(APP_FLAGS)", f"--no-browser --port={port}")
    served(["sh", "-c", command], f"http://127.0.0.1:{port}/voila/static/voila.js", root)
    tab.send("Page.navigate", url=f"http://127.0.0.1:{port}/")

    spot, numbers = moved_slider(tab, wait_for)
    assert -25.0 <= spot <= -15.0
    today, here = numbers["initial margin (against equity)"]
    assert today == initial_margin(explorer, 0.0)
    assert here == initial_margin(explorer, spot / 100.0)

    picture = tab.run(PICTURE)
    click(tab, "input[list]")
    tab.keys(LEG)
    click(tab, ".jupyter-button", 0)
    wait_for("the leg", lambda: f"+1 {LEG}" in tab.run("document.body.innerText"), 60.0)
    wait_for("a picture with the leg", lambda: tab.run(PICTURE) not in (None, picture), 60.0)
    legs = (explorer.leg(LEG, 1.0),)
    assert cells(tab.run(NUMBERS))["initial margin (against equity)"][1] == initial_margin(
        explorer, spot / 100.0, legs
    )

    assert (
        tab.run("document.querySelectorAll('.jp-CodeCell .jp-InputArea, .CodeMirror, .cm-editor').length")
        == 0
    )
    assert [
        a for a in tab.asked_for() if not re.match(rf"(http|ws)://127\.0\.0\.1:{port}/|data:|blob:", a)
    ] == []
    assert tab.complaints() == []
