"""The built book as a reader meets it: no error, figures, search, readable in any light and on a phone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

BUILT = Path(os.environ.get("PMKIT_BOOK", "")).resolve()
pytestmark = pytest.mark.skipif(
    "PMKIT_BOOK" not in os.environ, reason="PMKIT_BOOK names no built pages; make book-check sets it"
)

LARGEST = 1_500_000
PAGES = (
    "book/intro",
    "book/evidence",
    "book/glossary",
    "book/rules/deribit",
    "book/api/margin",
    "notebooks/01_margin_in_one_picture",
    "notebooks/17_the_risk_matrix_family",
)
#: Least contrast of the texts that a selector finds, by the formula of the accessibility guidelines.
CONTRAST = """(() => {
    const channels = text => {
        const found = text.match(/rgba?\\(([^)]+)\\)/);
        const parts = found ? found[1].split(/[ ,\\/]+/).map(Number) : [0, 0, 0, 0];
        return parts.length < 4 ? [...parts, 1] : parts
    };
    const behind = element => {
        for (let e = element; e; e = e.parentElement) {
            const colour = channels(getComputedStyle(e).backgroundColor);
            if (colour[3] > 0.5) return colour
        }
        return channels(getComputedStyle(document.documentElement).backgroundColor)[3] > 0.5
            ? channels(getComputedStyle(document.documentElement).backgroundColor) : [255, 255, 255, 1]
    };
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const least = [];
    const wanted = 'p, td, th, h1, h2, figcaption, pre'.split(', ').map(tag => 'article ' + tag).join(',');
    for (const e of document.querySelectorAll(wanted)) {
        if (!e.innerText?.trim() || !e.offsetParent) continue;
        const [a, b] = [light(channels(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
        least.push([(a + 0.05) / (b + 0.05), e.tagName + ': ' + e.innerText.slice(0, 40)])
    }
    least.sort((x, y) => x[0] - y[0]);
    return least[0]
})()"""


@pytest.fixture
def address(served: Any, port: int) -> str:
    """Where the pages are served."""
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    served(command, f"http://127.0.0.1:{port}/book/intro.html", BUILT)
    return f"http://127.0.0.1:{port}"


def opened(tab: Any, wait_for: Callable[..., Any], url: str) -> None:
    """Open a page and wait until it is there."""
    tab.send("Page.navigate", url=url)
    wait_for(url, lambda: tab.run(f"location.href === {url!r} && document.readyState === 'complete'"), 60.0)


def test_pages_are_light_enough() -> None:
    sizes = {path.name: path.stat().st_size for path in BUILT.rglob("*.html")}
    assert len(sizes) > 40
    assert {name: size for name, size in sizes.items() if size >= LARGEST} == {}


def test_pages_open_without_an_error_in_both_themes_and_on_a_phone(
    tab: Any, wait_for: Callable[..., Any], address: str
) -> None:
    for page in PAGES:
        tab.send("Emulation.clearDeviceMetricsOverride")
        opened(tab, wait_for, f"{address}/{page}.html")
        broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert tab.run(broken) == [], page
        for theme in ("light", "dark"):
            tab.run(f"void (document.documentElement.dataset.theme = {theme!r})")
            wait_for("colours", lambda: tab.run("document.getAnimations().length === 0"), 10.0)
            contrast, where = tab.run(CONTRAST)
            assert contrast >= 4.5, (page, theme, where)
        narrow = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": False}
        tab.send("Emulation.setDeviceMetricsOverride", **narrow)
        wait_for("the narrow page", lambda: tab.run("innerWidth") == 390, 10.0)
        wide = "document.scrollingElement.scrollWidth - document.documentElement.clientWidth"
        assert tab.run(wide) <= 1, page
    assert tab.complaints() == []


def test_figures_have_words_for_those_who_cannot_see_them(
    tab: Any, wait_for: Callable[..., Any], address: str
) -> None:
    silent = []
    for page in sorted(BUILT.glob("notebooks/[0-9]*.html")):
        opened(tab, wait_for, f"{address}/notebooks/{page.name}")
        figures = "[...document.querySelectorAll('article figure img')].map(i => i.alt.trim().length)"
        lengths = tab.run(figures)
        if not lengths or min(lengths) < 20:
            silent.append(page.name)
    assert silent == []


def test_search_finds_a_term(tab: Any, wait_for: Callable[..., Any], address: str) -> None:
    opened(tab, wait_for, f"{address}/search.html?q=dampener")
    hits = "document.querySelectorAll('#search-results li').length"
    wait_for("hits", lambda: (tab.run(hits) or 0) > 1, 30.0)
    found = tab.run("[...document.querySelectorAll('#search-results li a')].map(a => a.innerText).join('|')")
    assert "Deribit" in found or "Glossary" in found
    assert tab.complaints() == []
